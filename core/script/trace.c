/* trace.c - see trace.h.
 *
 * Answers are told as they come out of the functions; what they mean is decide.c's, shape.c's and
 * mask.c's to say, whose order of rules this follows. */
#include "script/trace.h"

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "script/rulebook.h"
#include "script/rulebook_impl.h"
#include "script/sandbox.h"
#include "script/shape.h"
#include "store/intake.h"

struct tracing {
    struct script_state *state;
    const struct trace_request *request;
    struct trace *trace;
    struct labels_builder *builder; /* as they are after the steps so far */
    struct read_request *read;      /* as it is after the steps so far */
    bool ended;                     /* the hook's later rules are not asked */
};

/* One call. */
struct asking {
    struct tracing *tracing;
    const struct rule *rule;
    bool answered; /* not nil */
    bool final;    /* a drop or a refusal */
};

static struct buf *texts(struct tracing *tracing)
{
    return &tracing->trace->texts;
}

/* Begins a step; its text is what is appended until the next one. */
static struct trace_step *begin_step(struct tracing *tracing, const struct rule *rule)
{
    struct trace *trace = tracing->trace;

    if (trace->texts.len != 0)
        buf_putc(&trace->texts, '\0');
    trace->steps[trace->count] = (struct trace_step){.rule = rule, .text = trace->texts.len};
    return &trace->steps[trace->count++];
}

/* --- answers
 * ---------------------------------------------------------------------------------------- */

static bool has_metatable(lua_State *L, int at, int ref)
{
    bool equal;

    if (lua_getmetatable(L, at) == 0)
        return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    equal = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return equal;
}

static void put_field(lua_State *L, struct buf *out, int at, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, at);
    if (lua_isstring(L, -1))
        buf_printf(out, " %s", lua_tostring(L, -1));
    lua_pop(L, 1);
}

/* What the function answered, at stack index `at`. */
static void tell_value(lua_State *L, struct asking *asking, int at)
{
    struct buf *out = texts(asking->tracing);

    asking->answered = !lua_isnil(L, at);
    if (has_metatable(L, at, asking->tracing->state->drop_ref)) {
        asking->final = true;
        buf_puts(out, "drops it:");
        put_field(L, out, at, "reason");
    } else if (has_metatable(L, at, asking->tracing->state->refuse_ref)) {
        asking->final = true;
        buf_puts(out, "refuses:");
        put_field(L, out, at, "status");
        put_field(L, out, at, "text");
    } else if (lua_isstring(L, at)) {
        buf_printf(out, asking->rule->hook == RULE_RETENTION ? "keeps %s" : "answers %s",
                   lua_tostring(L, at));
    } else if (!lua_isnil(L, at)) {
        buf_printf(out, "answers a %s", luaL_typename(L, at));
    }
}

/* 2d, 1h30m: whole units, from large to small. */
static void put_duration(struct buf *out, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};

    for (size_t i = 0; i < TIDE_COUNT(units); i++) {
        if (ms >= units[i].ms)
            buf_printf(out, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
        ms %= units[i].ms;
    }
}

static void put_downsampling(struct buf *out, const struct rule *rule)
{
    buf_puts(out, "keeps of what is older than ");
    put_duration(out, rule->after_ms);
    buf_puts(out, " one sample every ");
    put_duration(out, rule->every_ms);
    buf_printf(out, " (%s)", rule->text);
}

/* Whether a downsample rule means the series, by its function. */
static void ask_downsampling(lua_State *L, struct asking *asking)
{
    const struct script_state *state = asking->tracing->state;

    script_state_push_raises(L, state, asking->rule);
    lua_pushliteral(L, "match");
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->binding.series_ref);
    lua_call(L, 2, 1);
    if (lua_toboolean(L, -1))
        put_downsampling(texts(asking->tracing), asking->rule);
    else
        buf_puts(texts(asking->tracing), "does not mean it");
}

static void ask_run(lua_State *L, void *ctx)
{
    struct asking *asking = ctx;
    const struct script_state *state = asking->tracing->state;
    bool reads = asking->rule->hook == RULE_QUERY || asking->rule->hook == RULE_RESULT;
    bool of_series = asking->rule->hook != RULE_QUERY;

    if (asking->rule->hook == RULE_DOWNSAMPLE) {
        ask_downsampling(L, asking);
        return;
    }
    script_state_push_raises(L, state, asking->rule);
    if (reads)
        lua_rawgeti(L, LUA_REGISTRYINDEX, state->binding.query_ref);
    if (of_series)
        lua_rawgeti(L, LUA_REGISTRYINDEX, state->binding.series_ref);
    lua_call(L, reads + of_series, 2);
    tell_value(L, asking, 1);
    if (asking->rule->hook == RULE_RETENTION && lua_isstring(L, 2))
        buf_printf(texts(asking->tracing), ", which holds for %s", lua_tostring(L, 2));
}

