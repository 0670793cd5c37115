/* crash_store.c - one life of a store that ends by kill -9, and the look at what the life before
 * has left.
 *
 * Usage: crash_store run FOLDER LEDGER SEED MODE STYLE ROUNDS [POINT NTH WHEN]
 *        crash_store forget FOLDER SEED | settle FOLDER
 *
 * The ledger is a file in shared memory, which a kill does not lose: for each sample whether it was
 * sent and whether it was answered. A life opens the store, compares all that can be read with the
 * ledger, says so on one line ("opened lost=0 ..."), then pushes until it is killed: by itself at
 * the NTH change at POINT (volume_undo.h; WHEN: before, torn, after), by itself after ROUNDS, or by
 * its parent at any time. MODE is that of wal.sync. STYLE "exact" does everything on one thread in
 * an order that SEED fixes; "storm" pushes on three threads beside the background.
 *
 * Now and then a range of a series is deleted, and sometimes brought back. A sample is lost when it
 * was answered and is not there (unless retention may drop it), wrong when it has another value,
 * was never sent or is back from a delete, doubled when its time comes twice. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "disk/volume.h"
#include "disk/wal.h"
#include "store/append.h"
#include "store/delete.h"
#include "store/store.h"
#include "volume_undo.h"

#define SERIES 48
#define THREADS 3
#define INDEXES 60000
#define PER_ROUND 8
#define START_MS INT64_C(1600000000000)
#define STEP_MS 1000
#define RETENTION_MS (INT64_C(4000) * STEP_MS)

/* SENT may be there or not, LEAVING is being deleted now. */
enum state { NOTHING, SENT, LEAVING, ANSWERED, DELETED };

struct ledger {
    uint32_t next[THREADS]; /* atomic: index that the thread pushes next */
    uint8_t state[SERIES][INDEXES];
};

struct life {
    struct ledger *ledger;
    struct store *store;
    struct clock clock;
    uint64_t seed;
    int rounds;
    int stop; /* atomic */
    const char *mode;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void must(int status, const struct error *err)
{
    if (status == 0)
        return;
    printf("failed %s\n", err->text);
    fflush(stdout);
    exit(1);
}

/* --- the model ----------------------------------------------------------------------------------
 */

static int64_t time_of(uint32_t index)
{
    return START_MS + (int64_t)index * STEP_MS;
}

/* Counters, constants, and noise that fills a chunk with a hundred samples. */
static double value_of(int series, uint32_t index)
{
    uint64_t random = ((uint64_t)series * 1000003 + index) * 0x9e3779b97f4a7c15u | 1;

    switch (series % 4) {
    case 0:
        return (double)index * 3;
    case 1:
        return 42;
    default:
        next_random(&random);
        return (double)(next_random(&random) >> 12) / 4096 - 1e9;
    }
}

/* Some series rest now and then, long enough to be archived. */
static bool is_active(int series, uint32_t index)
{
    return series % 3 != 2 || (index / 240 + (uint32_t)series) % 2 == 0;
}

/* The even indexes of these come after the odd ones. */
static bool is_late(int series)
{
    return series % 8 == 5;
}

static void put_text(struct buf *out, const char *text)
{
    out->len += uvarint_put(buf_reserve(out, VARINT_MAX_BYTES), strlen(text));
    buf_puts(out, text);
}

static void put_labels(struct buf *out, int series)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", series);
    put_text(out, "__name__");
    put_text(out, series % 2 != 0 ? "odd" : "even");
    put_text(out, "series");
    put_text(out, number);
}

/* --- looking ------------------------------------------------------------------------------------
 */

struct verdict {
    uint64_t lost;
    uint64_t wrong;
    uint64_t doubled;
    uint64_t answered; /* that must be there */
    uint64_t there;
};

