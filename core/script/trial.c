/* trial.c - see trial.h. What a test can do is lua/tidemark/trial.lua, on trial_binding.c. */
#include "script/trial.h"

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "script/operate_binding.h"
#include "script/rulebook_impl.h"
#include "script/sandbox.h"
#include "script/scheduler.h"
#include "script/show_binding.h"
#include "script/trial_impl.h"

#define LOAD_TIME_NS ((int64_t)2 * 1000 * 1000 * 1000)
#define MEMORY_BYTES ((size_t)64 << 20)
#define MAX_PRINTED ((size_t)1 << 20)
/* 2026-01-01T00:00:00Z: when every test begins. */
#define BEGIN_MS INT64_C(1767225600000)

/* --- what scripts tell -------------------------------------------------------------------------
 */

static void keep_line(void *ctx, int level, const char *text, size_t len)
{
    struct trial *trial = ctx;

    if (trial->line_count == TRIAL_TOLD_MAX)
        return;
    trial->lines = mem_realloc(trial->lines, (trial->line_count + 1) * sizeof(*trial->lines));
    trial->lines[trial->line_count++] =
        (struct trial_line){level, clock_wall_ms(&trial->clock), mem_dup(text, len)};
}

static void keep_alert(void *ctx, const struct alert *alert, int64_t time_ms)
{
    struct trial *trial = ctx;
    struct trial_alert *kept;

    if (trial->alert_count == TRIAL_TOLD_MAX)
        return;
    trial->alerts = mem_realloc(trial->alerts, (trial->alert_count + 1) * sizeof(*trial->alerts));
    kept = &trial->alerts[trial->alert_count++];
    *kept = (struct trial_alert){.time_ms = time_ms,
                                 .labels = labels_ref(alert->labels),
                                 .notes = mem_zalloc(alert->note_count + 1, sizeof(*kept->notes)),
                                 .note_count = alert->note_count,
                                 .value = alert->value,
                                 .firing = alert->state == ALERT_FIRING};
    for (size_t i = 0; i < alert->note_count; i++) {
        kept->notes[i].name = mem_dup(alert->notes[i].name, strlen(alert->notes[i].name));
        kept->notes[i].value = mem_dup(alert->notes[i].value, strlen(alert->notes[i].value));
    }
}

static void keep_event(void *ctx, const struct script_event *event)
{
    struct trial *trial = ctx;

    if (trial->event_count == TRIAL_TOLD_MAX)
        return;
    trial->events = mem_realloc(trial->events, (trial->event_count + 1) * sizeof(*trial->events));
    trial->events[trial->event_count] = *event;
    if (event->labels != NULL)
        trial->events[trial->event_count].labels = labels_ref(event->labels);
    trial->event_count++;
}

static void free_told(struct trial *trial)
{
    for (size_t i = 0; i < trial->event_count; i++)
        labels_unref(trial->events[i].labels);
    mem_free(trial->events);
    for (size_t i = 0; i < trial->line_count; i++)
        mem_free(trial->lines[i].text);
    for (size_t i = 0; i < trial->alert_count; i++) {
        struct trial_alert *alert = &trial->alerts[i];

        labels_unref(alert->labels);
        for (size_t k = 0; k < alert->note_count; k++) {
            mem_free(alert->notes[k].name);
            mem_free(alert->notes[k].value);
        }
        mem_free(alert->notes);
    }
    mem_free(trial->lines);
    mem_free(trial->alerts);
}

static void print(void *ctx, const char *text, size_t len)
{
    struct trial *trial = ctx;
    struct buf *out = &trial->result->printed;

    if (out->len < MAX_PRINTED)
        buf_append(out, text, TIDE_MIN(len, MAX_PRINTED - out->len));
}

/* --- life --------------------------------------------------------------------------------------
 */

/* The rules of the folder, or of none (then a file is only read). */
static int open_rules(struct trial *trial, const char *folder, const char *only, struct error *err)
{
    struct rulebook_options rules = trial->options->rules;

    clock_init_manual(&trial->clock, BEGIN_MS);
    trial->sink = (struct script_sink){keep_line, keep_alert, keep_event, trial};
    rules.folder = folder;
    rules.only = only;
    rules.clock = &trial->clock;
    rules.metrics = NULL;
    rules.sink = &trial->sink;
    trial->book = rulebook_open(&rules, err);
    return trial->book != NULL ? 0 : -1;
}

/* As a server with these bounds would have it, but nothing runs or is held by itself. */
static int open_store(struct trial *trial, int64_t retention_ms, struct error *err)
{
    struct store_options store = trial->options->store;
    struct script_host host = trial->options->host;
    const struct scheduler_options scheduler = {
        .book = trial->book,
        .time_ms = trial->options->timer_time_ms,
        .resend_ms = trial->options->resend_ms,
        .no_thread = true,
    };

    if (retention_ms != 0)
        store.retention_ms = retention_ms;
    store.data_dir = trial->options->data_dir;
    store.clock = &trial->clock;
    store.policy = rulebook_policy(trial->book);
    store.metrics = NULL;
    store.no_background = true;
    store.min_shrink_ratio = 0; /* or what is too old may stay for long */
    store.clock_slack_ms = INT64_MAX;
    store.hold_share = 1;
    store.min_free_bytes = store.disk_low_bytes = 0;
    store.series_sync = SERIES_SYNC_NEVER;
    store.wal_sync = 0;
    trial->store = store_open(&store, NULL, err);
    if (trial->store == NULL)
        return -1;
    host.store = trial->store;
    host.by_hand = true;
    rulebook_attach(trial->book, &host);
    trial->scheduler = scheduler_start(&scheduler, err);
    if (trial->scheduler == NULL)
        return -1;
    trial->actor = (struct actor){.book = trial->book,
                                  .user = "test",
                                  .cancelled = (int *)trial->options->cancelled,
                                  .print = print,
                                  .print_ctx = trial,
                                  .operates = true,
                                  .host = host};
    scheduler_run_due(trial->scheduler); /* takes the rules over: events are waited for */
    return 0;
}

