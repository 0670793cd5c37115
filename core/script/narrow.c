/* narrow.c - see narrow.h. */
#include "script/narrow.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text_map.h"
#include "script/mask.h"

/* Behind a selection's `impl`: which one of the base it shows. */
struct narrowed_selection {
    struct selection shown;
    const struct narrowed *narrowed;
    struct selection *inner; /* NULL: nothing was to be selected */

    /* With masks: the series that are shown, with labels of their own, and which of the inner ones
     * they are. */
    struct selected_series *series;
    size_t *places;
};

static bool bounds_times(const struct read_request *read)
{
    return read->tree == NULL;
}

static bool has_matcher(const struct matcher *matchers, size_t count, const struct matcher *wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (matchers[i].type == wanted->type && matchers[i].name_len == wanted->name_len &&
            matchers[i].value_len == wanted->value_len &&
            memcmp(matchers[i].name, wanted->name, wanted->name_len) == 0 &&
            memcmp(matchers[i].value, wanted->value, wanted->value_len) == 0)
            return true;
    }
    return false;
}

/* Whether a matcher is to be tested on what the client sees, not on what is stored. */
static bool is_withheld(const struct narrowed *narrowed, const struct matcher *matcher)
{
    return narrowed->masks != NULL &&
           rulebook_hides(narrowed->masks, matcher->name, matcher->name_len);
}

/* The asked set with the restrictions, without those withheld; its `matchers` are the caller's to
 * free. */
static struct select_request narrow_set(const struct narrowed *narrowed,
                                        const struct select_request *asked)
{
    const struct read_request *read = narrowed->read;
    struct select_request set = *asked;
    struct matcher *matchers =
        mem_alloc((asked->matcher_count + read->restriction_count + 1) * sizeof(*matchers));

    set.matcher_count = 0;
    for (size_t i = 0; i < asked->matcher_count; i++) {
        if (!is_withheld(narrowed, &asked->matchers[i]))
            matchers[set.matcher_count++] = asked->matchers[i];
    }
    for (size_t i = 0; i < read->restriction_count; i++) {
        /* Those that stand in the query's tree are not tested twice. */
        if (!has_matcher(matchers, set.matcher_count, &read->restrictions[i]))
            matchers[set.matcher_count++] = read->restrictions[i];
    }
    set.matchers = matchers;
    if (bounds_times(read)) {
        set.from_ms = TIDE_MAX(asked->from_ms, read->start_ms);
        set.to_ms = TIDE_MIN(asked->to_ms, read->end_ms);
    }
    if (set.max_series == 0 || set.max_series > (uint64_t)TIDE_MAX(read->max_series, 1))
        set.max_series = (size_t)TIDE_MAX(read->max_series, 1);
    return set;
}

static void narrowed_selection_free(void *ctx, struct selection *shown);

/* Whether what the client sees satisfies the matchers that were not asked of the store. */
static bool seen_accepts(const struct narrowed *narrowed, const struct select_request *asked,
                         const struct labels *seen)
{
    for (size_t i = 0; i < asked->matcher_count; i++) {
        if (is_withheld(narrowed, &asked->matchers[i]) &&
            !matchers_accept(&asked->matchers[i], 1, seen))
            return false;
    }
    return true;
}

/* The labels as the client sees them; series that it did not ask for then are left out. */
static int mask_all(struct narrowed_selection *selection, const struct select_request *asked,
                    struct error *err)
{
    const struct narrowed *narrowed = selection->narrowed;
    const struct selection *inner = selection->inner;
    size_t shown = 0;

    selection->series = mem_zalloc(inner->count + 1, sizeof(*selection->series));
    selection->places = mem_zalloc(inner->count + 1, sizeof(*selection->places));
    selection->shown.series = selection->series;
    selection->shown.count = 0;
    for (size_t i = 0; i < inner->count; i++) {
        struct labels *masked;

        if (rulebook_mask(narrowed->masks, narrowed->read, inner->series[i].labels, &masked, err) !=
            0)
            return -1;
        if (masked == NULL)
            masked = labels_ref(inner->series[i].labels);
        if (!seen_accepts(narrowed, asked, masked)) {
            labels_unref(masked);
            continue;
        }
        selection->series[shown] = inner->series[i];
        selection->series[shown].labels = masked;
        selection->places[shown] = i;
        selection->shown.count = ++shown;
    }
    return 0;
}

