/* select.c - matchers to series (querier.h).
 *
 * Over the label table's sets: all equalities first, smallest set first; then alternatives that
 * are literal; then, whichever is cheaper, a walk over the values of a name or a look at the
 * labels of the few candidates that are left. Matchers that accept series without the label take
 * away what they do not accept. Sets are copied and combined in short holds of their shard. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/engine.h"

struct plan {
    struct store *store;
    const struct select_request *request;
    roaring_bitmap_t *ids;       /* candidates; NULL: all series so far */
    const struct matcher **left; /* to be checked on labels */
    size_t left_count;
};

static bool is_cancelled(const struct select_request *request)
{
    return request->cancelled != NULL && __atomic_load_n(request->cancelled, __ATOMIC_RELAXED) != 0;
}

static bool is_late(const struct select_request *request)
{
    return request->deadline_ns != 0 && clock_mono_ns(clock_system()) >= request->deadline_ns;
}

static uint32_t equal_count(struct plan *plan, const struct matcher *matcher)
{
    return label_table_count(&plan->store->labels, matcher->name, matcher->name_len, matcher->value,
                             matcher->value_len);
}

static void combine(struct plan *plan, roaring_bitmap_t *accepted)
{
    if (plan->ids == NULL) {
        plan->ids = accepted;
        return;
    }
    roaring_bitmap_and_inplace(plan->ids, accepted);
    roaring_bitmap_free(accepted);
}

static bool none_left(const struct plan *plan)
{
    return plan->ids != NULL && roaring_bitmap_is_empty(plan->ids);
}

/* All equalities, from the smallest set on. */
static void apply_equalities(struct plan *plan)
{
    const struct select_request *request = plan->request;
    const struct matcher *first = NULL;
    uint32_t smallest = UINT32_MAX;

    for (size_t i = 0; i < request->matcher_count; i++) {
        const struct matcher *matcher = &request->matchers[i];
        uint32_t count;

        if (matcher->type != MATCH_EQUAL || matcher->matches_empty)
            continue;
        count = equal_count(plan, matcher);
        if (first == NULL || count < smallest) {
            first = matcher;
            smallest = count;
        }
    }
    if (first == NULL)
        return;
    plan->ids = roaring_bitmap_create();
    label_table_apply(&plan->store->labels, first->name, first->name_len, first->value,
                      first->value_len, SET_UNION, plan->ids);
    for (size_t i = 0; i < request->matcher_count && !none_left(plan); i++) {
        const struct matcher *matcher = &request->matchers[i];

        if (matcher != first && matcher->type == MATCH_EQUAL && !matcher->matches_empty)
            label_table_apply(&plan->store->labels, matcher->name, matcher->name_len,
                              matcher->value, matcher->value_len, SET_INTERSECT, plan->ids);
    }
}

/* Expressions that are nothing but literals: the union of their sets. */
static bool apply_literals(struct plan *plan, const struct matcher *matcher)
{
    size_t count;
    const char *const *literals;
    roaring_bitmap_t *accepted;

    if (matcher->type != MATCH_REGEX || matcher->matches_empty)
        return false;
    literals = regex_literals(matcher->regex, &count);
    if (literals == NULL)
        return false;
    accepted = roaring_bitmap_create();
    for (size_t i = 0; i < count; i++)
        label_table_apply(&plan->store->labels, matcher->name, matcher->name_len, literals[i],
                          strlen(literals[i]), SET_UNION, accepted);
    combine(plan, accepted);
    return true;
}

struct value_walk {
    const struct matcher *matcher;
    bool want; /* collect values that the matcher accepts, or those that it rejects */
    uint32_t *pairs;
    size_t count;
    size_t cap;
};

static bool collect_value(void *ctx, uint32_t pair, const char *value, uint32_t value_len)
{
    struct value_walk *walk = ctx;

    if (matcher_accepts(walk->matcher, value, value_len) != walk->want)
        return true;
    if (walk->count == walk->cap) {
        walk->cap = walk->cap != 0 ? walk->cap * 2 : 64;
        walk->pairs = mem_realloc(walk->pairs, walk->cap * sizeof(*walk->pairs));
    }
    walk->pairs[walk->count++] = pair;
    return true;
}

