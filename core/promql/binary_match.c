/* binary_match.c - arithmetic and comparisons between vectors. See binary_match.h.
 *
 * Below, "many" is the side whose labels the result keeps (the left one but for group_right), "one"
 * is the other. */
#include "promql/binary_match.h"

#include "base/mem.h"
#include "promql/eval_math.h"
#include "promql/eval_order.h"

static int number_rows(struct eval *ev, struct label_part_map *map, const struct block *block,
                       uint32_t **numbers, struct error *err)
{
    bool is_new;

    *numbers = mem_alloc(block->count * sizeof(**numbers));
    for (size_t i = 0; i < block->count; i++) {
        (*numbers)[i] = (uint32_t)label_part_map_put(map, block->rows[i].labels, &is_new);
        if (eval_tick(ev, EVAL_LABELS_WORK, err) != 0)
            return -1;
    }
    return 0;
}

int signatures_init(struct signatures *signatures, struct eval *ev,
                    const struct expr_binary *matching, const struct block *left,
                    const struct block *right, struct error *err)
{
    *signatures = (struct signatures){.map = {.names = &matching->labels, .keeps = matching->on}};
    if (number_rows(ev, &signatures->map, left, &signatures->of_left, err) != 0)
        return -1;
    return number_rows(ev, &signatures->map, right, &signatures->of_right, err);
}

void signatures_destroy(struct signatures *signatures)
{
    label_part_map_destroy(&signatures->map);
    mem_free(signatures->of_left);
    mem_free(signatures->of_right);
    *signatures = (struct signatures){0};
}

/* One matching in progress. */
struct match {
    struct eval *ev;
    const struct plan_node *node;
    const struct expr_binary *matching;
    struct block *many, *one;
    bool swapped;         /* many is the right operand */
    struct signatures of; /* of_left: many, of_right: one */
    size_t steps;
    enum compare_result compare;
    bool removes_metadata;
    bool drops_name;
    struct labels_builder builder;
    struct sink *sink;
};

/* The caller destroys it, on failure too. */
static int match_init(struct match *m, struct eval *ev, const struct plan_node *node,
                      struct block *left, struct block *right, struct sink *sink, struct error *err)
{
    *m = (struct match){.ev = ev, .node = node, .matching = node->binary, .sink = sink};
    m->swapped = node->binary->group == MATCH_GROUP_RIGHT;
    m->many = m->swapped ? right : left;
    m->one = m->swapped ? left : right;
    m->steps = node->grid.steps;
    m->compare = node->returns_bool ? COMPARE_BOOL : COMPARE_KEEPS_LEFT;
    m->removes_metadata = !binary_op_is_comparison(node->op);
    m->drops_name = node->returns_bool;
    labels_builder_init(&m->builder);
    return signatures_init(&m->of, ev, m->matching, m->many, m->one, err);
}

static void match_destroy(struct match *m)
{
    labels_builder_destroy(&m->builder);
    signatures_destroy(&m->of);
}

static void delete_label(struct labels_builder *builder, const struct query_text *name)
{
    labels_builder_delete(builder, name->bytes, name->len);
}

/* The labels of a pair's result (16.4). Owned. */
static struct labels *result_labels(struct match *m, const struct labels *many,
                                    const struct labels *one)
{
    const struct expr_binary *matching = m->matching;
    struct labels_builder *builder = &m->builder;

    labels_builder_reset(builder, many);
    for (size_t i = 0; i < labels_count(many); i++) {
        struct label label = labels_at(many, i);
        bool listed = label_names_has(&matching->labels, label.name, label.name_len);

        if ((m->removes_metadata && label_is_metadata(label.name, label.name_len)) ||
            (matching->group == MATCH_ONE_TO_ONE && listed != matching->on))
            labels_builder_delete(builder, label.name, label.name_len);
    }
    for (size_t i = 0; i < matching->include.count; i++) {
        const struct query_text *name = &matching->include.items[i];
        struct label label;

        if (labels_find(one, name->bytes, name->len, &label))
            labels_builder_set(builder, label.name, label.name_len, label.value, label.value_len);
        else
            delete_label(builder, name);
    }
    return labels_builder_build(builder);
}

/* --- whole rows: when signatures pair uniquely ----------------------------------------------- */

/* For each signature the only row of a side that has it. NULL if two rows share one. */
static uint32_t *unique_rows(const uint32_t *numbers, size_t count, size_t signature_count)
{
    uint32_t *rows = mem_alloc(signature_count * sizeof(*rows));

    for (size_t s = 0; s < signature_count; s++)
        rows[s] = NO_ROW;
    for (size_t i = 0; i < count; i++) {
        if (rows[numbers[i]] != NO_ROW) {
            mem_free(rows);
            return NULL;
        }
        rows[numbers[i]] = (uint32_t)i;
    }
    return rows;
}

