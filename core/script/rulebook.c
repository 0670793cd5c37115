/* rulebook.c - see rulebook.h: rulesets, the states of threads, reload. The questions themselves
 * are answered in decide.c. */
#include "script/rulebook.h"

#include <pthread.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "script/alert_masks.h"
#include "script/declared.h"
#include "script/rulebook_impl.h"
#include "script/sandbox.h"
#include "script/shape.h"
#include "script/shared.h"
#include "script/tally.h"

#define DEFAULT_TIME_MS 250
#define DEFAULT_MEMORY ((size_t)16 << 20)
#define DEFAULT_MAX_ERRORS 10
#define DEFAULT_LOAD_MS 2000
#define REGEX_CACHE 64

/* --- states --------------------------------------------------------------------------------------
 */

struct load {
    struct script_state *state;
    struct ruleset *set;
    const struct script_file *current;
};

static void load_run(lua_State *L, void *ctx)
{
    struct load *load = ctx;

    binding_open_raises(L, &load->state->binding);
    ruleset_load_raises(L, load->set, &load->current);
    load->state->functions_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    sandbox_require_raises(L, "tidemark.tide");
    lua_getfield(L, -1, "drop_type");
    load->state->drop_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, "refuse_type");
    load->state->refuse_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, "milliseconds");
    load->state->milliseconds_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    load->state->durations_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void state_clear(struct script_state *state)
{
    sandbox_free(state->sandbox);
    state->sandbox = NULL;
    ruleset_unref(state->set);
    state->set = NULL;
    arena_destroy(&state->binding.scratch);
    buf_destroy(&state->binding.text);
    state->loaded = false;
}

/* A fresh sandbox with the set's scripts loaded; the state takes the reference in any case. */
static int state_load(struct script_state *state, struct ruleset *set, struct error *err)
{
    struct rulebook *book = state->book;
    struct load load = {.state = state, .set = set};

    state_clear(state);
    state->set = set;
    state->binding = (struct binding){.clock = book->clock,
                                      .regexes = book->regexes,
                                      .rules = set,
                                      .tallies = book->tallies,
                                      .sink = book->sink};
    state->duration_count = 0;
    state->times_ref = state->values_ref = 0;
    state->sandbox = sandbox_new(book->memory_bytes, book->watchdog, err);
    if (state->sandbox == NULL)
        return -1;
    sandbox_set_owner(state->sandbox, &state->binding);
    if (sandbox_run(state->sandbox, load_run, &load, book->load_ns, err) == -1) {
        if (load.current != NULL && sandbox_last_stop(state->sandbox) != SANDBOX_RAISED)
            error_note(err, "%s", load.current->chunk_name + 1);
        return -1;
    }
    state->binding.shared = book->shared;
    sandbox_collect(state->sandbox);
    state->loaded = true;
    return 0;
}

static void state_free(void *value)
{
    struct script_state *state = value;
    struct rulebook *book = state->book;

    if (state->inner != NULL)
        state_free(state->inner);
    lock_acquire(&book->lock);
    for (struct script_state **at = &book->states; *at != NULL; at = &(*at)->next) {
        if (*at == state) {
            *at = state->next;
            break;
        }
    }
    lock_release(&book->lock);
    state_clear(state);
    mem_free(state);
}

/* The state gets the rules in force. A failure leaves it without, which decide.c answers by the
 * failure defaults; it is tried again after the next reload. */
static void state_renew(struct script_state *state)
{
    struct rulebook *book = state->book;
    struct ruleset *set;
    struct error err;

    set = rulebook_take_rules(book);
    if (set->rule_count == 0) { /* nothing to ask: no Lua */
        state_clear(state);
        state->set = set;
    } else if (state_load(state, set, &err) == -1) {
        log_error("the scripts did not load in a thread", "error=\"%s\"", err.text);
    }
}

struct script_state *script_state_of(struct rulebook *book)
{
    struct script_state *state = pthread_getspecific(book->key);

    if (state == NULL) {
        state = mem_zalloc(1, sizeof(*state));
        state->book = book;
        lock_acquire(&book->lock);
        state->next = book->states;
        book->states = state;
        lock_release(&book->lock);
        TIDE_ASSERT(pthread_setspecific(book->key, state) == 0);
    }
    while (state->sandbox != NULL && sandbox_is_active(state->sandbox)) {
        if (state->inner == NULL) {
            state->inner = mem_zalloc(1, sizeof(*state->inner));
            state->inner->book = book;
        }
        state = state->inner;
    }
    if (state->set == NULL ||
        state->set->version != __atomic_load_n(&book->version, __ATOMIC_ACQUIRE))
        state_renew(state);
    return state;
}

bool script_state_can_answer(const struct script_state *state, const struct rule *rule)
{
    return state->loaded && !rule_stats_suspended(rule->stats, state->set->version);
}

