/* narrow.c - see narrow.h. */
#include "script/narrow.h"

#include "base/mem.h"

/* Behind a selection's `impl`: which one of the base it shows. */
struct narrowed_selection {
    struct selection shown;
    const struct narrowed *narrowed;
    struct selection *inner; /* NULL: nothing was to be selected */
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

/* The asked set with the restrictions; its `matchers` are the caller's to free. */
static struct select_request narrow_set(const struct read_request *read,
                                        const struct select_request *asked)
{
    struct select_request set = *asked;
    struct matcher *matchers =
        mem_alloc((asked->matcher_count + read->restriction_count + 1) * sizeof(*matchers));

    set.matcher_count = asked->matcher_count;
    if (asked->matcher_count > 0)
        memcpy(matchers, asked->matchers, asked->matcher_count * sizeof(*matchers));
    for (size_t i = 0; i < read->restriction_count; i++) {
        /* Those that stand in the query's tree are not tested twice. */
        if (!has_matcher(asked->matchers, asked->matcher_count, &read->restrictions[i]))
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

static int narrowed_select(void *ctx, const struct select_request *asked, struct selection **out,
                           struct error *err)
{
    const struct narrowed *narrowed = ctx;
    struct narrowed_selection *selection = mem_zalloc(1, sizeof(*selection));
    struct select_request set = narrow_set(narrowed->read, asked);
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
    return selection->narrowed->base->read(selection->inner, i, from_ms, to_ms, out, err);
}

static void narrowed_selection_free(void *ctx, struct selection *shown)
{
    const struct narrowed *narrowed = ctx;
    struct narrowed_selection *selection;

    if (shown == NULL)
        return;
    selection = shown->impl;
    if (selection->inner != NULL)
        narrowed->base->selection_free(narrowed->base->ctx, selection->inner);
    mem_free(selection);
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
        sets[i] = narrow_set(read, &asked->sets[i]);
    if (asked->set_count == 0 && (read->restriction_count > 0 || read->times_cut)) {
        sets[0] = narrow_set(read, &all);
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
    const struct narrowed *narrowed = ctx;

    return list_narrowed(narrowed, narrowed->base->label_names, request, out, err);
}

static int narrowed_label_values(void *ctx, const struct label_request *request,
                                 struct text_list *out, struct error *err)
{
    const struct narrowed *narrowed = ctx;

    return list_narrowed(narrowed, narrowed->base->label_values, request, out, err);
}

void narrowed_init(struct narrowed *narrowed, const struct querier *base,
                   const struct read_request *read)
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
    };
}
