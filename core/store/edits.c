/* edits.c - see edits.h. The folding of edits into chunks is in edits_fold.c, the merge into files
 * in merge.c. */
#include "store/edits.h"

#include "base/mem.h"
#include "store/engine.h"

#define FOLD_PUTS 32   /* in the range of memory; more where a fold costs more (fold_at) */
#define MERGE_PUTS 256 /* in the range of the file */
#define MERGE_WAIT_S 600

static struct edit_memory memory_of(struct store *store, const struct series *series)
{
    return (struct edit_memory){&store->pool, series_group(series->fp)};
}

/* --- counting
 * ------------------------------------------------------------------------------------- */

struct tally {
    uint64_t bytes;
    uint32_t puts;
};

uint32_t edits_puts(const struct series *series)
{
    const struct series_edits *edits = series->edits;

    return edits == NULL ? 0 : edits->pending.put_count + edits->merging.put_count;
}

bool edits_have_room(const struct series *series, int64_t time_ms)
{
    const struct series_edits *edits = series->edits;

    return edits == NULL || edits->pending.put_count < EDITS_MAX_MOVED ||
           edits->pending.put_count - edit_list_puts_before(&edits->pending, time_ms) <
               EDITS_MAX_MOVED;
}

static struct tally tally_of(const struct series *series)
{
    const struct series_edits *edits = series->edits;

    if (edits == NULL)
        return (struct tally){0};
    return (struct tally){
        sizeof(*edits) + edit_list_bytes(&edits->pending) + edit_list_bytes(&edits->merging),
        edits_puts(series),
    };
}

/* What became of memory and puts since `before`. */
static void count_change(struct store *store, const struct series *series, struct tally before)
{
    struct tally now = tally_of(series);

    if (now.bytes != before.bytes)
        gauge_count(&store->counters.edit_bytes, (int64_t)now.bytes - (int64_t)before.bytes);
    if (now.puts != before.puts)
        gauge_count(&store->counters.edit_puts, (int64_t)now.puts - (int64_t)before.puts);
}

static struct series_edits *need_edits(struct store *store, struct series *series)
{
    TIDE_ASSERT(!series->archived);
    if (series->edits == NULL) {
        series->edits = slab_alloc(&store->pool, series_group(series->fp), sizeof(*series->edits));
        *series->edits = (struct series_edits){0};
    }
    return series->edits;
}

static void free_edits(struct store *store, struct series *series)
{
    edit_list_destroy(&series->edits->pending, memory_of(store, series));
    edit_list_destroy(&series->edits->merging, memory_of(store, series));
    slab_free(&store->pool, series->edits, sizeof(*series->edits));
    series->edits = NULL;
}

static void free_if_empty(struct store *store, struct series *series)
{
    if (edit_list_is_empty(&series->edits->pending) && edit_list_is_empty(&series->edits->merging))
        free_edits(store, series);
}

void edits_drop(struct store *store, struct series *series)
{
    struct tally before = tally_of(series);

    if (series->edits == NULL)
        return;
    free_edits(store, series);
    count_change(store, series, before);
}

/* --- what there is
 * -------------------------------------------------------------------------------- */

int64_t edits_memory_from(const struct series *series)
{
    if (series->file_chunks == 0)
        return TIDE_EARLIEST_MS;
    if (series->persisted < series->chunk_count)
        return series->chunks[series->persisted]->first_ms;
    return series_has_head(series) ? series->head.first_ms : TIDE_LATEST_MS;
}

static int64_t first_put(const struct edit_list *list)
{
    return list->put_count != 0 ? list->puts[0].time_ms : TIDE_LATEST_MS;
}

int64_t edits_first_ms(const struct series *series)
{
    const struct series_edits *edits = series->edits;

    if (edits == NULL)
        return TIDE_LATEST_MS;
    return TIDE_MIN(first_put(&edits->pending), first_put(&edits->merging));
}

bool edits_capture(const struct series *series, struct edit_list *out)
{
    struct edit_memory heap = {0};

    *out = (struct edit_list){0};
    if (series->edits == NULL)
        return false;
    edit_list_compose(out, heap, &series->edits->merging);
    edit_list_compose(out, heap, &series->edits->pending);
    return true;
}

