/* routes_export.c - see routes_export.h. */
#include "http/routes_export.h"

#include "base/bytes.h"
#include "base/logger.h"
#include "base/number.h"
#include "http/http_site.h"
#include "http/media_type.h"
#include "http/selectors.h"
#include "http/series_union.h"
#include "wire/exposition_put.h"
#include "wire/json_lines.h"

#define DEFAULT_ROWS 10000
#define TYPE_LINES "application/stream+json; charset=utf-8"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* A read by selectors, kept while it is streamed. */
struct outflow {
    struct read_door door;
    struct selectors selectors;
    struct series_union all;
    size_t next; /* series */
    struct columns columns;
    struct http_reply *reply;

    struct series_cursor cursor; /* export */
    bool in_series;
    bool keep_stale;
    size_t rows;

    bool openmetrics;  /* federation */
    struct label name; /* of the family that is being written; of the union */
};

static void free_outflow(void *ctx)
{
    struct outflow *outflow = ctx;

    series_union_close(&outflow->all);
    selectors_destroy(&outflow->selectors);
    read_door_destroy(&outflow->door);
    columns_destroy(&outflow->columns);
    mem_free(outflow);
}

/* Ends a stream that cannot go on; its reader sees that it is not whole. */
static bool cut(struct outflow *outflow, const struct error *err)
{
    if (err->code != ERR_CANCELLED)
        log_warn_limited("a reply was cut off", "error=\"%s\"", err->text);
    outflow->reply->cut = true;
    return false;
}

static size_t drop_stale(struct columns *columns)
{
    size_t kept = 0;

    for (size_t i = 0; i < columns->len; i++) {
        if (double_bits(columns->values[i]) == SAMPLE_STALE_BITS)
            continue;
        columns->times_ms[kept] = columns->times_ms[i];
        columns->values[kept++] = columns->values[i];
    }
    return columns->len = kept;
}

/* Reads the parameters, passes the door, selects; then the stream is the reply's. */
static void begin(struct http_reply *reply, struct outflow *outflow,
                  bool (*produce)(void *ctx, struct buf *out))
{
    struct selectors *selectors = &outflow->selectors;
    struct error err;

    if (selectors_pass(selectors, &outflow->door, reply)) {
        if (series_union_open(&outflow->all, outflow->door.querier, selectors->sets,
                              selectors->count, &err) == 0) {
            outflow->reply = reply;
            reply->stream =
                (struct http_stream){.produce = produce, .free = free_outflow, .ctx = outflow};
            return;
        }
        http_reply_failure(reply, &err);
    }
    free_outflow(outflow);
}

static struct outflow *outflow_new(struct http_request *request, enum read_kind kind,
                                   struct error *err)
{
    struct outflow *outflow = mem_zalloc(1, sizeof(*outflow));

    read_door_init(&outflow->door, request, kind);
    if (selectors_read(request, false, &outflow->selectors, err) == 0) {
        if (outflow->selectors.count > 0)
            return outflow;
        error_set(err, ERR_INVALID, "no match[] parameter provided");
    }
    free_outflow(outflow);
    return NULL;
}

/* --- export ------------------------------------------------------------------------------------
 */

/* Lines of at most `rows` samples. */
static void put_lines(struct outflow *outflow, const struct labels *labels, struct buf *out)
{
    const struct columns *columns = &outflow->columns;

    for (size_t from = 0; from < columns->len; from += outflow->rows)
        json_lines_put(out, labels, columns, from, TIDE_MIN(from + outflow->rows, columns->len));
}

static bool produce_lines(void *ctx, struct buf *out)
{
    struct outflow *outflow = ctx;
    size_t start = out->len;
    struct error err;

    while (out->len - start < HTTP_PIECE_BYTES) {
        if (!outflow->in_series) {
            if (outflow->next == outflow->all.count)
                return false;
            series_cursor_init(&outflow->cursor, &outflow->all, outflow->next,
                               outflow->selectors.from_ms, outflow->selectors.to_ms);
            outflow->in_series = true;
        }
        outflow->columns.len = 0;
        if (series_cursor_read(&outflow->cursor, outflow->rows, &outflow->columns, &err) != 0)
            return cut(outflow, &err);
        if (!outflow->keep_stale)
            drop_stale(&outflow->columns);
        put_lines(outflow, outflow->all.list[outflow->next].labels, out);
        if (outflow->cursor.ended) {
            outflow->in_series = false;
            outflow->next++;
        }
    }
    return true;
}

