/* replay.c - see replay.h: reads the log, finds the series it names, hands changes over. */
#include "store/replay.h"

#include <stdlib.h>

#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "disk/heads.h"
#include "model/fingerprint.h"
#include "store/edits.h"
#include "store/folder.h"
#include "store/replay_names.h"

/* A wal id is a dense id: more than there can ever be is damage. */
#define IDS_MAX ((uint32_t)1 << 28)
/* Records between two looks at the memory target and the clock. */
#define LOOK_RECORDS 256
#define PROGRESS_NS INT64_C(5000000000)

/* What could not be kept, for the line that says so. */
struct lost {
    uint64_t samples;
    uint64_t series;
    int64_t from_ms;
    int64_t to_ms;
};

struct replay {
    struct store *store;
    const struct replay_plan *plan;
    struct replay_apply *apply;
    struct replay_names names;
    struct replay_series **by_id; /* of the segment */
    size_t id_cap;
    uint64_t segment;
    struct replay_series *unbound; /* a name for ids whose binding was lost */
    struct lost lost_bindings;
    struct lost lost_records; /* as far as damaged bytes can be read */
    uint64_t unknown;         /* records of a type or form that we do not know */
    uint64_t records;
    int64_t begin_ns;
    int64_t said_ns; /* when progress was told last */
};

/* --- where to begin ----------------------------------------------------------------------------
 */

static bool is_same(const struct wal_mark *mark, const struct volume_stat *heads)
{
    return mark->heads_size == heads->size &&
           (heads->size == 0 || mark->heads_mtime_ns == heads->mtime_ns);
}

/* Reads the log once, which costs little beside its replay. */
static int look_for_damage(struct store *store, struct replay_plan *plan, struct error *err)
{
    struct wal_reader reader = {0};
    struct wal_replay_report report;

    if (wal_replay(store->folder->volume, plan->from_segment, &reader, &report, err) != 0)
        return -1;
    plan->whole = report.records_lost == 0;
    return 0;
}

int replay_look(struct store *store, struct replay_plan *plan, struct error *err)
{
    struct volume *volume = store->folder->volume;
    struct volume_stat heads = {0};

    *plan = (struct replay_plan){0};
    if (volume->stat(volume, HEADS_FILE, &heads, err) != 0 && err->code != ERR_NOT_FOUND)
        return -1;
    if (wal_find(volume, &heads, &plan->start, err) != 0)
        return -1;
    if (!plan->start.found)
        return 0;
    plan->from_segment = plan->start.mark.segment;
    plan->foreign = plan->start.mixed || !is_same(&plan->start.mark, &heads);
    if (!plan->start.mixed && plan->foreign && plan->start.has_intent) {
        /* Renamed, and stopped before it could say so. */
        plan->from_segment = plan->start.intent.segment;
        plan->foreign = false;
    }
    return look_for_damage(store, plan, err);
}

/* --- series ------------------------------------------------------------------------------------
 */

/* Time of the file's last sound record, by which the samples of an archived series are told apart;
 * its file may have lost an unsynced tail, so the archive is not asked. */
static int last_in_file(struct store *store, uint64_t fp, bool *any, int64_t *last_ms,
                        struct error *err)
{
    struct volume *volume = store->folder->volume;
    uint8_t bytes[SERIES_RECORD_BYTES];
    struct series_file_stat stat;
    uint64_t chunks;

