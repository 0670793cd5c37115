/* edit_list.c - see edit_list.h. */
#include "store/edit_list.h"

#include "base/mem.h"
#include "store/slab.h"

#define MIN_CAP 4

/* --- arrays
 * --------------------------------------------------------------------------------------- */

static void *resize(struct edit_memory memory, void *old, size_t old_bytes, size_t new_bytes)
{
    void *bytes = NULL;

    if (memory.pool == NULL) {
        if (new_bytes != 0)
            return mem_realloc(old, new_bytes);
        mem_free(old);
        return NULL;
    }
    if (new_bytes != 0)
        bytes = slab_alloc(memory.pool, memory.group, new_bytes);
    if (old != NULL && bytes != NULL)
        memcpy(bytes, old, TIDE_MIN(old_bytes, new_bytes));
    slab_free(memory.pool, old, old_bytes);
    return bytes;
}

static void reserve_puts(struct edit_list *list, struct edit_memory memory, uint32_t count)
{
    uint32_t cap = TIDE_MAX(list->put_cap, (uint32_t)MIN_CAP);

    if (count <= list->put_cap)
        return;
    while (cap < count)
        cap *= 2;
    list->puts =
        resize(memory, list->puts, list->put_cap * sizeof(*list->puts), cap * sizeof(*list->puts));
    list->put_cap = cap;
}

static void reserve_marks(struct edit_list *list, struct edit_memory memory, uint32_t count)
{
    uint32_t cap = TIDE_MAX(list->mark_cap, (uint32_t)MIN_CAP);

    if (count <= list->mark_cap)
        return;
    while (cap < count)
        cap *= 2;
    list->marks = resize(memory, list->marks, list->mark_cap * sizeof(*list->marks),
                         cap * sizeof(*list->marks));
    list->mark_cap = cap;
}

void edit_list_destroy(struct edit_list *list, struct edit_memory memory)
{
    resize(memory, list->puts, list->put_cap * sizeof(*list->puts), 0);
    resize(memory, list->marks, list->mark_cap * sizeof(*list->marks), 0);
    *list = (struct edit_list){0};
}

uint64_t edit_list_bytes(const struct edit_list *list)
{
    return list->put_cap * sizeof(*list->puts) + list->mark_cap * sizeof(*list->marks);
}

/* --- looking
 * -------------------------------------------------------------------------------------- */

