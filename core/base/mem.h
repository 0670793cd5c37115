/* mem.h - allocation: never-failing for sizes we choose, trying for sizes that outsiders chose.
 *
 * Thread-safe. All memory from here is freed with mem_free (or free). */
#ifndef TIDE_BASE_MEM_H
#define TIDE_BASE_MEM_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Memory of `size` bytes, not cleared; never NULL (the process ends with a message instead). */
void *mem_alloc(size_t size);
/** As mem_alloc, cleared to zero. */
void *mem_zalloc(size_t count, size_t size);
/** Grows or shrinks; never NULL for size > 0. */
void *mem_realloc(void *old, size_t size);
/** NULL when there is not enough: for sizes that a client or a file chose (checked before). */
void *mem_try_alloc(size_t size);
/** Takes NULL. */
void mem_free(void *memory);
/** Owned, zero-terminated copy of `len` bytes. */
char *mem_dup(const void *bytes, size_t len);

#ifndef TIDE_CDEF
/** a + b into *sum; false when it does not fit (then *sum is unchanged). For outside sizes. */
static inline bool size_add(size_t a, size_t b, size_t *sum)
{
    size_t result;

    if (__builtin_add_overflow(a, b, &result))
        return false;
    *sum = result;
    return true;
}

/** a * b into *product; false when it does not fit. */
static inline bool size_mul(size_t a, size_t b, size_t *product)
{
    size_t result;

    if (__builtin_mul_overflow(a, b, &result))
        return false;
    *product = result;
    return true;
}
#endif

#ifdef __cplusplus
}
#endif

#endif
