/* reduce.c - see reduce.h. */
#include "store/reduce.h"

#include "base/bytes.h"

static bool is_marker(double value)
{
    return double_bits(value) == SAMPLE_STALE_BITS;
}

int64_t reduce_floor(int64_t time_ms, int64_t every_ms)
{
    int64_t rest = time_ms % every_ms;

    if (rest < 0)
        rest += every_ms;
    return time_ms < TIDE_EARLIEST_MS + rest ? TIDE_EARLIEST_MS : time_ms - rest;
}

/* End of the window that a time is in; the greatest time there is if that is beyond. */
static int64_t window_end(int64_t time_ms, int64_t every_ms)
{
    int64_t floor_ms = reduce_floor(time_ms, every_ms), end_ms;

    if (floor_ms == time_ms)
        return time_ms;
    return __builtin_add_overflow(floor_ms, every_ms, &end_ms) ? TIDE_LATEST_MS : end_ms;
}

static const struct reduce_tier *tier_of(const struct reducer *reducer)
{
    return &reducer->tiers[reducer->at];
}

static void put(struct reducer *reducer, int64_t time_ms, double value)
{
    columns_append(&reducer->out, time_ms, value);
    reducer->puts++;
}

/* A sample of a counter that is kept. The one behind the last reset is kept only if this one would
 * hide the reset: few samples more keep the distances even, by which rate() extrapolates. */
static void keep(struct reducer *reducer, int64_t time_ms, double value)
{
    if (reducer->hidden && time_ms > reducer->low_ms && value >= reducer->peak)
        put(reducer, reducer->low_ms, reducer->low);
    reducer->hidden = false;
    put(reducer, time_ms, value);
}

/* --- a window that closes
 * ----------------------------------------------------------------------------- */

/* Of the values: what the declared methods make of them. */
static double reduced(const struct reducer *reducer)
{
    const struct reduce_tier *tier = tier_of(reducer);
    uint64_t count = reducer->values;

    switch (tier->method) {
    case DOWNSAMPLE_AVG:
        return (double)(reducer->sum / (long double)count);
    case DOWNSAMPLE_MIN:
        return reducer->least;
    case DOWNSAMPLE_MAX:
        return reducer->most;
    case DOWNSAMPLE_SUM:
        return (double)reducer->sum;
    case DOWNSAMPLE_COUNT:
        /* It counted some before, and others came late. */
        if (reducer->end_ms <= tier->known_ms && reducer->time_ms == reducer->end_ms)
            return reducer->value + (double)(count - 1);
        return (double)count;
    default:
        return reducer->value;
    }
}

/* Where the value of the window stands, if it is not one of its samples. */
static int64_t stamp_of(const struct reducer *reducer)
{
    return reducer->marked ? reducer->marker_ms - 1 : reducer->end_ms;
}

static void put_marker(struct reducer *reducer)
{
    if (reducer->marked)
        put(reducer, reducer->marker_ms, bits_double(SAMPLE_STALE_BITS));
}

/* Is one sample there already where that of the window will stand? */
static bool is_done(const struct reducer *reducer)
{
    return reducer->values == 1 && reducer->time_ms == stamp_of(reducer);
}

static int put_function(struct reducer *reducer, struct error *err)
{
    struct columns *window = &reducer->window;
    size_t count = 0;
    double value;
    int answer;

    if (is_done(reducer)) {
        put(reducer, reducer->time_ms, reducer->value);
        put_marker(reducer);
        return 0;
    }
    for (size_t i = 0; i < window->len; i++) {
        if (is_marker(window->values[i]))
            continue;
        window->times_ms[count] = window->times_ms[i];
        window->values[count++] = window->values[i];
    }
    answer = reducer->policy->downsample_window(reducer->policy->ctx, tier_of(reducer)->rule,
                                                window->times_ms, window->values, count,
                                                reducer->end_ms, &value, err);
    if (answer < 0)
        return -1;
    if (answer == 0) {
        for (size_t i = 0; i < count; i++)
            put(reducer, window->times_ms[i], window->values[i]);
    } else {
        put(reducer, stamp_of(reducer), value);
        reducer->changed = true;
    }
    put_marker(reducer);
    return 0;
}

static int put_window(struct reducer *reducer, struct error *err)
{
    switch (tier_of(reducer)->method) {
    case DOWNSAMPLE_FUNCTION:
        if (reducer->values != 0)
            return put_function(reducer, err);
        break;
    case DOWNSAMPLE_LAST:
    case DOWNSAMPLE_COUNTER:
        if (reducer->values != 0 && !reducer->kept)
            keep(reducer, reducer->time_ms, reducer->value);
        break;
    default:
        if (reducer->values == 0)
            break;
        if (is_done(reducer)) {
            put(reducer, reducer->time_ms, reducer->value);
        } else {
            put(reducer, stamp_of(reducer), reduced(reducer));
            reducer->changed = true;
        }
    }
    put_marker(reducer);
    return 0;
}

