/* routes_labels.c - see routes_labels.h. */
#include "http/routes_labels.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "http/http_reply.h"
#include "http/http_site.h"
#include "http/read_door.h"
#include "http/request_params.h"
#include "promql/parse.h"
#include "wire/result_json.h"

#define TRUNCATED "results truncated due to limit"

/* The selectors of match[], the time range and the limit. */
struct asked {
    struct query_tree **trees;
    struct select_request *sets;
    size_t count;
    int64_t from_ms;
    int64_t to_ms;
    size_t limit; /* 0: none */
};

static void destroy_asked(struct asked *asked)
{
    for (size_t i = 0; i < asked->count; i++)
        query_tree_free(asked->trees[i]);
    mem_free(asked->trees);
    mem_free(asked->sets);
}

static bool is_match(struct http_text name)
{
    return (name.len == 7 && memcmp(name.at, "match[]", 7) == 0) ||
           (name.len == 5 && memcmp(name.at, "match", 5) == 0);
}

static int add_set(const struct http_request *request, struct asked *asked, struct http_text text,
                   struct error *err)
{
    struct query_tree *tree = promql_parse(text.at, text.len, NULL, request->site->regexes, err);

    if (tree == NULL)
        return error_note(err, "invalid parameter \"match[]\"");
    if (!expr_is_plain_selector(tree->root)) {
        query_tree_free(tree);
        return error_set(err, ERR_INVALID, "invalid parameter \"match[]\": not a series selector");
    }
    asked->trees[asked->count] = tree;
    asked->sets[asked->count++] = (struct select_request){
        .matchers = tree->root->selector.matchers,
        .matcher_count = tree->root->selector.matcher_count,
        .from_ms = asked->from_ms,
        .to_ms = asked->to_ms,
        .max_series = request->site->options.query_max_series,
        .cancelled = request->cancelled,
        .metadata_only = true,
    };
    return 0;
}

static int read_asked(const struct http_request *request, struct asked *asked, struct error *err)
{
    struct params params;

    asked->from_ms = TIDE_EARLIEST_MS;
    asked->to_ms = TIDE_LATEST_MS;
    if (request_params(request, &params, err) != 0 ||
        params_count(&params, "limit", &asked->limit, err) != 0 ||
        params_time(&params, "start", &asked->from_ms, err) != 0 ||
        params_time(&params, "end", &asked->to_ms, err) != 0)
        return -1;
    asked->trees = mem_zalloc(params.count, sizeof(*asked->trees));
    asked->sets = mem_zalloc(params.count, sizeof(*asked->sets));
    for (size_t i = 0; i < params.count; i++) {
        if (is_match(params.list[i].name) &&
            add_set(request, asked, params.list[i].value, err) != 0)
            return -1;
    }
    return 0;
}

/* Asks the rules; false: refused, the reply is made. */
static bool pass(struct read_door *door, struct asked *asked, struct http_reply *reply)
{
    door->read.start_ms = asked->from_ms;
    door->read.end_ms = asked->to_ms;
    door->sets = asked->sets;
    door->set_count = asked->count;
    return read_door_pass(door, reply);
}

/* --- series --- */

static int compare_labels(const void *a, const void *b)
{
    return labels_compare(*(const struct labels *const *)a, *(const struct labels *const *)b);
}

/* Writes the union of some selections in order of labels, each label set once. */
static void write_series(struct selection *const *selections, const struct asked *asked,
                         struct buf *out)
{
    const struct labels **all;
    struct list_json list;
    size_t total = 0, n = 0, written = 0;

    for (size_t i = 0; i < asked->count; i++)
        total += selections[i]->count;
    all = mem_alloc(total * sizeof(*all));
    for (size_t i = 0; i < asked->count; i++) {
        for (size_t k = 0; k < selections[i]->count; k++)
            all[n++] = selections[i]->series[k].labels;
    }
    qsort(all, n, sizeof(*all), compare_labels);
    list_json_begin(&list, out);
    for (size_t i = 0; i < n; i++) {
        if (i != 0 && labels_equal(all[i - 1], all[i]))
            continue;
        if (asked->limit != 0 && written == asked->limit) {
            list_json_end(&list, TRUNCATED);
            mem_free(all);
            return;
        }
        list_json_labels(&list, all[i]);
        written++;
    }
    list_json_end(&list, NULL);
    mem_free(all);
}

