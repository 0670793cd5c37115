/* wal.c - writing the log (wal.h). Reading: wal_replay.c.
 *
 * Two buffers: appenders fill one under the lock while the log's thread writes the other. Where a
 * segment ends inside a buffer there is a mark; the thread syncs the old file there, so a record is
 * never durable before those in front of it. */
#include "disk/wal.h"

#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "disk/wal_file.h"

#define BUFFER_BYTES ((size_t)8 << 20)
#define DEFAULT_SEGMENT_BYTES ((size_t)64 << 20)
#define DEFAULT_INTERVAL_MS 200
#define RETRY_NS ((int64_t)100 * 1000000)
/* Where no sync groups what comes meanwhile, writes are at least so far apart: an answer may wait
 * so long for company, a push after a pause does not. */
#define PACE_NS ((int64_t)500 * 1000)

/* Where in a buffer a new segment begins. */
struct roll {
    size_t offset;
    struct wal_header header;
};

struct buffer {
    uint8_t *bytes;
    size_t len;
    size_t cap; /* BUFFER_BYTES, or what had to fit once */
    struct roll *rolls;
    size_t roll_count;
    size_t roll_cap;
};

struct wal {
    /* immutable after open */
    struct wal_options options;

    /* guarded by lock */
    struct lock lock;
    struct cond wake;   /* the thread: something to do */
    struct cond hurry;  /* the thread, while it lets work gather: do it now */
    struct cond change; /* waiters: durable moved, or failed */
    struct buffer *filling;
    uint64_t segment;      /* that the next record goes to */
    size_t segment_len;    /* its bytes, buffered ones too */
    uint64_t record;       /* number of the next record */
    wal_position tail;     /* bytes appended */
    wal_position flush_to; /* somebody waits for a sync up to here */
    wal_position written;  /* bytes handed to the system */
    wal_position synced;   /* bytes synced */
    struct wal_mark mark;  /* for the headers of later segments */
    bool stopping;
    bool abandoned; /* what is buffered is not written any more */
    bool stalled;   /* a write failed and is tried again */
    bool failed;    /* a sync failed: nothing more is promised until a new segment */
    bool restart;   /* the thread shall begin anew, at `segment` */
    struct error failure;

    /* owned by the thread */
    struct buffer *writing;
    uint64_t file_segment; /* being written */
    uint64_t file_len;
    int64_t unsynced_since_ns; /* 0: all is synced */
    int64_t written_ns;        /* when the last write began */

    struct buffer buffers[2];
    struct thread thread;

    struct counter bytes_total, records_total, syncs_total, errors_total;
};

static wal_position durable_locked(const struct wal *wal)
{
    return wal->options.sync == WAL_SYNC_ALWAYS ? wal->synced : wal->written;
}

/* --- appending --- */

static void begin_segment_locked(struct wal *wal)
{
    struct buffer *buffer = wal->filling;

    if (buffer->roll_count == buffer->roll_cap) {
        buffer->roll_cap = buffer->roll_cap != 0 ? buffer->roll_cap * 2 : 4;
        buffer->rolls = mem_realloc(buffer->rolls, buffer->roll_cap * sizeof(*buffer->rolls));
    }
    wal->segment++;
    buffer->rolls[buffer->roll_count++] = (struct roll){
        .offset = buffer->len,
        .header = {wal->options.store_id, wal->segment, wal->record, wal->mark},
    };
    wal->segment_len = 0;
}

/* Room for more in a buffer: beyond its usual size only for what was let in before it was full. */
static uint8_t *reserve(struct buffer *buffer, size_t size)
{
    if (buffer->cap - buffer->len < size) {
        buffer->cap = buffer->len + size + BUFFER_BYTES / 4;
        buffer->bytes = mem_realloc(buffer->bytes, buffer->cap);
    }
    return buffer->bytes + buffer->len;
}

static int failed(const struct wal *wal, struct error *err)
{
    return error_set(err, ERR_IO, "the log failed: %s", wal->failure.text);
}

