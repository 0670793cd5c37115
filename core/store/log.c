/* log.c - see log.h and store_log.h: tickets, records of deletes and merges, checkpoints, failures.
 */
#include "store/log.h"

#include <sys/random.h>

#include "base/logger.h"
#include "base/mem.h"
#include "disk/heads.h"
#include "disk/wal_segments.h"
#include "store/folder.h"
#include "store/store_log.h"

/* Samples a second, before a replay was measured. */
#define FIRST_RATE 3e6
#define SEGMENT_BYTES ((size_t)64 << 20)
/* Of a segment, for each series in memory: or it would be all bindings. */
#define SEGMENT_SERIES_BYTES 100

/* --- life --------------------------------------------------------------------------------------
 */

static uint64_t new_store_id(void)
{
    uint64_t id = 0;

    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id) || id == 0)
        id = (uint64_t)clock_mono_ns(clock_system()) | 1;
    return id;
}

static void heads_mark(struct volume *volume, struct wal_mark *mark)
{
    struct volume_stat stat;
    struct error ignored;

    if (volume->stat(volume, HEADS_FILE, &stat, &ignored) != 0)
        return;
    mark->heads_size = stat.size;
    mark->heads_mtime_ns = stat.mtime_ns;
}

int store_log_open(struct store *store, const struct log_handover *from, struct error *err)
{
    struct store_log *log;
    uint64_t active = gauge_read(&store->counters.active);
    struct wal_options options = {
        .volume = store->folder->volume,
        .sync = (enum wal_sync)store->options.wal_sync,
        .interval_ms = store->options.wal_interval_ms,
        .segment_bytes = TIDE_MAX(SEGMENT_BYTES, (size_t)active * SEGMENT_SERIES_BYTES),
        .store_id = from->store_id != 0 ? from->store_id : new_store_id(),
        .first_segment = TIDE_MAX(from->next_segment, (uint64_t)1),
        .first_record = TIDE_MAX(from->next_record, (uint64_t)1),
        .mark = from->mark,
        .metrics = store->options.metrics,
        .moved = store_log_tell,
        .moved_ctx = store,
    };

    if (from->next_segment == 0) {
        options.mark.segment = options.first_segment;
        heads_mark(store->folder->volume, &options.mark);
    }
    log = mem_zalloc(1, sizeof(*log));
    log->replay = *from;
    log->old_bytes = from->bytes;
    log->old_samples = from->samples;
    log->replayed = from->bytes != 0;
    log->replay_rate = FIRST_RATE;
    if (from->samples > 1000000 && from->seconds > 0)
        log->replay_rate = (double)from->samples / from->seconds;
    log->wal = wal_open(&options, err);
    if (log->wal == NULL) {
        mem_free(log);
        return -1;
    }
    store->log = log;
    return 0;
}

int store_log_close(struct store *store, struct error *err)
{
    struct store_log *log = store->log;
    int result;

    if (log == NULL)
        return 0;
    store->log = NULL;
    result = wal_close(log->wal, err);
    mem_free(log);
    return result;
}

void store_log_abandon(struct store *store)
{
    if (store->log == NULL)
        return;
    wal_abandon(store->log->wal);
    mem_free(store->log);
    store->log = NULL;
}

/* --- tickets -----------------------------------------------------------------------------------
 */

static bool is_held(const struct store_log *log)
{
    return __atomic_load_n(&log->held, __ATOMIC_ACQUIRE) != 0;
}

static bool is_dead(const struct store_log *log)
{
    return __atomic_load_n(&log->dead, __ATOMIC_ACQUIRE) != 0;
}

static int say_dead(struct error *err)
{
    return error_set(err, ERR_IO, "the write-ahead log is lost: the storage is read-only");
}

int store_log_may_append(struct store_log *log, struct error *err)
{
    if (is_dead(log))
        return say_dead(err);
    if (is_held(log))
        return error_set(err, ERR_BUSY, "the log is being made anew: try again");
    return 0;
}

void store_log_tell(void *ctx)
{
    struct store *store = ctx;

    lock_acquire(&store->listener_lock);
    store->durable_news++;
    if (store->durable_moved != NULL)
        store->durable_moved(store->durable_ctx);
    cond_broadcast(&store->durable_change);
    lock_release(&store->listener_lock);
}

