/* act.c - see act.h: queries and pushes for operator code, without Lua (act_binding.c has that). */
#include "script/act.h"

#include "base/clock.h"
#include "base/mem.h"
#include "promql/engine.h"
#include "promql/running.h"
#include "script/rulebook_impl.h"
#include "store/store.h"

/* What one run may push. */
#define MAX_PUSHED_SAMPLES ((size_t)100000)
#define MAX_PUSHED_BYTES ((size_t)32 << 20)
/* So long a run waits until what it imported is in the series files; then it goes on: the log has
 * it, and too much of it is refused as busy. */
#define IMPORT_WAIT_MS 10000
#define IMPORT_LOOK_MS 100

void actor_clear(struct actor *actor)
{
    value_destroy(&actor->value);
    annotations_destroy(&actor->annotations);
    actor->annotations = (struct annotations){0};
    query_tree_free(actor->tree);
    actor->tree = NULL;
    rule_functions_end(&actor->functions);
    if (actor->selection != NULL)
        actor->querier->selection_free(actor->querier->ctx, actor->selection);
    actor->selection = NULL;
    text_list_destroy(&actor->texts);
    actor->texts = (struct text_list){0};
    text_count_list_destroy(&actor->counts);
    actor->counts = (struct text_count_list){0};
    running_list_destroy(&actor->queries);
    actor->queries = (struct running_list){0};
    labels_unref(actor->looked_at);
    actor->looked_at = NULL;
    intake_explanation_destroy(&actor->explanation);
    quota_list_destroy(&actor->quotas);
    read_request_destroy(&actor->read);
    look_clear(&actor->look);
    buf_destroy(&actor->text);
}

void actor_forget(struct actor *actor)
{
    batch_reset(&actor->pushes);
    batch_reset(&actor->imports);
}

void actor_destroy(struct actor *actor)
{
    actor_clear(actor);
    batch_destroy(&actor->pushes);
    batch_destroy(&actor->imports);
    appender_free(actor->appender);
    actor->appender = NULL;
}

static int64_t now_ms(const struct actor *actor)
{
    return actor->time_ms != 0 ? actor->time_ms : clock_wall_ms(actor->book->clock);
}

/* --- queries -----------------------------------------------------------------------------------
 */

/* The rules' say on a query that is asked as a user's. */
static int shape(struct actor *actor, struct promql_query *query, struct narrowed *narrowed,
                 struct error *err)
{
    struct read_request *read = &actor->read;

    *read = (struct read_request){
        .kind = query->step_ms == 0 ? READ_QUERY : READ_QUERY_RANGE,
        .user = actor->user,
        .tenant = actor->tenant,
        .tree = actor->tree,
        .start_ms = query->start_ms,
        .end_ms = query->end_ms,
        .step_ms = query->step_ms,
        .timeout_ms = actor->host.query_timeout_ms,
        .max_samples = (int64_t)query->max_samples,
        .max_series = (int64_t)query->max_series,
        .max_points = INT64_MAX,
    };
    if (rulebook_shape(actor->book, read, err) != 0)
        return -1;
    query->start_ms = read->start_ms;
    query->end_ms = read->end_ms;
    query->step_ms = read->step_ms;
    query->max_samples = (size_t)TIDE_MAX(read->max_samples, 1);
    query->max_series = (size_t)TIDE_MAX(read->max_series, 1);
    if (query->start_ms > query->end_ms)
        return error_set(err, ERR_DENIED, "the rules leave no time to read");
    narrowed_init(narrowed, store_client_querier(actor->host.store), read, actor->book);
    query->querier = &narrowed->querier;
    return 0;
}

static int run_query(struct actor *actor, struct promql_query *query, bool as_user,
                     struct error *err)
{
    struct promql_options options = {.functions = actor->functions.set};
    struct narrowed narrowed;

    actor->tree = promql_parse(query->text, query->len, &options, actor->book->regexes, err);
    if (actor->tree == NULL || (as_user && shape(actor, query, &narrowed, err) != 0))
        return -1;
    return promql_execute_tree(query, actor->tree, &actor->value, &actor->annotations, NULL, err);
}

int actor_query(struct actor *actor, const char *text, size_t len, int64_t start_ms, int64_t end_ms,
                int64_t step_ms, int64_t timeout_ms, bool as_user, struct error *err)
{
    const struct script_host *host = &actor->host;
    int64_t now_ns = clock_mono_ns(clock_system());
    struct running_query *running;
    struct promql_query query = {.text = text, .len = len};
    int result;

    actor_clear(actor);
    if (host->store == NULL)
        return error_set(err, ERR_BUSY, "the store is not open");
    rule_functions_begin(&actor->functions, actor->book);
    query.start_ms = start_ms;
    query.end_ms = end_ms;
    query.step_ms = step_ms;
    query.lookback_ms = host->lookback_ms;
    query.max_samples = host->query_max_samples;
    query.max_series = host->query_max_series;
    query.deadline_ns = now_ns + TIDE_MIN(timeout_ms, host->query_timeout_ms) * (int64_t)1000000;
    query.cancelled = actor->cancelled;
    query.added = &actor->functions.added;
    query.querier = store_querier(host->store);
    query.regexes = actor->book->regexes;
    running =
        running_query_begin(host->running, &(struct running_ask){.text = text,
                                                                 .len = len,
                                                                 .client = "script",
                                                                 .user = actor->user,
                                                                 .start_ms = start_ms,
                                                                 .end_ms = end_ms,
                                                                 .step_ms = step_ms,
                                                                 .asked_ns = now_ns,
                                                                 .cancelled = actor->cancelled});
    query.progress = running_query_progress(running);
    result = run_query(actor, &query, as_user, err);
    running_query_end(running, result == 0 ? ERR_NONE : err->code);
    if (result != 0)
        value_destroy(&actor->value);
    return result;
}

