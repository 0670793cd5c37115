/* append_door.c - samples of series to which declared rules apply (door.h): transforms, intervals,
 * rates. */
#include "base/mem.h"
#include "store/append_impl.h"

/* Copies samples into the appender's scratch, which takes at least a slice. */
static void copy(struct appender *appender, const int64_t *times, const double *values,
                 size_t count)
{
    size_t room = TIDE_MAX(count, (size_t)SLICE_SAMPLES);

    if (appender->scratch_cap < room) {
        appender->scratch_cap = room;
        appender->times_ms = mem_realloc(appender->times_ms, room * sizeof(*times));
        appender->values = mem_realloc(appender->values, room * sizeof(*values));
    }
    memcpy(appender->times_ms, times, count * sizeof(*times));
    memcpy(appender->values, values, count * sizeof(*values));
}

static void refuse_dropped(struct push *push, size_t i, const struct transform_rule *rule,
                           uint64_t dropped, const char *why)
{
    if (dropped != 0)
        append_result_refuse(push->result, REFUSED_BY_POLICY, dropped, (uint32_t)i,
                             push->batch->entries[i].line, "%s (transform \"%s\")", why,
                             rule->title);
}

/* All transforms on the values in the appender's scratch. Returns how many are left. */
static size_t transform(struct push *push, size_t i, const struct door *door, size_t count)
{
    struct appender *appender = push->appender;

    for (size_t k = 0; k < door->transform_count; k++) {
        size_t left =
            transform_values(door->transforms[k], appender->times_ms, appender->values, count);

        refuse_dropped(push, i, door->transforms[k], count - left, "no number");
        count = left;
    }
    return count;
}

struct door_pass door_pass_begin(struct push *push, const struct series *series)
{
    struct appender *appender = push->appender;
    struct door_pass pass = {
        .push = push,
        .door = door_of_id(&push->store->intake, series->door),
        .now_ns = clock_mono_ns(push->store->clock),
    };
    size_t count = pass.door->transform_count;

    if (!pass.door->has_intervals)
        return pass;
    if (appender->interval_cap < count) {
        appender->interval_cap = count;
        appender->intervals = mem_realloc(appender->intervals, count * sizeof(*pass.states));
        appender->dropped = mem_realloc(appender->dropped, count * sizeof(*pass.dropped));
    }
    pass.states = appender->intervals;
    pass.dropped = appender->dropped;
    for (size_t k = 0; k < count; k++) {
        pass.dropped[k] = 0;
        pass.states[k] = (struct interval_state){
            .newest_ms = series->last_ms,
            .has_newest = series->has_samples,
            .newest_is_marker = series->value_known && is_stale_marker(series->last_value),
        };
    }
    return pass;
}

static bool passes_intervals(struct door_pass *pass, int64_t time_ms, double value)
{
    for (size_t k = 0; pass->states != NULL && k < pass->door->transform_count; k++) {
        const struct transform_rule *rule = pass->door->transforms[k];

        if (rule->interval_ms != 0 && !interval_keeps(rule, &pass->states[k], time_ms, value)) {
            pass->dropped[k]++;
            return false;
        }
    }
    return true;
}

static bool passes_rates(struct door_pass *pass, size_t i)
{
    struct push *push = pass->push;
    const struct limit_rule *rule = NULL;
    enum rate_verdict verdict = door_charge(&push->store->intake, pass->door, pass->now_ns, &rule);

    if (verdict == RATE_GOOD || verdict == RATE_SPARED) {
        pass->charged += verdict == RATE_GOOD;
        return true;
    }
    counter_add(verdict == RATE_REFUSED ? &rule->counts->refused_samples
                                        : &rule->counts->skipped_samples,
                1);
    append_result_refuse(push->result, verdict == RATE_REFUSED ? REFUSED_RATE : REFUSED_BY_POLICY,
                         1, (uint32_t)i, push->batch->entries[i].line,
                         "limit \"%s\": more than %.6g samples a second", rule->title,
                         rule->samples_per_second);
    return false;
}