    *any = false;
    if (series_file_stat(volume, fp, &stat, err) != 0)
        return -1;
    for (chunks = stat.chunks; chunks > 0 && !*any; chunks--) {
        struct series_record record;
        struct chunk_summary summary;
        struct error problem;

        if (series_file_read(volume, fp, chunks - 1, 1, bytes, err) != 0)
            return -1;
        record = series_record_get(bytes);
        *any = chunk_check(record.encoding, bytes + SERIES_HEADER_BYTES, CHUNK_BYTES, &summary,
                           &problem) == 0 &&
               summary.last_ms == record.last_ms;
        *last_ms = record.last_ms;
    }
    if (*any && (chunks + 1 < stat.chunks || stat.rest_bytes != 0)) {
        char name[SERIES_FILE_NAME_BYTES];

        series_file_name(name, fp);
        log_warn("a series file is cut back", "file=%s chunks=%" PRIu64, name, chunks + 1);
        return volume->truncate(volume, name, (chunks + 1) * SERIES_RECORD_BYTES, err);
    }
    return 0;
}

/* What is known of the series so far becomes its base. */
static int set_base(struct replay *replay, struct replay_series *entry, struct error *err)
{
    struct series *series = entry->series;

    entry->has_base = series->has_samples;
    entry->base_ms = series->last_ms;
    if (!series->archived)
        return 0;
    if (last_in_file(replay->store, entry->fp, &entry->has_base, &entry->base_ms, err) != 0)
        return -1;
    series->has_samples = entry->has_base;
    series->last_ms = entry->base_ms;
    return 0;
}

static struct replay_series *name_series(struct replay *replay, uint64_t fp, struct error *err)
{
    bool is_new;
    struct replay_series *entry = replay_names_get(&replay->names, fp, &is_new);
    struct stripe *stripe;

    if (!is_new)
        return entry;
    entry->partition = series_map_stripe_of(fp) % replay_apply_partitions(replay->apply);
    entry->series = lock_fp(replay->store, fp, &stripe);
    if (entry->series == NULL)
        return entry;
    lock_release(&stripe->stripe_lock);
    return set_base(replay, entry, err) == 0 ? entry : NULL;
}

/* Labels prove themselves by their fingerprint; a mapped one is taken at its word, and its mapping
 * is found again. */
static bool check_definition(struct replay *replay, uint64_t fp, const struct labels *labels)
{
    uint64_t raw = fingerprint_of(labels);
    struct buf unique = {0};

    if (raw == fp)
        return true;
    if (fp > FINGERPRINT_MAX_MAPPED)
        return false;
    fingerprint_unique_string(&unique, labels);
    mapper_restore(&replay->store->mapper, raw, unique.data, unique.len, fp);
    __atomic_add_fetch(&replay->store->mapper.changes, 1, __ATOMIC_RELAXED);
    buf_destroy(&unique);
    return true;
}

static int define(void *ctx, uint64_t fp, const struct label *list, size_t count, struct error *err)
{
    struct replay *replay = ctx;
    struct replay_series *entry = name_series(replay, fp, err);
    struct labels *labels;
    struct error problem;

    if (entry == NULL)
        return -1;
    if (entry->series != NULL)
        return 0;
    labels = count <= UINT16_MAX ? labels_new(list, count, &problem) : NULL;
    if (labels == NULL || !check_definition(replay, fp, labels))
        log_warn_limited("labels in the log are not those of their series", "fp=%016" PRIx64, fp);
    else
        entry->series = load_series(replay->store, fp, labels, false);
    labels_unref(labels);
    return 0;
}

static int bind(void *ctx, uint32_t id, uint64_t fp, struct error *err)
{
    struct replay *replay = ctx;
    struct replay_series *entry = name_series(replay, fp, err);

    if (entry == NULL)
        return -1;
    if (id >= IDS_MAX)
        return error_set(err, ERR_CORRUPT, "id %" PRIu32 " is out of bounds", id);
    if (id >= replay->id_cap) {
        size_t cap = TIDE_MAX((size_t)id + 1, replay->id_cap * 2);

        replay->by_id = mem_realloc(replay->by_id, cap * sizeof(*replay->by_id));
        memset(replay->by_id + replay->id_cap, 0, (cap - replay->id_cap) * sizeof(*replay->by_id));
        replay->id_cap = cap;
    }
    replay->by_id[id] = entry;
    return 0;
}

