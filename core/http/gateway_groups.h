/* gateway_groups.h - what a Pushgateway remembers: which series each group had.
 *
 * So a PUT or DELETE can mark as ended what it takes away, and so can the end of a group's time to
 * live. Functions only fill batches (LABEL_FORMAT_PAIRS) with what is to be stored: staleness
 * markers and the group's push_time_seconds and push_failure_time_seconds. In memory only: after a
 * restart a group is empty until its next push, and its old series end by the lookback. Bounded: a
 * series that finds no room is stored but not remembered. Thread-safe. */
#ifndef TIDE_HTTP_GATEWAY_GROUPS_H
#define TIDE_HTTP_GATEWAY_GROUPS_H

#include "base/base.h"
#include "store/batch.h"

struct gateway_groups;

/* A series of a push. */
struct gateway_series {
    const uint8_t *block; /* all its labels as sorted pairs (label_pairs.h); borrowed */
    size_t len;
    const char *name; /* the metric's; borrowed */
    size_t name_len;
    int64_t newest_ms; /* of its samples */
};

struct gateway_push {
    const uint8_t *group; /* the labels of the path as sorted pairs */
    size_t group_len;
    const struct gateway_series *series;
    size_t count;
    int64_t now_ms;
    int64_t ttl_ms; /* 0: the group lives until it is deleted */
    bool replaces;  /* PUT: all other series of the group go; POST: only those of the same names */
    bool failed;    /* something was refused: nothing goes, and only the time of failure is set */
};

/** @param max_series  remembered in all groups together */
struct gateway_groups *gateway_groups_new(size_t max_series);
/** Takes NULL. */
void gateway_groups_free(struct gateway_groups *groups);

/** Takes a push in; adds what is to be stored beside it to `out`. */
void gateway_groups_push(struct gateway_groups *groups, const struct gateway_push *push,
                         struct batch *out);
/** Forgets a group; adds the markers of all its series. Nothing happens to an unknown one. */
void gateway_groups_delete(struct gateway_groups *groups, const uint8_t *group, size_t len,
                           int64_t now_ms, struct batch *out);
/**
 * Deletes the groups whose time is over.
 *
 * @return when to look again; INT64_MAX when no group will end by itself
 */
int64_t gateway_groups_expire(struct gateway_groups *groups, int64_t now_ms, struct batch *out);

#endif