/* --- what changed
 * ----------------------------------------------------------------------------------- */

/* Parts of a step's text are told apart by semicolons. */
static struct buf *add_part(struct tracing *tracing)
{
    struct trace *trace = tracing->trace;

    if (trace->texts.len > trace->steps[trace->count - 1].text)
        buf_puts(&trace->texts, "; ");
    return &trace->texts;
}

/* The labels are those of the builder from now on. False: none are left, they stay as they were. */
static bool take_labels(struct tracing *tracing)
{
    struct labels *labels = labels_builder_build(tracing->builder);
    bool any = labels_count(labels) != 0;

    if (any) {
        labels_unref(tracing->trace->labels);
        tracing->trace->labels = labels;
    } else {
        labels_unref(labels);
    }
    labels_builder_reset(tracing->builder, tracing->trace->labels);
    return any;
}

static void tell_labels(struct tracing *tracing, const struct rule *rule)
{
    if (!take_labels(tracing)) {
        buf_puts(add_part(tracing), "took all labels away, which does not count");
        return;
    }
    buf_puts(add_part(tracing), rule->hook == RULE_RESULT ? "shows it as " : "makes it ");
    labels_format_metric(&tracing->trace->texts, tracing->trace->labels);
}

/* What a query rule did to the read. */
static void tell_read(struct tracing *tracing, const struct read_request *before)
{
    const struct read_request *read = tracing->read;
    size_t had = before->restriction_count;

    if (read->restriction_count != had)
        buf_puts(add_part(tracing),
                 matchers_accept(read->restrictions + had, read->restriction_count - had,
                                 tracing->trace->labels)
                     ? "shows only some series, and this one"
                     : "hides it: it shows only some series, and not this one");
    if (read->start_ms != before->start_ms || read->end_ms != before->end_ms)
        buf_puts(add_part(tracing), "narrows the times");
    if (read->step_ms != before->step_ms || read->timeout_ms != before->timeout_ms ||
        read->max_samples != before->max_samples || read->max_series != before->max_series ||
        read->max_points != before->max_points)
        buf_puts(add_part(tracing), "lowers bounds");
}

/* --- steps
 * ------------------------------------------------------------------------------------------ */

static void prepare(struct tracing *tracing, const struct rule *rule,
                    const struct series_view *series)
{
    struct decision *decision = &tracing->state->binding.decision;

    arena_reset(&tracing->state->binding.scratch);
    *decision = (struct decision){0};
    if (rule->hook != RULE_QUERY)
        decision->series = series;
    if (rule->hook == RULE_ADMIT || rule->hook == RULE_RESULT)
        decision->builder = tracing->builder;
    if (rule->hook == RULE_QUERY || rule->hook == RULE_RESULT)
        decision->read = tracing->read;
    if (rule->hook == RULE_RESULT)
        decision->hiding = rule;
}

static void call(struct tracing *tracing, struct trace_step *step, const struct series_view *series)
{
    struct asking asking = {.tracing = tracing, .rule = step->rule};
    struct read_request before = *tracing->read;
    struct buf *out = texts(tracing);
    struct error err;

    prepare(tracing, step->rule, series);
    step->asked = true;
    /* Not counted: a rule that fails at what somebody tries is not suspended for it. */
    if (sandbox_run(tracing->state->sandbox, ask_run, &asking, tracing->state->book->time_ns,
                    &err) != 0) {
        step->failed = true;
        out->len = step->text;
        buf_printf(out, "fails: %s", err.text);
        labels_builder_reset(tracing->builder, tracing->trace->labels);
        return;
    }
    if (tracing->state->binding.decision.changed)
        tell_labels(tracing, step->rule);
    if (step->rule->hook == RULE_QUERY)
        tell_read(tracing, &before);
    if (out->len == step->text)
        buf_puts(out, "has no opinion");
    tracing->ended |= asking.final || (asking.answered && step->rule->hook == RULE_RETENTION);
}

/* What the store says of a transform or limit. False: it has no such rule (yet). */
static bool tell_intake(struct tracing *tracing, const struct rule *rule)
{
    struct intake_explanation explanation;
    bool told = false;

    if (tracing->request->store == NULL)
        return false;
    store_explain_intake(tracing->request->store, tracing->trace->labels, &explanation);
    for (size_t i = 0; i < explanation.count && !told; i++) {
        const struct intake_line *line = &explanation.lines[i];

        told = strcmp(line->hook, rule_hook_name(rule->hook)) == 0 &&
               strcmp(line->title, rule->title) == 0 && line->outcome != INTAKE_NO_MATCH;
        if (told)
            buf_puts(texts(tracing), line->text);
    }
    intake_explanation_destroy(&explanation);
    return told;
}

