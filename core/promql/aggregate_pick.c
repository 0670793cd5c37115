/* aggregate_pick.c - aggregations that compare all members of a group: quantile, topk, bottomk,
 * limitk, limit_ratio. See aggregate.h and promql.md 15.4. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/number.h"
#include "promql/aggregate.h"
#include "promql/eval_math.h"
#include "promql/eval_order.h"

/* The rows and how they are grouped. */
struct members {
    struct block block;
    struct label_part_map groups;
    const struct plan_node *node;
    uint32_t *group_of; /* by row */
    uint32_t *sizes;    /* by group */
    struct group_flag *flags;
};

static int members_init(struct members *members, struct eval *ev, const struct plan_node *node,
                        struct error *err)
{
    size_t count;

    *members =
        (struct members){.node = node, .groups = {.names = &node->names, .keeps = !node->without}};
    if (eval_vector(ev, node->children[0], &members->block, err) != 0)
        return -1;
    count = members->block.count;
    members->group_of = mem_alloc(count * sizeof(*members->group_of));
    members->sizes = mem_zalloc(count, sizeof(*members->sizes));
    members->flags = mem_zalloc(count, sizeof(*members->flags));
    for (size_t i = 0; i < count; i++) {
        struct row *row = &members->block.rows[i];
        bool is_new;
        size_t group = label_part_map_put(&members->groups, row->labels, &is_new);

        members->group_of[i] = (uint32_t)group;
        members->sizes[group]++;
        group_flag_add(&members->flags[group], row, members->block.steps);
        if (eval_tick(ev, EVAL_LABELS_WORK, err) != 0)
            return -1;
    }
    return 0;
}

static void members_destroy(struct members *members, struct eval *ev)
{
    eval_block_free(ev, &members->block);
    label_part_map_destroy(&members->groups);
    mem_free(members->group_of);
    mem_free(members->sizes);
    mem_free(members->flags);
}

/* --- quantile -------------------------------------------------------------------------------- */

static void note_quantiles(struct eval *ev, const double *q, size_t steps, uint32_t offset)
{
    double smallest = INFINITY, largest = -INFINITY;
    bool nan = false;

    for (size_t k = 0; k < steps; k++) {
        nan = nan || isnan(q[k]);
        smallest = q[k] < smallest ? q[k] : smallest;
        largest = q[k] > largest ? q[k] : largest;
    }
    if (nan)
        eval_note_quantile(ev, eval_nan(), offset);
    if (largest > 1 && steps != 0)
        eval_note_quantile(ev, largest, offset);
    if (smallest < 0 && steps != 0)
        eval_note_quantile(ev, smallest, offset);
}

static int quantile_group(struct eval *ev, struct members *m, const uint32_t *rows, size_t group,
                          const double *q, struct sink *sink, struct error *err)
{
    size_t steps = m->block.steps, size = m->sizes[group];
    double *gathered = mem_alloc(size * sizeof(*gathered));
    struct row row = {.values = sink->room(sink), .drop_name = m->flags[group].drop_name};
    int result = 0;

    for (size_t k = 0; k < steps && result == 0; k++) {
        size_t count = 0;

        for (size_t i = 0; i < size; i++) {
            gathered[count] = m->block.rows[rows[i]].values[k];
            count += !eval_is_hole(&m->block.rows[rows[i]].values[k]);
        }
        row.values[k] = count == 0 ? eval_hole() : eval_quantile(q[k], gathered, count);
        result = eval_tick(ev, size + 1, err);
    }
    mem_free(gathered);
    if (result != 0)
        return -1;
    row.labels = labels_ref(m->groups.parts[group]);
    return sink->take(sink, &row, err);
}

static int quantile_rows(struct eval *ev, struct members *m, const double *q, struct sink *sink,
                         struct error *err)
{
    size_t groups = m->groups.count, start = 0;
    uint32_t *rows = mem_alloc(m->block.count * sizeof(*rows));
    size_t *next = mem_alloc((groups + 1) * sizeof(*next));
    int result = 0;

