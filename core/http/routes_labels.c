/* routes_labels.c - see routes_labels.h. */
#include "http/routes_labels.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "http/http_reply.h"
#include "http/http_site.h"
#include "http/selectors.h"
#include "http/series_union.h"
#include "wire/result_json.h"

#define TRUNCATED "results truncated due to limit"

/* --- series --- */

static void answer_series(const struct read_door *door, const struct selectors *asked,
                          struct http_reply *reply)
{
    struct series_union all = {0};
    struct list_json list;
    struct error err;
    size_t count;

    if (series_union_open(&all, door->querier, asked->sets, asked->count, &err) != 0) {
        http_reply_failure(reply, &err);
        return;
    }
    count = asked->limit != 0 ? TIDE_MIN(asked->limit, all.count) : all.count;
    list_json_begin(&list, &reply->body);
    for (size_t i = 0; i < count; i++)
        list_json_labels(&list, all.list[i].labels);
    list_json_end(&list, count < all.count ? TRUNCATED : NULL);
    reply->content_type = HTTP_TYPE_JSON;
    series_union_close(&all);
}

void route_series(struct http_request *request, struct http_reply *reply)
{
    struct selectors asked = {0};
    struct read_door door;
    struct error err;
    int failed = selectors_read(request, true, &asked, &err);

    read_door_init(&door, request, READ_SERIES);
    if (failed == 0 && asked.count == 0)
        failed = error_set(&err, ERR_INVALID, "no match[] parameter provided");
    if (failed != 0)
        http_reply_failure(reply, &err);
    else if (selectors_pass(&asked, &door, reply))
        answer_series(&door, &asked, reply);
    read_door_destroy(&door);
    selectors_destroy(&asked);
}

/* --- names and values --- */

typedef int label_lister(void *ctx, const struct label_request *request, struct text_list *out,
                         struct error *err);

static void answer_texts(const struct read_door *door, const struct selectors *asked,
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
    struct selectors asked = {0};
    struct read_door door;
    struct error err;

    read_door_init(&door, request, kind);
    if (selectors_read(request, true, &asked, &err) != 0)
        http_reply_failure(reply, &err);
    else if (selectors_pass(&asked, &door, reply))
        answer_texts(&door, &asked, name, reply);
    read_door_destroy(&door);
    selectors_destroy(&asked);
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