int wal_begin(struct wal *wal, uint64_t *segment, struct error *err)
{
    int result = 0;

    lock_acquire(&wal->lock);
    if (wal->segment_len >= wal->options.segment_bytes)
        begin_segment_locked(wal);
    *segment = wal->segment;
    if (wal->failed)
        result = failed(wal, err);
    else if (wal->stalled)
        result = error_set(err, ERR_BUSY, "the log cannot be written: try again");
    else if (wal->filling->len >= BUFFER_BYTES)
        result = error_set(err, ERR_BUSY, "the log's buffers are full: the disk does not follow");
    lock_release(&wal->lock);
    return result;
}

int wal_append(struct wal *wal, uint64_t segment, enum wal_record_type type, const uint8_t *body,
               size_t len, uint32_t body_crc, wal_position *position, struct error *err)
{
    size_t size = wal_frame_size(len);
    int result = 0;

    TIDE_ASSERT(len <= WAL_BODY_MAX);
    lock_acquire(&wal->lock);
    if (wal->segment_len >= wal->options.segment_bytes)
        begin_segment_locked(wal);
    if (wal->failed) {
        result = failed(wal, err);
    } else if (segment != UINT64_MAX && segment != wal->segment) {
        result = 1;
    } else {
        wal_frame_write(reserve(wal->filling, size), type, wal->record++, body, len, body_crc);
        wal->filling->len += size;
        wal->segment_len += size;
        wal->tail += size;
        counter_add(&wal->records_total, 1);
        *position = wal->tail;
        cond_signal(&wal->wake);
    }
    lock_release(&wal->lock);
    return result;
}

uint64_t wal_roll(struct wal *wal)
{
    uint64_t segment;

    lock_acquire(&wal->lock);
    if (wal->segment_len != 0)
        begin_segment_locked(wal);
    segment = wal->segment;
    lock_release(&wal->lock);
    return segment;
}

uint64_t wal_next_record(struct wal *wal)
{
    uint64_t record;

    lock_acquire(&wal->lock);
    record = wal->record;
    lock_release(&wal->lock);
    return record;
}

void wal_set_mark(struct wal *wal, const struct wal_mark *mark)
{
    lock_acquire(&wal->lock);
    wal->mark = *mark;
    lock_release(&wal->lock);
}

/* --- the thread --- */

static void fail(struct wal *wal, const struct error *err)
{
    log_error("log cannot be synced", "error=\"%s\"", err->text);
    lock_acquire(&wal->lock);
    wal->failed = true;
    wal->failure = *err;
    cond_broadcast(&wal->change);
    lock_release(&wal->lock);
}

static void tell(struct wal *wal)
{
    if (wal->options.moved != NULL)
        wal->options.moved(wal->options.moved_ctx);
}

static void publish(struct wal *wal, wal_position written, bool synced)
{
    lock_acquire(&wal->lock);
    wal->written = written;
    if (synced)
        wal->synced = written;
    cond_broadcast(&wal->change);
    lock_release(&wal->lock);
    tell(wal);
}

static bool sync_file(struct wal *wal)
{
    struct error err;

    counter_add(&wal->syncs_total, 1);
    if (wal_file_sync(wal->options.volume, wal->file_segment, &err) != 0) {
        fail(wal, &err);
        return false;
    }
    wal->unsynced_since_ns = 0;
    return true;
}

/* A new segment's name must not be lost with power. */
static bool sync_folder(struct wal *wal)
{
    struct error err;

    if (wal->options.sync == WAL_SYNC_NEVER)
        return true;
    /* The folder's own name may be new too. */
    if (wal->options.volume->sync_folder(wal->options.volume, WAL_FOLDER, &err) == 0 &&
        wal->options.volume->sync_folder(wal->options.volume, "", &err) == 0)
        return true;
    fail(wal, &err);
    return false;
}

/* A write that failed may have left a part of its bytes. */
static void cut_back(struct wal *wal)
{
    char name[WAL_NAME_BYTES];
    struct error ignored;

    wal_file_name(name, wal->file_segment);
    if (wal->options.volume->truncate(wal->options.volume, name, wal->file_len, &ignored) != 0)
        return; /* not there yet, or the next append says what is wrong */
}

/* Appends bytes to the current file, again and again until the system takes them: no record is
 * ever dropped. Gives up only when the log is being closed. */
