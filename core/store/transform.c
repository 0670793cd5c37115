/* transform.c - what declared transforms do to samples (intake.h). */
#include <math.h>
#include <stdio.h>

#include "base/bytes.h"
#include "model/columns.h"
#include "store/door.h"

/* From here on a double has no fraction. */
#define WHOLE 4503599627370496.0 /* 2^52 */

bool is_stale_marker(double value)
{
    return double_bits(value) == SAMPLE_STALE_BITS;
}

static double rounded(const struct transform_rule *rule, double value)
{
    double scaled = rule->coarse ? value / rule->unit : value * rule->unit;

    if (!(fabs(scaled) < WHOLE))
        return value;
    scaled = floor(scaled + 0.5);
    return rule->coarse ? scaled * rule->unit : scaled / rule->unit;
}

/* Of a number, infinite ones included. */
static double transformed(const struct transform_rule *rule, double value)
{
    if (rule->scales)
        value = value * rule->scale + rule->offset;
    if (rule->clamps && value == value)
        value = value < rule->min ? rule->min : value > rule->max ? rule->max : value;
    return rule->rounds ? rounded(rule, value) : value;
}

size_t transform_values(const struct transform_rule *rule, int64_t *times_ms, double *values,
                        size_t count)
{
    size_t kept = 0;
    uint64_t changed = 0;

    for (size_t i = 0; i < count; i++) {
        double value = values[i];

        if (value == value)
            value = transformed(rule, value);
        if (value != value && rule->drops_nan && !is_stale_marker(value))
            continue;
        changed += double_bits(value) != double_bits(values[i]);
        times_ms[kept] = times_ms[i];
        values[kept++] = value;
    }
    if (changed != 0)
        counter_add(&rule->counts->changed, changed);
    if (kept != count)
        counter_add(&rule->counts->dropped_nan, count - kept);
    return kept;
}

/* By less than the interval; the difference of two times may be larger than any int64_t. */
static bool close_by(const struct transform_rule *rule, int64_t from_ms, int64_t to_ms)
{
    return (uint64_t)to_ms - (uint64_t)from_ms < (uint64_t)rule->interval_ms;
}

bool interval_keeps(const struct transform_rule *rule, struct interval_state *state,
                    int64_t time_ms, double value)
{
    bool marker = is_stale_marker(value);

    if (!state->has_newest || time_ms > state->newest_ms) {
        if (state->has_newest && !marker && !state->newest_is_marker &&
            close_by(rule, state->newest_ms, time_ms))
            return false;
        state->has_newest = true;
        state->newest_ms = time_ms;
        state->newest_is_marker = marker;
        return true;
    }
    if (time_ms == state->newest_ms || marker)
        return true;
    if (!state->newest_is_marker && close_by(rule, time_ms, state->newest_ms))
        return false;
    if (state->has_late && time_ms > state->late_ms && close_by(rule, state->late_ms, time_ms))
        return false;
    state->has_late = true;
    state->late_ms = time_ms;
    return true;
}

void transform_describe(const struct transform_rule *rule, char *text, size_t size)
{
    size_t at = 0;

    text[0] = '\0';
#define SAY(...)                                                                                   \
    do {                                                                                           \
        if (at < size)                                                                             \
            at += (size_t)snprintf(text + at, size - at, __VA_ARGS__);                             \
    } while (0)
    if (rule->drops_nan)
        SAY("%sdrops NaN", at != 0 ? ", " : "");
    if (rule->scales)
        SAY("%svalue * %g + %g", at != 0 ? ", " : "", rule->scale, rule->offset);
    if (rule->clamps)
        SAY("%swithin %g and %g", at != 0 ? ", " : "", rule->min, rule->max);
    if (rule->rounds)
        SAY("%srounds to %g", at != 0 ? ", " : "", rule->coarse ? rule->unit : 1 / rule->unit);
    if (rule->interval_ms != 0)
        SAY("%sone sample in %g s", at != 0 ? ", " : "", (double)rule->interval_ms / 1000);
#undef SAY
}
