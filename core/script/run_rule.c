/* run_rule.c - see run_rule.h. */
#include "script/run_rule.h"

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "script/rulebook_impl.h"
#include "script/run_alert.h"
#include "script/sandbox.h"
#include "script/webhook.h"

#define MAX_URL_BYTES 2048

/* --- life --------------------------------------------------------------------------------------
 */

/* "http://a:9093/api/v2/alerts, http://b ..." */
static int start_webhooks(struct rule_runner *runner, const struct rule_runner_options *options,
                          struct error *err)
{
    const char *at = options->webhooks != NULL ? options->webhooks : "";

    while (*at != '\0') {
        char url[MAX_URL_BYTES];
        size_t len = strcspn(at, ", ");

        if (len > 0 && len < sizeof(url)) {
            if (runner->webhook_count == WEBHOOKS_MAX)
                return error_set(err, ERR_LIMIT, "more than %d webhooks", WEBHOOKS_MAX);
            memcpy(url, at, len);
            url[len] = '\0';
            runner->webhooks[runner->webhook_count] =
                webhook_start(url, options->webhook_timeout_ms, options->metrics, err);
            if (runner->webhooks[runner->webhook_count] == NULL)
                return -1;
            runner->webhook_count++;
        }
        at += len;
        at += strspn(at, ", ");
    }
    return 0;
}

int rule_runner_init(struct rule_runner *runner, const struct rule_runner_options *options,
                     struct error *err)
{
    *runner = (struct rule_runner){
        .book = options->book,
        .time_ns = options->time_ms * 1000000,
        .resend_ms = options->resend_ms,
        .source_url = mem_dup(options->source_url, strlen(options->source_url)),
    };
    runner->actor.book = options->book;
    runner->actor.user = "scripts";
    runner->actor.cancelled = &runner->cancelled;
    lock_acquire(&options->book->lock);
    runner->actor.host = options->book->host;
    lock_release(&options->book->lock);
    return start_webhooks(runner, options, err);
}

static void free_written(struct written *written)
{
    for (size_t i = 0; i < written->count; i++)
        labels_unref(written->items[i]);
    mem_free(written->items);
    mem_free(written->title);
}

void rule_runner_destroy(struct rule_runner *runner)
{
    actor_destroy(&runner->actor);
    for (size_t i = 0; i < runner->webhook_count; i++)
        webhook_stop(runner->webhooks[i]);
    for (size_t i = 0; i < runner->written_count; i++)
        free_written(&runner->written[i]);
    mem_free(runner->written);
    ruleset_unref(runner->set);
    mem_free(runner->source_url);
}

void rule_runner_cancel(struct rule_runner *runner)
{
    __atomic_store_n(&runner->cancelled, 1, __ATOMIC_RELAXED);
}

static bool rule_is_in(const struct ruleset *set, enum rule_hook hook, const char *title)
{
    for (size_t i = 0; i < set->hook_count[hook]; i++) {
        if (strcmp(set->by_hook[hook][i]->title, title) == 0)
            return true;
    }
    return false;
}

void rule_runner_take_rules(struct rule_runner *runner, struct ruleset *set)
{
    size_t kept = 0;

    ruleset_unref(runner->set);
    runner->set = ruleset_ref(set);
    alerts_keep(runner->book->alerts, set);
    for (size_t i = 0; i < runner->written_count; i++) {
        if (rule_is_in(set, runner->written[i].hook, runner->written[i].title))
            runner->written[kept++] = runner->written[i];
        else
            free_written(&runner->written[i]);
    }
    runner->written_count = kept;
}

/* --- functions ---------------------------------------------------------------------------------
 */

struct run {
    struct script_state *state;
    const struct rule *rule;
    const struct script_event *event; /* NULL: a timer */
    int64_t due_ms;
};

void rule_push_event_raises(lua_State *L, const struct script_event *event)
{
    lua_createtable(L, 0, 6);
    lua_pushstring(L, event_kind_name(event->kind));
    lua_setfield(L, -2, "event");
    lua_pushnumber(L, (double)event->time_ms / 1000);
    lua_setfield(L, -2, "time");
    if (event->text[0] != '\0') {
        lua_pushstring(L, event->text);
        lua_setfield(L, -2, "text");
    }
    if (event->bound != 0) {
        lua_pushnumber(L, event->number);
        lua_setfield(L, -2, "number");
        lua_pushnumber(L, event->bound);
        lua_setfield(L, -2, "bound");
    }
    if (event->labels != NULL) {
        act_push_labels_raises(L, event->labels);
        lua_setfield(L, -2, "labels");
    }
}

