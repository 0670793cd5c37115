/* rulebook_impl.h - the inside of a rulebook, for rulebook.c, decide.c and shape.c only. */
#ifndef TIDE_SCRIPT_RULEBOOK_IMPL_H
#define TIDE_SCRIPT_RULEBOOK_IMPL_H

#include <pthread.h>

#include "base/clock.h"
#include "base/regex.h"
#include "base/thread.h"
#include "script/alerts.h"
#include "script/binding.h"
#include "script/events.h"
#include "script/host.h"
#include "script/rule_stats.h"
#include "script/ruleset.h"
#include "store/policy.h"

struct lua_State;
struct sandbox;
struct tallies;
struct watchdog;

struct rulebook {
    /* Constant after the opening. */
    char *folder;
    char *only;                     /* as in rulebook_options; NULL: all */
    const struct script_sink *sink; /* NULL: a server's */
    int64_t time_ns;
    int64_t load_ns;
    size_t memory_bytes;
    uint32_t max_errors;
    const struct clock *clock;
    struct metrics *metrics;
    struct regex_cache *regexes;
    struct watchdog *watchdog;
    struct tallies *tallies;
    struct shared *shared;
    struct events *events;
    struct alerts *alerts; /* of record and alert rules, over reloads */
    struct policy policy;
    pthread_key_t key; /* of struct script_state */

    struct lock lock;            /* guards what follows */
    struct ruleset *current;     /* owned reference */
    uint64_t version;            /* current->version; read without the lock (atomic) */
    struct script_state *states; /* of all threads */
    struct rule_stats *stats;    /* of all rules that ever were */
    struct script_host host;     /* host.store NULL: the store is not open */
};

/* Lua of one thread; belongs to it (`next` is guarded by the rulebook's lock). */
struct script_state {
    struct rulebook *book;
    struct ruleset *set;     /* owned reference: the rules that this state answers by */
    struct sandbox *sandbox; /* NULL when the set has no rules */
    bool loaded;             /* the set's functions are there */
    struct binding binding;
    int functions_ref;    /* registry: the rules' functions by index */
    int drop_ref;         /* metatable of what tide.drop returns */
    int refuse_ref;       /* metatable of what tide.refuse returns */
    int milliseconds_ref; /* from a duration to a number */
    int durations_ref;    /* table: texts that were answered -> milliseconds */
    int duration_count;
    int times_ref; /* columns that a func rule's window is shown in; 0: not made yet */
    int values_ref;
    struct script_state *next;
    struct script_state *inner; /* answers while this one runs; NULL until it is needed */
};

/** The calling thread's state, with the rules in force; another one while that one runs (what a
 * timer asks of the store may be asked of rules). */
struct script_state *script_state_of(struct rulebook *book);

/** Whether a rule's function may be asked: its state has it and it is not suspended. */
bool script_state_can_answer(const struct script_state *state, const struct rule *rule);
/**
 * Runs `run` (which calls the rule's function and reads its answer) within the limits.
 *
 * @return 0, or -1: counted and logged, err says why
 */
int script_state_call(struct script_state *state, const struct rule *rule,
                      void (*run)(struct lua_State *L, void *ctx), void *ctx, struct error *err);
/** The same with another limit on time. */
int script_state_call_for(struct script_state *state, const struct rule *rule,
                          void (*run)(struct lua_State *L, void *ctx), void *ctx, int64_t time_ns,
                          struct error *err);
/** Pushes a rule's function; inside such a run. */
void script_state_push_raises(struct lua_State *L, const struct script_state *state,
                              const struct rule *rule);

/** The rules in force, as an owned reference. */
struct ruleset *rulebook_take_rules(struct rulebook *book);

/** decide.c: from here to the end rules can read `series`, or set the labels of `builder`. */
void decision_begin(struct script_state *state, const struct series_view *series,
                    struct labels_builder *builder);
void decision_end(struct script_state *state);
/** Whether the rule's matchers accept the series. */
bool rule_matches(const struct rule *rule, const struct series_view *series);

/** decide.c: the answers, with the rulebook as context. */
void decide_fill(struct policy *policy, struct rulebook *book);

#endif