/* --- pushes ------------------------------------------------------------------------------------
 */

static void put_text(struct buf *out, const char *text, size_t len)
{
    size_t rest = len;

    while (rest >= 0x80) {
        buf_putc(out, (char)(0x80 | (rest & 0x7f)));
        rest >>= 7;
    }
    buf_putc(out, (char)rest);
    buf_append(out, text, len);
}

/* Begins a series of a batch. */
static int begin_entry(struct actor *actor, struct batch *batch, const struct label *labels,
                       size_t count, size_t samples, struct error *err)
{
    struct buf *block = &actor->text;

    if (batch->sample_count + samples > MAX_PUSHED_SAMPLES ||
        batch->arena.used_bytes >= MAX_PUSHED_BYTES)
        return error_set(err, ERR_LIMIT, "over %zu samples or %zu MiB of labels pushed at once",
                         MAX_PUSHED_SAMPLES, MAX_PUSHED_BYTES >> 20);
    block->len = 0;
    for (size_t i = 0; i < count; i++) {
        put_text(block, labels[i].name, labels[i].name_len);
        put_text(block, labels[i].value, labels[i].value_len);
    }
    batch_add_entry(batch, (const uint8_t *)arena_dup(&batch->arena, block->data, block->len),
                    block->len, 0);
    return 0;
}

int actor_push(struct actor *actor, const struct label *labels, size_t count, int64_t time_ms,
               double value, struct error *err)
{
    if (begin_entry(actor, &actor->pushes, labels, count, 1, err) != 0)
        return -1;
    batch_add_sample(&actor->pushes, time_ms != 0 ? time_ms : now_ms(actor), value);
    return 0;
}

int actor_import(struct actor *actor, const struct label *labels, size_t count,
                 const int64_t *times_ms, const double *values, size_t len, struct error *err)
{
    if (len == 0)
        return 0;
    if (begin_entry(actor, &actor->imports, labels, count, len, err) != 0)
        return -1;
    for (size_t i = 0; i < len; i++)
        batch_add_sample(&actor->imports, times_ms[i], values[i]);
    return 0;
}

static int wait_for_files(struct actor *actor, struct append_ticket *ticket, struct error *err)
{
    if (actor->host.by_hand)
        return store_merge(actor->host.store, err);
    for (int waited = 0; waited < IMPORT_WAIT_MS; waited += IMPORT_LOOK_MS) {
        if (__atomic_load_n(actor->cancelled, __ATOMIC_RELAXED) != 0)
            return 0;
        if (store_wait_durable(actor->host.store, ticket, IMPORT_LOOK_MS, err) == 0)
            return 0;
        if (err->code != ERR_TIMEOUT)
            return -1;
    }
    return 0;
}

/* Gives one of the batches to the store. */
static int hand_over(struct actor *actor, struct batch *batch, bool import,
                     struct append_result *result, struct error *err)
{
    append_result_init(result);
    if (batch->sample_count == 0)
        return 0;
    if (actor->appender == NULL)
        actor->appender = appender_new(actor->host.store);
    batch->format = LABEL_FORMAT_PAIRS;
    batch->parse = label_parse_pairs;
    return import ? store_import(actor->appender, batch, DUPLICATE_FIRST, result, err)
                  : store_append(actor->appender, batch, result, err);
}

int actor_append(struct actor *actor, struct append_result *result, struct error *err)
{
    int failed = hand_over(actor, &actor->pushes, false, result, err);

    actor_forget(actor);
    return failed;
}

/* Appends one of the batches; a sample that is refused is an error. */
static int append(struct actor *actor, struct batch *batch, bool import, struct error *err)
{
    struct append_result result;

    if (hand_over(actor, batch, import, &result, err) != 0)
        return -1;
    if (append_result_refused(&result) - result.refused[REFUSED_BY_POLICY] > 0)
        return error_set(err, ERR_INVALID, "%" PRIu64 " of the pushed samples were refused: %s",
                         append_result_refused(&result),
                         result.example_count > 0 ? result.examples[0].text : "");
    return import && batch->sample_count != 0 ? wait_for_files(actor, &result.ticket, err) : 0;
}

int actor_commit(struct actor *actor, struct error *err)
{
    int result;

    if (actor->pushes.sample_count + actor->imports.sample_count == 0)
        return 0;
    if (actor->host.store == NULL)
        result = error_set(err, ERR_BUSY, "the store is not open");
    else
        result = append(actor, &actor->pushes, false, err) != 0 ||
                         append(actor, &actor->imports, true, err) != 0
                     ? -1
                     : 0;
    actor_forget(actor);
    return result;
}