static void run_function(lua_State *L, void *ctx)
{
    const struct run *run = ctx;

    script_state_push_raises(L, run->state, run->rule);
    if (run->event != NULL)
        rule_push_event_raises(L, run->event);
    else
        lua_pushnumber(L, (double)run->due_ms / 1000);
    lua_call(L, 1, 0);
}

/* Calls Lua as an actor; what it pushed counts only if all of it went well. */
int rule_runner_act(struct rule_runner *runner, const struct rule *rule,
                    void (*function)(lua_State *L, void *ctx), void *ctx,
                    struct script_state *state, struct error *err)
{
    int result;

    runner->actor.user = rule->title;
    state->binding.actor = &runner->actor;
    state->binding.decision = (struct decision){0};
    arena_reset(&state->binding.scratch);
    sandbox_set_cancel(state->sandbox, &runner->cancelled);
    result = script_state_call_for(state, rule, function, ctx, runner->time_ns, err);
    sandbox_set_cancel(state->sandbox, NULL);
    state->binding.actor = NULL;
    actor_clear(&runner->actor);
    return result;
}

/* A failure that is not Lua's. */
static void blame_rule(struct rule_runner *runner, const struct rule *rule, int64_t took_ns,
                       struct error *err)
{
    rule_stats_bad(rule, runner->set->version, runner->book->max_errors, took_ns, err);
}

static bool is_cancelled(const struct rule_runner *runner)
{
    return __atomic_load_n(&runner->cancelled, __ATOMIC_RELAXED) != 0;
}

static bool can_run(struct rule_runner *runner, const struct rule *rule, struct script_state *state)
{
    /* A reload may have come since: the next look at the timers takes it over. */
    return !is_cancelled(runner) && state->set == runner->set &&
           !rule_stats_suspended(rule->stats, runner->set->version) &&
           (!rule->has_function || state->loaded);
}

static void run_lua(struct rule_runner *runner, const struct rule *rule,
                    const struct script_event *event, int64_t due_ms)
{
    struct script_state *state = script_state_of(runner->book);
    struct run run = {state, rule, event, due_ms};
    struct error err;

    if (!can_run(runner, rule, state))
        return;
    runner->actor.time_ms = due_ms;
    if (rule_runner_act(runner, rule, run_function, &run, state, &err) != 0)
        actor_forget(&runner->actor);
    else if (actor_commit(&runner->actor, &err) != 0)
        blame_rule(runner, rule, 0, &err);
}

/* --- recording ---------------------------------------------------------------------------------
 */

static struct written *written_of(struct rule_runner *runner, const struct rule *rule)
{
    for (size_t i = 0; i < runner->written_count; i++) {
        if (runner->written[i].hook == rule->hook &&
            strcmp(runner->written[i].title, rule->title) == 0)
            return &runner->written[i];
    }
    runner->written =
        mem_realloc(runner->written, (runner->written_count + 1) * sizeof(*runner->written));
    runner->written[runner->written_count] =
        (struct written){.hook = rule->hook, .title = mem_dup(rule->title, strlen(rule->title))};
    return &runner->written[runner->written_count++];
}

static int compare_labels(const void *a, const void *b)
{
    return labels_compare(*(const struct labels *const *)a, *(const struct labels *const *)b);
}

int rule_runner_push(struct rule_runner *runner, const struct labels *labels, int64_t time_ms,
                     double value, struct error *err)
{
    size_t count = labels_count(labels);
    struct label *list = mem_alloc((count + 1) * sizeof(*list));
    int result;

    for (size_t i = 0; i < count; i++)
        list[i] = labels_at(labels, i);
    result = actor_push(&runner->actor, list, count, time_ms, value, err);
    mem_free(list);
    return result;
}