static bool write_bytes(struct wal *wal, const uint8_t *bytes, size_t len)
{
    struct error err;

    bool stalled = false;

    while (wal_file_append(wal->options.volume, wal->file_segment, wal->file_len, bytes, len,
                           &err) != 0) {
        bool stopping;

        stalled = true;

        counter_add(&wal->errors_total, 1);
        cut_back(wal);
        log_warn_limited("log cannot be written, retrying", "error=\"%s\"", err.text);
        lock_acquire(&wal->lock);
        wal->stalled = true;
        if (!wal->stopping)
            cond_wait_for(&wal->wake, &wal->lock, RETRY_NS);
        stopping = wal->stopping;
        lock_release(&wal->lock);
        if (stopping) {
            fail(wal, &err);
            return false;
        }
    }
    if (stalled) {
        lock_acquire(&wal->lock);
        wal->stalled = false;
        lock_release(&wal->lock);
    }
    wal->file_len += len;
    counter_add(&wal->bytes_total, len);
    return true;
}

static bool open_segment(struct wal *wal, const struct wal_header *header)
{
    uint8_t bytes[WAL_HEADER_BYTES];

    wal->file_segment = header->segment;
    wal->file_len = 0;
    wal_header_write(bytes, header);
    return write_bytes(wal, bytes, sizeof(bytes)) && sync_folder(wal);
}

/* Writes a buffer, changing files at its marks. */
static bool write_buffer(struct wal *wal, const struct buffer *buffer)
{
    size_t from = 0;

    for (size_t i = 0; i <= buffer->roll_count; i++) {
        size_t to = i < buffer->roll_count ? buffer->rolls[i].offset : buffer->len;

        if (to > from && !write_bytes(wal, buffer->bytes + from, to - from))
            return false;
        from = to;
        if (i == buffer->roll_count)
            break;
        if (!sync_file(wal) || !open_segment(wal, &buffer->rolls[i].header))
            return false;
    }
    return true;
}

/* What the thread found to do under the lock. */
struct turn {
    struct buffer *buffer; /* to write; may be empty */
    wal_position end;
    struct wal_header header; /* of the segment to begin with, after a restart */
    bool restart;
    bool sync;
    bool stop;
};

/* Lets pushes gather behind a write that was just made. */
static void pace_locked(struct wal *wal)
{
    int64_t now_ns = clock_mono_ns(clock_system());
    int64_t wait_ns = wal->written_ns + PACE_NS - now_ns;

    if (wait_ns > 0 && wal->options.sync != WAL_SYNC_ALWAYS && wal->filling->len < BUFFER_BYTES / 2)
        cond_wait_for(&wal->hurry, &wal->lock, TIDE_MIN(wait_ns, PACE_NS));
    wal->written_ns = clock_mono_ns(clock_system());
}

static struct turn wait_for_turn(struct wal *wal)
{
    int64_t interval_ns = wal->options.interval_ms * 1000000;
    struct turn turn = {0};

    lock_acquire(&wal->lock);
    for (;;) {
        int64_t wait_ns = INT64_MAX;
        bool flush = wal->flush_to > wal->synced && !wal->failed;

        if (wal->unsynced_since_ns != 0 && wal->options.sync == WAL_SYNC_INTERVAL)
            wait_ns = wal->unsynced_since_ns + interval_ns - clock_mono_ns(clock_system());
        turn.sync = flush || wal->stopping || wait_ns <= 0;
        if (wal->filling->len != 0 || wal->filling->roll_count != 0 || turn.sync || wal->restart)
            break;
        if (wait_ns == INT64_MAX)
            cond_wait(&wal->wake, &wal->lock);
        else
            cond_wait_for(&wal->wake, &wal->lock, wait_ns);
    }
    if (wal->filling->len != 0 && !turn.sync && !wal->restart)
        pace_locked(wal);
    turn.sync = turn.sync || wal->stopping || (wal->flush_to > wal->synced && !wal->failed);
    turn.buffer = wal->filling;
    wal->filling = wal->writing;
    wal->writing = turn.buffer;
    turn.end = wal->tail;
    turn.stop = wal->stopping;
    turn.restart = wal->restart;
    turn.header = (struct wal_header){wal->options.store_id, wal->segment, wal->record, wal->mark};
    lock_release(&wal->lock);
    return turn;
}

