#include "http/series_union.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/labels.h"

/* The window of a cursor begins so, and never grows beyond the last; its reads shrink it to what
 * holds about WINDOW_SAMPLES. */
#define FIRST_WINDOW_MS (INT64_C(2) * 60 * 60 * 1000)
#define LEAST_WINDOW_MS INT64_C(1000)
#define MOST_WINDOW_MS (INT64_C(30) * 24 * 60 * 60 * 1000)
#define MOST_EMPTY_MS (INT64_C(365) * 24 * 60 * 60 * 1000)
#define WINDOW_SAMPLES ((size_t)20000)

static int compare_series(const void *a, const void *b)
{
    return labels_compare(((const struct union_series *)a)->labels,
                          ((const struct union_series *)b)->labels);
}

static void list_series(struct series_union *all)
{
    size_t total = 0, n = 0;

    for (size_t i = 0; i < all->selection_count; i++)
        total += all->selections[i]->count;
    all->list = mem_alloc((total + 1) * sizeof(*all->list));
    for (size_t i = 0; i < all->selection_count; i++) {
        struct selection *selection = all->selections[i];

        for (size_t k = 0; k < selection->count; k++)
            all->list[n++] = (struct union_series){selection->series[k].labels, selection, k};
    }
    qsort(all->list, n, sizeof(*all->list), compare_series);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !labels_equal(all->list[i - 1].labels, all->list[i].labels))
            all->list[all->count++] = all->list[i];
    }
}

int series_union_open(struct series_union *all, const struct querier *querier,
                      const struct select_request *sets, size_t set_count, struct error *err)
{
    *all = (struct series_union){.querier = querier};
    all->selections = mem_zalloc(set_count, sizeof(*all->selections));
    for (; all->selection_count < set_count; all->selection_count++) {
        size_t i = all->selection_count;

        if (querier->select(querier->ctx, &sets[i], &all->selections[i], err) != 0) {
            series_union_close(all);
            return -1;
        }
    }
    list_series(all);
    return 0;
}

void series_union_close(struct series_union *all)
{
    for (size_t i = 0; i < all->selection_count; i++)
        all->querier->selection_free(all->querier->ctx, all->selections[i]);
    mem_free(all->selections);
    mem_free(all->list);
    *all = (struct series_union){0};
}

void series_cursor_init(struct series_cursor *cursor, const struct series_union *all, size_t i,
                        int64_t from_ms, int64_t to_ms)
{
    const struct union_series *series = &all->list[i];
    const struct selected_series *selected = &series->selection->series[series->index];

    *cursor = (struct series_cursor){
        .all = all,
        .series = series,
        .next_ms = TIDE_MAX(from_ms, selected->first_ms),
        .to_ms = to_ms,
        .window_ms = FIRST_WINDOW_MS,
    };
    cursor->ended = cursor->next_ms > to_ms;
}

/* Makes the next window one that holds about WINDOW_SAMPLES. */
static void adapt(struct series_cursor *cursor, size_t got)
{
    int64_t most_ms = got > 0 ? MOST_WINDOW_MS : MOST_EMPTY_MS;

    if (got > WINDOW_SAMPLES)
        cursor->window_ms =
            TIDE_MAX(cursor->window_ms / (int64_t)(got / WINDOW_SAMPLES + 1), LEAST_WINDOW_MS);
    else if (got < WINDOW_SAMPLES / 2)
        cursor->window_ms = TIDE_MIN(cursor->window_ms * 2, most_ms);
}

/* The end of the next window. Before 1970 all is one: hardly anything is there. */
static int64_t window_end(const struct series_cursor *cursor)
{
    const struct union_series *series = cursor->series;
    int64_t last_ms = series->selection->series[series->index].last_ms;

    if (cursor->next_ms < 0)
        return TIDE_MIN(cursor->to_ms, (int64_t)-1);
    if (cursor->next_ms > last_ms ||
        (uint64_t)cursor->to_ms - (uint64_t)cursor->next_ms <= (uint64_t)cursor->window_ms)
        return cursor->to_ms;
    return cursor->next_ms + cursor->window_ms;
}

int series_cursor_read(struct series_cursor *cursor, size_t samples, struct columns *out,
                       struct error *err)
{
    const struct union_series *series = cursor->series;
    size_t start = out->len;

    while (!cursor->ended && out->len - start < samples) {
        size_t before = out->len;
        int64_t end_ms = window_end(cursor);

        if (cursor->all->querier->read(series->selection, series->index, cursor->next_ms, end_ms,
                                       out, err) != 0)
            return -1;
        adapt(cursor, out->len - before);
        cursor->ended = end_ms >= cursor->to_ms;
        if (!cursor->ended)
            cursor->next_ms = end_ms + 1;
    }
    return 0;
}
