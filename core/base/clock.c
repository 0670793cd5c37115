/* clock.c - see clock.h. */
#include "base/clock.h"

#include <time.h>

static int64_t system_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_wall_ms(const struct clock *clock)
{
    (void)clock;
    return system_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t system_mono_ns(const struct clock *clock)
{
    (void)clock;
    return system_ns(CLOCK_MONOTONIC);
}

static int64_t manual_wall_ms(const struct clock *clock)
{
    return __atomic_load_n(&clock->manual_wall_ms, __ATOMIC_RELAXED);
}

static int64_t manual_mono_ns(const struct clock *clock)
{
    return __atomic_load_n(&clock->manual_mono_ns, __ATOMIC_RELAXED);
}

const struct clock *clock_system(void)
{
    static const struct clock clock = {.wall_ms = system_wall_ms, .mono_ns = system_mono_ns};

    return &clock;
}

void clock_init_manual(struct clock *clock, int64_t wall_ms)
{
    *clock = (struct clock){
        .wall_ms = manual_wall_ms,
        .mono_ns = manual_mono_ns,
        .manual_wall_ms = wall_ms,
        .manual_mono_ns = 1,
    };
}

void clock_advance(struct clock *clock, int64_t by_ms)
{
    __atomic_add_fetch(&clock->manual_wall_ms, by_ms, __ATOMIC_RELAXED);
    __atomic_add_fetch(&clock->manual_mono_ns, by_ms * 1000000, __ATOMIC_RELAXED);
}

void clock_set_wall(struct clock *clock, int64_t wall_ms)
{
    __atomic_store_n(&clock->manual_wall_ms, wall_ms, __ATOMIC_RELAXED);
}

int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock);
}

int64_t clock_mono_ns(const struct clock *clock)
{
    return clock->mono_ns(clock);
}

int64_t clock_process_cpu_ns(void)
{
    return system_ns(CLOCK_PROCESS_CPUTIME_ID);
}
