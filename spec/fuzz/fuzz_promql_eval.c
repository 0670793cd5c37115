/* fuzz_promql_eval.c - queries over a few series: any bytes are answered or refused, within bounds.
 *
 * The first byte chooses the kind of query and its times, the rest is the text. An answer obeys
 * what the engine promises: series in order without equal labels, times on the grid. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "promql/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERIES 6
#define SAMPLES 60
#define MOST_NS 2000000000 /* an input that needs longer ends by its deadline */

struct fuzz_store {
    struct labels *labels[SERIES];
    struct columns samples[SERIES];
};

struct fuzz_selection {
    struct selection selection;
    struct fuzz_store *store;
    size_t numbers[SERIES];
};

static void check(bool good)
{
    if (!good)
        abort();
}

static void fill(struct fuzz_store *store)
{
    static const char *const names[] = {"a_total", "b", "c_bucket"};
    static const char *const bounds[] = {"1", "+Inf"};
    struct error err;

    for (size_t i = 0; i < SERIES; i++) {
        const char *name = names[i / 2], *le = i / 2 == 2 ? bounds[i % 2] : "";
        struct label list[] = {
            {"__name__", name, 8, (uint32_t)strlen(name)},
            {"host", i % 2 == 0 ? "x" : "y", 4, 1},
            {"le", le, 2, (uint32_t)strlen(le)},
        };

        store->labels[i] = labels_new(list, TIDE_COUNT(list), &err);
        for (size_t k = 0; k < SAMPLES; k++) {
            double value = (double)((k * 7 + i) % 11);

            if (k % 13 == 5)
                value = NAN;
            columns_append(&store->samples[i], (int64_t)(k * 10000 + i), value);
        }
    }
}

static int fuzz_select(void *ctx, const struct select_request *request, struct selection **out,
                       struct error *err)
{
    struct fuzz_selection *found = mem_zalloc(1, sizeof(*found));

    (void)err;
    found->store = ctx;
    found->selection.series = mem_zalloc(SERIES, sizeof(*found->selection.series));
    for (size_t i = 0; i < SERIES; i++) {
        const struct columns *samples = &found->store->samples[i];

        if (!matchers_accept(request->matchers, request->matcher_count, found->store->labels[i]))
            continue;
        found->numbers[found->selection.count] = i;
        found->selection.series[found->selection.count++] =
            (struct selected_series){.labels = found->store->labels[i],
                                     .fp = i,
                                     .first_ms = samples->times_ms[0],
                                     .last_ms = samples->times_ms[SAMPLES - 1],
                                     .last_value = samples->values[SAMPLES - 1],
                                     .last_value_known = i % 2 == 0};
    }
    *out = &found->selection;
    return 0;
}

static int fuzz_read(struct selection *selection, size_t i, int64_t from_ms, int64_t to_ms,
                     struct columns *out, struct error *err)
{
    struct fuzz_selection *found = (struct fuzz_selection *)selection;
    const struct columns *samples = &found->store->samples[found->numbers[i]];

    (void)err;
    for (size_t k = 0; k < samples->len; k++) {
        if (samples->times_ms[k] >= from_ms && samples->times_ms[k] <= to_ms)
            columns_append(out, samples->times_ms[k], samples->values[k]);
    }
    return 0;
}

static void fuzz_free(void *ctx, struct selection *selection)
{
    (void)ctx;
    mem_free(selection->series);
    mem_free(selection);
}

static void check_value(const struct promql_query *query, const struct value *value)
{
    check(query->step_ms == 0 || value->type == VALUE_MATRIX);
    for (size_t i = 0; i < value->count; i++) {
        const struct columns *samples = &value->series[i].samples;

        if (query->step_ms == 0)
            continue;
        check(i == 0 || labels_compare(value->series[i - 1].labels, value->series[i].labels) < 0);
        check(samples->len != 0);
        for (size_t k = 0; k < samples->len; k++) {
            check((samples->times_ms[k] - query->start_ms) % query->step_ms == 0);
            check(samples->times_ms[k] <= query->end_ms);
            check(k == 0 || samples->times_ms[k - 1] < samples->times_ms[k]);
        }
    }
}

static void run(const struct promql_query *query)
{
    struct value value = {0};
    struct annotations notes = {0};
    struct query_stats stats = {0};
    struct error err = {0};

    if (promql_execute(query, &value, &notes, &stats, &err) == 0) {
        check_value(query, &value);
        value_destroy(&value);
    } else {
        check(err.code != ERR_NONE && err.text[0] != '\0' && value.type == VALUE_NONE);
    }
    annotations_destroy(&notes);
    query_stats_destroy(&stats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t steps[] = {0, 1000, 60000, 7000};
    static struct fuzz_store store;
    struct querier querier = {
        .ctx = &store, .select = fuzz_select, .read = fuzz_read, .selection_free = fuzz_free};
    struct promql_query query = {.querier = &querier, .max_samples = 20000, .per_step = true};

    if (size == 0)
        return 0;
    if (store.labels[0] == NULL)
        fill(&store);
    query.text = (const char *)data + 1;
    query.len = size - 1;
    query.start_ms = (int64_t)(data[0] >> 2) * 10000 - 60000;
    query.step_ms = steps[data[0] & 3];
    query.end_ms = query.start_ms + 5 * query.step_ms;
    query.deadline_ns = clock_mono_ns(clock_system()) + MOST_NS;
    run(&query);
    return 0;
}
