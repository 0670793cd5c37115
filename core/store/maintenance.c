/* maintenance.c - the pass over all series: idle heads, retention, archiving.
 *
 * Stripe by stripe: under the lock it is only noted what is to be done; files and archive are
 * touched outside it. */
#include <stdlib.h>

#include "base/logger.h"
#include "base/mem.h"
#include "model/fingerprint.h"
#include "store/downsample.h"
#include "store/pass_parts.h"

static uint32_t timeout_s(const struct store *store)
{
    return (uint32_t)TIDE_MIN(store->options.head_chunk_timeout_ms / 1000, (int64_t)INT32_MAX);
}

static void close_idle_head(struct store *store, struct series *series)
{
    if (!series_close_head(&store->pool, series))
        return;
    gauge_count(&store->counters.open_heads, -1);
    gauge_count(&store->counters.chunks, 1);
    gauge_count(&store->counters.chunks_to_persist, 1);
    counter_add(&store->counters.chunks_queued, 1);
    if (!series->queued) {
        series->queued = true;
        persist_queue_put(store->queue, series->id, store_now_s(store));
    }
}

/* Under its stripe: closes an idle head; notes whether the series may be archived or too old. */
static void look_at(struct store *store, struct series *series, uint32_t now_s,
                    struct duties *duties)
{
    struct duty duty;
    bool quiet = false;

    if (!series->has_samples || series->busy)
        return;
    if (!series->archived) {
        quiet = now_s - series->arrival_s > timeout_s(store);
        counter_add(&store->counters.maintained_memory, 1);
        if (quiet) {
            edits_fold(store, series);
            close_idle_head(store, series);
        }
    } else {
        counter_add(&store->counters.maintained_archive, 1);
    }
    duty = duty_of(store, series);
    duty.idle = quiet && !series_has_head(series) && series->persisted == series->chunk_count &&
                series->file_chunks != 0 && series->edits == NULL;
    duty_recall(store, &duty);
    if (duty.answered && !duty.idle && !store->folder->pass_thins &&
        !duty_decide(store, store->options.policy, &duty).due)
        return;
    if (!duty.answered || store->folder->pass_thins)
        duty.labels = series_labels_locked(store, series);
    duties_add(duties, &duty);
}

/* --- archiving
 * ------------------------------------------------------------------------------------- */

/* Is there still nothing to do for it? Under its stripe. */
static bool still_idle(const struct store *store, const struct series *series, uint32_t now_s)
{
    return !series->archived && !series->busy && !series->broken && !series_has_head(series) &&
           series->edits == NULL && series->persisted == series->chunk_count &&
           now_s - series->arrival_s > timeout_s(store);
}

/* The entries of those that are idle into a batch; the others leave the list, which is in order
 * then and has each series once, though two passes may have found it. */
static void collect_idle(struct store *store, struct idle_list *idle, uint32_t now_s,
                         struct archive_batch *batch)
{
    size_t kept = 0;

    idle->count = fingerprint_sort_unique(idle->fps, idle->count);
    for (size_t i = 0; i < idle->count; i++) {
        struct stripe *stripe;
        struct series *series = lock_fp(store, idle->fps[i], &stripe);
        struct labels *labels;

        if (series == NULL)
            continue;
        if (still_idle(store, series, now_s)) {
            labels = series_labels_locked(store, series);
            archive_put(batch, series->fp, labels,
                        series->first_known ? series->first_ms : TIDE_EARLIEST_MS, series->last_ms);
            labels_unref(labels);
            idle->fps[kept++] = series->fp;
        }
        lock_release(&stripe->stripe_lock);
    }
    idle->count = kept;
}

/* Takes them out of memory. One that got a sample meanwhile stays, with an entry too many, which
 * goes as that of an un-archived series does. */
static void leave_memory(struct store *store, const struct idle_list *idle, uint32_t now_s)
{
    for (size_t i = 0; i < idle->count; i++) {
        struct stripe *stripe;
        struct series *series = lock_fp(store, idle->fps[i], &stripe);

        if (series != NULL && still_idle(store, series, now_s)) {
            gauge_count(&store->counters.chunks, -(int64_t)series->chunk_count);
            series_drop_chunks(&store->pool, series, series->chunk_count);
            series_archive_locked(store, stripe, series);
        } else {
            folder_note_unarchived(store->folder, idle->fps[i]);
        }
        if (series != NULL)
            lock_release(&stripe->stripe_lock);
    }
}

/* Archive entries first, durable; then the series leave memory (engine-design 8). */
int maintain_archive(struct store *store, struct error *err)
{
    struct idle_list *idle = &store->folder->idle;
    uint32_t now_s = store_now_s(store);
    struct archive_batch batch = {0};
    int result = 0;

    collect_idle(store, idle, now_s, &batch);
    if (batch.count != 0)
        result = archive_write(store->folder->archive, &batch, true, err);
    archive_batch_destroy(&batch);
    if (result == 0) {
        folder_note_archived(store->folder, idle->fps, idle->count);
        leave_memory(store, idle, now_s);
    }
    idle->count = 0; /* after a failure they are found again */
    return result;
}

/* A synced write costs as much for one series as for many: so they are collected. */
static int note_idle(struct store *store, const struct duties *duties, struct error *err)
{
    struct idle_list *idle = &store->folder->idle;

    for (size_t i = 0; i < duties->count; i++) {
        if (!duties->items[i].idle)
            continue;
        idle->fps[idle->count++] = duties->items[i].fp;
        if (idle->count == ARCHIVE_BATCH && maintain_archive(store, err) != 0)
            return -1;
    }
    return 0;
}

/* Orders what is due. */
static void do_duty(struct store *store, const struct duty *duty, bool held,
                    struct drop_order *orders, size_t *count)
{
    struct duty_verdict verdict = duty_decide(store, store->options.policy, duty);

    if (!verdict.due)
        return;
    if (held)
        counter_add(&store->counters.drops_held, 1);
    else
        orders[(*count)++] = drop_order_of(duty, &verdict);
}

int maintain_stripe(struct store *store, uint32_t index, struct error *err)
{
    struct stripe *stripe = &store->map.stripes[index];
    uint32_t now_s = store_now_s(store);
    bool held = clock_guard_holds(store, false);
    struct duties duties = {0};
    struct drop_order *orders;
    size_t order_count = 0;
    int result;

    duty_begin(store);
    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        duty_prefetch(store, stripe, i);
        if (stripe->slots[i] != NULL)
            look_at(store, stripe->slots[i], now_s, &duties);
    }
    lock_release(&stripe->stripe_lock);
    orders = mem_alloc((duties.count + 1) * sizeof(*orders));
    for (size_t i = 0; i < duties.count; i++)
        do_duty(store, &duties.items[i], held, orders, &order_count);
    result = retention_drop_all(store, orders, order_count, err);
    mem_free(orders);
    if (result == 0)
        result = downsample_stripe(store, &duties, held, err);
    if (result == 0)
        result = note_idle(store, &duties, err);
    duties_destroy(&duties);
    return result;
}