    for (size_t g = 0; g < groups; g++) {
        next[g] = start;
        start += m->sizes[g];
    }
    for (size_t i = 0; i < m->block.count; i++)
        rows[next[m->group_of[i]]++] = (uint32_t)i;
    for (size_t g = 0; g < groups && result == 0; g++)
        result = quantile_group(ev, m, rows + next[g] - m->sizes[g], g, q, sink, err);
    mem_free(rows);
    mem_free(next);
    return result;
}

/* --- topk and bottomk: upstream's heaps, so that ties fall as they do there ---------------------
 */

struct entry {
    double value;
    uint32_t row;
};

struct heap {
    struct entry *entries;
    size_t count;
};

/* The heap has the entry in front that goes first: NaN, then the worst. */
static bool goes_before(const struct entry *a, const struct entry *b, bool top)
{
    if (isnan(a->value))
        return true;
    return top ? a->value < b->value : a->value > b->value;
}

static void swap_entries(struct entry *a, struct entry *b)
{
    struct entry kept = *a;

    *a = *b;
    *b = kept;
}

static void heap_push(struct heap *heap, struct entry entry, bool top)
{
    size_t i = heap->count++;

    heap->entries[i] = entry;
    while (i > 0) {
        size_t parent = (i - 1) / 2;

        if (!goes_before(&heap->entries[i], &heap->entries[parent], top))
            return;
        swap_entries(&heap->entries[i], &heap->entries[parent]);
        i = parent;
    }
}

static void heap_replace_first(struct heap *heap, struct entry entry, bool top)
{
    size_t i = 0;

    heap->entries[0] = entry;
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= heap->count)
            return;
        if (child + 1 < heap->count &&
            goes_before(&heap->entries[child + 1], &heap->entries[child], top))
            child++;
        if (!goes_before(&heap->entries[child], &heap->entries[i], top))
            return;
        swap_entries(&heap->entries[i], &heap->entries[child]);
        i = child;
    }
}

static void heap_offer(struct heap *heap, struct entry entry, size_t k, bool top)
{
    double first = heap->count != 0 ? heap->entries[0].value : 0;

    if (heap->count < k)
        heap_push(heap, entry, top);
    else if ((top ? first < entry.value : first > entry.value) ||
             (isnan(first) && !isnan(entry.value)))
        heap_replace_first(heap, entry, top);
}

static int compare_best(double a, double b, bool top)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return top ? (a < b) - (a > b) : (a > b) - (a < b);
}