static int narrowed_select(void *ctx, const struct select_request *asked, struct selection **out,
                           struct error *err)
{
    const struct narrowed *narrowed = ctx;
    struct narrowed_selection *selection = mem_zalloc(1, sizeof(*selection));
    struct select_request set = narrow_set(narrowed, asked);
    int result = 0;

    selection->narrowed = narrowed;
    selection->shown.impl = selection;
    if (set.from_ms <= set.to_ms)
        result = narrowed->base->select(narrowed->base->ctx, &set, &selection->inner, err);
    mem_free((void *)set.matchers);
    if (result != 0) {
        mem_free(selection);
        return -1;
    }
    if (selection->inner != NULL) {
        selection->shown.series = selection->inner->series;
        selection->shown.count = selection->inner->count;
        if (narrowed->masks != NULL && mask_all(selection, asked, err) != 0) {
            narrowed_selection_free(ctx, &selection->shown);
            return -1;
        }
    }
    *out = &selection->shown;
    return 0;
}

static int narrowed_read(struct selection *shown, size_t i, int64_t from_ms, int64_t to_ms,
                         struct columns *out, struct error *err)
{
    struct narrowed_selection *selection = shown->impl;
    const struct read_request *read = selection->narrowed->read;

    if (bounds_times(read)) {
        from_ms = TIDE_MAX(from_ms, read->start_ms);
        to_ms = TIDE_MIN(to_ms, read->end_ms);
    }
    if (from_ms > to_ms)
        return 0;
    if (selection->places != NULL)
        i = selection->places[i];
    return selection->narrowed->base->read(selection->inner, i, from_ms, to_ms, out, err);
}

static void narrowed_selection_free(void *ctx, struct selection *shown)
{
    const struct narrowed *narrowed = ctx;
    struct narrowed_selection *selection;

    if (shown == NULL)
        return;
    selection = shown->impl;
    for (size_t i = 0; selection->series != NULL && i < selection->shown.count; i++)
        labels_unref(selection->series[i].labels);
    mem_free(selection->series);
    mem_free(selection->places);
    if (selection->inner != NULL)
        narrowed->base->selection_free(narrowed->base->ctx, selection->inner);
    mem_free(selection);
}

/* --- lists of labels ---------------------------------------------------------------------------
 */

static int compare_texts(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = memcmp(x->value, y->value, TIDE_MIN(x->value_len, y->value_len));

    return order != 0 ? order : (x->value_len > y->value_len) - (x->value_len < y->value_len);
}

static void add_text(struct text_map *seen, const char *text, size_t len)
{
    if (text_map_get(seen, text, len) == NULL)
        text_map_put(seen, text, len, seen);
}

/* Sorted; cut to limit + 1 as querier.h has it. */
static void list_texts(const struct text_map *seen, size_t limit, struct text_list *out)
{
    out->items = mem_zalloc(seen->count + 1, sizeof(*out->items));
    for (size_t i = 0; i < seen->cap; i++) {
        const struct text_map_entry *slot = &seen->slots[i];

        if (slot->key != NULL)
            out->items[out->count++] =
                (struct label){.value = arena_dup(&out->arena, slot->key, slot->len),
                               .value_len = (uint32_t)slot->len};
    }
    if (out->count > 1)
        qsort(out->items, out->count, sizeof(*out->items), compare_texts);
    if (limit != 0 && out->count > limit)
        out->count = limit + 1;
}

static void add_labels(struct text_map *seen, const struct label_request *asked, bool names,
                       const struct labels *labels)
{
    struct label label;

    if (!names) {
        if (labels_find(labels, asked->name, asked->name_len, &label))
            add_text(seen, label.value, label.value_len);
        return;
    }
    for (size_t i = 0; i < labels_count(labels); i++) {
        label = labels_at(labels, i);
        add_text(seen, label.name, label.name_len);
    }
}

