/* mask.h - labels as a read may see them: the operator's result rules (tide.result).
 *
 * A rule names the labels that it may hide, so that a client cannot ask for their true values:
 * narrow.c tests matchers on those names against what the client sees. */
#ifndef TIDE_SCRIPT_MASK_H
#define TIDE_SCRIPT_MASK_H

#include "base/base.h"
#include "base/error.h"
#include "model/labels.h"

struct read_request;
struct rulebook;

/** Whether there are result rules at all. Takes NULL. Thread-safe. */
bool rulebook_masks(struct rulebook *book);
/** Whether some result rule may hide a label of this name. Thread-safe. */
bool rulebook_hides(struct rulebook *book, const char *name, size_t len);
/**
 * Asks all result rules that match, in file order.
 *
 * @param masked  out: owned labels, or NULL: they are seen as they are
 * @return 0, or -1 with err: BUSY (a rule is broken: nothing may be read)
 */
TIDE_NODISCARD int rulebook_mask(struct rulebook *book, struct read_request *read,
                                 const struct labels *labels, struct labels **masked,
                                 struct error *err);

#endif
