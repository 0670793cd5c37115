/* shared.h - what scripts of all threads share: texts and numbers by name (tide.shared).
 *
 * Kept over reloads, gone after a restart. Bounded in bytes. Thread-safe; each call is atomic. */
#ifndef TIDE_SCRIPT_SHARED_H
#define TIDE_SCRIPT_SHARED_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

/* Names and texts together, with what an entry costs. */
#define SHARED_MAX_BYTES ((size_t)16 << 20)
#define SHARED_MAX_TEXT ((size_t)64 << 10)
#define SHARED_MAX_NAME 256

struct shared;

enum shared_type { SHARED_NOTHING, SHARED_NUMBER, SHARED_TEXT };

struct shared *shared_new(void);
/** Takes NULL. */
void shared_free(struct shared *shared);
/** @param text  gets the text, if it is one */
enum shared_type shared_get(struct shared *shared, const char *name, size_t len, double *number,
                            struct buf *text);
/**
 * @param only_new  leave what is there
 * @return 1 done, 0 there already, or -1 with err: LIMIT
 */
TIDE_NODISCARD int shared_set_number(struct shared *shared, const char *name, size_t len,
                                     double number, bool only_new, struct error *err);
TIDE_NODISCARD int shared_set_text(struct shared *shared, const char *name, size_t len,
                                   const char *text, size_t text_len, bool only_new,
                                   struct error *err);
/** Adds to a number (what is absent is 0). -1 with err: LIMIT, INVALID (it is a text) */
TIDE_NODISCARD int shared_add(struct shared *shared, const char *name, size_t len, double by,
                              double *now, struct error *err);
/** Takes it away; false when it was not there. */
bool shared_delete(struct shared *shared, const char *name, size_t len);
/** Names that begin with `prefix`, each followed by a line end, at most `limit`; in no order. */
void shared_names(struct shared *shared, const char *prefix, size_t len, size_t limit,
                  struct buf *out);

#ifndef TIDE_CDEF
struct lua_State;
/** Adds the functions to `native`, whose table is on top of the stack. */
void shared_open_raises(struct lua_State *L);
#endif

#endif
