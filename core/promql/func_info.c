/* func_info.c - info(v, {matchers}): adds the labels of info series (promql.md 14).
 *
 * Info series are those of target_info, or of what the second argument names, that have the same
 * instance and job. They are selected while the query runs, since the values to look for come from
 * the rows of the first argument. */
#include <math.h>

#include "base/mem.h"
#include "promql/eval_call.h"
#include "promql/eval_math.h"

#define DEFAULT_INFO_METRIC "target_info"
#define ANY_INFO_METRIC ".+_info"

static const struct query_text identifying_names[] = {{"instance", 8}, {"job", 3}};
static const struct query_texts identifying = {identifying_names, 2};

struct info {
    struct eval *ev;
    const struct plan_node *node;
    struct block base;
    struct block infos;    /* values: times of the newest samples, in seconds */
    struct matcher *names; /* effective matchers on __name__ */
    size_t name_count;
    struct matcher *data; /* the other matchers */
    size_t data_count;
    bool data_required;           /* one of them does not accept a missing label */
    struct label_set_map metrics; /* {__name__} of info series */
    struct label_set_map keys;    /* {__name__, instance, job} of info series */
    uint32_t *key_of;             /* by info row */
    uint32_t *newest;             /* by key: the info row at this step */
    uint32_t *wanted;             /* by base row: keys, metrics.count of them each */
    bool *is_info;                /* by base row: an info series itself */
    struct labels_builder builder;
    struct block out;
    struct label_set_map out_map;
};

#define NONE UINT32_MAX

static bool is_name(const struct matcher *matcher)
{
    return matcher->name_len == strlen(LABEL_METRIC_NAME) &&
           memcmp(matcher->name, LABEL_METRIC_NAME, matcher->name_len) == 0;
}

static void own_matcher(struct matcher **list, size_t *count, struct matcher matcher)
{
    *list = mem_realloc(*list, (*count + 1) * sizeof(**list));
    (*list)[(*count)++] = matcher;
}

static int add_name_matcher(struct info *info, enum matcher_type type, const char *value,
                            struct error *err)
{
    struct matcher matcher;

    if (matcher_init(&matcher, type, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), value,
                     strlen(value), info->ev->query->regexes, err) != 0)
        return -1;
    own_matcher(&info->names, &info->name_count, matcher);
    return 0;
}

/* Splits the second argument's matchers; says which metrics are info metrics. */
static int split_matchers(struct info *info, struct error *err)
{
    const struct plan_source *source =
        info->node->child_count > 1 ? info->node->children[1]->source : NULL;
    bool positive = false;

    for (size_t i = 0; source != NULL && i < source->matcher_count; i++) {
        struct matcher copy;

        matcher_copy(&copy, &source->matchers[i]);
        if (is_name(&copy)) {
            positive = positive || copy.type == MATCH_EQUAL || copy.type == MATCH_REGEX;
            own_matcher(&info->names, &info->name_count, copy);
            continue;
        }
        info->data_required = info->data_required || !copy.matches_empty;
        own_matcher(&info->data, &info->data_count, copy);
    }
    if (info->name_count == 0)
        return add_name_matcher(info, MATCH_EQUAL, DEFAULT_INFO_METRIC, err);
    if (!positive)
        return add_name_matcher(info, MATCH_REGEX, ANY_INFO_METRIC, err);
    return 0;
}

/* --- finding info series ------------------------------------------------------------------------
 */

static void append_escaped(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\0' && strchr("\\.+*?()|[]{}^$", text[i]) != NULL)
            buf_putc(out, '\\');
        buf_putc(out, text[i]);
    }
}

/* name=~"v1|v2|..." of the values that base rows have; *count stays when there are none. */
static int add_value_matcher(struct info *info, const struct query_text *name,
                             struct matcher **list, size_t *count, struct error *err)
{
    const struct query_texts only = {name, 1};
    struct label_set_map values = {0};
    struct matcher matcher;
    struct buf pattern = {0};
    int result = 0;