/* --- changes -----------------------------------------------------------------------------------
 */

static void count_lost(struct lost *lost, int64_t time_ms, bool new_series)
{
    lost->from_ms = lost->samples == 0 ? time_ms : TIDE_MIN(lost->from_ms, time_ms);
    lost->to_ms = lost->samples == 0 ? time_ms : TIDE_MAX(lost->to_ms, time_ms);
    lost->samples++;
    lost->series += new_series;
}

/* The series of an id; NULL, and counted, when the record that bound it is lost. */
static struct replay_series *find_id(struct replay *replay, uint32_t id, int64_t time_ms)
{
    struct replay_series *entry = id < replay->id_cap ? replay->by_id[id] : NULL;

    if (TIDE_LIKELY(entry != NULL && entry != replay->unbound))
        return entry;
    count_lost(&replay->lost_bindings, time_ms, entry == NULL);
    if (id < replay->id_cap)
        replay->by_id[id] = replay->unbound;
    return NULL;
}

/* A sample of the series that has the id, where it is known. */
static void put_by_id(struct replay *replay, uint32_t id, struct replay_op op)
{
    op.series = find_id(replay, id, op.time_ms);
    if (op.series != NULL)
        replay_apply_put(replay->apply, &op);
}

static int put(void *ctx, uint32_t id, int64_t time_ms, double value, struct error *err)
{
    (void)err;
    put_by_id(ctx, id, (struct replay_op){.time_ms = time_ms, .value = value, .kind = REPLAY_PUT});
    return 0;
}

static int late(void *ctx, uint32_t id, int64_t time_ms, double value, enum wal_late_rule rule,
                struct error *err)
{
    (void)err;
    put_by_id(ctx, id,
              (struct replay_op){
                  .time_ms = time_ms, .value = value, .kind = REPLAY_LATE, .rule = (uint8_t)rule});
    return 0;
}

static int mark(struct replay *replay, uint64_t fp, struct wal_range range, struct error *err)
{
    struct replay_series *entry = name_series(replay, fp, err);

    if (entry == NULL)
        return -1;
    if (entry->series != NULL)
        replay_apply_put(replay->apply, &(struct replay_op){.series = entry,
                                                            .time_ms = range.from_ms,
                                                            .to_ms = range.to_ms,
                                                            .kind = REPLAY_MARK});
    return 0;
}

static int replay_delete(struct replay *replay, const struct wal_frame *frame, struct error *err)
{
    struct wal_delete record;
    int result = 0;

    if (!wal_delete_get(frame->body, frame->body_len, &record)) {
        replay->unknown++;
        return 0;
    }
    for (size_t i = 0; i < record.count && result == 0; i++)
        result = mark(replay, record.fps[i], record.range, err);
    wal_delete_destroy(&record);
    return result;
}

/* Marks lie below the puts. */
static int replay_edits(struct replay *replay, const struct wal_frame *frame, struct error *err)
{
    struct replay_series *entry;
    struct wal_edits record;
    int result = 0;

    if (!wal_edits_get(frame->body, frame->body_len, &record)) {
        replay->unknown++;
        return 0;
    }
    for (size_t i = 0; i < record.range_count && result == 0; i++)
        result = mark(replay, record.fp, record.ranges[i], err);
    entry = result == 0 ? name_series(replay, record.fp, err) : NULL;
    for (size_t i = 0; i < record.late_count && entry != NULL; i++)
        replay_apply_put(replay->apply, &(struct replay_op){.series = entry,
                                                            .time_ms = record.lates[i].time_ms,
                                                            .value = record.lates[i].value,
                                                            .kind = REPLAY_LATE,
                                                            .rule = (uint8_t)record.lates[i].rule});
    wal_edits_destroy(&record);
    return entry != NULL ? result : -1;
}

/* --- records -----------------------------------------------------------------------------------
 */