static int emit_pair(struct match *m, size_t i, size_t j, const struct labels *labels,
                     struct error *err)
{
    double *many = m->many->rows[i].values, *one = m->one->rows[j].values;
    struct row row = {
        .labels = labels, .values = m->sink->room(m->sink), .drop_name = m->drops_name};

    binary_rows(m->node->op, m->compare, m->swapped ? one : many, m->swapped ? many : one,
                row.values, m->steps);
    if (m->sink->take(m->sink, &row, err) != 0)
        return -1;
    return eval_tick(m->ev, m->steps, err);
}

/* Result labels of all pairs: 1, or 0 when two pairs have the same, or -1 with err. */
static int unique_results(struct match *m, const uint32_t *one_of, struct label_set_map *results,
                          struct error *err)
{
    for (size_t i = 0; i < m->many->count; i++) {
        uint32_t j = one_of[m->of.of_left[i]];
        bool is_new;

        if (j == NO_ROW)
            continue;
        label_set_map_put(
            results, result_labels(m, m->many->rows[i].labels, m->one->rows[j].labels), &is_new);
        if (!is_new)
            return 0;
        if (eval_tick(m->ev, 2 * EVAL_LABELS_WORK, err) != 0)
            return -1;
    }
    return 1;
}

/* @return 1 when it is done, 0 when the rows must be matched step by step, -1 with err */
static int match_whole_rows(struct match *m, struct error *err)
{
    size_t signature_count = m->of.map.count, next = 0;
    struct label_set_map results = {0};
    uint32_t *one_of, *many_of = NULL;
    int result = 0;

    if (m->matching->fills_left || m->matching->fills_right)
        return 0;
    one_of = unique_rows(m->of.of_right, m->one->count, signature_count);
    if (one_of == NULL)
        return 0;
    if (m->matching->group == MATCH_ONE_TO_ONE) {
        many_of = unique_rows(m->of.of_left, m->many->count, signature_count);
        if (many_of == NULL)
            goto out;
    }
    result = unique_results(m, one_of, &results, err);
    if (result != 1)
        goto out;
    for (size_t i = 0; i < m->many->count && result == 1; i++) {
        uint32_t j = one_of[m->of.of_left[i]];

        if (j != NO_ROW && emit_pair(m, i, j, labels_ref(results.sets[next++]), err) != 0)
            result = -1;
    }
out:
    label_set_map_destroy(&results);
    mem_free(one_of);
    mem_free(many_of);
    return result;
}

/* --- step by step ---------------------------------------------------------------------------- */

/* Numbers for pairs of numbers. Zeroed is empty. */
struct pair_map {
    uint64_t *keys; /* + 1; 0 is free */
    uint32_t *values;
    size_t count;
    size_t slot_count;
};

static size_t pair_slot(const struct pair_map *map, uint64_t key)
{
    size_t slot = (size_t)((key * 0x9e3779b97f4a7c15u) >> 20) & (map->slot_count - 1);

    while (map->keys[slot] != 0 && map->keys[slot] != key)
        slot = (slot + 1) & (map->slot_count - 1);
    return slot;
}

/* The value under (a, b); added as *value, and *is_new set, when there is none. */
static uint32_t *pair_map_at(struct pair_map *map, uint32_t a, uint32_t b, bool *is_new)
{
    uint64_t key = ((uint64_t)a << 32 | b) + 1;
    size_t slot;

    if (map->count * 2 >= map->slot_count) {
        struct pair_map bigger = {.slot_count = map->slot_count != 0 ? map->slot_count * 2 : 64};

        bigger.keys = mem_zalloc(bigger.slot_count, sizeof(*bigger.keys));
        bigger.values = mem_zalloc(bigger.slot_count, sizeof(*bigger.values));
        for (size_t i = 0; i < map->slot_count; i++) {
            if (map->keys[i] == 0)
                continue;
            slot = pair_slot(&bigger, map->keys[i]);
            bigger.keys[slot] = map->keys[i];
            bigger.values[slot] = map->values[i];
        }
        bigger.count = map->count;
        mem_free(map->keys);
        mem_free(map->values);
        *map = bigger;
    }
    slot = pair_slot(map, key);
    *is_new = map->keys[slot] == 0;
    if (*is_new) {
        map->keys[slot] = key;
        map->count++;
    }
    return &map->values[slot];
}

static void pair_map_destroy(struct pair_map *map)
{
    mem_free(map->keys);
    mem_free(map->values);
}