    for (size_t i = 0; i < info->base.count; i++) {
        struct label label;
        bool is_new;

        if (info->is_info[i] ||
            !labels_find(info->base.rows[i].labels, name->bytes, name->len, &label))
            continue;
        label_set_map_put(&values, labels_keep(info->base.rows[i].labels, &only), &is_new);
        if (!is_new)
            continue;
        if (pattern.len != 0)
            buf_putc(&pattern, '|');
        append_escaped(&pattern, label.value, label.value_len);
    }
    if (values.count != 0) {
        result =
            matcher_init(&matcher, MATCH_REGEX, name->bytes, name->len, (const char *)pattern.data,
                         pattern.len, info->ev->query->regexes, err);
        if (result == 0)
            own_matcher(list, count, matcher);
    }
    label_set_map_destroy(&values);
    buf_destroy(&pattern);
    return result;
}

/* Finds the first selector, depth first, and how its time follows from the step's. */
static bool find_reference(const struct plan_node *node, struct plan_node *reference)
{
    if (node->kind == PLAN_SELECTOR || node->kind == PLAN_RANGE) {
        reference->at_set = node->at_set;
        reference->at_ms = node->at_ms;
        reference->offset_ms = node->offset_ms;
        return true;
    }
    for (size_t i = 0; i < node->child_count; i++) {
        if (!find_reference(node->children[i], reference))
            continue;
        if (node->kind == PLAN_SUBQUERY && !reference->at_set) {
            reference->at_set = node->at_set;
            reference->at_ms = node->at_ms;
            reference->offset_ms += node->offset_ms;
        }
        return true;
    }
    return false;
}

/* Reads the newest sample times of the info series at each step into info->infos. */
static int read_infos(struct info *info, struct matcher *matchers, size_t count, struct error *err)
{
    struct plan *plan = info->ev->plan;
    struct plan_source *source = arena_alloc(&plan->arena, sizeof(*source));
    struct plan_node reference = {.kind = PLAN_SELECTOR, .grid = info->node->grid};
    struct block_sink sink;

    find_reference(info->node->children[0], &reference);
    *source = (struct plan_source){.matchers = matchers, .matcher_count = count, .uses = 1};
    source->from_ms = plan_ref_ms(&reference) - plan->lookback_ms + 1;
    source->to_ms = plan_ref_ms(&reference) +
                    (int64_t)(reference.grid.steps - 1) * plan_ref_step_ms(&reference);
    reference.source = source;
    plan_add_source(plan, source);
    block_sink_init(&sink, info->ev, &info->infos);
    return eval_selector_times(info->ev, &reference, &sink.sink, err);
}

static int select_infos(struct info *info, struct error *err)
{
    struct matcher *matchers = NULL;
    size_t count = 0, own;
    int result = 0;

    for (size_t i = 0; i < identifying.count && result == 0; i++)
        result = add_value_matcher(info, &identifying.items[i], &matchers, &count, err);
    own = count;
    if (result == 0 && count != 0) {
        matchers = mem_realloc(matchers,
                               (count + info->name_count + info->data_count) * sizeof(*matchers));
        for (size_t i = 0; i < info->name_count; i++)
            matchers[count++] = info->names[i];
        for (size_t i = 0; i < info->data_count; i++)
            matchers[count++] = info->data[i];
        result = read_infos(info, matchers, count, err);
    }
    for (size_t i = 0; i < own; i++)
        matcher_destroy(&matchers[i]);
    mem_free(matchers);
    return result;
}

/* --- matching -----------------------------------------------------------------------------------
 */

/* {__name__, instance, job}: the name of the first, the others of the second. Owned. */
static struct labels *key_labels(struct info *info, const struct labels *metric,
                                 const struct labels *identity)
{
    labels_builder_reset(&info->builder, metric);
    for (size_t i = 0; i < identifying.count; i++) {
        const struct query_text *name = &identifying.items[i];
        struct label label;

        if (labels_find(identity, name->bytes, name->len, &label))
            labels_builder_set(&info->builder, label.name, label.name_len, label.value,
                               label.value_len);
    }
    return labels_builder_build(&info->builder);
}

