/* routes_query.c - see routes_query.h. Parameters in, the operator's rules on the parsed tree
 * (read_door.h), one promql_execute_tree, JSON out. */
#include "http/routes_query.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/number.h"
#include "http/http_reply.h"
#include "http/http_site.h"
#include "http/params.h"
#include "http/read_door.h"
#include "http/request_params.h"
#include "promql/running.h"
#include "script/functions.h"
#include "wire/result_json.h"

/* What a query answers, kept while it is streamed. */
struct answer {
    struct value value;
    struct annotations annotations;
    struct query_stats stats;
    struct buf stats_json;
    struct buf texts; /* of warnings and infos, one after the other */
    struct json_text *notes;
    struct result_json result;
    struct query_pot *pot; /* in which its samples are counted */
    size_t samples;
};

static void free_answer(void *ctx)
{
    struct answer *answer = ctx;

    if (answer->pot != NULL)
        __atomic_sub_fetch(&answer->pot->held, answer->samples, __ATOMIC_RELAXED);
    value_destroy(&answer->value);
    annotations_destroy(&answer->annotations);
    query_stats_destroy(&answer->stats);
    buf_destroy(&answer->stats_json);
    buf_destroy(&answer->texts);
    mem_free(answer->notes);
    mem_free(answer);
}

/* An answer is held until its reader has all of it. */
static void put_in_pot(struct answer *answer, struct query_pot *pot)
{
    for (size_t i = 0; i < answer->value.count; i++)
        answer->samples += answer->value.series[i].samples.len;
    answer->pot = pot;
    __atomic_add_fetch(&pot->held, answer->samples, __ATOMIC_RELAXED);
}

static bool produce_answer(void *ctx, struct buf *out)
{
    struct answer *answer = ctx;

    return result_json_next(&answer->result, out, HTTP_PIECE_BYTES);
}

/* --- stats --- */

static void put_seconds(struct buf *out, const char *name, int64_t ns)
{
    char number[NUMBER_MAX_BYTES];
    size_t len = number_format_api(number, (double)ns / 1e9);

    buf_printf(out, "\"%s\":", name);
    buf_append(out, number, len);
}

static void put_steps(struct buf *out, const struct promql_query *query,
                      const struct query_stats *stats)
{
    buf_puts(out, ",\"totalQueryableSamplesPerStep\":[");
    for (size_t i = 0; i < stats->steps; i++) {
        char seconds[NUMBER_MAX_BYTES];
        size_t len = number_format_seconds(seconds, query->start_ms + (int64_t)i * query->step_ms);

        buf_printf(out, "%s[", i != 0 ? "," : "");
        buf_append(out, seconds, len);
        buf_printf(out, ",%" PRIu64 "]", stats->samples_per_step[i]);
    }
    buf_putc(out, ']');
}

static void write_stats(struct buf *out, const struct promql_query *query,
                        const struct query_stats *stats, int64_t queue_ns)
{
    int64_t exec_ns = stats->prepare_ns + stats->eval_ns + stats->sort_ns;

    buf_puts(out, "{\"timings\":{");
    put_seconds(out, "evalTotalTime", exec_ns);
    buf_putc(out, ',');
    put_seconds(out, "resultSortTime", stats->sort_ns);
    buf_putc(out, ',');
    put_seconds(out, "queryPreparationTime", stats->prepare_ns);
    buf_putc(out, ',');
    put_seconds(out, "innerEvalTime", stats->eval_ns);
    buf_putc(out, ',');
    put_seconds(out, "execQueueTime", queue_ns);
    buf_putc(out, ',');
    put_seconds(out, "execTotalTime", exec_ns + queue_ns);
    buf_printf(out,
               "},\"samples\":{\"totalQueryableSamples\":%" PRIu64 ",\"peakSamples\":%" PRIu64
               ",\"samplesRead\":%" PRIu64,
               stats->samples, stats->peak_samples, stats->samples_read);
    if (stats->samples_per_step != NULL)
        put_steps(out, query, stats);
    buf_puts(out, "}}");
}

/* --- annotations --- */

/* Texts of a kind into answer->texts; lengths only, since the buffer may still move. */
static size_t note_kind(struct answer *answer, enum annotation_kind kind,
                        const struct promql_query *query, size_t at)
{
    size_t count = annotations_shown(&answer->annotations, kind);

    for (size_t i = 0; i < count; i++) {
        size_t before = answer->texts.len;

        annotations_write(&answer->annotations, kind, i, query->text, query->len, &answer->texts);
        answer->notes[at + i].len = answer->texts.len - before;
    }
    return count;
}