uint32_t edit_list_puts_before(const struct edit_list *list, int64_t time_ms)
{
    uint32_t low = 0, high = list->put_count;

    if (high == 0 || list->puts[high - 1].time_ms < time_ms)
        return high; /* samples that are late come mostly in order */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (list->puts[middle].time_ms < time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Number of puts up to a time. */
static uint32_t puts_until(const struct edit_list *list, int64_t time_ms)
{
    return time_ms == TIDE_LATEST_MS ? list->put_count : edit_list_puts_before(list, time_ms + 1);
}

/* Index of the first mark that ends at or after a time. */
static uint32_t first_mark(const struct edit_list *list, int64_t time_ms)
{
    uint32_t low = 0, high = list->mark_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (list->marks[middle].to_ms < time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool edit_list_marks(const struct edit_list *list, int64_t time_ms)
{
    uint32_t i = first_mark(list, time_ms);

    return i < list->mark_count && list->marks[i].from_ms <= time_ms;
}

bool edit_list_touches(const struct edit_list *list, int64_t from_ms, int64_t to_ms)
{
    uint32_t mark = first_mark(list, from_ms), put;

    if (mark < list->mark_count && list->marks[mark].from_ms <= to_ms)
        return true;
    put = edit_list_puts_before(list, from_ms);
    return put < list->put_count && list->puts[put].time_ms <= to_ms;
}

/* --- changing
 * ------------------------------------------------------------------------------------- */

double duplicate_resolve(enum duplicate_rule rule, double there, double comes)
{
    switch (rule) {
    case DUPLICATE_FIRST:
        return there;
    case DUPLICATE_MAX:
        if (comes != comes)
            return there != there ? comes : there;
        return there != there || comes > there ? comes : there;
    case DUPLICATE_LAST:
        break;
    }
    return comes;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

/* Two puts of one time become one: which rule has it for what is below? A put that replaced that
 * still does. A greater one (MAX) over one that yields to it (FIRST, of an undelete) does not
 * yield: it is compared with it. A smaller one leaves the yielding one, though it might have won
 * over something smaller still below: that takes a push that an undelete found there already. */
static uint8_t joined_rule(const struct edit_put *there, const struct edit_put *comes, double value)
{
    bool won = comes->rule == DUPLICATE_MAX && same_bits(value, comes->value);

    if (comes->rule == DUPLICATE_LAST || (won && there->rule == DUPLICATE_FIRST))
        return comes->rule;
    return there->rule;
}

static bool join_puts(struct edit_put *there, const struct edit_put *comes)
{
    double value = duplicate_resolve((enum duplicate_rule)comes->rule, there->value, comes->value);
    uint8_t rule = joined_rule(there, comes, value);
    bool same = same_bits(value, there->value) && rule == there->rule;

    there->value = value;
    there->rule = rule;
    return !same;
}

bool edit_list_put(struct edit_list *list, struct edit_memory memory, int64_t time_ms, double value,
                   enum duplicate_rule rule)
{
    uint32_t at = edit_list_puts_before(list, time_ms);
    struct edit_put put = {time_ms, value, (uint8_t)rule};

    if (at < list->put_count && list->puts[at].time_ms == time_ms)
        return join_puts(&list->puts[at], &put);
    reserve_puts(list, memory, list->put_count + 1);
    memmove(list->puts + at + 1, list->puts + at, (list->put_count - at) * sizeof(*list->puts));
    list->puts[at] = put;
    list->put_count++;
    return true;
}

/* Puts a sorted array on top, from the back so that one array does. */
static void merge_puts(struct edit_list *list, struct edit_memory memory,
                       const struct edit_put *newer, uint32_t count)
{
    uint32_t old = list->put_count, from = count, to = old + count, top = to;

    if (count == 0)
        return;
    reserve_puts(list, memory, to);
    while (from != 0) {
        if (old != 0 && list->puts[old - 1].time_ms > newer[from - 1].time_ms) {
            list->puts[--to] = list->puts[--old];
        } else if (old != 0 && list->puts[old - 1].time_ms == newer[from - 1].time_ms) {
            struct edit_put joined = list->puts[--old];

            join_puts(&joined, &newer[--from]);
            list->puts[--to] = joined;
        } else {
            list->puts[--to] = newer[--from];
        }
    }
    /* `old` puts are where they were; what was joined left a gap behind them. */
    memmove(list->puts + old, list->puts + to, (top - to) * sizeof(*list->puts));
    list->put_count = old + (top - to);
}

void edit_list_put_sorted(struct edit_list *list, struct edit_memory memory,
                          const int64_t *times_ms, const double *values, size_t count,
                          enum duplicate_rule rule)
{
    struct edit_put *puts = mem_alloc(count * sizeof(*puts));

    TIDE_ASSERT(count <= UINT32_MAX / 4);
    for (size_t i = 0; i < count; i++)
        puts[i] = (struct edit_put){times_ms[i], values[i], (uint8_t)rule};
    merge_puts(list, memory, puts, (uint32_t)count);
    mem_free(puts);
}

static void remove_puts(struct edit_list *list, int64_t from_ms, int64_t to_ms)
{
    uint32_t first = edit_list_puts_before(list, from_ms), end = puts_until(list, to_ms);

    memmove(list->puts + first, list->puts + end, (list->put_count - end) * sizeof(*list->puts));
    list->put_count -= end - first;
}

static int64_t before(int64_t time_ms)
{
    return time_ms == TIDE_EARLIEST_MS ? time_ms : time_ms - 1;
}

static int64_t after(int64_t time_ms)
{
    return time_ms == TIDE_LATEST_MS ? time_ms : time_ms + 1;
}

void edit_list_mark(struct edit_list *list, struct edit_memory memory, int64_t from_ms,
                    int64_t to_ms)
{
    struct edit_mark mark = {from_ms, to_ms};
    uint32_t first = first_mark(list, before(from_ms)), end = first;

    if (list->put_count != 0)
        remove_puts(list, from_ms, to_ms);
    while (end < list->mark_count && list->marks[end].from_ms <= after(to_ms)) {
        mark.from_ms = TIDE_MIN(mark.from_ms, list->marks[end].from_ms);
        mark.to_ms = TIDE_MAX(mark.to_ms, list->marks[end].to_ms);
        end++;
    }
    if (end == first)
        reserve_marks(list, memory, list->mark_count + 1);
    memmove(list->marks + first + 1, list->marks + end,
            (list->mark_count - end) * sizeof(*list->marks));
    list->mark_count = list->mark_count - (end - first) + 1;
    list->marks[first] = mark;
}

void edit_list_compose(struct edit_list *list, struct edit_memory memory,
                       const struct edit_list *newer)
{
    for (uint32_t i = 0; i < newer->mark_count; i++)
        edit_list_mark(list, memory, newer->marks[i].from_ms, newer->marks[i].to_ms);
    merge_puts(list, memory, newer->puts, newer->put_count);
}

/* Takes an interval out of the marks; one that it lies within becomes two. */
static void cut_marks(struct edit_list *list, struct edit_memory memory, int64_t from_ms,
                      int64_t to_ms)
{
    struct edit_mark *old = list->marks;
    uint32_t count = list->mark_count, cap = list->mark_cap;

    if (count == 0)
        return;
    list->marks = NULL;
    list->mark_count = list->mark_cap = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (old[i].to_ms < from_ms || old[i].from_ms > to_ms) {
            edit_list_mark(list, memory, old[i].from_ms, old[i].to_ms);
            continue;
        }
        if (old[i].from_ms < from_ms)
            edit_list_mark(list, memory, old[i].from_ms, from_ms - 1);
        if (old[i].to_ms > to_ms)
            edit_list_mark(list, memory, to_ms + 1, old[i].to_ms);
    }
    resize(memory, old, cap * sizeof(*old), 0);
}

void edit_list_forget(struct edit_list *list, struct edit_memory memory, int64_t from_ms,
                      int64_t to_ms)
{
    struct edit_list marks = {
        .marks = list->marks, .mark_count = list->mark_count, .mark_cap = list->mark_cap};

    if (list->put_count != 0)
        remove_puts(list, from_ms, to_ms);
    cut_marks(&marks, memory, from_ms, to_ms);
    list->marks = marks.marks;
    list->mark_count = marks.mark_count;
    list->mark_cap = marks.mark_cap;
}

void edit_list_copy(const struct edit_list *list, int64_t from_ms, int64_t to_ms,
                    struct edit_list *out, struct edit_memory memory)
{
    uint32_t first = edit_list_puts_before(list, from_ms), end = puts_until(list, to_ms);
    uint32_t mark = first_mark(list, from_ms);

    *out = (struct edit_list){0};
    for (; mark < list->mark_count && list->marks[mark].from_ms <= to_ms; mark++)
        edit_list_mark(out, memory, TIDE_MAX(list->marks[mark].from_ms, from_ms),
                       TIDE_MIN(list->marks[mark].to_ms, to_ms));
    if (end > first) {
        reserve_puts(out, memory, end - first);
        memcpy(out->puts, list->puts + first, (end - first) * sizeof(*out->puts));
        out->put_count = end - first;
    }
}

/* --- onto samples
 * --------------------------------------------------------------------------------- */

/* Leaves the samples out that are in a mark. */
static bool apply_marks(const struct edit_list *list, struct columns *columns, size_t start)
{
    size_t kept = start;
    uint32_t mark = 0;

    for (size_t i = start; i < columns->len; i++) {
        int64_t time_ms = columns->times_ms[i];

        while (mark < list->mark_count && list->marks[mark].to_ms < time_ms)
            mark++;
        if (mark < list->mark_count && list->marks[mark].from_ms <= time_ms)
            continue;
        columns->times_ms[kept] = time_ms;
        columns->values[kept++] = columns->values[i];
    }
    if (kept == columns->len)
        return false;
    columns->len = kept;
    return true;
}

/* Merges puts `first` .. `end` - 1 into the samples, from the back so that one array does. */
static bool apply_puts(const struct edit_list *list, struct columns *columns, size_t start,
                       uint32_t first, uint32_t end)
{
    size_t old = columns->len, to = old + (end - first), top = to;
    bool changed = false;

    columns_reserve(columns, end - first);
    for (; end > first; end--) {
        const struct edit_put *put = &list->puts[end - 1];

        while (old > start && columns->times_ms[old - 1] > put->time_ms) {
            columns->times_ms[--to] = columns->times_ms[--old];
            columns->values[to] = columns->values[old];
        }
        columns->times_ms[--to] = put->time_ms;
        columns->values[to] = put->value;
        if (old > start && columns->times_ms[old - 1] == put->time_ms) {
            double there = columns->values[--old];

            columns->values[to] =
                duplicate_resolve((enum duplicate_rule)put->rule, there, put->value);
            changed = changed || !same_bits(columns->values[to], there);
        } else {
            changed = true;
        }
    }
    /* `old` samples are where they were; what was replaced left a gap behind them. */
    memmove(columns->times_ms + old, columns->times_ms + to, (top - to) * sizeof(int64_t));
    memmove(columns->values + old, columns->values + to, (top - to) * sizeof(double));
    columns->len = old + (top - to);
    return changed;
}

bool edit_list_overlay(const struct edit_list *list, struct columns *columns, size_t start,
                       int64_t from_ms, int64_t to_ms)
{
    uint32_t first = edit_list_puts_before(list, from_ms), end = puts_until(list, to_ms);
    bool changed = list->mark_count != 0 && apply_marks(list, columns, start);

    if (end > first)
        changed = apply_puts(list, columns, start, first, end) || changed;
    return changed;
}