/* Over the memory target, what is complete goes to the files, and leaves memory. */
static int look_around(struct replay *replay, struct error *err)
{
    int64_t now_ns = clock_mono_ns(clock_system());
    struct store_progress_view view;

    if (background_is_crowded(replay->store)) {
        replay_apply_drain(replay->apply);
        if (background_breathe(replay->store, err) != 0)
            return -1;
        /* Late samples, of which another history has many. */
        if (background_is_crowded(replay->store) && merge_everything(replay->store, err) != 0)
            return -1;
    }
    if (now_ns - replay->said_ns < PROGRESS_NS)
        return 0;
    replay->said_ns = now_ns;
    view = store_progress_get(replay->store->progress);
    log_info("the log is being replayed",
             "bytes=%" PRIu64 " of=%" PRIu64 " series=%zu took_ms=%" PRId64, view.done, view.total,
             replay->names.count, (now_ns - replay->begin_ns) / 1000000);
    return 0;
}

static int replay_batch(struct replay *replay, const struct wal_frame *frame, struct error *err)
{
    const struct wal_batch_visitor visitor = {replay, define, bind, put, late};

    if (wal_batch_decode(frame->body, frame->body_len, &visitor, err) == 0)
        return 0;
    if (err->code != ERR_CORRUPT)
        return -1;
    replay->unknown++;
    return 0;
}

static int see_record(void *ctx, uint64_t segment, const struct wal_frame *frame, struct error *err)
{
    struct replay *replay = ctx;
    int result = 0;

    if (segment != replay->segment) { /* ids mean something in one segment only */
        if (replay->id_cap != 0)
            memset(replay->by_id, 0, replay->id_cap * sizeof(*replay->by_id));
        replay->segment = segment;
    }
    switch (frame->type) {
    case WAL_BATCH:
        result = replay_batch(replay, frame, err);
        break;
    case WAL_DELETE:
        result = replay_delete(replay, frame, err);
        break;
    case WAL_EDITS:
        result = replay_edits(replay, frame, err);
        break;
    case WAL_MERGED: /* redone all the same: the merge finds them equal */
    case WAL_INTENT:
    case WAL_CHECKPOINT:
    case WAL_STATE:
        break;
    default:
        replay->unknown++;
    }
    if (result == 0 && replay->records++ % LOOK_RECORDS == 0)
        result = look_around(replay, err);
    return result;
}

static void see_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct replay *replay = ctx;
    struct store_progress *progress = replay->store->progress;

    __atomic_store_n(&progress->total, total, __ATOMIC_RELAXED);
    __atomic_store_n(&progress->done, done, __ATOMIC_RELAXED);
}

/* --- damage: what can still be read of it, for the line that says what is lost -------------------
 */

static int guess_define(void *ctx, uint64_t fp, const struct label *list, size_t count,
                        struct error *err)
{
    (void)ctx;
    (void)fp;
    (void)list;
    (void)count;
    (void)err;
    return 0;
}

static int guess_bind(void *ctx, uint32_t id, uint64_t fp, struct error *err)
{
    (void)ctx;
    (void)id;
    (void)fp;
    (void)err;
    return 0;
}

static int guess_put(void *ctx, uint32_t id, int64_t time_ms, double value, struct error *err)
{
    struct replay *replay = ctx;

    (void)id;
    (void)value;
    (void)err;
    count_lost(&replay->lost_records, time_ms, true);
    return 0;
}

static int guess_late(void *ctx, uint32_t id, int64_t time_ms, double value,
                      enum wal_late_rule rule, struct error *err)
{
    (void)rule;
    return guess_put(ctx, id, time_ms, value, err);
}

