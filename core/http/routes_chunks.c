/* routes_chunks.c - the chunks of series one by one, and what is in quarantine (routes_admin.h). */
#include <errno.h>
#include <stdlib.h>

#include "chunk/chunk.h"
#include "http/http_reply.h"
#include "http/http_site.h"
#include "http/request_params.h"
#include "http/routes_admin.h"
#include "http/selectors.h"
#include "http/tenant.h"
#include "store/chunk_list.h"
#include "wire/result_json.h"

#define DEFAULT_ROWS 10000
#define MAX_ROWS 100000
#define MAX_SERIES 1000

/* What is being answered. */
struct chunk_answer {
    struct store *store;
    struct chunk_request asked; /* limit: what is left of it */
    struct buf *out;
    size_t series;
    bool more;
};

/* --- JSON
 * ------------------------------------------------------------------------------------------ */

static void put_row(struct buf *out, const struct chunk_row *row)
{
    buf_printf(out, "{\"first_ms\":%" PRId64 ",\"last_ms\":%" PRId64 ",\"encoding\":\"%s\"",
               row->first_ms, row->last_ms, chunk_encoding_name(row->encoding));
    buf_printf(out, ",\"samples\":%u,\"bytes\":%u,\"place\":\"%s\",\"offset\":", row->samples,
               row->bytes, chunk_place_name((enum chunk_place)row->place));
    if (row->offset >= 0)
        buf_printf(out, "%" PRId64, row->offset);
    else
        buf_puts(out, "null");
    if (row->problem != NULL) {
        buf_puts(out, ",\"problem\":");
        json_put_string(out, row->problem, strlen(row->problem));
    }
    buf_putc(out, '}');
}

static void put_list(struct buf *out, const struct chunk_list *list, const struct labels *labels)
{
    buf_printf(out, "{\"fingerprint\":\"%016" PRIx64 "\"", list->fp);
    if (labels != NULL) {
        buf_puts(out, ",\"labels\":");
        json_put_labels(out, labels);
    }
    buf_printf(out,
               ",\"archived\":%s,\"file_bytes\":%" PRIu64
               ",\"rest_bytes\":%u,\"late\":%u,\"chunks\":[",
               list->archived ? "true" : "false", list->file_bytes, list->rest_bytes, list->late);
    for (size_t i = 0; i < list->count; i++) {
        if (i != 0)
            buf_putc(out, ',');
        put_row(out, &list->rows[i]);
    }
    buf_puts(out, "]}");
}

static void put_quarantined(struct buf *out, const struct quarantined *one)
{
    buf_puts(out, "{\"name\":");
    json_put_string(out, one->name, strlen(one->name));
    if (one->is_series)
        buf_printf(out, ",\"fingerprint\":\"%016" PRIx64 "\"", one->fp);
    buf_printf(out, ",\"missing\":%s,\"bytes\":%" PRIu64 ",\"changed_ms\":%" PRId64,
               one->is_missing ? "true" : "false", one->size_bytes, one->changed_ms);
    if (one->metric != NULL) {
        buf_puts(out, ",\"metric\":");
        json_put_string(out, one->metric, strlen(one->metric));
        buf_puts(out, ",\"reason\":");
        json_put_string(out, one->reason, strlen(one->reason));
    }
    buf_putc(out, '}');
}

/* --- parameters
 * ------------------------------------------------------------------------------------- */

/* 1: it is there. -1 with err: INVALID */
static int read_fingerprint(const struct params *params, uint64_t *fp, struct error *err)
{
    struct http_text text = params_get(params, "fingerprint");
    char *end;

    if (text.at == NULL)
        return 0;
    errno = 0;
    *fp = strtoull(text.at, &end, 16);
    if (text.len == 0 || text.len > 16 || end != text.at + text.len ||
        strspn(text.at, "0123456789abcdefABCDEF") != text.len)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"fingerprint\": \"%.40s\" is not 1 to 16 hex digits",
                         text.at);
    return 1;
}

static int read_limit(size_t *limit, struct error *err)
{
    if (*limit == 0)
        *limit = DEFAULT_ROWS;
    if (*limit > MAX_ROWS)
        return error_set(err, ERR_INVALID, "invalid parameter \"limit\": %zu is over %d", *limit,
                         MAX_ROWS);
    return 0;
}

/* --- chunks
 * ----------------------------------------------------------------------------------------- */

/* `labels`: as the one who asks may see them; NULL: as they are. */
static int answer_series(struct chunk_answer *answer, uint64_t fp, const struct labels *labels,
                         struct error *err)
{
    struct chunk_list list = {0};
    int result = store_chunk_list(answer->store, fp, &answer->asked, &list, err);

    if (result == 0) {
        if (answer->series++ != 0)
            buf_putc(answer->out, ',');
        put_list(answer->out, &list, labels != NULL ? labels : list.labels);
        answer->asked.limit -= list.count;
        answer->more |= list.more;
    }
    chunk_list_destroy(&list);
    return result;
}

/* A series that goes meanwhile is left out. */
static int answer_selection(struct chunk_answer *answer, const struct selection *selection,
                            struct error *err)
{
    for (size_t i = 0; i < selection->count; i++) {
        const struct selected_series *one = &selection->series[i];

        if (answer->series == MAX_SERIES || answer->asked.limit == 0) {
            answer->more = true;
            return 0;
        }
        if (answer_series(answer, one->fp, one->labels, err) != 0 && err->code != ERR_NOT_FOUND)
            return -1;
    }
    return 0;
}