static double stale_marker(void)
{
    uint64_t bits = SAMPLE_STALE_BITS;
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Takes `now` over (sorted here), and marks what was written before and is not in it. */
int rule_runner_written(struct rule_runner *runner, const struct rule *rule,
                        const struct labels **now, size_t count, int64_t time_ms, struct error *err)
{
    struct written *written = written_of(runner, rule);
    int result = 0;
    size_t k = 0;

    if (count > 1)
        qsort(now, count, sizeof(*now), compare_labels);
    for (size_t i = 0; i < written->count && result == 0; i++) {
        while (k < count && labels_compare(now[k], written->items[i]) < 0)
            k++;
        if (k == count || !labels_equal(now[k], written->items[i]))
            result = rule_runner_push(runner, written->items[i], time_ms, stale_marker(), err);
    }
    for (size_t i = 0; i < written->count; i++)
        labels_unref(written->items[i]);
    mem_free(written->items);
    written->items = now;
    written->count = count;
    return result;
}

static struct labels *recorded_labels(const struct rule *rule, const struct labels *sample)
{
    struct labels_builder builder;
    struct labels *labels;

    labels_builder_init(&builder);
    labels_builder_reset(&builder, sample);
    labels_builder_set(&builder, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), rule->metric,
                       strlen(rule->metric));
    for (size_t i = 0; i < rule->label_count; i++)
        labels_builder_set(&builder, rule->labels[i].name, strlen(rule->labels[i].name),
                           rule->labels[i].value, strlen(rule->labels[i].value));
    labels = labels_builder_build(&builder);
    labels_builder_destroy(&builder);
    return labels;
}

/* The query's answer (taken over) under the rule's name. */
static int record_value(struct rule_runner *runner, const struct rule *rule, struct value *value,
                        int64_t due_ms, struct error *err)
{
    bool scalar = value->type == VALUE_SCALAR;
    size_t count = scalar ? 1 : value->count;
    const struct labels **now;
    int result = 0;

    if (value->type != VALUE_VECTOR && !scalar)
        return error_set(err, ERR_EXECUTION, "the answer is neither a vector nor a scalar");
    now = mem_alloc((count + 1) * sizeof(*now));
    for (size_t i = 0; i < count; i++) {
        now[i] = recorded_labels(rule, scalar ? NULL : value->series[i].labels);
        if (result == 0)
            result = rule_runner_push(runner, now[i], due_ms,
                                      scalar ? value->scalar : value->series[i].value, err);
    }
    if (rule_runner_written(runner, rule, now, count, due_ms, err) != 0)
        result = -1;
    for (size_t i = 1; i < count && result == 0; i++) {
        if (labels_equal(now[i - 1], now[i]))
            result = error_set(err, ERR_EXECUTION, "two series with the same labels");
    }
    return result;
}

/* The query of a record or alert rule; the value is the caller's. */
static int ask(struct rule_runner *runner, const struct rule *rule, int64_t due_ms,
               struct value *value, struct error *err)
{
    runner->actor.user = rule->title;
    runner->actor.time_ms = due_ms;
    if (actor_query(&runner->actor, rule->text, strlen(rule->text), due_ms, due_ms, 0,
                    runner->time_ns / 1000000, false, err) != 0)
        return -1;
    *value = runner->actor.value;
    runner->actor.value = (struct value){0};
    actor_clear(&runner->actor);
    return 0;
}

static void run_query_rule(struct rule_runner *runner, const struct rule *rule, int64_t due_ms)
{
    struct script_state *state = script_state_of(runner->book);
    int64_t start_ns = clock_mono_ns(clock_system()), took_ns;
    struct value value = {0};
    struct error err;
    int result;

    if (!can_run(runner, rule, state))
        return;
    result = ask(runner, rule, due_ms, &value, &err);
    if (result == 0)
        result = rule->hook == RULE_RECORD ? record_value(runner, rule, &value, due_ms, &err)
                                           : run_alert(runner, rule, &value, due_ms, &err);
    value_destroy(&value);
    if (result != 0)
        actor_forget(&runner->actor);
    else
        result = actor_commit(&runner->actor, &err);
    if (is_cancelled(runner))
        return;
    took_ns = clock_mono_ns(clock_system()) - start_ns;
    alerts_evaluated(runner->book->alerts, rule, due_ms, took_ns, result == 0 ? NULL : &err);
    if (result == 0)
        rule_stats_good(rule->stats, took_ns);
    else
        blame_rule(runner, rule, took_ns, &err);
}

/* -----------------------------------------------------------------------------------------------
 */

void rule_runner_timer(struct rule_runner *runner, const struct rule *rule, int64_t due_ms)
{
    if (rule->hook == RULE_EVERY)
        run_lua(runner, rule, NULL, due_ms);
    else
        run_query_rule(runner, rule, due_ms);
}

size_t rule_runner_event(struct rule_runner *runner, const struct script_event *event)
{
    size_t ran = 0;

    for (size_t i = 0; runner->set != NULL && i < runner->set->hook_count[RULE_ON]; i++) {
        const struct rule *rule = runner->set->by_hook[RULE_ON][i];

        if (strcmp(rule->text, event_kind_name(event->kind)) != 0)
            continue;
        run_lua(runner, rule, event, event->time_ms);
        ran++;
    }
    return ran;
}