static int series_of(const struct labels *labels)
{
    struct label label;
    int number = 0;

    if (!labels_find(labels, "series", 6, &label))
        return -1;
    for (uint32_t i = 0; i < label.value_len; i++)
        number = number * 10 + label.value[i] - '0';
    return number;
}

static void compare(struct life *life, int series, const struct columns *columns,
                    struct verdict *verdict)
{
    int64_t keep_ms = clock_wall_ms(&life->clock) - RETENTION_MS;
    const uint8_t *state = life->ledger->state[series];
    size_t k = 0;

    for (size_t i = 1; i < columns->len; i++)
        verdict->doubled += columns->times_ms[i] <= columns->times_ms[i - 1];
    for (uint32_t index = 0; index < INDEXES; index++) {
        int64_t time_ms = time_of(index);
        bool there;

        while (k < columns->len && columns->times_ms[k] < time_ms)
            k++;
        there = k < columns->len && columns->times_ms[k] == time_ms;
        verdict->there += there;
        if (there && (state[index] == NOTHING || state[index] == DELETED ||
                      double_bits(columns->values[k]) != double_bits(value_of(series, index)))) {
            verdict->wrong++;
            printf("wrong series=%d index=%u state=%d value=%g\n", series, index, state[index],
                   columns->values[k]);
        }
        if (state[index] != ANSWERED || time_ms < keep_ms)
            continue;
        verdict->answered++;
        if (!there && verdict->lost++ < 5)
            printf("lost series=%d index=%u\n", series, index);
    }
}

static void look(struct life *life, struct verdict *verdict)
{
    const struct querier *querier = store_querier(life->store);
    struct select_request request = {.from_ms = TIDE_EARLIEST_MS, .to_ms = TIDE_LATEST_MS};
    struct columns columns[SERIES] = {0};
    bool seen[SERIES] = {false};
    struct selection *selection;
    struct error err;

    must(querier->select(querier->ctx, &request, &selection, &err), &err);
    for (size_t i = 0; i < selection->count; i++) {
        int series = series_of(selection->series[i].labels);

        if (series < 0 || series >= SERIES || seen[series]) {
            verdict->wrong++;
            continue;
        }
        seen[series] = true;
        must(querier->read(selection, i, request.from_ms, request.to_ms, &columns[series], &err),
             &err);
    }
    querier->selection_free(querier->ctx, selection);
    for (int i = 0; i < SERIES; i++) {
        uint64_t lost = verdict->lost;

        compare(life, i, &columns[i], verdict);
        if (verdict->lost != lost)
            printf("series=%d lost=%llu%s\n", i, (unsigned long long)(verdict->lost - lost),
                   seen[i] ? "" : " (it was not found)");
        columns_destroy(&columns[i]);
    }
}

/* --- pushing ------------------------------------------------------------------------------------
 */

struct pusher {
    struct life *life;
    struct appender *appender;
    struct batch batch;
    struct buf blocks[SERIES];
    int thread;
    int threads;
};

static void open_pusher(struct pusher *pusher, struct life *life, int thread, int threads)
{
    *pusher = (struct pusher){.life = life, .thread = thread, .threads = threads};
    pusher->appender = appender_new(life->store);
    pusher->batch.format = LABEL_FORMAT_PAIRS;
    pusher->batch.parse = label_parse_pairs;
    for (int i = 0; i < SERIES; i++)
        put_labels(&pusher->blocks[i], i);
}

static void close_pusher(struct pusher *pusher)
{
    for (int i = 0; i < SERIES; i++)
        buf_destroy(&pusher->blocks[i]);
    batch_destroy(&pusher->batch);
    appender_free(pusher->appender);
}