/* After a failed sync: the next segment, on which everything is promised again. */
static bool begin_anew(struct wal *wal, const struct turn *turn)
{
    bool sound;

    wal->unsynced_since_ns = 0;
    sound = open_segment(wal, &turn->header) && sync_file(wal);
    lock_acquire(&wal->lock);
    wal->restart = false;
    if (sound) {
        wal->failed = false;
        wal->written = wal->synced = turn->end;
    }
    cond_broadcast(&wal->change);
    lock_release(&wal->lock);
    return sound;
}

static void empty_buffer(struct buffer *buffer)
{
    buffer->len = buffer->roll_count = 0;
    if (buffer->cap > 2 * BUFFER_BYTES) {
        buffer->cap = BUFFER_BYTES;
        buffer->bytes = mem_realloc(buffer->bytes, buffer->cap);
    }
}

/* Writes what the turn brought; false: the log has failed. */
static bool take_turn(struct wal *wal, const struct turn *turn)
{
    bool wrote = turn->buffer->len != 0;

    if ((wrote || turn->buffer->roll_count != 0) && !write_buffer(wal, turn->buffer))
        return false;
    if (wrote && wal->unsynced_since_ns == 0)
        wal->unsynced_since_ns = clock_mono_ns(clock_system());
    if (!turn->sync && !(wrote && wal->options.sync == WAL_SYNC_ALWAYS)) {
        publish(wal, turn->end, false);
        return true;
    }
    if (!sync_file(wal))
        return false;
    publish(wal, turn->end, true);
    return true;
}

static void *run(void *arg)
{
    struct wal *wal = arg;
    bool sound = true;

    for (;;) {
        struct turn turn = wait_for_turn(wal);

        if (__atomic_load_n(&wal->abandoned, __ATOMIC_RELAXED))
            return NULL;
        if (turn.restart)
            sound = begin_anew(wal, &turn);
        else if (sound)
            sound = take_turn(wal, &turn);
        empty_buffer(turn.buffer);
        if (turn.stop)
            return NULL;
        if (!sound)
            tell(wal);
    }
}

bool wal_has_failed(struct wal *wal)
{
    bool result;

    lock_acquire(&wal->lock);
    result = wal->failed;
    lock_release(&wal->lock);
    return result;
}

int wal_restart(struct wal *wal, struct error *err)
{
    int result = 0;

    lock_acquire(&wal->lock);
    TIDE_ASSERT(wal->failed);
    wal->filling->len = wal->filling->roll_count = 0;
    wal->segment++;
    wal->segment_len = 0;
    wal->restart = true;
    cond_signal(&wal->wake);
    cond_signal(&wal->hurry);
    while (wal->restart)
        cond_wait(&wal->change, &wal->lock);
    if (wal->failed)
        result = failed(wal, err);
    lock_release(&wal->lock);
    return result;
}

/* --- waiting --- */

wal_position wal_tail(struct wal *wal)
{
    wal_position tail;

    lock_acquire(&wal->lock);
    tail = wal->tail;
    lock_release(&wal->lock);
    return tail;
}

wal_position wal_durable(struct wal *wal)
{
    wal_position durable;

    lock_acquire(&wal->lock);
    durable = durable_locked(wal);
    lock_release(&wal->lock);
    return durable;
}

int wal_wait(struct wal *wal, wal_position position, int64_t timeout_ms, struct error *err)
{
    int64_t end_ns = clock_mono_ns(clock_system()) + timeout_ms * 1000000;
    int result = 0;

    lock_acquire(&wal->lock);
    while (durable_locked(wal) < position && result == 0) {
        int64_t left_ns = end_ns - clock_mono_ns(clock_system());

        if (wal->failed)
            result = failed(wal, err);
        else if (left_ns <= 0)
            result = error_set(err, ERR_TIMEOUT, "the log was not written in %" PRId64 " ms",
                               timeout_ms);
        else
            cond_wait_for(&wal->change, &wal->lock, left_ns);
    }
    lock_release(&wal->lock);
    return result;
}

