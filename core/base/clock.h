/* clock.h - wall and monotonic time through a struct, so that specs can set both.
 *
 * Thread-safe: the system clock has no state, the manual one is atomic. */
#ifndef TIDE_BASE_CLOCK_H
#define TIDE_BASE_CLOCK_H

#include "base/base.h"

struct clock {
    int64_t (*wall_ms)(const struct clock *clock); /* milliseconds since 1970, may jump */
    int64_t (*mono_ns)(const struct clock *clock); /* never goes back; origin unspecified */
    int64_t manual_wall_ms;                        /* used by manual clocks only */
    int64_t manual_mono_ns;
};

/** The system's clock. Static, immutable. */
const struct clock *clock_system(void);
/** A clock that stands at `wall_ms` until it is moved. */
void clock_init_manual(struct clock *clock, int64_t wall_ms);
/** Moves both times of a manual clock by `by_ms` (>= 0). */
void clock_advance(struct clock *clock, int64_t by_ms);
/** Sets the wall time only: a jump. */
void clock_set_wall(struct clock *clock, int64_t wall_ms);

int64_t clock_wall_ms(const struct clock *clock);
int64_t clock_mono_ns(const struct clock *clock);
/** CPU time of the whole process in nanoseconds. */
int64_t clock_process_cpu_ns(void);

#endif
