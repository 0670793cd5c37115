/* trial_impl.h - the inside of a test that runs, for trial.c and trial_binding.c. */
#ifndef TIDE_SCRIPT_TRIAL_IMPL_H
#define TIDE_SCRIPT_TRIAL_IMPL_H

#include "base/clock.h"
#include "script/act.h"
#include "script/rulebook_impl.h"
#include "script/trial.h"

struct scheduler;

/* What scripts told; the oldest TRIAL_TOLD_MAX of each are kept. */
#define TRIAL_TOLD_MAX 10000

struct trial_line {
    int level;
    int64_t time_ms;
    char *text;
};

/* An alert on its way to webhooks. */
struct trial_alert {
    int64_t time_ms;
    const struct labels *labels;
    struct rule_pair *notes;
    size_t note_count;
    double value;
    bool firing; /* else it is over */
};

struct trial {
    const struct trial_options *options;
    const struct script_file *file;
    struct clock clock;
    struct script_sink sink;
    struct rulebook *book;
    struct store *store;
    struct scheduler *scheduler;

    struct script_state state; /* the test's own */
    struct actor actor;
    struct buf user, tenant; /* who reads, terminated */

    struct trial_line *lines;
    size_t line_count;
    struct trial_alert *alerts;
    size_t alert_count;
    struct script_event *events; /* labels owned */
    size_t event_count;

    /* Of the run under way. */
    struct trial_list *list; /* gets the tests that the file registers; NULL: they are known */
    size_t index;
    struct trial_result *result;
};

#ifndef TIDE_CDEF
/** Adds the functions to `native`, whose table is on top of the stack. */
void trial_open_raises(struct lua_State *L);
#endif

#endif