static int compare_top(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare_best(x->value, y->value, true);

    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

static int compare_bottom(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare_best(x->value, y->value, false);

    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

/* Steps that are picked at once: a cache line of each row. */
#define TILE 8

struct picker {
    struct eval *ev;
    struct members *m;
    const size_t *k;    /* how many, by step */
    bool *chosen;       /* rows x steps */
    struct heap *heaps; /* groups x TILE */
    struct entry *entries;
    bool top;
};

static void pick_row(struct picker *p, size_t i, size_t from, size_t to)
{
    const double *values = p->m->block.rows[i].values;
    struct heap *heaps = p->heaps + (size_t)p->m->group_of[i] * TILE;

    for (size_t k = from; k < to; k++) {
        if (p->k[k] != 0 && !eval_is_hole(&values[k]))
            heap_offer(&heaps[k - from], (struct entry){values[k], (uint32_t)i}, p->k[k], p->top);
    }
}

static void note_chosen(struct picker *p, size_t from, size_t to)
{
    size_t steps = p->m->block.steps;

    for (size_t g = 0; g < p->m->groups.count; g++) {
        for (size_t k = from; k < to; k++) {
            struct heap *heap = &p->heaps[g * TILE + k - from];

            for (size_t e = 0; e < heap->count; e++)
                p->chosen[heap->entries[e].row * steps + k] = true;
        }
    }
}

static int pick_tiles(struct picker *p, struct error *err)
{
    size_t steps = p->m->block.steps, groups = p->m->groups.count;

    for (size_t from = 0; from < steps; from += TILE) {
        size_t to = TIDE_MIN(steps, from + TILE);

        for (size_t h = 0; h < groups * TILE; h++)
            p->heaps[h].count = 0;
        for (size_t i = 0; i < p->m->block.count; i++) {
            pick_row(p, i, from, to);
            if (eval_tick(p->ev, to - from + 16, err) != 0)
                return -1;
        }
        note_chosen(p, from, to);
        if (eval_tick(p->ev, p->m->block.count * TILE, err) != 0)
            return -1;
    }
    return 0;
}

/* An instant query shows the best first, group by group. */
static int pass_in_rank_order(struct picker *p, struct sink *sink, struct error *err)
{
    for (size_t g = 0; g < p->m->groups.count; g++) {
        struct heap *heap = &p->heaps[g * TILE];

        qsort(heap->entries, heap->count, sizeof(*heap->entries),
              p->top ? compare_top : compare_bottom);
        for (size_t e = 0; e < heap->count; e++) {
            struct row row = p->m->block.rows[heap->entries[e].row];

            p->m->block.rows[heap->entries[e].row].labels = NULL;
            if (sink->take(sink, &row, err) != 0)
                return -1;
        }
    }
    return 0;
}

/* Passes the rows with what was not chosen made holes. */
static int pass_chosen(struct eval *ev, struct members *m, const bool *chosen, struct sink *sink,
                       struct error *err)
{
    size_t steps = m->block.steps;

    for (size_t i = 0; i < m->block.count; i++) {
        struct row row = m->block.rows[i];
        bool any = false;

        for (size_t k = 0; k < steps; k++) {
            if (chosen[i * steps + k])
                any = true;
            else
                row.values[k] = eval_hole();
        }
        if (!any)
            continue;
        m->block.rows[i].labels = NULL;
        if (sink->take(sink, &row, err) != 0 || eval_tick(ev, steps, err) != 0)
            return -1;
    }
    return 0;
}

static int rank_rows(struct eval *ev, struct members *m, const size_t *k, struct sink *sink,
                     struct error *err)
{
    size_t steps = m->block.steps, groups = m->groups.count, most = 0, used = 0;
    struct picker p = {.ev = ev, .m = m, .k = k};
    int result;

    p.top = m->node->aggregate == AGGREGATE_TOPK;
    for (size_t s = 0; s < steps; s++)
        most = TIDE_MAX(most, k[s]);
    p.chosen = mem_zalloc(m->block.count, steps * sizeof(*p.chosen));
    p.heaps = mem_zalloc(groups * TILE, sizeof(*p.heaps));
    for (size_t g = 0; g < groups; g++)
        used += TIDE_MIN(most, m->sizes[g]) * TILE;
    p.entries = mem_alloc(used * sizeof(*p.entries));
    used = 0;
    for (size_t h = 0; h < groups * TILE; h++) {
        p.heaps[h].entries = p.entries + used;
        used += TIDE_MIN(most, m->sizes[h / TILE]);
    }
    result = pick_tiles(&p, err);
    if (result == 0)
        result = steps == 1 ? pass_in_rank_order(&p, sink, err)
                            : pass_chosen(ev, m, p.chosen, sink, err);
    mem_free(p.chosen);
    mem_free(p.heaps);
    mem_free(p.entries);
    return result;
}

/* --- limitk, limit_ratio --------------------------------------------------------------------- */

static int limit_rows(struct eval *ev, struct members *m, const size_t *k, struct sink *sink,
                      struct error *err)
{
    size_t steps = m->block.steps, groups = m->groups.count;
    bool *chosen = mem_zalloc(m->block.count, steps * sizeof(*chosen));
    size_t *taken = mem_zalloc(groups, steps * sizeof(*taken));
    int result = 0;

    for (size_t i = 0; i < m->block.count && result == 0; i++) {
        const double *values = m->block.rows[i].values;
        size_t *group = taken + (size_t)m->group_of[i] * steps;

        for (size_t s = 0; s < steps; s++) {
            if (eval_is_hole(&values[s]) || group[s] >= k[s])
                continue;
            group[s]++;
            chosen[i * steps + s] = true;
        }
        result = eval_tick(ev, steps, err);
    }
    if (result == 0)
        result = pass_chosen(ev, m, chosen, sink, err);
    mem_free(chosen);
    mem_free(taken);
    return result;
}

static bool ratio_takes(double ratio, const struct labels *labels)
{
    double place = (double)labels_hash(labels) / 18446744073709551615.0;

    return ratio >= 0 ? place < ratio : place >= 1 + ratio;
}

static int ratio_rows(struct eval *ev, struct members *m, const double *ratios, struct sink *sink,
                      struct error *err)
{
    size_t steps = m->block.steps;
    bool *chosen = mem_zalloc(m->block.count, steps * sizeof(*chosen));
    int result;

    for (size_t i = 0; i < m->block.count; i++) {
        for (size_t k = 0; k < steps; k++)
            chosen[i * steps + k] = ratio_takes(ratios[k], m->block.rows[i].labels);
    }
    result = pass_chosen(ev, m, chosen, sink, err);
    mem_free(chosen);
    return result;
}

/* --- parameters ------------------------------------------------------------------------------ */

#define LARGEST_K 9223372036854774784.0 /* upstream's bound: the largest double below 2^63 */
#define SMALLEST_K (-9223372036854775808.0)

static int fail_range(double p, const char *word, struct error *err)
{
    char number[NUMBER_MAX_BYTES];

    return error_set(err, ERR_EXECUTION, "Scalar value %.*s %s int64",
                     (int)number_format_go(number, p), number, word);
}

/* How many to take at each step. *none when that is nothing anywhere. */
static int count_params(const double *params, size_t steps, size_t *k, bool *none,
                        struct error *err)
{
    double most = steps != 0 ? params[0] : 0;

    for (size_t s = 0; s < steps; s++)
        most = eval_max(most, params[s]);
    *none = most < 1;
    if (*none)
        return 0;
    for (size_t s = 0; s < steps; s++) {
        if (isnan(params[s]))
            return error_set(err, ERR_EXECUTION, "Parameter value is NaN");
    }
    for (size_t s = 0; s < steps; s++) {
        if (params[s] <= SMALLEST_K)
            return fail_range(params[s], "underflows", err);
        if (params[s] >= LARGEST_K)
            return fail_range(params[s], "overflows", err);
        k[s] = params[s] < 1 ? 0 : (size_t)params[s];
    }
    return 0;
}

static int ratio_params(struct eval *ev, double *ratios, size_t steps, uint32_t offset, bool *none,
                        struct error *err)
{
    char number[NUMBER_MAX_BYTES];

    *none = true;
    for (size_t k = 0; k < steps; k++)
        *none = *none && ratios[k] == 0;
    if (*none)
        return 0;
    for (size_t k = 0; k < steps; k++) {
        if (isnan(ratios[k]))
            return error_set(err, ERR_EXECUTION, "Ratio value is NaN");
        if (ratios[k] >= -1 && ratios[k] <= 1)
            continue;
        eval_note(ev, ANNOTATION_WARNING, offset,
                  "ratio value should be between -1 and 1, got %.*s, capping to %d",
                  (int)number_format_go(number, ratios[k]), number, ratios[k] > 1 ? 1 : -1);
        ratios[k] = ratios[k] > 1 ? 1 : -1;
    }
    return 0;
}

int aggregate_pick_rows(struct eval *ev, const struct plan_node *node, struct sink *sink,
                        struct error *err)
{
    size_t steps = node->grid.steps;
    double *params = eval_scalar_new(ev, node->children[1], err);
    size_t *k = arena_alloc(&ev->plan->arena, (steps + 1) * sizeof(*k));
    bool none = false;
    struct members members;
    int result = -1;

    if (params == NULL)
        return -1;
    if (node->aggregate == AGGREGATE_QUANTILE)
        note_quantiles(ev, params, steps, node->children[1]->offset);
    else if (node->aggregate == AGGREGATE_LIMIT_RATIO
                 ? ratio_params(ev, params, steps, node->children[1]->offset, &none, err) != 0
                 : count_params(params, steps, k, &none, err) != 0)
        return -1;
    if (members_init(&members, ev, node, err) == 0) {
        if (none)
            result = 0;
        else if (node->aggregate == AGGREGATE_QUANTILE)
            result = quantile_rows(ev, &members, params, sink, err);
        else if (node->aggregate == AGGREGATE_LIMITK)
            result = limit_rows(ev, &members, k, sink, err);
        else if (node->aggregate == AGGREGATE_LIMIT_RATIO)
            result = ratio_rows(ev, &members, params, sink, err);
        else
            result = rank_rows(ev, &members, k, sink, err);
    }
    members_destroy(&members, ev);
    return result;
}
