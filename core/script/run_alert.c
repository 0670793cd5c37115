/* run_alert.c - see run_alert.h. */
#include "script/run_alert.h"

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "base/number.h"
#include "script/rulebook_impl.h"
#include "script/sandbox.h"
#include "script/webhook.h"

#define MAX_NOTES 32
#define MAX_NOTE_BYTES ((size_t)4 << 10)

struct noting {
    struct rule_runner *runner;
    const struct rule *rule;
    struct script_state *state;
    int64_t due_ms;

    struct alert *alert; /* the one that is annotated */
    struct buf text;     /* while Lua may raise */
};

/* --- annotations -------------------------------------------------------------------------------
 */

static void add_note(struct alert *alert, const char *name, const char *value, size_t len)
{
    alert->notes = mem_realloc(alert->notes, (alert->note_count + 1) * sizeof(*alert->notes));
    alert->notes[alert->note_count++] = (struct rule_pair){
        mem_dup(name, strlen(name)), mem_dup(value, TIDE_MIN(len, MAX_NOTE_BYTES))};
}

/* "$value" or "$labels.NAME" between {{ and }}; false: neither. */
static bool put_variable(struct buf *out, const struct alert *alert, const char *at, size_t len)
{
    static const char of_labels[] = "$labels.";
    struct label label;

    while (len > 0 && at[0] == ' ') {
        at++;
        len--;
    }
    while (len > 0 && at[len - 1] == ' ')
        len--;
    if (len == 6 && memcmp(at, "$value", 6) == 0) {
        char number[NUMBER_MAX_BYTES];

        buf_append(out, number, number_format_api(number, alert->value));
        return true;
    }
    if (len < sizeof(of_labels) || memcmp(at, of_labels, sizeof(of_labels) - 1) != 0)
        return false;
    at += sizeof(of_labels) - 1;
    len -= sizeof(of_labels) - 1;
    if (labels_find(alert->labels, at, len, &label))
        buf_append(out, label.value, label.value_len);
    return true;
}

/* A text with {{ $labels.instance }} and {{ $value }} filled in. */
static void fill_template(struct buf *out, const struct alert *alert, const char *text)
{
    const char *open, *close;

    while ((open = strstr(text, "{{")) != NULL && (close = strstr(open, "}}")) != NULL) {
        buf_append(out, text, (size_t)(open - text));
        if (!put_variable(out, alert, open + 2, (size_t)(close - open - 2)))
            buf_append(out, open, (size_t)(close + 2 - open));
        text = close + 2;
    }
    buf_puts(out, text);
}

static void annotate_by_texts(const struct rule *rule, struct alert *alert)
{
    for (size_t i = 0; i < rule->note_count; i++) {
        struct buf text = {0};

        fill_template(&text, alert, rule->notes[i].value);
        add_note(alert, rule->notes[i].name, text.len > 0 ? (char *)text.data : "", text.len);
        buf_destroy(&text);
    }
}

/* The function gets { labels, value, time } and returns texts by name. */
static void annotate_run(lua_State *L, void *ctx)
{
    struct noting *noting = ctx;

    script_state_push_raises(L, noting->state, noting->rule);
    lua_createtable(L, 0, 3);
    act_push_labels_raises(L, noting->alert->labels);
    lua_setfield(L, -2, "labels");
    lua_pushnumber(L, noting->alert->value);
    lua_setfield(L, -2, "value");
    lua_pushnumber(L, (double)noting->due_ms / 1000);
    lua_setfield(L, -2, "time");
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1))
        return;
    luaL_checktype(L, -1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        size_t len;
        const char *value;

        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "annotations are texts by name");
        if (noting->alert->note_count == MAX_NOTES)
            luaL_error(L, "more than %d annotations", MAX_NOTES);
        value = lua_tolstring(L, -1, &len);
        add_note(noting->alert, lua_tostring(L, -2), value, len);
    }
}

static int compare_notes(const void *a, const void *b)
{
    return strcmp(((const struct rule_pair *)a)->name, ((const struct rule_pair *)b)->name);
}

/* alerts_take's callback. A function that fails leaves the alert without annotations: it fires. */
static void annotate(void *ctx, struct alert *alert)
{
    struct noting *noting = ctx;
    struct error err;

    if (!noting->rule->has_function) {
        annotate_by_texts(noting->rule, alert);
        return;
    }
    noting->alert = alert;
    noting->runner->actor.time_ms = noting->due_ms;
    if (rule_runner_act(noting->runner, noting->rule, annotate_run, noting, noting->state, &err) !=
        0)
        add_note(alert, "error", "the annotations failed", strlen("the annotations failed"));
    if (alert->note_count > 1)
        qsort(alert->notes, alert->note_count, sizeof(*alert->notes), compare_notes);
}

