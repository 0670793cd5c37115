/* log_batch.c - what one thread applies becomes records of the log (log.h).
 *
 * The wal id of a series is its dense id: it is bound to the fingerprint once per segment, and no
 * id gets another owner while a batch that used it is on its way (the batch is a reader of the
 * epoch). That a series is bound, and its labels logged, is noted only when the record has its
 * place (I3): until then other batches say it again, which is harmless. */
#include "base/mem.h"
#include "store/folder.h"
#include "store/log.h"
#include "store/store_log.h"

_Static_assert((int)WAL_LATE_LAST == (int)DUPLICATE_LAST && (int)WAL_LATE_MAX == (int)DUPLICATE_MAX,
               "the log writes rules as the store numbers them");

/* A record that is longer is written before the batch goes on. */
#define SPILL_BYTES ((size_t)256 << 10)

void log_batch_init(struct log_batch *batch, struct store *store)
{
    *batch = (struct log_batch){.store = store, .slot = gate_slot_new(&store->gate)};
}

void log_batch_destroy(struct log_batch *batch)
{
    if (batch->slot != NULL)
        gate_slot_free(&batch->store->gate, batch->slot);
    wal_batch_destroy(&batch->record);
    buf_destroy(&batch->body);
    mem_free(batch->touched);
    *batch = (struct log_batch){0};
}

static void begin_record(struct log_batch *batch)
{
    wal_batch_reset(&batch->record);
    batch->touched_count = 0;
    batch->touching = UINT32_MAX;
}

int log_batch_enter(struct log_batch *batch, struct error *err)
{
    struct store_log *log = batch->store->log;

    batch->wal = NULL;
    if (log != NULL) {
        if (store_log_may_append(log, err) != 0 || wal_begin(log->wal, &batch->segment, err) != 0) {
            err->code = ERR_BUSY; /* it heals, or the storage becomes read-only */
            return -1;
        }
        batch->wal = log->wal;
    }
    gate_enter(&batch->store->gate, batch->slot);
    batch->epoch = epoch_enter(&batch->store->epoch);
    batch->position = 0;
    batch->failed = false;
    begin_record(batch);
    return 0;
}

static void define(struct log_batch *batch, const struct series *series)
{
    struct labels *labels = series_labels_locked(batch->store, series);

    wal_batch_define(&batch->record, series->fp, labels);
    labels_unref(labels);
}

void log_batch_touch(struct log_batch *batch, struct series *series)
{
    struct log_touched *touched;

    batch->touching = series->id;
    if (batch->touched_count == batch->touched_cap) {
        batch->touched_cap = TIDE_MAX(batch->touched_cap * 2, (size_t)256);
        batch->touched = mem_realloc(batch->touched, batch->touched_cap * sizeof(*batch->touched));
    }
    touched = &batch->touched[batch->touched_count++];
    *touched = (struct log_touched){.fp = series->fp, .id = series->id};
    if (TIDE_UNLIKELY(!series->logged)) {
        define(batch, series);
        touched->news = true;
    }
    if (TIDE_UNLIKELY(series->wal_segment != (uint32_t)batch->segment)) {
        wal_batch_bind(&batch->record, series->id, series->fp);
        touched->news = true;
    }
}

/* The segment is another one by now: everything is bound in it again. */
static void bind_again(struct log_batch *batch)
{
    batch->record.bindings.len = 0;
    batch->record.binding_count = 0;
    for (size_t i = 0; i < batch->touched_count; i++) {
        wal_batch_bind(&batch->record, batch->touched[i].id, batch->touched[i].fp);
        batch->touched[i].news = true;
    }
}

/* The record has its place: what it bound and defined counts for all from now on. */
static void note_news(struct log_batch *batch)
{
    for (size_t i = 0; i < batch->touched_count; i++) {
        const struct log_touched *touched = &batch->touched[i];
        struct stripe *stripe;
        struct series *series;

        if (!touched->news)
            continue;
        series = series_map_lock_id(&batch->store->map, touched->id, &stripe);
        if (series == NULL)
            continue;
        if (series->fp == touched->fp) {
            series->logged = true;
            if (!series->archived)
                series->wal_segment = (uint32_t)batch->segment;
        }
        lock_release(&stripe->stripe_lock);
    }
}

static int write_record(struct log_batch *batch, struct error *err)
{
    struct store_log *log = batch->store->log;
    int result;

    for (;;) {
        struct error ignored;

        batch->body.len = 0;
        wal_batch_encode(&batch->record, &batch->body);
        result =
            wal_append(batch->wal, batch->segment, WAL_BATCH, batch->body.data, batch->body.len,
                       wal_body_crc(batch->body.data, batch->body.len), &batch->position, err);
        if (result != 1)
            break;
        if (wal_begin(batch->wal, &batch->segment, &ignored) != 0 && ignored.code == ERR_IO)
            continue; /* wal_append says it */
        bind_again(batch);
    }
    if (result == 0) {
        note_news(batch);
        counter_add(&log->samples, batch->record.put.count + batch->record.late.count);
    } else {
        batch->failed = true;
    }
    begin_record(batch);
    return result;
}

static bool is_large(const struct wal_batch *record)
{
    return record->put.values.len + record->late.values.len + record->definitions.len +
               record->bindings.len >=
           SPILL_BYTES;
}

int log_batch_spill(struct log_batch *batch, struct error *err)
{
    struct gate *gate = &batch->store->gate;
    bool awaited = gate_is_closed(gate);

    if (batch->wal != NULL && (awaited || is_large(&batch->record)) &&
        !wal_batch_is_empty(&batch->record) && write_record(batch, err) != 0)
        return -1;
    if (awaited) { /* a large batch must not keep a checkpoint, and so all others, waiting */
        gate_leave(gate, batch->slot);
        gate_enter(gate, batch->slot);
    }
    return 0;
}

int log_batch_leave(struct log_batch *batch, struct append_ticket *ticket, struct error *err)
{
    int result = 0;

    if (batch->wal != NULL && !wal_batch_is_empty(&batch->record))
        result = write_record(batch, err);
    else if (batch->failed)
        result = error_set(err, ERR_BUSY, "the log has failed");
    epoch_leave(&batch->store->epoch, batch->epoch);
    gate_leave(&batch->store->gate, batch->slot);
    ticket->position = TIDE_MAX(ticket->position, batch->position);
    if (result != 0)
        err->code = ERR_BUSY; /* held in memory; a checkpoint follows, then it is taken again */
    return result;
}