static void apply_walk(struct plan *plan, const struct matcher *matcher)
{
    struct label_table *table = &plan->store->labels;
    struct value_walk walk = {.matcher = matcher, .want = !matcher->matches_empty};
    roaring_bitmap_t *met = roaring_bitmap_create();

    label_table_walk_values(table, matcher->name, matcher->name_len, collect_value, &walk);
    for (size_t i = 0; i < walk.count && !is_cancelled(plan->request) &&
                       (i % 1024 != 0 || !is_late(plan->request));
         i++)
        label_table_apply_pair(table, walk.pairs[i], SET_UNION, met);
    mem_free(walk.pairs);
    if (!matcher->matches_empty) {
        combine(plan, met);
        return;
    }
    roaring_bitmap_andnot_inplace(plan->ids, met);
    roaring_bitmap_free(met);
}

/* A matcher that needs all values, or a look at each candidate: the cheaper one. */
static void apply_by_value(struct plan *plan, const struct matcher *matcher)
{
    size_t values = label_table_value_count(&plan->store->labels, matcher->name, matcher->name_len);

    /* A look costs the making of the labels, some 400 ns; a value about a third of that. */
    if (plan->ids != NULL && roaring_bitmap_get_cardinality(plan->ids) * 2 < values)
        plan->left[plan->left_count++] = matcher;
    else
        apply_walk(plan, matcher);
}

static void all_series(struct plan *plan)
{
    uint32_t bound = series_map_id_bound(&plan->store->map);

    plan->ids = roaring_bitmap_create();
    for (uint32_t id = 0; id < bound; id++) {
        if (__atomic_load_n(&series_map_id(&plan->store->map, id)->series, __ATOMIC_ACQUIRE) !=
            NULL)
            roaring_bitmap_add(plan->ids, id);
    }
}

static void apply_matchers(struct plan *plan)
{
    const struct select_request *request = plan->request;
    bool *done = mem_zalloc(request->matcher_count, sizeof(*done));

    apply_equalities(plan);
    for (size_t i = 0; i < request->matcher_count && !none_left(plan); i++) {
        const struct matcher *matcher = &request->matchers[i];

        done[i] = (matcher->type == MATCH_EQUAL && !matcher->matches_empty) ||
                  apply_literals(plan, matcher);
    }
    for (size_t i = 0; i < request->matcher_count && !none_left(plan); i++) {
        if (!done[i] && !request->matchers[i].matches_empty) {
            apply_by_value(plan, &request->matchers[i]);
            done[i] = true;
        }
    }
    if (plan->ids == NULL)
        all_series(plan);
    for (size_t i = 0; i < request->matcher_count && !none_left(plan); i++) {
        const struct matcher *matcher = &request->matchers[i];

        if (done[i])
            continue;
        if (matcher->type == MATCH_NOT_EQUAL)
            label_table_apply(&plan->store->labels, matcher->name, matcher->name_len,
                              matcher->value, matcher->value_len, SET_SUBTRACT, plan->ids);
        else
            apply_by_value(plan, matcher);
    }
    mem_free(done);
}

/* --- from candidates to series -------------------------------------------------------------------
 */

static bool in_range(const struct series *series, const struct select_request *request)
{
    return series->has_samples && series->last_ms >= request->from_ms &&
           (!series->first_known || series->first_ms <= request->to_ms);
}

static bool left_accept(const struct plan *plan, const struct labels *labels)
{
    for (size_t i = 0; i < plan->left_count; i++) {
        if (!matchers_accept(plan->left[i], 1, labels))
            return false;
    }
    return true;
}

/* Describes the series if it is still there and in range. */
static bool describe(struct plan *plan, uint32_t id, struct selected_series *out)
{
    struct stripe *stripe;
    struct series *series = series_map_lock_id(&plan->store->map, id, &stripe);
    bool wanted;

    if (series == NULL)
        return false;
    wanted = in_range(series, plan->request);
    if (wanted) {
        bool value_known = !series->archived && series->value_known;

        *out = (struct selected_series){
            .labels = series_labels_locked(plan->store, series),
            .fp = series->fp,
            .first_ms = series->first_known ? series->first_ms : TIDE_EARLIEST_MS,
            .last_ms = series->last_ms,
            .last_value = value_known ? series->last_value : 0,
            .last_value_known = value_known,
        };
    }
    lock_release(&stripe->stripe_lock);
    if (wanted && !left_accept(plan, out->labels)) {
        labels_unref(out->labels);
        wanted = false;
    }
    return wanted;
}