static void note_all(struct answer *answer, const struct promql_query *query)
{
    size_t warnings = annotations_shown(&answer->annotations, ANNOTATION_WARNING);
    size_t infos = annotations_shown(&answer->annotations, ANNOTATION_INFO);
    size_t at = 0;

    answer->notes = mem_zalloc(warnings + infos, sizeof(*answer->notes));
    note_kind(answer, ANNOTATION_WARNING, query, 0);
    note_kind(answer, ANNOTATION_INFO, query, warnings);
    for (size_t i = 0; i < warnings + infos; i++) {
        answer->notes[i].text = (const char *)answer->texts.data + at;
        at += answer->notes[i].len;
    }
    answer->result.warnings = answer->notes;
    answer->result.warning_count = warnings;
    answer->result.infos = answer->notes + warnings;
    answer->result.info_count = infos;
}

/* --- one query --- */

/* Parameters that both routes have. */
struct asked {
    struct promql_query query;
    int64_t timeout_ms;
    size_t limit;
    bool stats;
};

static int read_common(const struct http_request *request, const struct params *params,
                       struct asked *asked, struct error *err)
{
    const struct http_options *options = &request->site->options;
    struct http_text text = params_get(params, "query");
    struct http_text stats = params_get(params, "stats");
    int64_t timeout_ms = options->query_timeout_ms, lookback_ms = options->query_lookback_ms;

    if (params_duration(params, "timeout", &timeout_ms, err) != 0 ||
        params_duration(params, "lookback_delta", &lookback_ms, err) != 0)
        return -1;
    if (text.len > options->query_max_bytes)
        return error_set(err, ERR_INVALID, "invalid parameter \"query\": longer than %zu bytes",
                         options->query_max_bytes);
    if (options->query_timeout_ms < timeout_ms)
        timeout_ms = options->query_timeout_ms;
    asked->stats = stats.len != 0;
    asked->query.text = text.at != NULL ? text.at : "";
    asked->query.len = text.len;
    asked->query.lookback_ms = lookback_ms;
    asked->query.max_samples = options->query_max_samples;
    asked->query.pot = request->site->pot;
    asked->query.max_series = options->query_max_series;
    asked->timeout_ms = timeout_ms;
    asked->query.cancelled = request->cancelled;
    asked->query.regexes = request->site->regexes;
    asked->query.helpers = &request->site->helpers;
    asked->query.count_samples = asked->stats;
    asked->query.per_step = stats.len == 3 && memcmp(stats.at, "all", 3) == 0;
    return 0;
}

/* The API says which parameter a parse error is about. */
static void fail(struct http_reply *reply, struct error *err, bool from_query)
{
    if (from_query && err->code == ERR_INVALID)
        error_note(err, "invalid parameter \"query\"");
    http_reply_failure(reply, err);
}

/* In the list of queries under way, until it was evaluated. */
static struct running_query *begin(const struct http_request *request, const struct asked *asked)
{
    struct running_ask ask = {
        .text = asked->query.text,
        .len = asked->query.len,
        .client = request->remote,
        .user = request->user,
        .start_ms = asked->query.start_ms,
        .end_ms = asked->query.end_ms,
        .step_ms = asked->query.step_ms,
        .asked_ns = request->started_ns,
        .cancelled = request->cancelled,
    };

    return running_query_begin(request->site->running, &ask);
}

static void answer_query(struct http_request *request, struct http_reply *reply,
                         const struct asked *asked, const struct query_tree *tree, int64_t parse_ns)
{
    struct answer *answer = mem_zalloc(1, sizeof(*answer));
    int64_t queue_ns = clock_mono_ns(clock_system()) - request->started_ns - parse_ns;
    struct running_query *running = begin(request, asked);
    struct promql_query query = asked->query;
    struct error err = {0};
    int result;

    query.progress = running_query_progress(running);
    answer->stats.prepare_ns = parse_ns;
    result = promql_execute_tree(&query, tree, &answer->value, &answer->annotations, &answer->stats,
                                 &err);
    running_query_end(running, err.code);
    if (result != 0) {
        free_answer(answer);
        fail(reply, &err, true);
        return;
    }
    put_in_pot(answer, query.pot);
    answer->result.value = &answer->value;
    answer->result.max_series = asked->limit;
    if (asked->limit != 0 && answer->value.count > asked->limit)
        annotations_add_plain(&answer->annotations, ANNOTATION_WARNING,
                              "results truncated due to limit");
    note_all(answer, &asked->query);
    if (asked->stats) {
        write_stats(&answer->stats_json, &asked->query, &answer->stats, queue_ns);
        answer->result.stats = &answer->stats_json;
    }
    reply->content_type = HTTP_TYPE_JSON;
    reply->stream.produce = produce_answer;
    reply->stream.free = free_answer;
    reply->stream.ctx = answer;
}

static void answer_nothing(struct http_reply *reply, bool range)
{
    reply->content_type = HTTP_TYPE_JSON;
    buf_printf(&reply->body,
               "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":[]}}",
               range ? "matrix" : "vector");
}