struct stepwise {
    struct match *m;
    struct block out;
    struct label_set_map results;
    uint32_t *out_rows; /* by result number: its row in out */
    size_t out_cap;
    struct pair_map pairs; /* (many row, one row) -> result number */
    struct pair_map used;  /* (signature, result) -> step + 1 at which it occurred last */
    uint32_t *one_at;      /* by signature: the row of the one side at this step */
    bool *matched;         /* by signature */
    bool *paired;          /* by signature: a pair came of it (one to one) */
};

static int fail_duplicate(const struct match *m, size_t a, size_t b, uint32_t signature,
                          struct error *err)
{
    const struct labels *x = m->one->rows[a].labels, *y = m->one->rows[b].labels;
    struct buf text = {0};

    if (labels_compare(x, y) > 0) {
        x = m->one->rows[b].labels;
        y = m->one->rows[a].labels;
    }
    buf_puts(&text, "found duplicate series for the match group ");
    labels_format_set(&text, m->of.map.parts[signature]);
    buf_printf(&text, " on the %s hand-side of the operation: [", m->swapped ? "left" : "right");
    labels_format_set(&text, x);
    buf_puts(&text, ", ");
    labels_format_set(&text, y);
    buf_puts(&text, "];many-to-many matching not allowed: matching labels must be unique on one "
                    "side");
    error_set(err, ERR_EXECUTION, "%.*s", (int)text.len, (const char *)text.data);
    buf_destroy(&text);
    return -1;
}

/* The result number of a pair; either row may be NO_ROW (filled in). */
static uint32_t result_of(struct stepwise *s, uint32_t i, uint32_t j, uint32_t signature)
{
    struct match *m = s->m;
    const struct labels *group = m->of.map.parts[signature];
    bool is_new;
    uint32_t *number = pair_map_at(&s->pairs, i, j, &is_new);

    if (is_new) {
        const struct labels *many = i != NO_ROW ? m->many->rows[i].labels : group;
        const struct labels *one = j != NO_ROW ? m->one->rows[j].labels : group;

        *number = (uint32_t)label_set_map_put(&s->results, result_labels(m, many, one), &is_new);
    }
    return *number;
}

/* Puts a value into the row of its result labels; at one step only, rows may repeat labels. */
static int store(struct stepwise *s, uint32_t result, size_t k, double value, struct error *err)
{
    struct match *m = s->m;

    while (s->out_cap <= result) {
        size_t cap = s->out_cap != 0 ? s->out_cap * 2 : 64;

        s->out_rows = mem_realloc(s->out_rows, cap * sizeof(*s->out_rows));
        for (size_t i = s->out_cap; i < cap; i++)
            s->out_rows[i] = NO_ROW;
        s->out_cap = cap;
    }
    if (s->out_rows[result] == NO_ROW || m->steps == 1) {
        double *values = block_room(&s->out);

        row_clear(values, m->steps);
        s->out_rows[result] = (uint32_t)s->out.count;
        block_add(&s->out, labels_ref(s->results.sets[result]), values, m->drops_name);
    }
    if (!eval_is_hole(&s->out.rows[s->out_rows[result]].values[k]))
        return error_set(err, ERR_EXECUTION,
                         "vector cannot contain metrics with the same labelset");
    s->out.rows[s->out_rows[result]].values[k] = value;
    s->out.held++;
    return eval_hold(m->ev, 1, err);
}

static int pair_values(struct stepwise *s, uint32_t i, uint32_t j, uint32_t signature, double many,
                       double one, size_t k, struct error *err)
{
    struct match *m = s->m;
    double left = m->swapped ? one : many, right = m->swapped ? many : one, value;
    uint32_t result = result_of(s, i, j, signature);
    bool is_new;

    if (m->matching->group == MATCH_ONE_TO_ONE) {
        if (s->paired[signature])
            return error_set(err, ERR_EXECUTION,
                             "multiple matches for labels: many-to-one matching must be explicit "
                             "(group_left/group_right)");
        s->paired[signature] = true;
    } else {
        uint32_t *last = pair_map_at(&s->used, signature, result, &is_new);

        if (*last == (uint32_t)k + 1)
            return error_set(err, ERR_EXECUTION,
                             "multiple matches for labels: grouping labels must ensure unique "
                             "matches");
        *last = (uint32_t)k + 1;
    }
    value = binary_of(m->node->op, left, right);
    if (binary_op_is_comparison(m->node->op) && m->compare != COMPARE_BOOL) {
        if (value == 0)
            return 0;
        value = left;
    }
    return store(s, result, k, value, err);
}

static bool any_at(const struct block *block, size_t k)
{
    for (size_t i = 0; i < block->count; i++) {
        if (!eval_is_hole(&block->rows[i].values[k]))
            return true;
    }
    return false;
}