/* Which samples of the index range go into this push: `parity` 1 first, then 0; -1: all. */
static void gather(struct pusher *pusher, uint32_t from, uint32_t to, int parity)
{
    struct ledger *ledger = pusher->life->ledger;

    batch_reset(&pusher->batch);
    for (int series = pusher->thread; series < SERIES; series += pusher->threads) {
        bool begun = false;

        for (uint32_t index = from; index < to; index++) {
            bool wanted =
                is_active(series, index) &&
                (!is_late(series) || parity < 0 ? parity != 0 : (int)(index % 2) == parity);

            if (!wanted || ledger->state[series][index] >= ANSWERED)
                continue;
            if (!begun)
                batch_add_entry(&pusher->batch, pusher->blocks[series].data,
                                pusher->blocks[series].len, 0);
            begun = true;
            batch_add_sample(&pusher->batch, time_of(index), value_of(series, index));
            ledger->state[series][index] = SENT;
        }
    }
}

static void answered(struct pusher *pusher)
{
    struct ledger *ledger = pusher->life->ledger;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (size_t i = 0; i < pusher->batch.entry_count; i++) {
        const struct batch_entry *entry = &pusher->batch.entries[i];

        for (int series = pusher->thread; series < SERIES; series += pusher->threads) {
            if (entry->block != pusher->blocks[series].data)
                continue;
            for (uint32_t k = 0; k < entry->sample_count; k++) {
                int64_t time_ms = pusher->batch.times_ms[entry->first_sample + k];

                ledger->state[series][(time_ms - START_MS) / STEP_MS] = ANSWERED;
            }
        }
    }
}

/* Sends until it is taken, then waits as an answer does. */
static void push(struct pusher *pusher, uint32_t from, uint32_t to, int parity)
{
    struct life *life = pusher->life;
    struct append_result result;
    struct error err;
    int status;

    gather(pusher, from, to, parity);
    if (pusher->batch.entry_count == 0)
        return;
    do {
        append_result_init(&result);
        status = store_append(pusher->appender, &pusher->batch, &result, &err);
    } while (status != 0 && err.code == ERR_BUSY && usleep(1000) == 0);
    must(status, &err);
    if (append_result_refused(&result) != 0) {
        printf("failed refused: %s\n", result.examples[0].text);
        fflush(stdout);
        exit(1);
    }
    must(store_wait_durable(life->store, &result.ticket, 60000, &err), &err);
    answered(pusher);
}

static void push_round(struct pusher *pusher)
{
    uint32_t *next = &pusher->life->ledger->next[pusher->thread];
    uint32_t from = *next;

    push(pusher, from, from + PER_ROUND, 1);
    push(pusher, from, from + PER_ROUND, 0);
    __atomic_store_n(next, from + PER_ROUND, __ATOMIC_SEQ_CST);
    clock_advance(&pusher->life->clock, PER_ROUND * STEP_MS / pusher->threads);
}

/* What was sent and not answered is sent again, as senders do. */
static void push_again(struct pusher *pusher)
{
    uint32_t next = pusher->life->ledger->next[pusher->thread];

    push(pusher, next > PER_ROUND ? next - PER_ROUND : 0, next + PER_ROUND, -1);
    __atomic_store_n(&pusher->life->ledger->next[pusher->thread], next + PER_ROUND,
                     __ATOMIC_SEQ_CST);
}

/* --- a life -------------------------------------------------------------------------------------
 */

/* --- deletes ------------------------------------------------------------------------------------
 */

