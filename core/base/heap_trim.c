/* heap_trim.c - see heap_trim.h. */
#include "base/heap_trim.h"

#include <stdio.h>
#include <unistd.h>

#include <malloc.h>

/* So much is worth a walk. */
#define WORTH_BYTES ((uint64_t)32 << 20)

static uint64_t resident_now(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t heap_trim(struct heap_trim *trim)
{
    uint64_t before = resident_now(), after;

    if (trim->resident_bytes == 0 || before < trim->resident_bytes)
        trim->resident_bytes = before;
    if (before - trim->resident_bytes < WORTH_BYTES || mallinfo2().fordblks < WORTH_BYTES)
        return 0;
    malloc_trim(0);
    after = resident_now();
    trim->resident_bytes = after;
    return before > after ? before - after : 0;
}