static int index_one_side(struct stepwise *s, size_t k, struct error *err)
{
    struct match *m = s->m;

    for (size_t g = 0; g < m->of.map.count; g++) {
        s->one_at[g] = NO_ROW;
        s->matched[g] = s->paired[g] = false;
    }
    for (size_t j = 0; j < m->one->count; j++) {
        uint32_t signature = m->of.of_right[j];

        if (eval_is_hole(&m->one->rows[j].values[k]))
            continue;
        if (s->one_at[signature] != NO_ROW)
            return fail_duplicate(m, j, s->one_at[signature], signature, err);
        s->one_at[signature] = (uint32_t)j;
    }
    return 0;
}

static int match_step(struct stepwise *s, size_t k, struct error *err)
{
    struct match *m = s->m;
    const struct expr_binary *matching = m->matching;
    bool many_here = any_at(m->many, k), one_here = any_at(m->one, k);

    if (!many_here && !one_here)
        return 0;
    if (!(many_here && one_here) && !matching->fills_left && !matching->fills_right)
        return 0;
    if (index_one_side(s, k, err) != 0)
        return -1;
    for (size_t i = 0; i < m->many->count; i++) {
        uint32_t signature = m->of.of_left[i], j = s->one_at[signature];
        double one;

        if (eval_is_hole(&m->many->rows[i].values[k]) || (j == NO_ROW && !matching->fills_right))
            continue;
        s->matched[signature] = true;
        one = j != NO_ROW ? m->one->rows[j].values[k] : matching->fill_right;
        if (pair_values(s, (uint32_t)i, j, signature, m->many->rows[i].values[k], one, k, err) != 0)
            return -1;
    }
    for (size_t j = 0; matching->fills_left && j < m->one->count; j++) {
        uint32_t signature = m->of.of_right[j];

        if (eval_is_hole(&m->one->rows[j].values[k]) || s->matched[signature])
            continue;
        if (pair_values(s, NO_ROW, (uint32_t)j, signature, matching->fill_left,
                        m->one->rows[j].values[k], k, err) != 0)
            return -1;
    }
    return eval_tick(m->ev, m->many->count + m->one->count, err);
}

static int match_stepwise(struct match *m, struct error *err)
{
    struct stepwise s = {.m = m};
    size_t signature_count = m->of.map.count;
    int result = 0;

    block_init(&s.out, m->steps);
    s.one_at = mem_alloc(signature_count * sizeof(*s.one_at));
    s.matched = mem_alloc(signature_count * sizeof(*s.matched));
    s.paired = mem_alloc(signature_count * sizeof(*s.paired));
    for (size_t k = 0; k < m->steps && result == 0; k++)
        result = match_step(&s, k, err);
    if (result == 0)
        result = eval_pass_block(m->ev, &s.out, m->sink, err);
    mem_free(s.one_at);
    mem_free(s.matched);
    mem_free(s.paired);
    mem_free(s.out_rows);
    pair_map_destroy(&s.pairs);
    pair_map_destroy(&s.used);
    label_set_map_destroy(&s.results);
    eval_block_free(m->ev, &s.out);
    return result;
}

/* --- trims are for histograms ---------------------------------------------------------------- */

/* Pairs of floats under a trim: an info, and nothing. */
static void note_trims(struct match *m)
{
    const char *text = binary_op_text(m->node->op);
    const struct label_part_map *map = &m->of.map;
    bool *has = mem_zalloc(map->count, sizeof(*has)), pair = false;

    for (size_t j = 0; j < m->one->count; j++)
        has[m->of.of_right[j]] = true;
    for (size_t i = 0; i < m->many->count; i++)
        pair = pair || has[m->of.of_left[i]];
    if (pair)
        eval_note(m->ev, ANNOTATION_INFO, m->node->offset,
                  "incompatible sample types encountered for binary operator \"%s\": float %s "
                  "float",
                  text, text);
    mem_free(has);
}

int binary_match_rows(struct eval *ev, const struct plan_node *node, struct block *left,
                      struct block *right, struct sink *sink, struct error *err)
{
    bool fills = node->binary->fills_left || node->binary->fills_right;
    struct match m;
    int result;

    if ((left->count == 0 || right->count == 0) && !fills)
        return 0;
    result = match_init(&m, ev, node, left, right, sink, err);
    if (result != 0) {
        match_destroy(&m);
        return -1;
    }
    if (node->op == BINARY_TRIM_LOWER || node->op == BINARY_TRIM_UPPER) {
        note_trims(&m);
        result = 0;
    } else {
        result = match_whole_rows(&m, err);
        if (result == 0)
            result = match_stepwise(&m, err);
    }
    match_destroy(&m);
    return result < 0 ? -1 : 0;
}