void store_set_durable_listener(struct store *store, void (*moved)(void *ctx), void *ctx)
{
    lock_acquire(&store->listener_lock);
    store->durable_moved = moved;
    store->durable_ctx = ctx;
    lock_release(&store->listener_lock);
}

void log_ticket_await_others(struct store *store, struct append_ticket *ticket)
{
    if (store->log != NULL)
        ticket->barrier = gate_last(&store->gate);
}

int store_is_durable(struct store *store, struct append_ticket *ticket, struct error *err)
{
    struct store_log *log = store->log;

    if (ticket->merge != 0) {
        if (!merge_queue_has_kept(store->merges, ticket->merge))
            return 0;
        ticket->merge = 0;
    }
    if (log == NULL || append_ticket_is_empty(ticket))
        return 1;
    if (is_dead(log))
        return say_dead(err);
    if (ticket->barrier != 0) {
        if (!gate_await(&store->gate, ticket->barrier))
            return 0;
        ticket->barrier = 0;
        ticket->position = TIDE_MAX(ticket->position, wal_tail(log->wal));
    }
    return wal_durable(log->wal) >= ticket->position && !is_held(log) && !wal_has_failed(log->wal);
}

int store_wait_durable(struct store *store, struct append_ticket *ticket, int64_t timeout_ms,
                       struct error *err)
{
    int64_t end_ns = clock_mono_ns(clock_system()) + timeout_ms * 1000000;
    int durable;

    for (;;) {
        uint64_t seen;

        lock_acquire(&store->listener_lock);
        seen = store->durable_news;
        lock_release(&store->listener_lock);
        durable = store_is_durable(store, ticket, err);
        if (durable != 0)
            return durable == 1 ? 0 : -1;
        lock_acquire(&store->listener_lock);
        while (store->durable_news == seen && durable == 0) {
            int64_t left_ns = end_ns - clock_mono_ns(clock_system());

            if (left_ns <= 0)
                durable = error_set(err, ERR_TIMEOUT, "the log was not written in %" PRId64 " ms",
                                    timeout_ms);
            else
                cond_wait_for(&store->durable_change, &store->listener_lock, left_ns);
        }
        lock_release(&store->listener_lock);
        if (durable != 0)
            return -1;
    }
}

/* --- other records -----------------------------------------------------------------------------
 */

static int append_body(struct store_log *log, enum wal_record_type type, struct buf *body,
                       wal_position *position, struct error *err)
{
    int result = wal_append(log->wal, UINT64_MAX, type, body->data, body->len,
                            wal_body_crc(body->data, body->len), position, err);

    buf_destroy(body);
    return result;
}

int log_delete(struct store *store, const struct wal_delete *record, struct append_ticket *ticket,
               struct error *err)
{
    struct buf body = {0};
    wal_position position;

    if (store->log == NULL)
        return 0;
    if (store_log_may_append(store->log, err) != 0)
        return -1;
    wal_delete_put(&body, record);
    if (append_body(store->log, WAL_DELETE, &body, &position, err) != 0)
        return -1;
    ticket->position = TIDE_MAX(ticket->position, position);
    return 0;
}

uint64_t log_next_record(struct store *store)
{
    return store->log != NULL ? wal_next_record(store->log->wal) : 0;
}

int log_merged(struct store *store, const struct wal_merged *record, struct error *err)
{
    struct buf body = {0};
    wal_position position;

    if (store->log == NULL || record->count == 0)
        return 0;
    wal_merged_put(&body, record);
    return append_body(store->log, WAL_MERGED, &body, &position, err);
}

int log_edits(struct store *store, const struct wal_edits *record, struct error *err)
{
    struct buf body = {0};
    wal_position position;

    if (store->log == NULL || record->range_count + record->late_count == 0)
        return 0;
    wal_edits_put(&body, record);
    return append_body(store->log, WAL_EDITS, &body, &position, err);
}

int log_flush(struct store *store, struct error *err)
{
    if (store->log == NULL)
        return 0;
    gate_close(&store->gate); /* all that has begun is logged now */
    gate_open(&store->gate);
    return wal_flush(store->log->wal, err);
}

