/* log_gate.c - answers wait for what others have applied and not logged yet (engine-design 3, I2),
 * and a checkpoint's begin waits for batches under way (I9).
 *
 * Usage: log_gate FOLDER. One batch is held between apply and log by hand; prints what may be
 * answered meanwhile and after. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/logger.h"
#include "base/thread.h"
#include "store/append.h"
#include "store/log.h"
#include "store/store_log.h"

static void must(int status, const struct error *err)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void put_text(struct buf *out, const char *text)
{
    out->len += uvarint_put(buf_reserve(out, VARINT_MAX_BYTES), strlen(text));
    buf_puts(out, text);
}

static struct append_ticket push(struct appender *appender, int64_t time_ms)
{
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    struct append_result result;
    struct buf block = {0};
    struct error err;

    put_text(&block, "__name__");
    put_text(&block, "m");
    batch_add_entry(&batch, block.data, block.len, 0);
    batch_add_sample(&batch, time_ms, 1);
    append_result_init(&result);
    must(store_append(appender, &batch, &result, &err), &err);
    batch_destroy(&batch);
    buf_destroy(&block);
    return result.ticket;
}

static int durable(struct store *store, struct append_ticket *ticket)
{
    struct error err;

    return store_is_durable(store, ticket, &err);
}

static void hear(void *ctx)
{
    __atomic_add_fetch((int *)ctx, 1, __ATOMIC_SEQ_CST);
}

struct closer {
    struct store *store;
    int closed; /* atomic */
};

static void *close_gate(void *arg)
{
    struct closer *closer = arg;
    struct log_checkpoint checkpoint;

    log_checkpoint_begin(closer->store, &checkpoint);
    __atomic_store_n(&closer->closed, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

int main(int argc, char **argv)
{
    struct append_ticket first, repeat, ignored = {0};
    struct store_options options;
    struct log_batch held;
    struct appender *appender;
    struct closer closer;
    struct thread thread;
    struct store *store;
    struct error err;
    int heard = 0;

    if (argc != 2)
        return 2;
    logger_set_level(LOG_LEVEL_ERROR);
    store_options_init(&options);
    options.data_dir = argv[1];
    options.wal_sync = WAL_SYNC_ALWAYS;
    options.no_background = true;
    options.limits.future_ms = INT64_C(1) << 50;
    store = store_open(&options, NULL, &err);
    must(store != NULL ? 0 : -1, &err);
    appender = appender_new(store);
    log_batch_init(&held, store);

    first = push(appender, 1000);
    must(store_wait_durable(store, &first, 20000, &err), &err);
    must(log_batch_enter(&held, &err), &err); /* somebody has applied, and not logged */
    first = push(appender, 2000);
    must(store_wait_durable(store, &first, 20000, &err), &err);
    printf("a new sample beside it: durable\n");
    repeat = push(appender, 2000);
    printf("a repeat beside it: %s\n", durable(store, &repeat) == 0 ? "waits" : "does not wait");

    closer = (struct closer){.store = store};
    must(thread_start(&thread, "closer", 0, close_gate, &closer, &err), &err);
    while (!__atomic_load_n(&store->gate.closed, __ATOMIC_SEQ_CST))
        sched_yield();
    printf("a checkpoint beside it: %s\n",
           __atomic_load_n(&closer.closed, __ATOMIC_SEQ_CST) ? "does not wait" : "waits");
    store_set_durable_listener(store, hear, &heard);
    printf("a repeat beside it: %s\n", durable(store, &repeat) == 0 ? "waits" : "does not wait");
    must(log_batch_leave(&held, &ignored, &err), &err);
    thread_join(&thread);
    printf("when it has left: checkpoint %s, listener %s, repeat %s\n",
           closer.closed ? "begun" : "waits", heard > 0 ? "called" : "not called",
           store_wait_durable(store, &repeat, 20000, &err) == 0 ? "durable" : "waits");
    store_set_durable_listener(store, NULL, NULL);
    log_batch_destroy(&held);
    appender_free(appender);
    must(store_close(store, &err), &err);
    return 0;
}
