/* mem.c - see mem.h. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static TIDE_NORETURN void out_of_memory(size_t size)
{
    fprintf(stderr, "tidemark: out of memory asking for %zu bytes\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *memory = malloc(size != 0 ? size : 1);

    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *mem_zalloc(size_t count, size_t size)
{
    void *memory = calloc(count != 0 ? count : 1, size != 0 ? size : 1);

    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *mem_realloc(void *old, size_t size)
{
    void *memory = realloc(old, size != 0 ? size : 1);

    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *mem_try_alloc(size_t size)
{
    return malloc(size != 0 ? size : 1);
}

void mem_free(void *memory)
{
    free(memory);
}

char *mem_dup(const void *bytes, size_t len)
{
    char *copy = mem_alloc(len + 1);

    if (len != 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}
