/* binding.h - what operator code sees of C: the series of a decision and the functions of `native`.
 *
 * All of it belongs to the thread of its sandbox. The series is one userdata a state; its fields
 * are read from the decision under way when they are asked for, and outside of one they raise. */
#ifndef TIDE_SCRIPT_BINDING_H
#define TIDE_SCRIPT_BINDING_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/regex.h"
#include "model/labels.h"
#include "store/policy.h"

struct actor;
struct lua_State;
struct read_request;
struct rule;
struct ruleset;
struct script_sink;
struct shared;
struct tallies;

/* The question that is being answered. */
struct decision {
    const struct series_view *series; /* NULL between decisions; its labels may be NULL */
    struct labels_builder *builder;   /* admit: the labels are these, and may be set */
    struct read_request *read;        /* query and result: what a client wants; NULL otherwise */
    const struct rule *hiding;        /* result: only the labels that it names may be set */
    bool changed;                     /* out: the builder was */
    bool by_use; /* out: looked at last_read or reads, which change with the next read */
    bool moving; /* out: looked at time or at what grows, so the answer does not hold for ever */
};

/* One for each state; the sandbox's owner. */
struct binding {
    const struct clock *clock;
    struct regex_cache *regexes;    /* shared among threads */
    struct ruleset *rules;          /* for require; borrowed */
    struct tallies *tallies;        /* NULL: counters count nothing (tidemark check); borrowed */
    struct shared *shared;          /* tide.shared; NULL while scripts load; borrowed */
    struct actor *actor;            /* what may be done now; NULL: only decide */
    const struct script_sink *sink; /* of what scripts log; NULL: the server's log; borrowed */
    uint64_t era;                   /* rises when borrowed columns end; from 1 */
    struct buf text;                /* scratch of one call */
    struct arena scratch;           /* texts that a script set; reset before each decision */
    struct decision decision;
    int series_ref; /* registry: the series userdata */
    int query_ref;  /* the query userdata */
};

#ifndef TIDE_CDEF
/** Adds the functions and userdata to a fresh state; inside sandbox_run. */
void binding_open_raises(struct lua_State *L, struct binding *binding);
/** query_binding.c: pushes the query userdata. */
void binding_push_query_raises(struct lua_State *L);
#endif

#endif
