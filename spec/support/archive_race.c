/* archive_race.c - a series that is archived, and comes back while a checkpoint is being written,
 * after it was passed by.
 *
 * Usage: archive_race FOLDER twice|found
 * "twice": it was archived for the second time since the checkpoint before. "found": two passes
 * found it idle before it was archived. A child does that without a log, and dies at once; then the
 * folder is opened and the samples that the archive was the only one to know are counted. Prints
 * how often it was archived before the checkpoint's push, and the number of samples. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/logger.h"
#include "base/mem.h"
#include "disk/volume_forward.h"
#include "disk/wal.h"
#include "store_race.h"

#define START_MS INT64_C(1600000000000)
#define HOUR_MS INT64_C(3600000)

struct hooked_volume {
    struct volume_forward forward;
    struct store *store;
    struct clock *clock;
    bool armed; /* the next heads.db is met by a push */
};

struct hooked_writer {
    struct writer_forward forward;
    struct hooked_volume *volume;
};

static struct store *open_store(struct volume *volume, const struct clock *clock)
{
    struct store_options options;
    struct error err;
    struct store *store;

    store_options_init(&options);
    options.volume = volume;
    options.clock = clock;
    options.no_background = true;
    options.retention_ms = RETENTION_FOREVER;
    options.head_chunk_timeout_ms = 60000;
    options.checkpoint_interval_ms = 1000 * HOUR_MS;
    options.wal_sync = WAL_SYNC_OFF;
    store = store_open(&options, NULL, &err);
    race_must(store != NULL ? 0 : -1, &err);
    return store;
}

static void push(struct store *store, const struct clock *clock)
{
    struct appender *appender = appender_new(store);
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    struct append_result result;
    struct buf block = {0};
    struct error err;

    race_put_label(&block, "__name__", "resting%d", 1);
    batch_add_entry(&batch, block.data, block.len, 0);
    batch_add_sample(&batch, clock_wall_ms(clock), 1);
    append_result_init(&result);
    race_must(store_append(appender, &batch, &result, &err), &err);
    batch_destroy(&batch);
    buf_destroy(&block);
    appender_free(appender);
}

/* The heads are captured, heads.db is not there yet. */
static int finish(struct volume_writer *writer, bool sync, struct error *err)
{
    struct hooked_writer *self = (struct hooked_writer *)(void *)writer;
    struct volume_writer *inner = self->forward.inner;
    int result = inner->finish(inner, sync, err);

    writer->stat = inner->stat;
    push(self->volume->store, self->volume->clock);
    return result;
}

static struct volume_writer *replace(struct volume *volume, const char *name, struct error *err)
{
    struct hooked_volume *self = (struct hooked_volume *)(void *)volume;
    struct volume *inner = self->forward.inner;
    struct volume_writer *writer = inner->replace(inner, name, err);
    struct hooked_writer *hooked;

    if (writer == NULL || !self->armed || strcmp(name, "heads.db") != 0)
        return writer;
    hooked = mem_zalloc(1, sizeof(*hooked));
    hooked->volume = self;
    writer_forward_start(&hooked->forward, writer);
    hooked->forward.writer.finish = finish;
    return &hooked->forward.writer;
}

/* A sample, and so much time that its series goes to the file and the archive. */
static void push_and_rest(struct store *store, struct clock *clock)
{
    struct error err;

    push(store, clock);
    for (int i = 0; i < 3; i++) {
        clock_advance(clock, HOUR_MS);
        race_must(store_persist(store, &err), &err);
        race_must(store_tick(store, &err), &err);
        race_must(store_maintain(store, &err), &err);
    }
}

static void live(struct volume *inner, bool twice)
{
    struct hooked_volume *hooked = mem_zalloc(1, sizeof(*hooked));
    struct store_stats stats;
    struct clock clock;
    struct error err;

    clock_init_manual(&clock, START_MS);
    volume_forward_start(&hooked->forward, inner);
    hooked->forward.volume.replace = replace;
    hooked->clock = &clock;
    hooked->store = open_store(&hooked->forward.volume, &clock);
    push_and_rest(hooked->store, &clock);
    if (twice)
        push_and_rest(hooked->store, &clock);
    store_stats_get(hooked->store, &stats);
    printf("archived %llu ", (unsigned long long)stats.series_archived);
    fflush(stdout);
    hooked->armed = true;
    race_must(store_checkpoint(hooked->store, &err), &err);
    kill(getpid(), SIGKILL);
}

static size_t count(struct volume *volume, const struct clock *clock)
{
    struct store *store = open_store(volume, clock);
    const struct querier *querier = store_querier(store);
    struct select_request request = {.from_ms = TIDE_EARLIEST_MS, .to_ms = TIDE_LATEST_MS};
    struct columns columns = {0};
    struct selection *selection;
    struct error err;
    size_t found;

    race_must(querier->select(querier->ctx, &request, &selection, &err), &err);
    if (selection->count != 0)
        race_must(querier->read(selection, 0, request.from_ms, request.to_ms, &columns, &err),
                  &err);
    querier->selection_free(querier->ctx, selection);
    found = columns.len;
    columns_destroy(&columns);
    race_must(store_close(store, &err), &err);
    return found;
}

int main(int argc, char **argv)
{
    struct volume *volume;
    struct clock clock;
    struct error err;
    pid_t child;

    if (argc != 3)
        return 2;
    logger_set_level(LOG_LEVEL_ERROR);
    child = fork();
    volume = volume_posix_open(argv[1], true, &err);
    race_must(volume != NULL ? 0 : -1, &err);
    if (child == 0)
        live(volume, strcmp(argv[2], "twice") == 0);
    waitpid(child, NULL, 0);
    clock_init_manual(&clock, START_MS + 10 * HOUR_MS);
    printf("there %zu\n", count(volume, &clock));
    volume->close(volume);
    return 0;
}