bool door_pass_keeps(struct door_pass *pass, int64_t time_ms, double value)
{
    if (time_ms > pass->push->latest_ms) /* refused as such */
        return true;
    return passes_intervals(pass, time_ms, value);
}

void door_pass_end(struct door_pass *pass, size_t i)
{
    struct push *push = pass->push;

    for (size_t k = 0; pass->states != NULL && k < pass->door->transform_count; k++) {
        const struct transform_rule *rule = pass->door->transforms[k];

        if (pass->dropped[k] != 0)
            counter_add(&rule->counts->dropped_interval, pass->dropped[k]);
        refuse_dropped(push, i, rule, pass->dropped[k], "too soon after the sample before");
    }
}

/* Samples `from` to `to` of the scratch. What was charged and is not stored is given back. 0, or -1
 * with err. */
static int apply(struct door_pass *pass, size_t i, size_t from, size_t to, struct series *series,
                 struct error *err)
{
    struct push *push = pass->push;
    uint64_t stored = push->stored;
    int result = push_apply_samples(push, i, push->appender->times_ms + from,
                                    push->appender->values + from, to - from, series, err);

    stored = push->stored - stored;
    if (pass->charged > stored)
        door_give_back(pass->door, pass->charged - stored);
    pass->charged = 0;
    return result;
}

/* All `count` of the scratch that the rates let in. The newest sample again needs no token, and
 * late ones are applied one by one: what turns out to be no news gives its token back before the
 * next one asks. So a sender that repeats all of a push that was refused in part gets ahead. */
static int apply_within_rates(struct door_pass *pass, size_t i, size_t count, struct series *series,
                              struct error *err)
{
    struct appender *appender = pass->push->appender;
    size_t from = 0, kept = 0;

    for (size_t k = 0; k < count; k++) {
        int64_t time_ms = appender->times_ms[k];
        bool late = kept != from ? time_ms <= appender->times_ms[kept - 1]
                                 : series->has_samples && time_ms <= series->last_ms;

        if (late && kept != from) {
            if (apply(pass, i, from, kept, series, err) != 0)
                return -1;
            from = kept;
        }
        if (!(late && push_is_repeat(series, time_ms, appender->values[k])) &&
            !passes_rates(pass, i))
            continue;
        appender->times_ms[kept] = time_ms;
        appender->values[kept++] = appender->values[k];
        if (late) {
            if (apply(pass, i, from, kept, series, err) != 0)
                return -1;
            from = kept;
        }
    }
    return apply(pass, i, from, kept, series, err);
}

int push_through_door(struct push *push, size_t i, const int64_t *times, const double *values,
                      size_t count, struct series *series, struct error *err)
{
    struct appender *appender = push->appender;
    struct door_pass pass;
    size_t kept = 0;
    int result;

    copy(appender, times, values, count);
    if (!series->value_known && series->has_samples)
        series_learn_value(series);
    pass = door_pass_begin(push, series);
    count = transform(push, i, pass.door, count);
    for (size_t k = 0; k < count; k++) {
        if (!door_pass_keeps(&pass, appender->times_ms[k], appender->values[k]))
            continue;
        appender->times_ms[kept] = appender->times_ms[k];
        appender->values[kept++] = appender->values[k];
    }
    if (pass.door->has_rates)
        result = apply_within_rates(&pass, i, kept, series, err);
    else
        result = apply(&pass, i, 0, kept, series, err);
    door_pass_end(&pass, i);
    return result;
}

size_t push_transform_entry(struct push *push, size_t i, const int64_t **times,
                            const double **values)
{
    struct appender *appender = push->appender;
    size_t count = push->batch->entries[i].sample_count;
    struct stripe *stripe;
    struct series *series = push_lock_series(push, appender->found[i], &stripe);

    if (series == NULL)
        return count;
    if ((series->door & DOOR_SAMPLES) != 0) {
        copy(appender, *times, *values, count);
        count = transform(push, i, door_of_id(&push->store->intake, series->door), count);
        *times = appender->times_ms;
        *values = appender->values;
    }
    lock_release(&stripe->stripe_lock);
    return count;
}
