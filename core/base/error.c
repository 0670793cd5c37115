/* error.c - see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void tide_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "tidemark: broken invariant at %s:%d: %s\n", file, line, condition);
    abort();
}

const char *error_code_name(enum error_code code)
{
    switch (code) {
    case ERR_NONE:
        return "none";
    case ERR_INVALID:
        return "invalid";
    case ERR_LIMIT:
        return "limit";
    case ERR_NOT_FOUND:
        return "not_found";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_CORRUPT:
        return "corrupt";
    case ERR_IO:
        return "io";
    case ERR_NOMEM:
        return "nomem";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_CANCELLED:
        return "cancelled";
    case ERR_UNSUPPORTED:
        return "unsupported";
    case ERR_BUSY:
        return "busy";
    case ERR_DENIED:
        return "denied";
    case ERR_EXECUTION:
        return "execution";
    }
    return "unknown";
}

int error_set_at(struct error *err, enum error_code code, int sys_errno, const char *where,
                 const char *format, ...)
{
    va_list args;
    int len;

    err->code = code;
    err->sys_errno = sys_errno;
    err->where = where;
    va_start(args, format);
    len = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (sys_errno != 0 && len >= 0 && (size_t)len < sizeof(err->text)) {
        char reason[128];
        const char *text = strerror_r(sys_errno, reason, sizeof(reason));

        snprintf(err->text + len, sizeof(err->text) - (size_t)len, ": %s", text);
    }
    errno = sys_errno;
    return -1;
}

int error_note(struct error *err, const char *format, ...)
{
    char old[sizeof(err->text)];
    va_list args;
    int len;

    memcpy(old, err->text, sizeof(old));
    va_start(args, format);
    len = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof(err->text))
        snprintf(err->text + len, sizeof(err->text) - (size_t)len, ": %s", old);
    return -1;
}
