/* error.h - the one error value: what failed, where in our code, and what a person should read.
 *
 * Functions that can fail return 0 / -1 (or a pointer / NULL) and take `struct error *err` last,
 * never NULL. It lives on the caller's stack, owns no heap, and means nothing after a success. */
#ifndef TIDE_BASE_ERROR_H
#define TIDE_BASE_ERROR_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Few codes; each has one HTTP status and one metric label (error_code_name). */
enum error_code {
    ERR_NONE = 0,
    ERR_INVALID,     /* the caller's input is wrong: 400 */
    ERR_LIMIT,       /* a configured bound was met: 422 for queries, 413 for sizes */
    ERR_NOT_FOUND,   /* 404 */
    ERR_CONFLICT,    /* against what is there already: 409 */
    ERR_CORRUPT,     /* bytes on disk are not what the format says: 500 */
    ERR_IO,          /* the system refused (sys_errno): 500 */
    ERR_NOMEM,       /* 503 */
    ERR_TIMEOUT,     /* 503 */
    ERR_CANCELLED,   /* the asker went away, or we stop: 499 */
    ERR_UNSUPPORTED, /* 415 or 501 */
    ERR_BUSY,        /* try again later: 503 with Retry-After */
    ERR_DENIED,      /* known, but not allowed: 403 */
    ERR_EXECUTION,   /* a well-formed query that this data cannot answer: 422 */
};

struct error {
    enum error_code code;
    int sys_errno;     /* errno of the failed call, 0 if there was none */
    const char *where; /* "core/room/file.c:123", static */
    char text[1000]; /* one line without a final stop, never empty after a failure; cut if longer */
};

/* Lower-case name of a code ("invalid", "io"): metric label and log field. Static text. */
const char *error_code_name(enum error_code code);

int error_set_at(struct error *err, enum error_code code, int sys_errno, const char *where,
                 const char *format, ...) TIDE_PRINTF(5, 6);

/** Adds context in front: "series 00ff: " + text. Returns -1, so `return error_note(...)` works. */
int error_note(struct error *err, const char *format, ...) TIDE_PRINTF(2, 3);

#ifndef TIDE_CDEF
#define TIDE_STRING2(x) #x
#define TIDE_STRING(x) TIDE_STRING2(x)
#define TIDE_WHERE __FILE__ ":" TIDE_STRING(__LINE__)

/* error_set(err, ERR_CORRUPT, "count %u over %u", n, max): fills err and is -1. */
#define error_set(err, code, ...) error_set_at((err), (code), 0, TIDE_WHERE, __VA_ARGS__)

/* The same for a failed system call: ERR_IO, keeps errno and ends with ": No such file ...". */
#define error_set_errno(err, ...) error_set_at((err), ERR_IO, errno, TIDE_WHERE, __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif

#endif
