/* command_dump.c - `tidemark dump`: the samples of a stopped folder, as JSON lines that
 * /api/v1/import takes, or as text. The folder is opened through an overlay: a crashed one is
 * recovered on the way, and not a byte of it changes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "command.h"
#include "disk/volume_overlay.h"
#include "http/params.h"
#include "offline.h"
#include "promql/parse.h"
#include "wire/exposition_put.h"
#include "wire/json_lines.h"

/* Samples of one JSON line: a long series is cut into several. */
#define LINE_SAMPLES ((size_t)10000)
#define WRITE_BYTES ((size_t)1 << 20)

struct dump {
    bool text;
    int64_t from_ms;
    int64_t to_ms;
    struct query_tree *trees[OPERANDS_MAX]; /* one a selector */
    struct selection *selections[OPERANDS_MAX];
    size_t count; /* of both */
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
        status = querier->read(items[i].selection, items[i].index, dump->from_ms, dump->to_ms,
                               &dump->samples, err);
        if (status == 0)
            status = put_samples(dump, items[i].selection->series[items[i].index].labels, err);
    }
    mem_free(items);
    return status == 0 ? flush(dump, err) : -1;
}

/* Without a selector: everything. */
static int select_all(struct dump *dump, const struct querier *querier, struct error *err)
{
    size_t wanted = TIDE_MAX(dump->count, (size_t)1);

    for (dump->count = 0; dump->count < wanted; dump->count++) {
        struct query_tree *tree = dump->trees[dump->count];
        struct select_request request = {
            .matchers = tree != NULL ? tree->root->selector.matchers : NULL,
            .matcher_count = tree != NULL ? tree->root->selector.matcher_count : 0,
            .from_ms = dump->from_ms,
            .to_ms = dump->to_ms,
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
    struct volume *overlay = volume_overlay_new(offline->folder, offline->scratch);
    struct store *store = offline_open_store(offline, overlay, false);
    int status = EXIT_FOUND;

    if (store != NULL) {
        status = dump_store(dump, store);
        store_abandon(store);
    }
    overlay->close(overlay);
    return status;
}

/* --- arguments ----------------------------------------------------------------------------------
 */

static int read_selector(struct dump *dump, const char *text)
{
    struct error err;
    struct query_tree *tree = promql_parse(text, strlen(text), NULL, NULL, &err);

    if (tree != NULL && !expr_is_plain_selector(tree->root)) {
        query_tree_free(tree);
        tree = NULL;
        error_set(&err, ERR_INVALID, "not a series selector");
    }
    if (tree == NULL) {
        fprintf(stderr, "tidemark: %s: %s\n", text, err.text);
        return -1;
    }
    dump->trees[dump->count++] = tree;
    return 0;
}

static int read_time(const char *flag, const char *text, int64_t *ms)
{
    if (text == NULL || params_parse_time((struct http_text){text, strlen(text)}, ms))
        return 0;
    fprintf(stderr, "tidemark: %s %s: not a time (Unix seconds or RFC 3339)\n", flag, text);
    return -1;
}

static int read_arguments(struct dump *dump, struct arguments *arguments, const char *start,
                          const char *end)
{
    if (read_time("--start", start, &dump->from_ms) != 0 ||
        read_time("--end", end, &dump->to_ms) != 0)
        return -1;
    for (size_t i = 0; i < arguments->operand_count; i++) {
        if (read_selector(dump, arguments->operands[i]) != 0)
            return -1;
    }
    return 0;
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
    struct dump dump = {.from_ms = TIDE_EARLIEST_MS, .to_ms = TIDE_LATEST_MS};
    const char *scratch = NULL, *start = NULL, *end = NULL;
    const struct command_option options[] = {{"--text", NULL, &dump.text},
                                             {"--start", &start, NULL},
                                             {"--end", &end, NULL},
                                             {"--scratch", &scratch, NULL},
                                             {0}};
    int status = EXIT_USAGE;

    if (arguments_parse(&arguments, argc, argv, options, OPERANDS_MAX) == 0 &&
        read_arguments(&dump, &arguments, start, end) == 0)
        status = run(&dump, &arguments, scratch);
    for (size_t i = 0; i < OPERANDS_MAX; i++)
        query_tree_free(dump.trees[i]);
    buf_destroy(&dump.out);
    columns_destroy(&dump.samples);
    return status;
}