static void see_damage(void *ctx, uint64_t segment, const uint8_t *bytes, size_t len)
{
    const struct wal_batch_visitor visitor = {ctx, guess_define, guess_bind, guess_put, guess_late};
    struct replay *replay = ctx;
    struct lost before = replay->lost_records;
    struct error ignored;

    replay->lost_records = (struct lost){0};
    if (len > WAL_FRAME_BYTES)
        (void)!wal_batch_decode(bytes + WAL_FRAME_BYTES, len - WAL_FRAME_BYTES, &visitor, &ignored);
    log_warn("a part of the log is damaged and left out",
             "segment=%016" PRIx64 " bytes=%zu samples_about=%" PRIu64 " from_ms=%" PRId64
             " to_ms=%" PRId64,
             segment, len, replay->lost_records.samples, replay->lost_records.from_ms,
             replay->lost_records.to_ms);
    replay->lost_records.samples += before.samples;
}

static void see_lost(void *ctx, uint64_t segment, uint64_t after, uint64_t before)
{
    (void)ctx;
    log_warn("records of the log are lost",
             "segment=%016" PRIx64 " records=%" PRIu64 " after=%" PRIu64 " before=%" PRIu64,
             segment, before - after - 1, after, before);
}

/* --- the whole ---------------------------------------------------------------------------------
 */

/* What ends before that retention drops, with the series' labels; a series of the log without
 * labels that ended earlier is no loss. (Of rules nothing is known without labels.) */
static int64_t kept_from(const struct store *store)
{
    int64_t from_ms;

    if (store->options.retention_ms == RETENTION_FOREVER ||
        __builtin_sub_overflow(clock_wall_ms(store->clock), store->options.retention_ms, &from_ms))
        return TIDE_EARLIEST_MS;
    return from_ms;
}

/* Returns the number of samples that no series could take. */
static uint64_t say_lost(const struct replay *replay)
{
    const struct lost *lost = &replay->lost_bindings;
    uint64_t samples = 0, series = 0, expired = 0;
    int64_t kept_ms = kept_from(replay->store);

    if (lost->samples != 0)
        log_error("samples of the log are lost: the record that names their series is damaged",
                  "samples=%" PRIu64 " series=%" PRIu64 " from_ms=%" PRId64 " to_ms=%" PRId64,
                  lost->samples, lost->series, lost->from_ms, lost->to_ms);
    for (size_t i = 0; i < replay->names.cap; i++) {
        const struct replay_series *entry = replay->names.slots[i];

        if (entry == NULL || entry->orphaned == 0)
            continue;
        if (entry->orphaned_ms < kept_ms) {
            expired += entry->orphaned;
            continue;
        }
        samples += entry->orphaned;
        series++;
        log_warn_limited("a series of the log has no labels any more",
                         "fp=%016" PRIx64 " samples=%" PRIu64, entry->fp, entry->orphaned);
    }
    if (series != 0)
        log_error("samples of the log are lost: nothing knows the labels of their series",
                  "samples=%" PRIu64 " series=%" PRIu64, samples, series);
    if (expired != 0)
        log_info("samples of the log are of series that retention has dropped", "samples=%" PRIu64,
                 expired);
    if (replay->unknown != 0)
        log_warn("records of the log are of an unknown form and left out", "records=%" PRIu64,
                 replay->unknown);
    return lost->samples + samples;
}

static void say_done(struct replay *replay, const struct wal_replay_report *report,
                     struct log_handover *handover)
{
    struct replay_counts counts = replay_apply_counts(replay->apply);
    int64_t took_ns = clock_mono_ns(clock_system()) - replay->begin_ns;