static int close_window(struct reducer *reducer, struct error *err)
{
    uint64_t left;

    if (!reducer->open)
        return 0;
    reducer->open = false;
    if (put_window(reducer, err) != 0)
        return -1;
    if (reducer->values != 0)
        reducer_prime(reducer, reducer->time_ms, reducer->value);
    left = reducer->puts - reducer->puts_before;
    if (left != reducer->samples)
        reducer->changed = true;
    reducer->removed[reducer->at] += reducer->samples - left;
    return 0;
}

/* --- a sample
 * ----------------------------------------------------------------------------------------- */

static void open_window(struct reducer *reducer, size_t tier, int64_t end_ms)
{
    reducer->at = tier;
    reducer->open = true;
    reducer->end_ms = end_ms;
    reducer->samples = reducer->values = 0;
    reducer->puts_before = reducer->puts;
    reducer->marked = reducer->kept = reducer->hidden = false;
    reducer->sum = 0;
    reducer->window.len = 0;
}

/* Counters: what an increase over any number of windows needs is kept. */
static void watch_resets(struct reducer *reducer, int64_t time_ms, double value)
{
    bool first = reducer->values == 0;
    bool known = !first || reducer->previous_known;
    double before = first ? reducer->previous : reducer->value;
    /* The window before this one is empty. */
    bool alone =
        !reducer->previous_known || (uint64_t)reducer->end_ms - (uint64_t)reducer->previous_ms >=
                                        2 * (uint64_t)tier_of(reducer)->every_ms;
    bool reset = known && value < before;

    if (reset && !first && !reducer->kept)
        keep(reducer, reducer->time_ms, reducer->value);
    if (reset) {
        reducer->hidden = true;
        reducer->peak = before;
        reducer->low_ms = time_ms;
        reducer->low = value;
    }
    reducer->kept = first && alone;
    if (reducer->kept)
        keep(reducer, time_ms, value);
}

static void take_value(struct reducer *reducer, int64_t time_ms, double value)
{
    if (tier_of(reducer)->method == DOWNSAMPLE_COUNTER)
        watch_resets(reducer, time_ms, value);
    if (reducer->values == 0) {
        reducer->least = reducer->most = value;
    } else { /* NaN only if there is nothing else, as min_over_time */
        if (value < reducer->least || reducer->least != reducer->least)
            reducer->least = value;
        if (value > reducer->most || reducer->most != reducer->most)
            reducer->most = value;
    }
    reducer->sum += (long double)value;
    reducer->values++;
    reducer->time_ms = time_ms;
    reducer->value = value;
    reducer->marked = false;
}

static void note_seen(struct reducer *reducer, int64_t time_ms)
{
    size_t at = reducer->at;

    if (!reducer->seen[at])
        reducer->first_ms[at] = time_ms;
    reducer->seen[at] = true;
    reducer->last_ms[at] = time_ms;
}

/* The tier that a time is in; tier_count: none. Times come in order, so it is at hand. */
static size_t find_tier(const struct reducer *reducer, int64_t time_ms, int64_t *end_ms)
{
    for (size_t i = 0; i < reducer->tier_count; i++) {
        const struct reduce_tier *tier = &reducer->tiers[i];

        if (time_ms <= tier->from_ms || time_ms > tier->to_ms)
            continue;
        *end_ms = window_end(time_ms, tier->every_ms);
        return *end_ms <= tier->to_ms ? i : reducer->tier_count;
    }
    return reducer->tier_count;
}

int reducer_add(struct reducer *reducer, int64_t time_ms, double value, struct error *err)
{
    int64_t end_ms = 0;
    size_t tier = find_tier(reducer, time_ms, &end_ms);

    if (reducer->open && (tier != reducer->at || end_ms != reducer->end_ms) &&
        close_window(reducer, err) != 0)
        return -1;
    if (tier == reducer->tier_count) {
        put(reducer, time_ms, value);
        if (!is_marker(value))
            reducer_prime(reducer, time_ms, value);
        return 0;
    }
    if (!reducer->open)
        open_window(reducer, tier, end_ms);
    reducer->samples++;
    note_seen(reducer, time_ms);
    if (tier_of(reducer)->method == DOWNSAMPLE_FUNCTION) {
        if (reducer->window.len == REDUCE_WINDOW_MAX)
            return error_set(err, ERR_LIMIT, "a window with more than %zu samples",
                             REDUCE_WINDOW_MAX);
        columns_append(&reducer->window, time_ms, value);
    }
    if (is_marker(value)) {
        reducer->marked = true;
        reducer->marker_ms = time_ms;
    } else {
        take_value(reducer, time_ms, value);
    }
    return 0;
}

void reducer_prime(struct reducer *reducer, int64_t time_ms, double value)
{
    reducer->previous_known = true;
    reducer->previous_ms = time_ms;
    reducer->previous = value;
}

int reducer_finish(struct reducer *reducer, struct error *err)
{
    return close_window(reducer, err);
}

void reducer_destroy(struct reducer *reducer)
{
    columns_destroy(&reducer->out);
    columns_destroy(&reducer->window);
}