bool edits_are_full(const struct store *store)
{
    return gauge_read(&store->counters.edit_bytes) >
           store->options.memory_target_bytes / EDITS_SHARE;
}

/* --- the queue for a merge
 * ------------------------------------------------------------------------ */

/* Is there anything for the file? */
static bool concerns_file(const struct series *series)
{
    int64_t from_ms = edits_memory_from(series);

    return from_ms != TIDE_EARLIEST_MS &&
           edit_list_touches(&series->edits->pending, TIDE_EARLIEST_MS, from_ms - 1);
}

static void queue_for(struct store *store, struct series *series, enum merge_urgency urgency)
{
    if (store->merges == NULL || series->edits->queued > (uint8_t)urgency)
        return;
    series->edits->queued = (uint8_t)(urgency + 1);
    merge_queue_put(store->merges, series->id, store_now_s(store) + MERGE_WAIT_S, urgency);
}

void edits_retry(struct store *store, struct series *series)
{
    series->edits->queued = 0;
    if (concerns_file(series))
        queue_for(store, series, MERGE_NEXT);
}

void edits_settle(struct store *store, struct series *series)
{
    if (series->edits != NULL && concerns_file(series))
        queue_for(store, series, MERGE_WAITS);
}

/* --- changes
 * -------------------------------------------------------------------------------------- */

/* The newest sample gets a company of the same time: which value is it now? */
static void settle_newest(struct series *series, double value, enum duplicate_rule rule)
{
    if (!series->value_known && series->edits == NULL)
        series_learn_value(series);
    if (series->value_known) {
        series->last_value = duplicate_resolve(rule, series->last_value, value);
    } else if (rule == DUPLICATE_LAST) {
        series->last_value = value;
        series->value_known = true;
    }
}

static void note_times(struct series *series, int64_t first_ms, int64_t last_ms, double last_value,
                       enum duplicate_rule rule)
{
    if (!series->has_samples) {
        series->has_samples = true;
        series->first_known = true;
        series->first_ms = first_ms;
        series->last_ms = TIDE_EARLIEST_MS;
    }
    series->first_ms = TIDE_MIN(series->first_ms, first_ms);
    if (last_ms == series->last_ms) {
        settle_newest(series, last_value, rule);
    } else if (last_ms > series->last_ms) {
        series->last_ms = last_ms;
        series->last_value = last_value;
        series->value_known = true;
    }
}

void edits_fold(struct store *store, struct series *series)
{
    struct tally before = tally_of(series);
    int64_t from_ms = edits_memory_from(series);
    struct error problem;

    if (series->edits == NULL || series->busy || series->broken || from_ms == TIDE_LATEST_MS ||
        !edit_list_touches(&series->edits->pending, from_ms, TIDE_LATEST_MS))
        return;
    if (edits_fold_chunks(store, series, from_ms, &problem) != 0) {
        series->broken = damage_list_put(&store->damage, series->fp, problem.text);
        return;
    }
    edit_list_forget(&series->edits->pending, memory_of(store, series), from_ms, TIDE_LATEST_MS);
    free_if_empty(store, series);
    count_change(store, series, before);
}

/* Folds or queues when there is enough. */
static void relieve(struct store *store, struct series *series, int64_t time_ms)
{
    const struct edit_list *pending = &series->edits->pending;
    int64_t from_ms = edits_memory_from(series);
    uint32_t in_file;

    if (time_ms >= from_ms) {
        uint32_t enough = TIDE_MAX(series->fold_at, (uint32_t)FOLD_PUTS);

        if (pending->put_count >= enough && !series->busy &&
            pending->put_count - edit_list_puts_before(pending, from_ms) >= enough)
            edits_fold(store, series);
        return;
    }
    in_file = pending->put_count < MERGE_PUTS ? 0 : edit_list_puts_before(pending, from_ms);
    queue_for(store, series, in_file >= MERGE_PUTS ? MERGE_NEXT : MERGE_WAITS);
}