static int answer_selectors(struct chunk_answer *answer, const struct read_door *door,
                            struct error *err)
{
    const struct querier *querier = door->querier;

    for (size_t i = 0; i < door->set_count; i++) {
        struct selection *selection;
        int result;

        if (querier->select(querier->ctx, &door->sets[i], &selection, err) != 0)
            return -1;
        result = answer_selection(answer, selection, err);
        querier->selection_free(querier->ctx, selection);
        if (result != 0)
            return -1;
    }
    return 0;
}

/* Who may not see every series names them by labels. */
static int answer_fingerprint(struct chunk_answer *answer, const struct read_door *door,
                              uint64_t fp, struct error *err)
{
    if (read_door_is_restricted(door))
        return error_set(err, ERR_DENIED,
                         "rules restrict what you may read: ask by match[], not by fingerprint");
    return answer_series(answer, fp, NULL, err);
}

static void begin(struct http_reply *reply, const char *list)
{
    reply->content_type = HTTP_TYPE_JSON;
    buf_printf(&reply->body, "{\"status\":\"success\",\"data\":{\"%s\":[", list);
}

static void answer_chunks(struct http_request *request, struct selectors *selectors,
                          struct http_reply *reply)
{
    struct chunk_answer answer = {
        .store = http_site_store(request->site),
        .asked = {.from_ms = selectors->from_ms,
                  .to_ms = selectors->to_ms,
                  .limit = selectors->limit,
                  .cancelled = request->cancelled},
        .out = &reply->body,
    };
    struct read_door door;
    struct error err;
    uint64_t fp = 0;
    int named = read_fingerprint(&selectors->params, &fp, &err), result = named;

    if (result == 0 && selectors->count == 0)
        result = error_set(&err, ERR_INVALID, "no match[] and no fingerprint parameter provided");
    if (result < 0) {
        http_reply_failure(reply, &err);
        return;
    }
    read_door_init(&door, request, READ_SERIES);
    if (selectors_pass(selectors, &door, reply)) {
        begin(reply, "series");
        result = named != 0 ? answer_fingerprint(&answer, &door, fp, &err)
                            : answer_selectors(&answer, &door, &err);
        if (result == 0)
            buf_printf(&reply->body, "],\"more\":%s}}", answer.more ? "true" : "false");
        else
            http_reply_failure(reply, &err);
    }
    read_door_destroy(&door);
}

void route_chunks(struct http_request *request, struct http_reply *reply)
{
    struct selectors selectors = {0};
    struct error err;

    if (tenant_may_all(request, &err) != 0 ||
        selectors_read(request, true, &selectors, &err) != 0 ||
        read_limit(&selectors.limit, &err) != 0)
        http_reply_failure(reply, &err);
    else
        answer_chunks(request, &selectors, reply);
    selectors_destroy(&selectors);
}

/* --- quarantine
 * ------------------------------------------------------------------------------------- */

static int answer_quarantine(const struct http_request *request, size_t limit,
                             struct http_reply *reply, struct error *err)
{
    struct quarantine_list list = {0};
    int result = store_quarantine_list(http_site_store(request->site), limit, &list, err);

    if (result == 0) {
        begin(reply, "files");
        for (size_t i = 0; i < list.count; i++) {
            if (i != 0)
                buf_putc(&reply->body, ',');
            put_quarantined(&reply->body, &list.items[i]);
        }
        buf_printf(&reply->body, "],\"total\":%zu}}", list.total);
    }
    quarantine_list_destroy(&list);
    return result;
}

static int answer_quarantined(const struct http_request *request, uint64_t fp, size_t limit,
                              struct http_reply *reply, struct error *err)
{
    const struct chunk_request asked = {.from_ms = TIDE_EARLIEST_MS,
                                        .to_ms = TIDE_LATEST_MS,
                                        .limit = limit,
                                        .cancelled = request->cancelled};
    struct chunk_list list = {0};
    int result = store_quarantine_look(http_site_store(request->site), fp, &asked, &list, err);

    if (result == 0) {
        begin(reply, "series");
        put_list(&reply->body, &list, NULL);
        buf_printf(&reply->body, "],\"more\":%s}}", list.more ? "true" : "false");
    }
    chunk_list_destroy(&list);
    return result;
}

void route_quarantined(struct http_request *request, struct http_reply *reply)
{
    struct params params;
    struct error err;
    size_t limit = 0;
    uint64_t fp = 0;
    int named, result = tenant_may_all(request, &err);

    if (result == 0)
        result = request_params(request, &params, &err);
    if (result == 0)
        result = params_count(&params, "limit", &limit, &err);
    if (result == 0)
        result = read_limit(&limit, &err);
    if (result == 0) {
        named = result = read_fingerprint(&params, &fp, &err);
        if (named > 0)
            result = answer_quarantined(request, fp, limit, reply, &err);
        else if (named == 0)
            result = answer_quarantine(request, limit, reply, &err);
    }
    if (result != 0)
        http_reply_failure(reply, &err);
}
