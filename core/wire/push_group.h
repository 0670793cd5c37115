/* push_group.h - the path of a Pushgateway request: /metrics/job/JOB{/LABEL/VALUE}*.
 *
 * The labels of the path are the group's key; they win over labels of the same name in the body
 * (label_extra with only_absent = false). */
#ifndef TIDE_WIRE_PUSH_GROUP_H
#define TIDE_WIRE_PUSH_GROUP_H

#include "base/arena.h"
#include "base/base.h"
#include "base/error.h"
#include "model/labels.h"

#define PUSH_GROUP_MAX_LABELS 64

struct push_group {
    struct label labels[PUSH_GROUP_MAX_LABELS]; /* sorted by name; texts in the arena */
    size_t count;
};

/**
 * Reads what follows "/metrics/": "job/JOB/LABEL/VALUE...", or "job@base64/..." and so on. The
 * path must not be percent-decoded yet: a component may hold an escaped slash.
 *
 * Names may be escaped as U__..., values are taken as they are. An empty value (base64 "=") is no
 * label, as everywhere; the job must not be empty.
 *
 * @param arena  where texts are made; must live as long as the group
 * @return 0, or -1 with err: INVALID (odd number of parts, no job first, a bad or reserved name,
 *         bad base64 or percent-encoding, a name twice), LIMIT (too many labels)
 */
TIDE_NODISCARD int push_group_parse(const char *path, size_t len, struct arena *arena,
                                    struct push_group *group, struct error *err);

#endif
