/* alert_masks.h - alerts as one reader sees them: their labels by the result rules (mask.h).
 *
 * An alert is masked as its series ALERTS is. Rules run outside the lock of alerts, so this is
 * filled first; an alert that comes up in between is not in it, and is not shown. Belongs to its
 * thread. */
#ifndef TIDE_SCRIPT_ALERT_MASKS_H
#define TIDE_SCRIPT_ALERT_MASKS_H

#include "base/base.h"
#include "base/error.h"
#include "model/labels.h"

struct read_request;
struct rulebook;
struct ruleset;

struct alert_mask {
    const struct labels *labels; /* owned: the alert's */
    struct labels *seen;         /* owned; NULL: they are seen as they are */
};

/* Zeroed is empty. */
struct alert_masks {
    struct alert_mask *items; /* by address of `labels` */
    size_t count;
};

/**
 * Asks the result rules about all alerts of the set that the read may see.
 *
 * @return 0, or -1 with err: BUSY (a rule is broken: nothing may be shown); destroy it in any case
 */
TIDE_NODISCARD int alert_masks_fill(struct alert_masks *masks, struct rulebook *book,
                                    struct read_request *read, const struct ruleset *set,
                                    struct error *err);
/** NULL: nobody was asked about these. */
const struct alert_mask *alert_masks_find(const struct alert_masks *masks,
                                          const struct labels *labels);
void alert_masks_destroy(struct alert_masks *masks);

#endif