__attribute__((no_sanitize("thread", "address"))) static void
fetch_ahead(const struct series_map *map, const uint32_t *ids, size_t i, size_t count)
{
    if (i + 16 < count)
        __builtin_prefetch(series_map_id(map, ids[i + 16]));
    if (i + 8 < count)
        __builtin_prefetch(
            __atomic_load_n(&series_map_id(map, ids[i + 8])->series, __ATOMIC_RELAXED));
}

static int describe_all(struct plan *plan, struct selection *selection, uint32_t *series_ids,
                        struct error *err)
{
    const struct select_request *request = plan->request;
    size_t count = roaring_bitmap_get_cardinality(plan->ids);
    uint32_t *ids = mem_alloc(count * sizeof(*ids));
    int result = 0;

    roaring_bitmap_to_uint32_array(plan->ids, ids);
    for (size_t i = 0; i < count && result == 0; i++) {
        fetch_ahead(&plan->store->map, ids, i, count);
        if (!describe(plan, ids[i], &selection->series[selection->count]))
            continue;
        series_ids[selection->count++] = ids[i];
        if (request->max_series != 0 && selection->count > request->max_series)
            result = error_set(err, ERR_LIMIT, "the selector matches more than %zu series",
                               request->max_series);
        if (i % 1024 == 0 && is_cancelled(request))
            result = error_set(err, ERR_CANCELLED, "cancelled");
        if (i % 1024 == 0 && is_late(request))
            result = error_set(err, ERR_TIMEOUT, "timed out");
    }
    mem_free(ids);
    return result;
}

static void selection_free(void *ctx, struct selection *selection)
{
    struct selected *impl;

    (void)ctx;
    if (selection == NULL)
        return;
    impl = selection->impl;
    for (size_t i = 0; i < selection->count; i++)
        labels_unref(selection->series[i].labels);
    mem_free(impl->ids);
    mem_free(impl);
    mem_free(selection->series);
    mem_free(selection);
}

/* Matchers to candidates; the caller stands in an epoch and frees plan->ids and plan->left. */
static void make_plan(struct plan *plan, struct store *store, const struct select_request *request)
{
    *plan = (struct plan){
        .store = store,
        .request = request,
        .left = mem_alloc((request->matcher_count + 1) * sizeof(*plan->left)),
    };
    if (request->from_ms > request->to_ms)
        plan->ids = roaring_bitmap_create();
    else
        apply_matchers(plan);
}

static int select_series(struct store *store, const struct select_request *request, bool counts,
                         struct selection **out, struct error *err)
{
    struct selection *selection = mem_zalloc(1, sizeof(*selection));
    struct selected *impl = mem_zalloc(1, sizeof(*impl));
    unsigned ticket = epoch_enter(&store->epoch);
    struct plan plan;
    size_t count;
    int result;

    make_plan(&plan, store, request);
    count = roaring_bitmap_get_cardinality(plan.ids);
    impl->store = store;
    impl->request = *request;
    impl->ids = mem_alloc(count * sizeof(*impl->ids));
    selection->impl = impl;
    selection->series = mem_alloc(count * sizeof(*selection->series));
    result = describe_all(&plan, selection, impl->ids, err);
    if (result == 0 && counts && !request->metadata_only)
        use_table_count(&store->use, impl->ids, selection->count,
                        clock_wall_ms(store->clock) / 1000);
    epoch_leave(&store->epoch, ticket);
    roaring_bitmap_free(plan.ids);
    mem_free(plan.left);
    if (result != 0) {
        selection_free(store, selection);
        return -1;
    }
    *out = selection;
    return 0;
}

static int store_select(void *ctx, const struct select_request *request, struct selection **out,
                        struct error *err)
{
    return select_series(ctx, request, false, out, err);
}

static int client_select(void *ctx, const struct select_request *request, struct selection **out,
                         struct error *err)
{
    return select_series(ctx, request, true, out, err);
}

void store_querier_init(struct store *store)
{
    store->querier = (struct querier){
        .ctx = store,
        .select = store_select,
        .read = store_read,
        .selection_free = selection_free,
        .label_names = store_label_names,
        .label_values = store_label_values,
    };
    store->client_querier = store->querier;
    store->client_querier.select = client_select;
}

const struct querier *store_querier(struct store *store)
{
    return &store->querier;
}

const struct querier *store_client_querier(struct store *store)
{
    return &store->client_querier;
}
