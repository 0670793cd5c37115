/* log_metrics.c - the log on /metrics, beside what disk/wal.c counts (store_log.h). */
#include "store/folder.h"
#include "store/store_log.h"

static double read_length(void *ctx)
{
    const struct store *store = ctx;

    return store->log != NULL ? (double)store_log_length(store->log) : 0;
}

static double read_samples(void *ctx)
{
    const struct store *store = ctx;

    return store->log != NULL ? (double)counter_get(&store->log->samples) : 0;
}

/* 0 sound, 1 being made anew behind a checkpoint, 2 lost. */
static double read_state(void *ctx)
{
    const struct store *store = ctx;

    if (store->log == NULL)
        return 0;
    if (__atomic_load_n(&store->log->dead, __ATOMIC_RELAXED))
        return 2;
    return __atomic_load_n(&store->log->held, __ATOMIC_RELAXED) || wal_has_failed(store->log->wal);
}

static const struct log_handover *replay_of(const void *ctx)
{
    static const struct log_handover none;
    const struct store *store = ctx;

    return store->log != NULL ? &store->log->replay : &none;
}

static double read_replayed(void *ctx)
{
    return (double)replay_of(ctx)->samples;
}

static double read_seconds(void *ctx)
{
    return replay_of(ctx)->seconds;
}

static double read_records_lost(void *ctx)
{
    return (double)replay_of(ctx)->records_lost;
}

static double read_bytes_lost(void *ctx)
{
    return (double)replay_of(ctx)->bytes_lost;
}

static double read_samples_lost(void *ctx)
{
    return (double)replay_of(ctx)->samples_lost;
}

void store_log_show_metrics(struct store *store)
{
    const struct {
        enum metric_type type;
        const char *name, *help;
        double (*read)(void *ctx);
    } rows[] = {
        {METRIC_GAUGE, "tidemark_wal_length_bytes",
         "Bytes of the write-ahead log that no checkpoint covers.", read_length},
        {METRIC_COUNTER, "tidemark_wal_samples_total",
         "Samples appended to the write-ahead log, late ones included.", read_samples},
        {METRIC_GAUGE, "tidemark_wal_state",
         "0 while the write-ahead log is sound, 1 while it is made anew behind a checkpoint after "
         "a "
         "failed sync, 2 when that failed too and the storage is read-only.",
         read_state},
        {METRIC_GAUGE, "tidemark_wal_replay_samples",
         "Samples that the replay at the last start read.", read_replayed},
        {METRIC_GAUGE, "tidemark_wal_replay_seconds", "Time that it took.", read_seconds},
        {METRIC_GAUGE, "tidemark_wal_replay_records_lost",
         "Records that were damaged in the middle of the log at the last start.",
         read_records_lost},
        {METRIC_GAUGE, "tidemark_wal_replay_bytes_lost",
         "Bytes of the log at the last start that were damaged or a torn tail.", read_bytes_lost},
        {METRIC_GAUGE, "tidemark_wal_replay_samples_lost",
         "Samples that could not be kept at the last start, for the record that names their series "
         "was lost.",
         read_samples_lost},
    };

    if (store->options.metrics == NULL || store->log == NULL)
        return;
    for (size_t i = 0; i < TIDE_COUNT(rows); i++)
        metrics_callback(store->options.metrics, rows[i].type, rows[i].name, rows[i].help, "",
                         rows[i].read, store);
}