static void set_states(struct life *life, int series, uint32_t from, uint32_t to, enum state before,
                       enum state after)
{
    for (uint32_t index = from; index < to; index++) {
        if (life->ledger->state[series][index] == before)
            life->ledger->state[series][index] = (uint8_t)after;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Deletes a range behind what is being pushed; between call and return it may be there or not. Once
 * in two times it is brought back. */
static void delete_some(struct life *life, uint64_t choice)
{
    int series = (int)(choice % SERIES);
    uint32_t next = __atomic_load_n(&life->ledger->next[series % THREADS], __ATOMIC_SEQ_CST);
    uint32_t from = (uint32_t)(choice >> 8) % (next + 1);
    uint32_t to = from + 1 + (uint32_t)(choice >> 40) % 300;
    struct select_request set = {.from_ms = TIDE_EARLIEST_MS, .to_ms = TIDE_LATEST_MS};
    struct delete_request request = {.sets = &set, .set_count = 1, .by = "crash_store"};
    struct removal removed = {0}, restored = {0};
    struct matcher matcher;
    struct error err;
    char number[16];

    if (to + 2 * PER_ROUND > next)
        return;
    snprintf(number, sizeof(number), "%d", series);
    must(matcher_init(&matcher, MATCH_EQUAL, "series", 6, number, strlen(number), NULL, &err),
         &err);
    set.matchers = &matcher;
    set.matcher_count = 1;
    request.from_ms = time_of(from);
    request.to_ms = time_of(to) - 1;
    set_states(life, series, from, to, ANSWERED, LEAVING);
    must(store_delete(life->store, &request, &removed, &err), &err);
    if (removed.id[0] != '\0' && choice >> 63 != 0) {
        must(store_undelete(life->store, removed.id, "crash_store", &restored, &err), &err);
        set_states(life, series, from, to, LEAVING, ANSWERED);
    } else {
        set_states(life, series, from, to, LEAVING, DELETED);
        set_states(life, series, from, to, SENT, DELETED);
    }
    matcher_destroy(&matcher);
}

static void background(struct life *life, uint64_t choice)
{
    struct error err;

    switch (choice % 12) {
    case 0:
        must(store_checkpoint(life->store, &err), &err);
        break;
    case 1:
        must(store_maintain(life->store, &err), &err);
        break;
    case 2:
    case 3:
        must(store_persist(life->store, &err), &err);
        break;
    case 4:
        store_evict(life->store, 0);
        break;
    case 5:
    case 6:
        must(store_tick(life->store, &err), &err);
        break;
    case 7:
    case 8:
        delete_some(life, choice / 12 * 0x9e3779b97f4a7c15u);
        break;
    }
}

static void live_exactly(struct life *life)
{
    uint64_t random = life->seed * 0x9e3779b97f4a7c15u | 1;
    struct pusher pushers[THREADS];

    for (int i = 0; i < THREADS; i++)
        open_pusher(&pushers[i], life, i, THREADS);
    for (int i = 0; i < THREADS; i++)
        push_again(&pushers[i]);
    for (int round = 0; round < life->rounds; round++) {
        for (int i = 0; i < THREADS; i++)
            push_round(&pushers[i]);
        background(life, next_random(&random));
    }
    for (int i = 0; i < THREADS; i++)
        close_pusher(&pushers[i]);
}

struct storm {
    struct thread thread;
    struct life *life;
    int number;
};

static void *storm_push(void *arg)
{
    struct storm *storm = arg;
    struct pusher pusher;

    open_pusher(&pusher, storm->life, storm->number, THREADS);
    push_again(&pusher);
    for (int round = 0; round < storm->life->rounds; round++)
        push_round(&pusher);
    close_pusher(&pusher);
    return NULL;
}

static void *storm_background(void *arg)
{
    struct storm *storm = arg;
    uint64_t random = storm->life->seed * 0x9e3779b97f4a7c15u | 1;

    while (!__atomic_load_n(&storm->life->stop, __ATOMIC_RELAXED)) {
        background(storm->life, next_random(&random));
        usleep(2000);
    }
    return NULL;
}

static void live_in_a_storm(struct life *life)
{
    struct storm storms[THREADS + 1];
    struct error err;

    for (int i = 0; i <= THREADS; i++) {
        storms[i] = (struct storm){.life = life, .number = i};
        must(thread_start(&storms[i].thread, "storm", 0,
                          i < THREADS ? storm_push : storm_background, &storms[i], &err),
             &err);
    }
    for (int i = 0; i < THREADS; i++)
        thread_join(&storms[i].thread);
    __atomic_store_n(&life->stop, 1, __ATOMIC_RELAXED);
    thread_join(&storms[THREADS].thread);
}

static struct ledger *map_ledger(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *map;

    if (fd < 0 || ftruncate(fd, sizeof(struct ledger)) != 0)
        abort();
    map = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        abort();
    close(fd);
    return map;
}

static int mode_of(const char *mode)
{
    static const char *const names[] = {"off", "never", "interval", "always"};

    for (int i = 0; i < (int)TIDE_COUNT(names); i++) {
        if (strcmp(mode, names[i]) == 0)
            return i;
    }
    return 0;
}

static struct store *open_store(struct life *life, struct volume *volume)
{
    struct store_options options;
    struct store *store;
    struct error err;

    store_options_init(&options);
    options.volume = volume;
    options.clock = &life->clock;
    options.no_background = true;
    options.retention_ms = RETENTION_MS;
    options.head_chunk_timeout_ms = 60 * STEP_MS;
    options.out_of_order_ms = INT64_C(1800) * STEP_MS;
    options.wal_sync = mode_of(life->mode);
    options.wal_interval_ms = 5;
    store = store_open(&options, NULL, &err);
    must(store != NULL ? 0 : -1, &err);
    return store;
}

static int run(char **argv, int argc)
{
    static char beside[600];
    struct life life = {.ledger = map_ledger(argv[1]),
                        .seed = strtoull(argv[2], NULL, 10),
                        .mode = argv[3],
                        .rounds = atoi(argv[5])};
    struct undo_kill kill_at = {0};
    struct verdict verdict = {0};
    struct volume *inner, *volume;
    uint32_t latest = 0;
    struct error err;

    if (argc == 9)
        kill_at = (struct undo_kill){argv[6], strtoull(argv[7], NULL, 10),
                                     strcmp(argv[8], "before") == 0 ? UNDO_BEFORE
                                     : strcmp(argv[8], "torn") == 0 ? UNDO_TORN
                                                                    : UNDO_AFTER};
    logger_set_level(getenv("CRASH_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    for (int i = 0; i < THREADS; i++)
        latest = TIDE_MAX(latest, life.ledger->next[i]);
    clock_init_manual(&life.clock, time_of(latest));
    snprintf(beside, sizeof(beside), "%s.undo", argv[0]);
    inner = volume_posix_open(argv[0], true, &err);
    must(inner != NULL ? 0 : -1, &err);
    volume = volume_undo_new(inner, argv[0], beside, &kill_at);
    life.store = open_store(&life, volume);
    for (int i = 0; i < SERIES; i++)
        set_states(&life, i, 0, INDEXES, LEAVING, SENT);
    look(&life, &verdict);
    printf("opened lost=%llu wrong=%llu doubled=%llu answered=%llu there=%llu\n",
           (unsigned long long)verdict.lost, (unsigned long long)verdict.wrong,
           (unsigned long long)verdict.doubled, (unsigned long long)verdict.answered,
           (unsigned long long)verdict.there);
    fflush(stdout);
    if (verdict.lost + verdict.wrong + verdict.doubled != 0)
        return 1;
    if (strcmp(argv[4], "storm") == 0)
        live_in_a_storm(&life);
    else
        live_exactly(&life);
    kill(getpid(), SIGKILL);
    return 1;
}

int main(int argc, char **argv)
{
    char beside[600];

    if (argc >= 8 && strcmp(argv[1], "run") == 0)
        return run(argv + 2, argc - 2);
    if (argc < 3)
        return 2;
    snprintf(beside, sizeof(beside), "%s.undo", argv[2]);
    if (argc == 4 && strcmp(argv[1], "forget") == 0)
        return undo_forget(argv[2], beside, strtoull(argv[3], NULL, 10)) == 0 ? 0 : 1;
    if (argc == 3 && strcmp(argv[1], "settle") == 0) {
        undo_settle(beside);
        return 0;
    }
    return 2;
}
