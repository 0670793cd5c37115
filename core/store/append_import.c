/* append_import.c - samples of any age (store_import): all of a batch by series and time, then
 * series by series what is late into its edits and what is new onto its end. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/append_impl.h"

struct import_sample {
    int64_t time_ms;
    double value;
    uint32_t series; /* id */
    uint32_t entry;
    uint32_t order; /* as it came */
};

/* All samples of one series. */
struct import_run {
    struct import_sample *samples;
    size_t count;
};

static int compare(const void *a, const void *b)
{
    const struct import_sample *x = a, *y = b;

    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Gathers the samples that are to be stored; those of the future are refused here. */
static size_t gather(struct push *push, const size_t *entries, size_t count,
                     struct import_sample *samples, bool *sorted)
{
    const struct batch *batch = push->batch;
    size_t gathered = 0;

    for (size_t k = 0; k < count; k++) {
        size_t i = entries != NULL ? entries[k] : k;
        const int64_t *times_ms = batch->times_ms + batch->entries[i].first_sample;
        const double *values = batch->values + batch->entries[i].first_sample;
        size_t sample_count = batch->entries[i].sample_count;

        if (is_refusal(push->appender->found[i]))
            continue;
        if (push->has_rules)
            sample_count = push_transform_entry(push, i, &times_ms, &values);
        for (size_t s = 0; s < sample_count; s++) {
            struct import_sample *sample = &samples[gathered];

            *sample = (struct import_sample){times_ms[s], values[s], push->appender->found[i].id,
                                             (uint32_t)i, (uint32_t)gathered};
            if (sample->time_ms > push->latest_ms) {
                push_refuse_sample(push, i, REFUSED_FUTURE, sample->time_ms, push->latest_ms);
                continue;
            }
            *sorted = *sorted && (gathered == 0 || compare(sample - 1, sample) < 0);
            gathered++;
        }
    }
    return gathered;
}

/* Two samples of one time become one. Returns how many are left. */
static size_t settle_doubles(struct push *push, struct import_sample *samples, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct import_sample *last = kept != 0 ? &samples[kept - 1] : NULL;

        if (last == NULL || last->series != samples[i].series ||
            last->time_ms != samples[i].time_ms) {
            samples[kept++] = samples[i];
            continue;
        }
        last->value = duplicate_resolve(push->rule, last->value, samples[i].value);
        push->result->accepted++;
    }
    return kept;
}

static void count_expiring(struct push *push, const struct import_sample *samples, size_t count)
{
    const struct store_options *options = &push->store->options;
    int64_t oldest_ms;

    if (options->retention_ms == RETENTION_FOREVER ||
        __builtin_sub_overflow(clock_wall_ms(push->store->clock), options->retention_ms,
                               &oldest_ms))
        return;
    for (size_t i = 0; i < count; i++)
        push->result->expiring += samples[i].time_ms < oldest_ms;
}

/* What is not newer than the newest. */
static void put_late(struct push *push, struct series *series, const struct import_sample *samples,
                     size_t count)
{
    int64_t *times_ms = mem_alloc((count + 1) * sizeof(*times_ms));
    double *values = mem_alloc((count + 1) * sizeof(*values));
    size_t late = 0;

    for (size_t i = 0; i < count; i++) {
        push->result->accepted++;
        if (push_is_repeat(series, samples[i].time_ms, samples[i].value)) {
            push->repeats = true;
            continue;
        }
        times_ms[late] = samples[i].time_ms;
        values[late++] = samples[i].value;
        push_note_late(push, series, samples[i].time_ms, samples[i].value);
    }
    edits_put_sorted(push->store, series, times_ms, values, late, push->rule);
    mem_free(times_ms);
    mem_free(values);
}

static int put_samples(struct push *push, struct series *series,
                       const struct import_sample *samples, size_t count, struct error *err)
{
    size_t late = 0;

    series->arrival_s = push->now_s;
    while (series->has_samples && late < count && samples[late].time_ms <= series->last_ms)
        late++;
    if (late != 0 && edits_are_full(push->store))
        return push_refuse_late(err);
    if (late != 0)
        put_late(push, series, samples, late);
    for (size_t i = late; i < count; i++) {
        if (push_put_newest(push, series, samples[i].time_ms, samples[i].value, err) != 0)
            return -1;
    }
    return 0;
}

/* Under the stripe. What intervals leave out is overwritten; imports are not held to rates: a
 * body larger than a burst could never come in. */
static int put_slice(struct push *push, struct series *series, struct import_sample *samples,
                     size_t count, struct error *err)
{
    struct door_pass pass;
    size_t kept = 0;
    int result;

    if ((series->door & DOOR_SAMPLES) == 0 || count == 0)
        return put_samples(push, series, samples, count, err);
    pass = door_pass_begin(push, series);
    for (size_t i = 0; i < count; i++) {
        if (door_pass_keeps(&pass, samples[i].time_ms, samples[i].value))
            samples[kept++] = samples[i];
    }
    result = put_samples(push, series, samples, kept, err);
    door_pass_end(&pass, samples[0].entry);
    return result;
}

/* The entries of a run whose series went away are resolved again. */
static void again(struct push *push, const struct import_run *run, size_t from)
{
    struct appender *appender = push->appender;

    for (size_t i = from; i < run->count; i++) {
        bool noted = false;

        for (size_t k = appender->again_count; k-- > 0 && !noted;)
            noted = appender->again[k] == run->samples[i].entry;
        if (!noted)
            appender->again[appender->again_count++] = run->samples[i].entry;
    }
}

static int put_run(struct push *push, const struct import_run *run, struct error *err)
{
    struct appender *appender = push->appender;

    for (size_t from = 0; from < run->count; from += SLICE_SAMPLES) {
        struct stripe *stripe;
        struct series *series =
            push_lock_series(push, appender->found[run->samples[from].entry], &stripe);
        int result = 0;

        if (series == NULL) {
            again(push, run, from);
            return 0;
        }
        if (!series->broken)
            result = put_slice(push, series, run->samples + from,
                               TIDE_MIN(run->count - from, (size_t)SLICE_SAMPLES), err);
        result = push_judge_series(push, series, result, err);
        lock_release(&stripe->stripe_lock);
        if (result != 0 || log_batch_spill(appender->log, err) != 0)
            return -1;
    }
    return 0;
}

static void fetch_ahead(const struct push *push, const struct import_sample *samples, size_t i,
                        size_t end)
{
    if (i + AHEAD_ID < end)
        push_fetch(push, samples[i + AHEAD_ID].series, FETCH_ID);
    if (i + AHEAD_SERIES < end)
        push_fetch(push, samples[i + AHEAD_SERIES].series, FETCH_SERIES);
    if (i + AHEAD_HEAD < end)
        push_fetch(push, samples[i + AHEAD_HEAD].series, FETCH_HEAD);
}

int import_entries(struct push *push, const size_t *entries, size_t count, struct error *err)
{
    struct import_sample *samples = mem_alloc((push->batch->sample_count + 1) * sizeof(*samples));
    bool sorted = true;
    size_t total = gather(push, entries, count, samples, &sorted);
    int result = 0;

    if (!sorted)
        qsort(samples, total, sizeof(*samples), compare);
    total = settle_doubles(push, samples, total);
    count_expiring(push, samples, total);
    for (size_t from = 0, end; from < total && result == 0; from = end) {
        struct import_run run = {samples + from, 0};

        fetch_ahead(push, samples, from, total);
        for (end = from; end < total && samples[end].series == samples[from].series; end++)
            run.count++;
        result = put_run(push, &run, err);
    }
    mem_free(samples);
    return result;
}