static int open_state(struct trial *trial, struct error *err)
{
    struct rulebook *book = trial->book;
    struct script_state *state = &trial->state;

    state->book = book;
    state->set = rulebook_take_rules(book);
    state->binding = (struct binding){.clock = book->clock,
                                      .regexes = book->regexes,
                                      .rules = state->set,
                                      .tallies = book->tallies,
                                      .shared = book->shared,
                                      .sink = book->sink};
    state->sandbox = sandbox_new(MEMORY_BYTES, book->watchdog, err);
    if (state->sandbox == NULL)
        return -1;
    sandbox_set_owner(state->sandbox, &state->binding);
    sandbox_set_cancel(state->sandbox, trial->options->cancelled);
    return 0;
}

static void trial_close(struct trial *trial)
{
    sandbox_free(trial->state.sandbox);
    ruleset_unref(trial->state.set);
    arena_destroy(&trial->state.binding.scratch);
    buf_destroy(&trial->state.binding.text);
    actor_destroy(&trial->actor);
    buf_destroy(&trial->user);
    buf_destroy(&trial->tenant);
    scheduler_stop(trial->scheduler);
    if (trial->store != NULL) {
        rulebook_attach(trial->book, NULL);
        store_abandon(trial->store);
    }
    rulebook_close(trial->book);
    free_told(trial);
}

/* --- running -----------------------------------------------------------------------------------
 */

/* The file registers its tests. */
static void load_run(lua_State *L, void *ctx)
{
    struct trial *trial = ctx;

    binding_open_raises(L, &trial->state.binding);
    sandbox_native_raises(L);
    show_open_raises(L);
    operate_open_raises(L);
    look_open_raises(L);
    trial_open_raises(L);
    lua_pop(L, 1);
    ruleset_load_file_raises(L, "tidemark.trial", trial->file);
    lua_call(L, 0, 0);
}

static void test_run(lua_State *L, void *ctx)
{
    const struct trial *trial = ctx;

    sandbox_require_raises(L, "tidemark.trial");
    lua_getfield(L, -1, "run");
    lua_pushinteger(L, (lua_Integer)trial->index + 1);
    lua_call(L, 1, 0);
}

static int load(struct trial *trial, struct error *err)
{
    if (sandbox_run(trial->state.sandbox, load_run, trial, LOAD_TIME_NS, err) == 0)
        return 0;
    if (sandbox_last_stop(trial->state.sandbox) != SANDBOX_RAISED)
        error_note(err, "%s", trial->file->chunk_name + 1);
    return -1;
}

int trial_list_read(const struct trial_options *options, const struct script_file *file,
                    struct trial_list *list, struct error *err)
{
    struct trial trial = {.options = options, .file = file, .list = list};
    int result = 0;

    if (open_rules(&trial, options->folder, "", err) != 0 || open_state(&trial, err) != 0 ||
        load(&trial, err) != 0)
        result = -1;
    trial_close(&trial);
    return result;
}

/* With all that a console may do, and more. */
static int run_test(struct trial *trial, struct error *err)
{
    const struct trial_options *options = trial->options;
    int result;

    if (load(trial, err) != 0)
        return -1;
    trial->state.binding.actor = &trial->actor;
    result = sandbox_run(trial->state.sandbox, test_run, trial, options->time_ms * 1000000, err);
    trial->state.binding.actor = NULL;
    return result;
}

/* Where the test stands, for what has no line of its own. */
static void note_stop(const struct trial *trial, const struct trial_list *list, struct error *err)
{
    const struct trial_options *options = trial->options;

    if (trial->state.sandbox == NULL)
        return;
    if (sandbox_last_stop(trial->state.sandbox) == SANDBOX_TIME && err->code == ERR_TIMEOUT)
        (void)error_set(err, ERR_TIMEOUT, "ran longer than %" PRId64 " s (--time-limit)",
                        options->time_ms / 1000);
    if (sandbox_last_stop(trial->state.sandbox) != SANDBOX_RAISED)
        error_note(err, "%s:%d", trial->file->chunk_name + 1, list->items[trial->index].line);
}

void trial_run(const struct trial_options *options, const struct script_file *file,
               const struct trial_list *list, size_t index, struct trial_result *result)
{
    struct trial trial = {.options = options, .file = file, .index = index, .result = result};
    const char *only = list->only.len != 0 ? (const char *)list->only.data : NULL;
    int64_t begin_ns = clock_mono_ns(clock_system());
    struct error err;

    result->passed = true;
    if (open_rules(&trial, options->folder, only, &err) != 0 ||
        open_store(&trial, list->retention_ms, &err) != 0 || open_state(&trial, &err) != 0 ||
        run_test(&trial, &err) != 0) {
        result->passed = false;
        note_stop(&trial, list, &err);
        buf_puts(&result->problem, err.text);
    } else if (result->problem.len != 0) {
        result->passed = false;
    }
    trial_close(&trial);
    result->took_ns = clock_mono_ns(clock_system()) - begin_ns;
}

void trial_list_destroy(struct trial_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->items[i].title);
    mem_free(list->items);
    buf_destroy(&list->only);
}

void trial_result_destroy(struct trial_result *result)
{
    buf_destroy(&result->problem);
    buf_destroy(&result->printed);
}