static bool is_true(struct http_text text)
{
    return http_text_is(text, "1") || http_text_is(text, "true");
}

void route_export(struct http_request *request, struct http_reply *reply)
{
    struct error err;
    struct outflow *outflow = outflow_new(request, READ_EXPORT, &err);

    if (outflow == NULL) {
        http_reply_failure(reply, &err);
        return;
    }
    outflow->rows = DEFAULT_ROWS;
    outflow->keep_stale = is_true(params_get(&outflow->selectors.params, "stale_markers"));
    if (params_count(&outflow->selectors.params, "max_rows_per_line", &outflow->rows, &err) != 0) {
        http_reply_failure(reply, &err);
        free_outflow(outflow);
        return;
    }
    outflow->rows = outflow->rows == 0 ? DEFAULT_ROWS : TIDE_MIN(outflow->rows, (size_t)100000);
    reply->content_type = TYPE_LINES;
    begin(reply, outflow, produce_lines);
}

/* --- federation --------------------------------------------------------------------------------
 */

/* Does the asker prefer OpenMetrics to text? */
static bool wants_openmetrics(const struct http_head *head)
{
    const struct http_field *field = http_head_field(head, "Accept");
    double openmetrics = 0, text = 0;
    struct media_type type;
    struct http_text list;

    if (field == NULL)
        return false;
    list = field->value;
    while (media_type_next(&list, &type)) {
        struct http_text quality = media_type_parameter(&type, "q");
        struct http_text version = media_type_parameter(&type, "version");
        double q = 1;

        if (quality.len > 0 && !number_parse(quality.at, quality.len, &q, NULL))
            continue;
        if (http_text_is(type.name, "application/openmetrics-text") &&
            (version.len == 0 || http_text_is(version, "1.0.0")))
            openmetrics = TIDE_MAX(openmetrics, q);
        else if (http_text_is(type.name, "text/plain"))
            text = TIDE_MAX(text, q);
    }
    return openmetrics > text;
}

/* A line in front of each family; families follow each other, since names sort first enough: a
 * label before "__name__" (in capitals) only repeats one. */
static void put_family(struct outflow *outflow, const struct labels *labels, struct buf *out)
{
    struct label name = {0};

    labels_find(labels, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), &name);
    if (outflow->name.value != NULL && name.value_len == outflow->name.value_len &&
        memcmp(name.value, outflow->name.value, name.value_len) == 0)
        return;
    outflow->name = name;
    if (name.value != NULL)
        exposition_put_type(out, name.value, name.value_len, outflow->openmetrics);
}

static bool produce_federation(void *ctx, struct buf *out)
{
    struct outflow *outflow = ctx;
    struct columns *columns = &outflow->columns;
    size_t start = out->len;
    struct error err;

    for (; outflow->next < outflow->all.count; outflow->next++) {
        const struct union_series *series = &outflow->all.list[outflow->next];

        if (out->len - start >= HTTP_PIECE_BYTES)
            return true;
        columns->len = 0;
        if (outflow->all.querier->read(series->selection, series->index, outflow->selectors.from_ms,
                                       outflow->selectors.to_ms, columns, &err) != 0)
            return cut(outflow, &err);
        if (columns->len == 0 ||
            double_bits(columns->values[columns->len - 1]) == SAMPLE_STALE_BITS)
            continue;
        put_family(outflow, series->labels, out);
        exposition_put_sample(out, series->labels, columns->times_ms[columns->len - 1],
                              columns->values[columns->len - 1], outflow->openmetrics);
    }
    if (outflow->openmetrics)
        buf_puts(out, "# EOF\n");
    return false;
}

void route_federate(struct http_request *request, struct http_reply *reply)
{
    int64_t now_ms = http_site_wall_ms(request->site);
    struct error err;
    struct outflow *outflow = outflow_new(request, READ_FEDERATE, &err);

    if (outflow == NULL) {
        http_reply_failure(reply, &err);
        return;
    }
    selectors_set_range(&outflow->selectors, now_ms - request->site->options.query_lookback_ms + 1,
                        now_ms);
    outflow->openmetrics = wants_openmetrics(request->head);
    reply->content_type = outflow->openmetrics ? TYPE_OPENMETRICS : HTTP_TYPE_METRICS;
    begin(reply, outflow, produce_federation);
}
