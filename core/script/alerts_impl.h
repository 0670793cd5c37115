/* alerts_impl.h - the inside of alerts, for alerts.c and alerts_json.c. */
#ifndef TIDE_SCRIPT_ALERTS_IMPL_H
#define TIDE_SCRIPT_ALERTS_IMPL_H

#include <stdio.h>

#include "base/thread.h"
#include "script/alerts.h"

/* One recording or alerting rule. Written by the scripts thread, under the lock. */
struct rule_progress {
    enum rule_hook hook;
    char *title;
    struct alert *items; /* in order of labels */
    size_t count;
    int64_t evaluated_ms; /* 0: never */
    int64_t took_ns;
    bool failed;
    char error[400];
    struct rule_progress *next;
};

struct alerts {
    struct lock leaf_lock; /* guards what others read */
    struct rule_progress *rules;
};

struct rule_progress *alerts_find_locked(const struct alerts *alerts, const struct rule *rule);

#endif