/* Failures are events, but not those of the rules that wait for them. */
static void tell_failure(struct script_state *state, const struct rule *rule,
                         const struct error *err)
{
    struct script_event event = {.kind = EVENT_SCRIPT_ERROR};

    if (!events_wanted(state->book->events, event.kind) ||
        (rule->hook == RULE_ON && strcmp(rule->text, event_kind_name(event.kind)) == 0))
        return;
    event.time_ms = clock_wall_ms(state->book->clock);
    snprintf(event.text, sizeof(event.text), "%.*s", (int)sizeof(event.text) - 1, err->text);
    events_put(state->book->events, &event);
}

int script_state_call_for(struct script_state *state, const struct rule *rule,
                          void (*run)(lua_State *L, void *ctx), void *ctx, int64_t time_ns,
                          struct error *err)
{
    int result = sandbox_run(state->sandbox, run, ctx, time_ns, err);
    int64_t took_ns = clock_mono_ns(clock_system()) - sandbox_start_ns(state->sandbox);

    if (result == 0) {
        rule_stats_good(rule->stats, took_ns);
    } else if (err->code != ERR_CANCELLED) {
        rule_stats_bad(rule, state->set->version, state->book->max_errors, took_ns, err);
        tell_failure(state, rule, err);
    }
    return result;
}

int script_state_call(struct script_state *state, const struct rule *rule,
                      void (*run)(lua_State *L, void *ctx), void *ctx, struct error *err)
{
    return script_state_call_for(state, rule, run, ctx, state->book->time_ns, err);
}

void script_state_push_raises(lua_State *L, const struct script_state *state,
                              const struct rule *rule)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->functions_ref);
    lua_rawgeti(L, -1, (int)ruleset_index(state->set, rule) + 1);
    lua_remove(L, -2);
}

/* --- life ----------------------------------------------------------------------------------------
 */

/* Reads and tries the folder in a state that is thrown away. */
static struct ruleset *read_and_try(struct rulebook *book, struct error *err)
{
    struct ruleset *set = ruleset_read(book->folder, book->only, err);
    struct script_state probe = {.book = book};
    int result;

    if (set == NULL)
        return NULL;
    if (set->file_count == 0)
        return set;
    result = state_load(&probe, ruleset_ref(set), err);
    state_clear(&probe);
    if (result == -1) {
        ruleset_unref(set);
        return NULL;
    }
    return set;
}

/* Which events rules wait for. */
static unsigned wanted_events(const struct ruleset *set)
{
    unsigned wanted = 0;

    for (size_t i = 0; i < set->hook_count[RULE_ON]; i++) {
        for (int kind = 0; kind < EVENT_KINDS; kind++) {
            if (strcmp(set->by_hook[RULE_ON][i]->text, event_kind_name((enum event_kind)kind)) == 0)
                wanted |= 1u << kind;
        }
    }
    return wanted;
}

int rulebook_reload(struct rulebook *book, struct error *err)
{
    struct ruleset *set = read_and_try(book, err);
    struct ruleset *old;

    if (set == NULL)
        return -1;
    lock_acquire(&book->lock);
    set->version = book->version + 1;
    for (size_t i = 0; i < set->rule_count; i++) {
        struct rule *rule = &set->rules[i];

        rule->stats = rule_stats_of(&book->stats, rule->hook, rule->title, book->metrics);
        __atomic_store_n(&rule->stats->errors_in_row, 0, __ATOMIC_RELAXED);
    }
    declared_count_in_stats(set);
    events_want(book->events, book->sink != NULL ? ~0u : wanted_events(set));
    old = book->current;
    book->current = set;
    __atomic_store_n(&book->version, set->version, __ATOMIC_RELEASE);
    lock_release(&book->lock);
    events_wake(book->events); /* the scripts thread takes them over */
    ruleset_unref(old);
    log_info("scripts loaded", "files=%zu rules=%zu version=%" PRIu64, set->file_count,
             set->rule_count, set->version);
    return 0;
}

struct rulebook *rulebook_open(const struct rulebook_options *options, struct error *err)
{
    struct rulebook *book = mem_zalloc(1, sizeof(*book));