static int check_points(const struct promql_query *query, int64_t max_points, struct error *err)
{
    if (query->step_ms == 0 ||
        ((uint64_t)query->end_ms - (uint64_t)query->start_ms) / (uint64_t)query->step_ms <=
            (uint64_t)TIDE_MAX(max_points, 0))
        return 0;
    return error_set(err, ERR_INVALID,
                     "exceeded maximum resolution of %s points per timeseries. Try decreasing the "
                     "query resolution (?step=XX)",
                     max_points == 11000 ? "11,000" : "the allowed number of");
}

/* What the rules left of the bounds. */
static void take_bounds(struct promql_query *query, const struct read_door *door)
{
    const struct read_request *read = &door->read;

    query->start_ms = read->start_ms;
    query->end_ms = read->end_ms;
    query->step_ms = read->step_ms;
    query->max_samples = (size_t)TIDE_MAX(read->max_samples, 1);
    query->max_series = (size_t)TIDE_MAX(read->max_series, 1);
    query->deadline_ns = door->request->started_ns + read->timeout_ms * 1000000;
    query->querier = door->querier;
}

static void execute(struct http_request *request, struct http_reply *reply, struct asked *asked)
{
    struct promql_query *query = &asked->query;
    int64_t start_ns = clock_mono_ns(clock_system()), parsed_ns;
    struct read_door door;
    struct error err;
    struct rule_functions functions;
    struct promql_options options = {0};
    struct query_tree *tree;

    rule_functions_begin(&functions, request->site->options.rules);
    options.functions = functions.set;
    if (!request->site->options.query_experimental)
        promql_options_stable(&options);
    query->added = &functions.added;
    tree = promql_parse(query->text, query->len, &options, query->regexes, &err);
    parsed_ns = clock_mono_ns(clock_system()) - start_ns;
    if (tree == NULL) {
        rule_functions_end(&functions);
        fail(reply, &err, true);
        return;
    }
    read_door_init(&door, request, query->step_ms == 0 ? READ_QUERY : READ_QUERY_RANGE);
    door.read.tree = tree;
    door.read.start_ms = query->start_ms;
    door.read.end_ms = query->end_ms;
    door.read.step_ms = query->step_ms;
    door.read.timeout_ms = asked->timeout_ms;
    if (read_door_pass(&door, reply)) {
        take_bounds(query, &door);
        if (read_door_is_empty(&door))
            answer_nothing(reply, query->step_ms != 0);
        else if (check_points(query, door.read.max_points, &err) != 0)
            fail(reply, &err, false);
        else
            answer_query(request, reply, asked, tree, parsed_ns);
    }
    read_door_destroy(&door);
    query_tree_free(tree);
    rule_functions_end(&functions);
}

void route_query(struct http_request *request, struct http_reply *reply)
{
    struct asked asked = {0};
    struct params params;
    struct error err;

    asked.query.start_ms = http_site_wall_ms(request->site);
    if (request_params(request, &params, &err) != 0 ||
        params_count(&params, "limit", &asked.limit, &err) != 0 ||
        params_time(&params, "time", &asked.query.start_ms, &err) != 0 ||
        read_common(request, &params, &asked, &err) != 0) {
        fail(reply, &err, false);
        return;
    }
    asked.query.end_ms = asked.query.start_ms;
    execute(request, reply, &asked);
}

/* A parameter that must be there. */
static int require(const struct params *params, const char *name, const char *what,
                   struct error *err)
{
    if (params_get(params, name).len != 0)
        return 0;
    return error_set(err, ERR_INVALID, "invalid parameter \"%s\": cannot parse \"\" to a valid %s",
                     name, what);
}

static int read_range(const struct params *params, struct promql_query *query, struct error *err)
{
    if (require(params, "start", "timestamp", err) != 0 ||
        params_time(params, "start", &query->start_ms, err) != 0 ||
        require(params, "end", "timestamp", err) != 0 ||
        params_time(params, "end", &query->end_ms, err) != 0)
        return -1;
    if (query->end_ms < query->start_ms)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"end\": end timestamp must not be before start time");
    if (require(params, "step", "duration", err) != 0 ||
        params_duration(params, "step", &query->step_ms, err) != 0)
        return -1;
    if (query->step_ms <= 0)
        return error_set(err, ERR_INVALID,
                         "invalid parameter \"step\": zero or negative query resolution step "
                         "widths are not accepted. Try a positive integer");
    return 0;
}

void route_query_range(struct http_request *request, struct http_reply *reply)
{
    struct asked asked = {0};
    struct params params;
    struct error err;

    if (request_params(request, &params, &err) != 0 ||
        params_count(&params, "limit", &asked.limit, &err) != 0 ||
        read_range(&params, &asked.query, &err) != 0 ||
        read_common(request, &params, &asked, &err) != 0) {
        fail(reply, &err, false);
        return;
    }
    execute(request, reply, &asked);
}