    *handover = (struct log_handover){
        .next_segment = TIDE_MAX(report->next_segment, replay->plan->from_segment + 1),
        .next_record = report->next_record,
        .store_id = replay->plan->start.store_id,
        .mark = replay->plan->start.mark,
        .bytes = report->bytes,
        .samples = counts.samples,
        .records_lost = report->records_lost,
        .bytes_lost = report->bytes_lost + report->torn_bytes,
        .seconds = (double)took_ns / 1e9,
        .foreign = replay->plan->foreign,
    };
    handover->mark.segment = replay->plan->from_segment;
    if (report->torn_bytes != 0)
        log_warn("the end of the log is torn, and cut", "bytes=%" PRIu64, report->torn_bytes);
    handover->samples_lost = say_lost(replay);
    log_info("the log is replayed",
             "segments=%" PRIu64 " records=%" PRIu64 " bytes=%" PRIu64 " samples=%" PRIu64
             " applied=%" PRIu64 " there=%" PRIu64 " late=%" PRIu64 " deletes=%" PRIu64
             " series=%zu records_lost=%" PRIu64 " took_ms=%" PRId64,
             report->segments, report->records, report->bytes, counts.samples, counts.applied,
             counts.there, counts.late, counts.marks, replay->names.count, report->records_lost,
             took_ns / 1000000);
}

/* Series of which deletes left nothing: they went when it was live, and go here too. */
static void purge_deleted(struct replay *replay)
{
    struct store *store = replay->store;

    if (replay_apply_counts(replay->apply).marks == 0)
        return;
    for (size_t i = 0; i < replay->names.cap; i++) {
        const struct replay_series *entry = replay->names.slots[i];
        struct stripe *stripe;
        struct series *series;

        if (entry == NULL || entry->series == NULL)
            continue;
        series = lock_fp(store, entry->fp, &stripe);
        if (series == NULL)
            continue;
        if (!series->archived && series_is_empty(series))
            series_purge_locked(store, stripe, series);
        lock_release(&stripe->stripe_lock);
    }
}

int replay_run(struct store *store, const struct replay_plan *plan, struct log_handover *handover,
               struct error *err)
{
    struct replay_series unbound = {0};
    struct replay replay = {.store = store, .plan = plan, .unbound = &unbound};
    struct wal_reader reader = {&replay, see_record, see_damage, see_lost, see_progress};
    struct wal_replay_report report;
    int result;

    store_phase_set(store, STORE_PHASE_REPLAY, 0);
    if (plan->foreign)
        log_warn("heads.db is not the one that the log goes on from: every sample is compared",
                 NULL);
    replay.begin_ns = replay.said_ns = clock_mono_ns(clock_system());
    replay.apply = replay_apply_start(store, plan->foreign, err);
    if (replay.apply == NULL)
        return -1;
    result = wal_replay(store->folder->volume, plan->from_segment, &reader, &report, err);
    replay_apply_drain(replay.apply);
    if (result == 0) {
        say_done(&replay, &report, handover);
        purge_deleted(&replay);
    }
    replay_apply_stop(replay.apply);
    replay_names_destroy(&replay.names);
    mem_free(replay.by_id);
    return result;
}

/* --- definitions alone -------------------------------------------------------------------------
 */

struct definitions {
    void (*visit)(void *ctx, uint64_t fp, const struct label *list, size_t count);
    void *ctx;
};

static int pass_definition(void *ctx, uint64_t fp, const struct label *list, size_t count,
                           struct error *err)
{
    const struct definitions *definitions = ctx;

    (void)err;
    definitions->visit(definitions->ctx, fp, list, count);
    return 0;
}

static int see_definitions(void *ctx, uint64_t segment, const struct wal_frame *frame,
                           struct error *err)
{
    const struct wal_batch_visitor visitor = {.ctx = ctx, .define = pass_definition};
    struct error ignored;

    (void)segment;
    (void)err;
    if (frame->type == WAL_BATCH)
        (void)!wal_batch_decode(frame->body, frame->body_len, &visitor, &ignored);
    return 0;
}

int replay_definitions(struct store *store, uint64_t from_segment,
                       void (*visit)(void *ctx, uint64_t fp, const struct label *list,
                                     size_t count),
                       void *ctx, struct error *err)
{
    struct definitions definitions = {visit, ctx};
    struct wal_reader reader = {.ctx = &definitions, .record = see_definitions};
    struct wal_replay_report report;

    return wal_replay(store->folder->volume, from_segment, &reader, &report, err);
}