    book->folder = mem_dup(options->folder, strlen(options->folder));
    book->only = options->only != NULL ? mem_dup(options->only, strlen(options->only)) : NULL;
    book->sink = options->sink;
    book->time_ns = (options->time_ms != 0 ? options->time_ms : DEFAULT_TIME_MS) * 1000000;
    book->load_ns = (options->load_ms != 0 ? options->load_ms : DEFAULT_LOAD_MS) * 1000000;
    book->memory_bytes = options->memory_bytes != 0 ? options->memory_bytes : DEFAULT_MEMORY;
    book->max_errors = options->max_errors != 0 ? options->max_errors : DEFAULT_MAX_ERRORS;
    book->clock = options->clock != NULL ? options->clock : clock_system();
    book->metrics = options->metrics;
    book->regexes = regex_cache_new(REGEX_CACHE);
    book->tallies = tallies_new(options->metrics);
    book->shared = shared_new();
    book->events = events_new(options->metrics);
    book->alerts = alerts_new();
    lock_init(&book->lock);
    TIDE_ASSERT(pthread_key_create(&book->key, state_free) == 0);
    decide_fill(&book->policy, book);
    book->watchdog = watchdog_new(err);
    if (book->watchdog == NULL || rulebook_reload(book, err) == -1) {
        rulebook_close(book);
        return NULL;
    }
    return book;
}

struct rulebook *rulebook_open_beside(const struct rulebook *book, const char *folder,
                                      struct error *err)
{
    struct rulebook_options options = {
        .folder = folder,
        .time_ms = book->time_ns / 1000000,
        .load_ms = book->load_ns / 1000000,
        .memory_bytes = book->memory_bytes,
        .max_errors = book->max_errors,
        .clock = book->clock,
    };

    return rulebook_open(&options, err);
}

void rulebook_close(struct rulebook *book)
{
    if (book == NULL)
        return;
    pthread_key_delete(book->key);
    while (book->states != NULL)
        state_free(book->states);
    ruleset_unref(book->current);
    rule_stats_free_all(book->stats);
    watchdog_free(book->watchdog);
    regex_cache_free(book->regexes);
    tallies_free(book->tallies);
    shared_free(book->shared);
    events_free(book->events);
    alerts_free(book->alerts);
    lock_destroy(&book->lock);
    mem_free(book->folder);
    mem_free(book->only);
    mem_free(book);
}

const struct policy *rulebook_policy(const struct rulebook *book)
{
    return &book->policy;
}

uint64_t rulebook_version(const struct rulebook *book)
{
    return __atomic_load_n(&book->version, __ATOMIC_ACQUIRE);
}

struct ruleset *rulebook_take_rules(struct rulebook *book)
{
    struct ruleset *set;

    lock_acquire(&book->lock);
    set = ruleset_ref(book->current);
    lock_release(&book->lock);
    return set;
}

void rulebook_attach(struct rulebook *book, const struct script_host *host)
{
    if (book == NULL)
        return;
    lock_acquire(&book->lock);
    book->host = host != NULL ? *host : (struct script_host){0};
    lock_release(&book->lock);
}

/* What a read may see of alerts. -1: a result rule is broken. */
static int shown_to(struct rulebook *book, struct read_request *read, const struct ruleset *set,
                    struct alert_masks *masks, struct alerts_shown *shown, struct error *err)
{
    *shown = (struct alerts_shown){read->restrictions, read->restriction_count, NULL};
    if (set->hook_count[RULE_RESULT] == 0)
        return 0;
    shown->masks = masks;
    return alert_masks_fill(masks, book, read, set, err);
}

int rulebook_put_rules(struct rulebook *book, struct read_request *read, bool alerting,
                       bool recording, struct buf *out, struct error *err)
{
    struct ruleset *set = rulebook_take_rules(book);
    struct alert_masks masks = {0};
    struct alerts_shown shown;
    int result = shown_to(book, read, set, &masks, &shown, err);

    if (result == 0)
        alerts_put_rules(book->alerts, set, &shown, alerting, recording, out);
    alert_masks_destroy(&masks);
    ruleset_unref(set);
    return result;
}

int rulebook_put_alerts(struct rulebook *book, struct read_request *read, struct buf *out,
                        struct error *err)
{
    struct ruleset *set = rulebook_take_rules(book);
    struct alert_masks masks = {0};
    struct alerts_shown shown;
    int result = shown_to(book, read, set, &masks, &shown, err);

    if (result == 0)
        alerts_put_alerts(book->alerts, set, &shown, out);
    alert_masks_destroy(&masks);
    ruleset_unref(set);
    return result;
}

size_t rulebook_state_bytes(struct rulebook *book)
{
    struct script_state *state = script_state_of(book);

    if (state->sandbox == NULL)
        return 0;
    sandbox_collect(state->sandbox);
    return sandbox_used_bytes(state->sandbox);
}

void rulebook_describe(struct rulebook *book, struct buf *out)
{
    struct ruleset *set = rulebook_take_rules(book);

    buf_puts(out, "[");
    for (size_t i = 0; i < set->rule_count; i++) {
        if (i > 0)
            buf_puts(out, ",");
        rule_stats_describe(&set->rules[i], set->version, out);
    }
    buf_puts(out, "]");
    ruleset_unref(set);
}
