/* command_dump.c - `tidemark dump`: the samples of a stopped folder, as JSON lines that
 * /api/v1/import takes, or as text. The folder is opened through an overlay: a crashed one is
 * recovered on the way, and not a byte of it changes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "command.h"
#include "disk/volume_overlay.h"
#include "offline.h"
#include "selection_arguments.h"
#include "wire/exposition_put.h"
#include "wire/json_lines.h"

/* Samples of one JSON line: a long series is cut into several. */
#define LINE_SAMPLES ((size_t)10000)
#define WRITE_BYTES ((size_t)1 << 20)

struct dump {
    bool text;
    struct selection_arguments asked;
    struct selection *selections[OPERANDS_MAX]; /* one a selector, or one of everything */
    size_t count;
    struct buf out;
    struct columns samples;
};

/* A series of one of the selections. */
struct dump_item {
    uint64_t fp;
    struct selection *selection;
    size_t index;
};

static int compare_items(const void *a, const void *b)
{
    const struct dump_item *x = a, *y = b;

    return (x->fp > y->fp) - (x->fp < y->fp);
}

/* Every selected series once, in order of fingerprint. */
static struct dump_item *list_items(const struct dump *dump, size_t *count)
{
    struct dump_item *items;
    size_t total = 0, n = 0, kept = 0;

    for (size_t i = 0; i < dump->count; i++)
        total += dump->selections[i]->count;
    items = mem_alloc((total + 1) * sizeof(*items));
    for (size_t i = 0; i < dump->count; i++) {
        for (size_t k = 0; k < dump->selections[i]->count; k++)
            items[n++] =
                (struct dump_item){dump->selections[i]->series[k].fp, dump->selections[i], k};
    }
    qsort(items, n, sizeof(*items), compare_items);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || items[kept - 1].fp != items[i].fp)
            items[kept++] = items[i];
    }
    *count = kept;
    return items;
}

static int flush(struct dump *dump, struct error *err)
{
    if (fwrite(dump->out.data, 1, dump->out.len, stdout) != dump->out.len || fflush(stdout) != 0)
        return error_set_errno(err, "cannot write");
    dump->out.len = 0;
    return 0;
}

static int put_samples(struct dump *dump, const struct labels *labels, struct error *err)
{
    const struct columns *samples = &dump->samples;

    for (size_t i = 0; i < samples->len; i += LINE_SAMPLES) {
        size_t end = TIDE_MIN(i + LINE_SAMPLES, samples->len);

        if (!dump->text)
            json_lines_put(&dump->out, labels, samples, i, end);
        for (size_t k = i; dump->text && k < end; k++)
            exposition_put_sample(&dump->out, labels, samples->times_ms[k], samples->values[k],
                                  false);
        if (dump->out.len >= WRITE_BYTES && flush(dump, err) != 0)
            return -1;
    }
    return 0;
}

static int put_all(struct dump *dump, const struct querier *querier, struct error *err)
{
    size_t count;
    struct dump_item *items = list_items(dump, &count);
    int status = 0;

    for (size_t i = 0; i < count && status == 0; i++) {
        dump->samples.len = 0;
        status = querier->read(items[i].selection, items[i].index, dump->asked.from_ms,
                               dump->asked.to_ms, &dump->samples, err);
        if (status == 0)
            status = put_samples(dump, items[i].selection->series[items[i].index].labels, err);
    }
    mem_free(items);
    return status == 0 ? flush(dump, err) : -1;
}

/* Without a selector: everything. */
static int select_all(struct dump *dump, const struct querier *querier, struct error *err)
{
    const struct selection_arguments *asked = &dump->asked;
    size_t wanted = TIDE_MAX(asked->count, (size_t)1);

    for (dump->count = 0; dump->count < wanted; dump->count++) {
        struct query_tree *tree = asked->trees[dump->count];
        struct select_request request = {
            .matchers = tree != NULL ? tree->root->selector.matchers : NULL,
            .matcher_count = tree != NULL ? tree->root->selector.matcher_count : 0,
            .from_ms = asked->from_ms,
            .to_ms = asked->to_ms,
        };

        if (querier->select(querier->ctx, &request, &dump->selections[dump->count], err) != 0)
            return -1;
    }
    return 0;
}

static int dump_store(struct dump *dump, struct store *store)
{
    const struct querier *querier = store_querier(store);
    struct error err;
    int status = select_all(dump, querier, &err);

    if (status == 0)
        status = put_all(dump, querier, &err);
    if (status != 0 && err.sys_errno != EPIPE) /* a reader that has seen enough is no error */
        fprintf(stderr, "tidemark: %s\n", err.text);
    for (size_t i = 0; i < dump->count; i++)
        querier->selection_free(querier->ctx, dump->selections[i]);
    return status == 0 ? EXIT_GOOD : EXIT_FOUND;
}

static int dump_folder(struct dump *dump, struct offline *offline)
{
    struct volume *overlay = volume_overlay_new(offline->folder, offline->scratch.volume);
    struct store *store = offline_open_store(offline, overlay, false);
    int status = EXIT_FOUND;

    if (store != NULL) {
        status = dump_store(dump, store);
        store_abandon(store);
    }
    overlay->close(overlay);
    return status;
}

static int run(struct dump *dump, struct arguments *arguments, const char *scratch)
{
    struct config config;
    struct offline offline;
    int status = EXIT_FOUND;

    if (arguments_load_config(arguments, &config) != 0)
        return EXIT_FOUND;
    if (offline_open(&offline, config.data, true, scratch) == 0) {
        status = dump_folder(dump, &offline);
        offline_close(&offline);
    }
    config_destroy(&config);
    return status;
}

int command_dump(int argc, char **argv)
{
    struct arguments arguments;
    struct dump dump = {.asked = {.from_ms = TIDE_EARLIEST_MS, .to_ms = TIDE_LATEST_MS}};
    const char *scratch = NULL, *start = NULL, *end = NULL;
    const struct command_option options[] = {{"--text", NULL, &dump.text},
                                             {"--start", &start, NULL},
                                             {"--end", &end, NULL},
                                             {"--scratch", &scratch, NULL},
                                             {0}};
    int status = EXIT_USAGE;

    if (arguments_parse(&arguments, argc, argv, options, OPERANDS_MAX) == 0 &&
        selection_arguments_read(&dump.asked, &arguments, start, end) == 0)
        status = run(&dump, &arguments, scratch);
    selection_arguments_destroy(&dump.asked);
    buf_destroy(&dump.out);
    columns_destroy(&dump.samples);
    return status;
}