/* Rules without a function: what they declare. */
static void declare(struct tracing *tracing, struct trace_step *step)
{
    step->asked = true;
    if (tell_intake(tracing, step->rule))
        return;
    if (step->rule->hook == RULE_DOWNSAMPLE) {
        put_downsampling(texts(tracing), step->rule);
    } else if (step->rule->keep_ms == RETENTION_FOREVER) {
        buf_puts(texts(tracing), "keeps forever");
    } else if (step->rule->keep_ms != 0) {
        buf_puts(texts(tracing), "keeps ");
        put_duration(texts(tracing), step->rule->keep_ms);
    } else {
        buf_puts(texts(tracing), "applies, as it declares");
    }
    tracing->ended |= step->rule->hook == RULE_RETENTION;
}

static void trace_rule(struct tracing *tracing, const struct rule *rule,
                       const struct series_view *series)
{
    struct trace_step *step = begin_step(tracing, rule);
    struct buf *out = texts(tracing);

    if (tracing->ended)
        buf_puts(out, "is not asked any more");
    else if (!matchers_accept(rule->matchers, rule->matcher_count, tracing->trace->labels))
        buf_puts(out, "does not match");
    else if (!rule->has_function || (rule->hook == RULE_DOWNSAMPLE && !rule->asks_match))
        declare(tracing, step);
    else if (rule->hook == RULE_QUARANTINE)
        buf_puts(out, "is asked when its file is damaged");
    else if (!script_state_can_answer(tracing->state, rule)) {
        step->failed = true;
        buf_puts(out, "is suspended or broken");
    } else {
        call(tracing, step, series);
    }
}

static void trace_hook(struct tracing *tracing, enum rule_hook hook)
{
    const struct ruleset *set = tracing->state->set;
    struct series_view series = {0};

    tracing->ended = false;
    if (hook != RULE_ADMIT)
        series = *tracing->request->series;
    for (size_t i = 0; i < set->hook_count[hook]; i++) {
        series.labels = hook == RULE_ADMIT ? NULL : tracing->trace->labels;
        trace_rule(tracing, set->by_hook[hook][i], &series);
    }
}

/* Asks the rules of these hooks, in this order. */
static void trace_hooks(struct rulebook *book, const struct trace_request *request,
                        const enum rule_hook *hooks, size_t count, struct trace *trace)
{
    struct labels_builder builder;
    struct read_request read = {.kind = READ_QUERY,
                                .user = request->user,
                                .tenant = request->tenant,
                                .start_ms = request->now_ms,
                                .end_ms = request->now_ms,
                                .timeout_ms = INT64_MAX,
                                .max_samples = INT64_MAX,
                                .max_series = INT64_MAX,
                                .max_points = INT64_MAX};
    struct tracing tracing = {.state = script_state_of(book),
                              .request = request,
                              .trace = trace,
                              .builder = &builder,
                              .read = &read};

    trace->set = ruleset_ref(tracing.state->set);
    trace->labels = labels_ref(request->series->labels);
    trace->steps = mem_zalloc(trace->set->rule_count + 1, sizeof(*trace->steps));
    labels_builder_init(&builder);
    labels_builder_reset(&builder, trace->labels);
    for (size_t i = 0; i < count; i++)
        trace_hook(&tracing, hooks[i]);
    buf_putc(&trace->texts, '\0');
    read_request_destroy(&read);
    labels_builder_destroy(&builder);
    tracing.state->binding.decision = (struct decision){0};
}

void rulebook_trace(struct rulebook *book, const struct trace_request *request, struct trace *trace)
{
    static const enum rule_hook order[] = {RULE_ADMIT,     RULE_TRANSFORM,  RULE_LIMIT,
                                           RULE_RETENTION, RULE_DOWNSAMPLE, RULE_QUARANTINE,
                                           RULE_QUERY,     RULE_RESULT};

    trace_hooks(book, request, order, TIDE_COUNT(order), trace);
}

void rulebook_explain_retention(void *ctx, const struct series_view *series, struct buf *out)
{
    static const enum rule_hook retention[] = {RULE_RETENTION};
    struct rulebook *book = ctx;
    const struct trace_request request = {.series = series, .now_ms = clock_wall_ms(book->clock)};
    struct trace trace = {0};

    trace_hooks(book, &request, retention, TIDE_COUNT(retention), &trace);
    for (size_t i = 0; i < trace.count; i++) {
        const struct trace_step *step = &trace.steps[i];

        if (step->asked || step->failed)
            buf_printf(out, "\"%s\" %s\n", step->rule->title,
                       (const char *)trace.texts.data + step->text);
    }
    trace_destroy(&trace);
}

void trace_destroy(struct trace *trace)
{
    ruleset_unref(trace->set);
    labels_unref(trace->labels);
    mem_free(trace->steps);
    buf_destroy(&trace->texts);
    *trace = (struct trace){0};
}