/* By selecting: the store's lists know the true labels only. */
static int list_masked(struct narrowed *narrowed, const struct label_request *asked, bool names,
                       struct text_list *out, struct error *err)
{
    const struct select_request all = {.from_ms = asked->from_ms, .to_ms = asked->to_ms};
    size_t sets = TIDE_MAX(asked->set_count, (size_t)1);
    struct text_map seen = {0};
    int result = 0;

    *out = (struct text_list){0};
    for (size_t i = 0; i < sets && result == 0; i++) {
        struct select_request set = asked->set_count > 0 ? asked->sets[i] : all;
        struct selection *selection;

        set.from_ms = asked->from_ms;
        set.to_ms = asked->to_ms;
        set.metadata_only = true;
        result = narrowed_select(narrowed, &set, &selection, err);
        if (result != 0)
            break;
        for (size_t k = 0; k < selection->count; k++)
            add_labels(&seen, asked, names, selection->series[k].labels);
        narrowed_selection_free(narrowed, selection);
    }
    if (result == 0)
        list_texts(&seen, asked->limit, out);
    text_map_destroy(&seen);
    return result;
}

typedef int label_lister(void *ctx, const struct label_request *request, struct text_list *out,
                         struct error *err);

/* A listing of all labels becomes one of the series that may be seen. */
static int list_narrowed(const struct narrowed *narrowed, label_lister *lister,
                         const struct label_request *asked, struct text_list *out,
                         struct error *err)
{
    const struct read_request *read = narrowed->read;
    const struct select_request all = {.from_ms = asked->from_ms, .to_ms = asked->to_ms};
    struct label_request request = *asked;
    struct select_request *sets = mem_zalloc(asked->set_count + 1, sizeof(*sets));
    int result = 0;

    *out = (struct text_list){0};
    if (bounds_times(read)) {
        request.from_ms = TIDE_MAX(asked->from_ms, read->start_ms);
        request.to_ms = TIDE_MIN(asked->to_ms, read->end_ms);
    }
    for (size_t i = 0; i < asked->set_count; i++)
        sets[i] = narrow_set(narrowed, &asked->sets[i]);
    if (asked->set_count == 0 && (read->restriction_count > 0 || read->times_cut)) {
        sets[0] = narrow_set(narrowed, &all);
        sets[0].metadata_only = true;
        request.set_count = 1;
    }
    request.sets = sets;
    if (request.from_ms <= request.to_ms)
        result = lister(narrowed->base->ctx, &request, out, err);
    for (size_t i = 0; i < request.set_count; i++)
        mem_free((void *)sets[i].matchers);
    mem_free(sets);
    return result;
}

static int narrowed_label_names(void *ctx, const struct label_request *request,
                                struct text_list *out, struct error *err)
{
    struct narrowed *narrowed = ctx;

    if (narrowed->masks != NULL)
        return list_masked(narrowed, request, true, out, err);
    return list_narrowed(narrowed, narrowed->base->label_names, request, out, err);
}

static int narrowed_label_values(void *ctx, const struct label_request *request,
                                 struct text_list *out, struct error *err)
{
    struct narrowed *narrowed = ctx;

    if (narrowed->masks != NULL)
        return list_masked(narrowed, request, false, out, err);
    return list_narrowed(narrowed, narrowed->base->label_values, request, out, err);
}

void narrowed_init(struct narrowed *narrowed, const struct querier *base, struct read_request *read,
                   struct rulebook *book)
{
    *narrowed = (struct narrowed){
        .querier = {.ctx = narrowed,
                    .select = narrowed_select,
                    .read = narrowed_read,
                    .selection_free = narrowed_selection_free,
                    .label_names = narrowed_label_names,
                    .label_values = narrowed_label_values},
        .base = base,
        .read = read,
        .masks = rulebook_masks(book) ? book : NULL,
    };
}