bool edits_put(struct store *store, struct series *series, int64_t time_ms, double value,
               enum duplicate_rule rule)
{
    struct tally before = tally_of(series);
    bool changed;

    note_times(series, time_ms, time_ms, value, rule);
    changed = edit_list_put(&need_edits(store, series)->pending, memory_of(store, series), time_ms,
                            value, rule);
    count_change(store, series, before);
    if (changed)
        relieve(store, series, time_ms);
    return changed;
}

void edits_put_sorted(struct store *store, struct series *series, const int64_t *times_ms,
                      const double *values, size_t count, enum duplicate_rule rule)
{
    struct tally before = tally_of(series);

    if (count == 0)
        return;
    note_times(series, times_ms[0], times_ms[count - 1], values[count - 1], rule);
    edit_list_put_sorted(&need_edits(store, series)->pending, memory_of(store, series), times_ms,
                         values, count, rule);
    count_change(store, series, before);
    relieve(store, series, times_ms[count - 1]);
    if (series->edits != NULL && concerns_file(series))
        queue_for(store, series, MERGE_NEXT);
}

bool edits_mark(struct store *store, struct series *series, int64_t from_ms, int64_t to_ms)
{
    struct tally before = tally_of(series);

    to_ms = TIDE_MIN(to_ms, series->last_ms);
    if (!series->has_samples || from_ms > to_ms ||
        (series->first_known && to_ms < series->first_ms))
        return false;
    if (to_ms == series->last_ms)
        series->value_known = false;
    edit_list_mark(&need_edits(store, series)->pending, memory_of(store, series), from_ms, to_ms);
    count_change(store, series, before);
    edits_fold(store, series);
    if (series->edits != NULL && concerns_file(series))
        queue_for(store, series, MERGE_NEXT);
    return true;
}

/* --- merging
 * -------------------------------------------------------------------------------------- */

bool edits_begin_merge(struct store *store, struct series *series)
{
    struct series_edits *edits;

    edits_fold(store, series);
    edits = series->edits;
    if (edits == NULL)
        return false;
    edits->queued = 0;
    TIDE_ASSERT(edit_list_is_empty(&edits->merging));
    if (edit_list_is_empty(&edits->pending))
        return false;
    edit_list_destroy(&edits->merging, memory_of(store, series));
    edits->merging = edits->pending;
    edits->pending = (struct edit_list){0};
    return true;
}

void edits_end_merge(struct store *store, struct series *series, bool done)
{
    struct series_edits *edits = series->edits;
    struct tally before = tally_of(series);
    struct edit_memory memory = memory_of(store, series);

    if (edits == NULL)
        return;
    if (!done) {
        edit_list_compose(&edits->merging, memory, &edits->pending);
        edit_list_destroy(&edits->pending, memory);
        edits->pending = edits->merging;
        edits->merging = (struct edit_list){0};
        count_change(store, series, before);
        edits_retry(store, series);
        return;
    }
    edit_list_destroy(&edits->merging, memory);
    free_if_empty(store, series);
    count_change(store, series, before);
}

/* --- reading
 * -------------------------------------------------------------------------------------- */

void edits_view_take(const struct series *series, int64_t from_ms, int64_t to_ms,
                     struct edits_view *view)
{
    struct edit_memory heap = {0};

    *view = (struct edits_view){0};
    if (series->archived || series->edits == NULL)
        return;
    edit_list_copy(&series->edits->merging, from_ms, to_ms, &view->merging, heap);
    edit_list_copy(&series->edits->pending, from_ms, to_ms, &view->pending, heap);
}

void edits_view_overlay(const struct edits_view *view, struct columns *columns, size_t start,
                        int64_t from_ms, int64_t to_ms)
{
    (void)edit_list_overlay(&view->merging, columns, start, from_ms, to_ms);
    (void)edit_list_overlay(&view->pending, columns, start, from_ms, to_ms);
}

void edits_view_drop(struct edits_view *view)
{
    struct edit_memory heap = {0};

    edit_list_destroy(&view->merging, heap);
    edit_list_destroy(&view->pending, heap);
}