/* --- series ------------------------------------------------------------------------------------
 */

/* ALERTS is 1 for each that is pending or firing, ALERTS_FOR_STATE says since when. */
static int push_series(struct rule_runner *runner, const struct rule *rule, int64_t due_ms,
                       struct error *err)
{
    struct alerts *alerts = runner->book->alerts;
    const struct labels **now;
    const struct alert *alert;
    size_t count = 0, all = 0;
    int result = 0;

    while (alerts_at(alerts, rule, all) != NULL)
        all++;
    now = mem_alloc((2 * all + 1) * sizeof(*now));
    for (size_t i = 0; (alert = alerts_at(alerts, rule, i)) != NULL; i++) {
        if (alert->state == ALERT_INACTIVE)
            continue;
        now[count++] = alert_series_labels(alert->labels, "ALERTS", alert->state);
        if (result == 0)
            result = rule_runner_push(runner, now[count - 1], due_ms, 1, err);
        now[count++] = alert_series_labels(alert->labels, "ALERTS_FOR_STATE", ALERT_INACTIVE);
        if (result == 0)
            result = rule_runner_push(runner, now[count - 1], due_ms,
                                      (double)(alert->active_ms / 1000), err);
    }
    if (rule_runner_written(runner, rule, now, count, due_ms, err) != 0)
        result = -1;
    return result;
}

/* --- webhooks ----------------------------------------------------------------------------------
 */

static void send_alerts(struct rule_runner *runner, const struct rule *rule, int64_t due_ms)
{
    const struct script_sink *sink = runner->book->sink;
    struct buf json = {0};
    struct alert *alert;

    for (size_t i = 0; (runner->webhook_count > 0 || sink != NULL) &&
                       (alert = alerts_at(runner->book->alerts, rule, i)) != NULL;
         i++) {
        int64_t end_ms = alert->resolved_ms;

        if (alert->state == ALERT_PENDING ||
            (alert->sent_ms != 0 && due_ms - alert->sent_ms < runner->resend_ms))
            continue;
        /* As long as it fires it ends when nothing is heard of it for a while. */
        if (alert->state == ALERT_FIRING)
            end_ms = due_ms + 4 * TIDE_MAX(rule->every_ms, runner->resend_ms);
        json.len = 0;
        alert_put_json(&json, alert, runner->source_url, end_ms);
        if (sink != NULL)
            sink->alert(sink->ctx, alert, due_ms);
        for (size_t k = 0; sink == NULL && k < runner->webhook_count; k++)
            webhook_put(runner->webhooks[k], (char *)json.data, json.len);
        alert->sent_ms = due_ms;
    }
    buf_destroy(&json);
}

/* --- after a restart ---------------------------------------------------------------------------
 */

/* alerts_take's callback: since when a label set is pending, by ALERTS_FOR_STATE in the store. */
static int64_t restored(void *ctx, const struct labels *labels)
{
    struct noting *noting = ctx;
    struct rule_runner *runner = noting->runner;
    struct buf query = {0};
    int64_t since_ms = 0;
    struct error err;

    if (noting->rule->hold_ms == 0)
        return 0;
    buf_puts(&query, "ALERTS_FOR_STATE{");
    for (size_t i = 0; i < labels_count(labels); i++) {
        struct label label = labels_at(labels, i);

        labels_quote(&query, label.name, label.name_len);
        buf_putc(&query, '=');
        labels_quote(&query, label.value, label.value_len);
        buf_putc(&query, ',');
    }
    buf_puts(&query, "}");
    if (actor_query(&runner->actor, (char *)query.data, query.len, noting->due_ms, noting->due_ms,
                    0, runner->time_ns / 1000000, false, &err) == 0 &&
        runner->actor.value.type == VALUE_VECTOR && runner->actor.value.count == 1)
        since_ms = (int64_t)runner->actor.value.series[0].value * 1000;
    actor_clear(&runner->actor);
    buf_destroy(&query);
    return since_ms > 0 && since_ms <= noting->due_ms ? since_ms : 0;
}

int run_alert(struct rule_runner *runner, const struct rule *rule, const struct value *answer,
              int64_t due_ms, struct error *err)
{
    struct noting noting = {
        .runner = runner, .rule = rule, .state = script_state_of(runner->book), .due_ms = due_ms};

    if (alerts_take(runner->book->alerts, rule, due_ms, answer, annotate, restored, &noting, err) !=
        0)
        return -1;
    if (push_series(runner, rule, due_ms, err) != 0)
        return -1;
    send_alerts(runner, rule, due_ms);
    alerts_prune(runner->book->alerts, rule, due_ms);
    return 0;
}