static void number_infos(struct info *info)
{
    static const struct query_text name = {LABEL_METRIC_NAME, 8};
    static const struct query_texts only_name = {&name, 1};
    bool is_new;

    info->key_of = mem_alloc(info->infos.count * sizeof(*info->key_of));
    for (size_t i = 0; i < info->infos.count; i++) {
        const struct labels *labels = info->infos.rows[i].labels;
        struct labels *metric = labels_keep(labels, &only_name);

        info->key_of[i] =
            (uint32_t)label_set_map_put(&info->keys, key_labels(info, metric, labels), &is_new);
        label_set_map_put(&info->metrics, metric, &is_new);
    }
}

static void find_wanted(struct info *info)
{
    size_t metrics = info->metrics.count, known = info->keys.count;

    info->wanted = mem_alloc(info->base.count * metrics * sizeof(*info->wanted));
    for (size_t i = 0; i < info->base.count; i++) {
        for (size_t m = 0; m < metrics; m++) {
            bool is_new;
            size_t key = label_set_map_put(
                &info->keys, key_labels(info, info->metrics.sets[m], info->base.rows[i].labels),
                &is_new);

            info->wanted[i * metrics + m] = key < known ? (uint32_t)key : NONE;
        }
    }
    info->newest = mem_alloc((info->keys.count + 1) * sizeof(*info->newest));
}

static int fail_duplicate(struct info *info, size_t existing, size_t i, double seconds,
                          struct error *err)
{
    struct buf text = {0};
    int64_t ms = llround(seconds * 1000);

    buf_puts(&text, "found duplicate series for info metric: existing ");
    labels_format_set(&text, info->infos.rows[existing].labels);
    buf_printf(&text, " @ %" PRId64 ", new ", ms);
    labels_format_set(&text, info->infos.rows[i].labels);
    buf_printf(&text, " @ %" PRId64, ms);
    error_set(err, ERR_EXECUTION, "%.*s", (int)text.len, (const char *)text.data);
    buf_destroy(&text);
    return -1;
}

/* For each key the info series with the newest sample. */
static int index_step(struct info *info, size_t k, struct error *err)
{
    for (size_t key = 0; key < info->keys.count; key++)
        info->newest[key] = NONE;
    for (size_t i = 0; i < info->infos.count; i++) {
        uint32_t *newest = &info->newest[info->key_of[i]];
        const double *seconds = &info->infos.rows[i].values[k];

        if (eval_is_hole(seconds))
            continue;
        if (*newest != NONE) {
            double before = info->infos.rows[*newest].values[k];

            if (before == *seconds)
                return fail_duplicate(info, *newest, i, before, err);
            if (before > *seconds)
                continue;
        }
        *newest = (uint32_t)i;
    }
    return 0;
}

static bool is_demanded(const struct info *info, const struct label *label)
{
    for (size_t i = 0; i < info->data_count; i++) {
        if (info->data[i].name_len == label->name_len &&
            memcmp(info->data[i].name, label->name, label->name_len) == 0)
            return true;
    }
    return info->data_count == 0;
}

/* Adds what one info series tells to the builder; `added` says what others have. */
static int add_labels(struct info *info, const struct labels *base, const struct labels *from,
                      struct error *err)
{
    for (size_t i = 0; i < labels_count(from); i++) {
        struct label label = labels_at(from, i), other;

        if (label.name_len == strlen(LABEL_METRIC_NAME) &&
            memcmp(label.name, LABEL_METRIC_NAME, label.name_len) == 0)
            continue;
        if (!is_demanded(info, &label) || labels_find(base, label.name, label.name_len, &other))
            continue;
        for (size_t k = 0; k < info->builder.count; k++) {
            other = info->builder.list[k];
            if (other.name_len == label.name_len &&
                memcmp(other.name, label.name, label.name_len) == 0 &&
                (other.value_len != label.value_len ||
                 memcmp(other.value, label.value, label.value_len) != 0))
                return error_set(err, ERR_EXECUTION, "conflicting label: %.*s", (int)label.name_len,
                                 label.name);
        }
        labels_builder_set(&info->builder, label.name, label.name_len, label.value,
                           label.value_len);
    }
    return 0;
}