static void answer_series(const struct read_door *door, const struct asked *asked,
                          struct http_reply *reply)
{
    const struct querier *querier = door->querier;
    struct selection **selections = mem_zalloc(asked->count, sizeof(*selections));
    size_t selected = 0;
    struct error err;

    while (selected < asked->count &&
           querier->select(querier->ctx, &asked->sets[selected], &selections[selected], &err) == 0)
        selected++;
    if (selected == asked->count) {
        write_series(selections, asked, &reply->body);
        reply->content_type = HTTP_TYPE_JSON;
    } else {
        http_reply_failure(reply, &err);
    }
    for (size_t i = 0; i < selected; i++)
        querier->selection_free(querier->ctx, selections[i]);
    mem_free(selections);
}

void route_series(struct http_request *request, struct http_reply *reply)
{
    struct asked asked = {0};
    struct read_door door;
    struct error err;
    int failed = read_asked(request, &asked, &err);

    read_door_init(&door, request, READ_SERIES);
    if (failed == 0 && asked.count == 0)
        failed = error_set(&err, ERR_INVALID, "no match[] parameter provided");
    if (failed != 0)
        http_reply_failure(reply, &err);
    else if (pass(&door, &asked, reply))
        answer_series(&door, &asked, reply);
    read_door_destroy(&door);
    destroy_asked(&asked);
}

/* --- names and values --- */

typedef int label_lister(void *ctx, const struct label_request *request, struct text_list *out,
                         struct error *err);

static void answer_texts(const struct read_door *door, const struct asked *asked,
                         struct http_text name, struct http_reply *reply)
{
    const struct querier *querier = door->querier;
    label_lister *lister = name.len == 0 ? querier->label_names : querier->label_values;
    const struct label_request asking = {
        .name = name.at,
        .name_len = name.len,
        .sets = asked->sets,
        .set_count = asked->count,
        .from_ms = asked->from_ms,
        .to_ms = asked->to_ms,
        .limit = asked->limit,
    };
    struct text_list texts = {0};
    struct list_json list;
    struct error err;
    size_t count;

    if (lister(querier->ctx, &asking, &texts, &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    count = asked->limit != 0 ? TIDE_MIN(asked->limit, texts.count) : texts.count;
    list_json_begin(&list, &reply->body);
    for (size_t i = 0; i < count; i++)
        list_json_text(&list, texts.items[i].value, texts.items[i].value_len);
    list_json_end(&list, count < texts.count ? TRUNCATED : NULL);
    reply->content_type = HTTP_TYPE_JSON;
    text_list_destroy(&texts);
}

/* Values of a label, or with an empty name the names of all. */
static void list_texts(struct http_request *request, struct http_reply *reply, enum read_kind kind,
                       struct http_text name)
{
    struct asked asked = {0};
    struct read_door door;
    struct error err;

    read_door_init(&door, request, kind);
    if (read_asked(request, &asked, &err) != 0)
        http_reply_failure(reply, &err);
    else if (pass(&door, &asked, reply))
        answer_texts(&door, &asked, name, reply);
    read_door_destroy(&door);
    destroy_asked(&asked);
}

void route_labels(struct http_request *request, struct http_reply *reply)
{
    list_texts(request, reply, READ_LABELS, (struct http_text){0});
}

void route_label_values(struct http_request *request, struct http_reply *reply)
{
    struct http_text name = params_label_name(request->captures[0], request->arena);

    if (name.len == 0 || !utf8_valid(name.at, name.len)) {
        http_reply_error(reply, 400, "bad_data", "invalid label name: \"%.*s\"",
                         (int)TIDE_MIN(name.len, (size_t)200), name.at);
        return;
    }
    list_texts(request, reply, READ_LABEL_VALUES, name);
}