uint64_t store_log_length(const struct store_log *log)
{
    return __atomic_load_n(&log->old_bytes, __ATOMIC_RELAXED) + wal_tail(log->wal) -
           __atomic_load_n(&log->from, __ATOMIC_RELAXED);
}

/* --- checkpoints -------------------------------------------------------------------------------
 */

void log_checkpoint_begin(struct store *store, struct log_checkpoint *checkpoint)
{
    struct store_log *log = store->log;

    *checkpoint = (struct log_checkpoint){0};
    if (log == NULL)
        return;
    gate_close(&store->gate);
    checkpoint->mark.segment = wal_roll(log->wal);
    checkpoint->from = wal_tail(log->wal);
    checkpoint->from_samples = counter_get(&log->samples);
    gate_open(&store->gate);
}

static int append_mark(struct store_log *log, enum wal_record_type type,
                       const struct wal_mark *mark, struct error *err)
{
    struct buf body = {0};
    wal_position position;

    wal_mark_put(&body, mark);
    if (append_body(log, type, &body, &position, err) != 0)
        return -1;
    return wal_flush(log->wal, err);
}

int log_checkpoint_intend(struct store *store, struct log_checkpoint *checkpoint,
                          const struct volume_stat *heads, struct error *err)
{
    if (store->log == NULL)
        return 0;
    checkpoint->mark.heads_size = heads->size;
    checkpoint->mark.heads_mtime_ns = heads->mtime_ns;
    return append_mark(store->log, WAL_INTENT, &checkpoint->mark, err);
}

int log_checkpoint_end(struct store *store, const struct log_checkpoint *checkpoint,
                       struct error *err)
{
    struct store_log *log = store->log;

    if (log == NULL)
        return 0;
    /* First for the headers of later segments: heads.db has its name already. */
    wal_set_mark(log->wal, &checkpoint->mark);
    if (append_mark(log, WAL_CHECKPOINT, &checkpoint->mark, err) != 0)
        return -1;
    log->old_samples = 0;
    log->replayed = false;
    __atomic_store_n(&log->old_bytes, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&log->from, checkpoint->from, __ATOMIC_RELAXED);
    log->from_samples = checkpoint->from_samples;
    if (wal_segments_remove(store->folder->volume, checkpoint->mark.segment, err) != 0)
        return error_note(err, "old segments of the log could not be removed");
    return 0;
}

bool log_checkpoint_is_due(struct store *store, int64_t since_ns)
{
    struct store_log *log = store->log;
    uint64_t samples = log->old_samples + counter_get(&log->samples) - log->from_samples;
    uint64_t bytes = store_log_length(log);
    double replay_ms = (double)samples / log->replay_rate * 1e3;
    double target_ms = (double)store->options.wal_replay_target_ms;

    if (log->replayed || replay_ms > target_ms || bytes > store->options.wal_max_bytes)
        return true;
    return since_ns >= store->options.checkpoint_interval_ms * 1000000 && replay_ms > target_ms / 4;
}

int log_heal(struct store *store, struct error *err)
{
    struct store_log *log = store->log;
    int result;

    if (log == NULL || is_dead(log) || !(wal_has_failed(log->wal) || is_held(log)))
        return 0;
    __atomic_store_n(&log->held, 1, __ATOMIC_SEQ_CST);
    gate_close(&store->gate);
    result = wal_has_failed(log->wal) ? wal_restart(log->wal, err) : 0;
    gate_open(&store->gate);
    if (result == 0)
        result = checkpoint_write(store, err);
    if (result == 0) {
        log_warn("the log failed and was made anew behind a checkpoint: nothing is lost", NULL);
        __atomic_store_n(&log->held, 0, __ATOMIC_SEQ_CST);
    } else {
        log_error("the log failed, and so did the checkpoint that could replace it: the storage "
                  "takes no more samples",
                  "problem=\"%s\"", err->text);
        __atomic_store_n(&log->dead, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&store->read_only, 1, __ATOMIC_RELAXED);
    }
    store_log_tell(store);
    return result;
}