/* The labels of base row i at this step. @return 1, 0 when the sample is dropped, -1 with err */
static int enriched_labels(struct info *info, size_t i, struct labels **out, struct error *err)
{
    const struct labels *base = info->base.rows[i].labels;
    size_t metrics = info->metrics.count;
    bool matched = false;

    labels_builder_reset(&info->builder, base);
    for (size_t m = 0; !info->is_info[i] && m < metrics; m++) {
        uint32_t key = info->wanted[i * metrics + m];

        if (key == NONE || info->newest[key] == NONE)
            continue;
        matched = true;
        if (add_labels(info, base, info->infos.rows[info->newest[key]].labels, err) != 0)
            return -1;
    }
    if (!matched && !info->is_info[i] && info->data_required)
        return 0;
    *out = labels_builder_build(&info->builder);
    return 1;
}

static int store(struct info *info, const struct labels *labels, size_t i, size_t k,
                 struct error *err)
{
    bool is_new;
    size_t number = label_set_map_put(&info->out_map, labels, &is_new);
    double *values;

    if (is_new) {
        values = block_room(&info->out);
        row_clear(values, info->out.steps);
        block_add(&info->out, labels_ref(labels), values, info->base.rows[i].drop_name);
    }
    values = info->out.rows[number].values;
    if (!eval_is_hole(&values[k]))
        return error_set(err, ERR_EXECUTION,
                         "vector cannot contain metrics with the same labelset");
    values[k] = info->base.rows[i].values[k];
    info->out.held++;
    return eval_hold(info->ev, 1, err);
}

static int enrich_step(struct info *info, size_t k, struct error *err)
{
    if (index_step(info, k, err) != 0)
        return -1;
    for (size_t i = 0; i < info->base.count; i++) {
        struct labels *labels;
        int found;

        if (eval_is_hole(&info->base.rows[i].values[k]))
            continue;
        found = enriched_labels(info, i, &labels, err);
        if (found < 0 || (found > 0 && store(info, labels, i, k, err) != 0))
            return -1;
    }
    return eval_tick(info->ev, (info->base.count + info->infos.count) * 16, err);
}

static void info_destroy(struct info *info)
{
    eval_block_free(info->ev, &info->base);
    eval_block_free(info->ev, &info->infos);
    eval_block_free(info->ev, &info->out);
    for (size_t i = 0; i < info->name_count; i++)
        matcher_destroy(&info->names[i]);
    for (size_t i = 0; i < info->data_count; i++)
        matcher_destroy(&info->data[i]);
    mem_free(info->names);
    mem_free(info->data);
    mem_free(info->key_of);
    mem_free(info->newest);
    mem_free(info->wanted);
    mem_free(info->is_info);
    label_set_map_destroy(&info->metrics);
    label_set_map_destroy(&info->keys);
    label_set_map_destroy(&info->out_map);
    labels_builder_destroy(&info->builder);
}

int func_info(struct eval *ev, const struct plan_node *node, struct sink *sink, struct error *err)
{
    struct info info = {.ev = ev, .node = node};
    int result;

    labels_builder_init(&info.builder);
    block_init(&info.infos, node->grid.steps);
    block_init(&info.out, node->grid.steps);
    result = eval_vector(ev, node->children[0], &info.base, err);
    if (result == 0)
        result = split_matchers(&info, err);
    if (result == 0) {
        info.is_info = mem_alloc(info.base.count);
        for (size_t i = 0; i < info.base.count; i++)
            info.is_info[i] =
                matchers_accept(info.names, info.name_count, info.base.rows[i].labels);
        result = select_infos(&info, err);
    }
    if (result == 0) {
        number_infos(&info);
        find_wanted(&info);
    }
    for (size_t k = 0; k < node->grid.steps && result == 0; k++)
        result = enrich_step(&info, k, err);
    if (result == 0)
        result = eval_pass_block(ev, &info.out, sink, err);
    info_destroy(&info);
    return result;
}
