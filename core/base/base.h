/* base.h - the one way to system types, and the macros every room uses.
 *
 * Headers take system types only from here, so that `cc -E -P -DTIDE_CDEF header.h` is clean text
 * for LuaJIT's ffi.cdef; inline functions stand under #ifndef TIDE_CDEF. */
#ifndef TIDE_BASE_BASE_H
#define TIDE_BASE_BASE_H

#ifndef TIDE_CDEF

#include <string.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIDE_NODISCARD __attribute__((warn_unused_result))
#define TIDE_PRINTF(nth, first) __attribute__((format(printf, nth, first)))
#define TIDE_NORETURN __attribute__((noreturn))
#define TIDE_LIKELY(x) __builtin_expect(!!(x), 1)
#define TIDE_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Lock annotations: clang -Wthread-safety checks them, gcc ignores them. */
#ifdef __clang__
#define TIDE_CAPABILITY(name) __attribute__((capability(name)))
#define TIDE_REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define TIDE_ACQUIRE(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define TIDE_RELEASE(...) __attribute__((release_capability(__VA_ARGS__)))
#define TIDE_NO_LOCK_CHECK __attribute__((no_thread_safety_analysis))
#else
#define TIDE_CAPABILITY(name)
#define TIDE_REQUIRES(...)
#define TIDE_ACQUIRE(...)
#define TIDE_RELEASE(...)
#define TIDE_NO_LOCK_CHECK
#endif

/* A broken invariant of our own, never a judgement on outside data. On in every build. */
#define TIDE_ASSERT(condition)                                                                     \
    do {                                                                                           \
        if (TIDE_UNLIKELY(!(condition)))                                                           \
            tide_assert_failed(#condition, __FILE__, __LINE__);                                    \
    } while (0)

TIDE_NORETURN void tide_assert_failed(const char *condition, const char *file, int line);

#define TIDE_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TIDE_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TIDE_MAX(a, b) ((a) > (b) ? (a) : (b))

#else

#define TIDE_NODISCARD
#define TIDE_PRINTF(nth, first)
#define TIDE_NORETURN
#define TIDE_CAPABILITY(name)
#define TIDE_REQUIRES(...)
#define TIDE_ACQUIRE(...)
#define TIDE_RELEASE(...)
#define TIDE_NO_LOCK_CHECK

#endif /* TIDE_CDEF */

/* The ends of time, in milliseconds: sentinels of storage version 1 (format, section 1). */
#define TIDE_EARLIEST_MS INT64_MIN
#define TIDE_LATEST_MS INT64_MAX

#endif