int wal_flush(struct wal *wal, struct error *err)
{
    wal_position position;
    int result = 0;

    lock_acquire(&wal->lock);
    position = wal->tail;
    if (position > wal->flush_to)
        wal->flush_to = position;
    cond_signal(&wal->wake);
    cond_signal(&wal->hurry);
    while (wal->synced < position && result == 0) {
        if (wal->failed)
            result = failed(wal, err);
        else
            cond_wait(&wal->change, &wal->lock);
    }
    lock_release(&wal->lock);
    return result;
}

/* --- life --- */

static double read_counter(void *ctx)
{
    return (double)counter_get(ctx);
}

static void register_metrics(struct wal *wal, struct metrics *metrics)
{
    const struct {
        const char *name, *help;
        struct counter *counter;
    } rows[] = {
        {"tidemark_wal_bytes_total", "Bytes written to the write-ahead log.", &wal->bytes_total},
        {"tidemark_wal_records_total", "Records appended to the write-ahead log.",
         &wal->records_total},
        {"tidemark_wal_syncs_total", "Syncs of the write-ahead log.", &wal->syncs_total},
        {"tidemark_wal_write_errors_total", "Writes to the write-ahead log that failed.",
         &wal->errors_total},
    };

    for (size_t i = 0; i < TIDE_COUNT(rows); i++)
        metrics_callback(metrics, METRIC_COUNTER, rows[i].name, rows[i].help, "", read_counter,
                         rows[i].counter);
}

static void destroy(struct wal *wal)
{
    for (size_t i = 0; i < TIDE_COUNT(wal->buffers); i++) {
        mem_free(wal->buffers[i].bytes);
        mem_free(wal->buffers[i].rolls);
    }
    cond_destroy(&wal->change);
    cond_destroy(&wal->wake);
    cond_destroy(&wal->hurry);
    lock_destroy(&wal->lock);
    mem_free(wal);
}

struct wal *wal_open(const struct wal_options *options, struct error *err)
{
    struct wal *wal = mem_zalloc(1, sizeof(*wal));
    struct wal_header header;

    wal->options = *options;
    if (wal->options.segment_bytes == 0)
        wal->options.segment_bytes = DEFAULT_SEGMENT_BYTES;
    if (wal->options.interval_ms == 0)
        wal->options.interval_ms = DEFAULT_INTERVAL_MS;
    lock_init(&wal->lock);
    cond_init(&wal->wake);
    cond_init(&wal->hurry);
    cond_init(&wal->change);
    for (size_t i = 0; i < TIDE_COUNT(wal->buffers); i++) {
        wal->buffers[i].cap = BUFFER_BYTES;
        wal->buffers[i].bytes = mem_alloc(BUFFER_BYTES);
    }
    wal->filling = &wal->buffers[0];
    wal->writing = &wal->buffers[1];
    wal->segment = options->first_segment;
    wal->record = options->first_record;
    wal->mark = options->mark;
    header = (struct wal_header){options->store_id, wal->segment, wal->record, wal->mark};
    wal->stopping = true; /* no retries while it is being opened */
    if (!open_segment(wal, &header)) {
        error_set(err, ERR_IO, "the log cannot be begun: %s", wal->failure.text);
        destroy(wal);
        return NULL;
    }
    wal->stopping = false;
    if (thread_start(&wal->thread, "wal", 0, run, wal, err) != 0) {
        destroy(wal);
        return NULL;
    }
    if (options->metrics != NULL)
        register_metrics(wal, options->metrics);
    return wal;
}

static void stop_thread(struct wal *wal)
{
    lock_acquire(&wal->lock);
    wal->stopping = true;
    cond_signal(&wal->wake);
    cond_signal(&wal->hurry);
    lock_release(&wal->lock);
    thread_join(&wal->thread);
}

int wal_close(struct wal *wal, struct error *err)
{
    int result = 0;

    stop_thread(wal);
    if (wal->failed)
        result = failed(wal, err);
    destroy(wal);
    return result;
}

void wal_abandon(struct wal *wal)
{
    __atomic_store_n(&wal->abandoned, true, __ATOMIC_RELAXED);
    stop_thread(wal);
    destroy(wal);
}
