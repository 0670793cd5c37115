/* label_values.c - names and values of labels, of all series or of those that match (querier.h).
 *
 * Without matchers straight from the label table, whatever the time range; with matchers by the
 * labels of the series that are selected. */
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"
#include "store/engine.h"

/* Texts seen, each once: in the list's arena, found by open addressing. */
struct text_set {
    struct text_list *list;
    uint32_t *slots; /* index + 1 */
    size_t mask;
    size_t cap;
};

static void text_set_grow(struct text_set *set)
{
    size_t slots = set->slots != NULL ? (set->mask + 1) * 2 : 64;

    mem_free(set->slots);
    set->slots = mem_zalloc(slots, sizeof(*set->slots));
    set->mask = slots - 1;
    for (size_t i = 0; i < set->list->count; i++) {
        const struct label *item = &set->list->items[i];
        size_t at = XXH3_64bits(item->value, item->value_len) & set->mask;

        while (set->slots[at] != 0)
            at = (at + 1) & set->mask;
        set->slots[at] = (uint32_t)i + 1;
    }
}

static void text_set_push(struct text_set *set, const char *text, size_t len)
{
    struct text_list *list = set->list;

    if (list->count == set->cap) {
        set->cap = set->cap != 0 ? set->cap * 2 : 64;
        list->items = mem_realloc(list->items, set->cap * sizeof(*list->items));
    }
    list->items[list->count++] = (struct label){
        .value = arena_dup(&list->arena, text, len),
        .value_len = (uint32_t)len,
    };
}

static void text_set_add(struct text_set *set, const char *text, size_t len)
{
    size_t at;

    if (set->slots == NULL || set->list->count * 2 >= set->mask)
        text_set_grow(set);
    at = XXH3_64bits(text, len) & set->mask;
    for (; set->slots[at] != 0; at = (at + 1) & set->mask) {
        const struct label *item = &set->list->items[set->slots[at] - 1];

        if (item->value_len == len && memcmp(item->value, text, len) == 0)
            return;
    }
    text_set_push(set, text, len);
    set->slots[at] = (uint32_t)set->list->count;
}

static int compare_texts(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = memcmp(x->value, y->value, TIDE_MIN(x->value_len, y->value_len));

    return order != 0 ? order : (x->value_len > y->value_len) - (x->value_len < y->value_len);
}

/* Sorts, and cuts to limit + 1 so that the caller sees that there were more. */
static void finish(struct text_set *set, size_t limit)
{
    struct text_list *list = set->list;

    mem_free(set->slots);
    if (list->count != 0)
        qsort(list->items, list->count, sizeof(*list->items), compare_texts);
    if (limit != 0 && list->count > limit + 1)
        list->count = limit + 1;
}

static bool add_name(void *ctx, const char *name, uint32_t name_len, uint32_t value_count)
{
    (void)value_count;
    text_set_add(ctx, name, name_len);
    return true;
}

static bool add_value(void *ctx, uint32_t pair, const char *value, uint32_t value_len)
{
    (void)pair;
    text_set_add(ctx, value, value_len);
    return true;
}

static void add_labels(struct text_set *set, const struct label_request *request, bool names,
                       const struct labels *labels)
{
    struct label label;

    if (!names) {
        if (labels_find(labels, request->name, request->name_len, &label))
            text_set_add(set, label.value, label.value_len);
        return;
    }
    for (size_t i = 0; i < labels_count(labels); i++) {
        label = labels_at(labels, i);
        text_set_add(set, label.name, label.name_len);
    }
}

static int add_selected(struct store *store, struct text_set *set,
                        const struct label_request *request, bool names, struct error *err)
{
    for (size_t i = 0; i < request->set_count; i++) {
        struct select_request select = request->sets[i];
        struct selection *selection;

        select.from_ms = request->from_ms;
        select.to_ms = request->to_ms;
        select.metadata_only = true;
        if (store->querier.select(store, &select, &selection, err) != 0)
            return -1;
        for (size_t k = 0; k < selection->count; k++)
            add_labels(set, request, names, selection->series[k].labels);
        store->querier.selection_free(store, selection);
    }
    return 0;
}

static int answer(struct store *store, const struct label_request *request, bool names,
                  struct text_list *out, struct error *err)
{
    struct text_set set = {.list = out};
    int result = 0;

    *out = (struct text_list){0};
    if (request->set_count != 0)
        result = add_selected(store, &set, request, names, err);
    else if (names)
        label_table_walk_names(&store->labels, add_name, &set);
    else
        label_table_walk_values(&store->labels, request->name, request->name_len, add_value, &set);
    finish(&set, request->limit);
    if (result != 0)
        text_list_destroy(out);
    return result;
}

int store_label_names(void *ctx, const struct label_request *request, struct text_list *out,
                      struct error *err)
{
    return answer(ctx, request, true, out, err);
}

int store_label_values(void *ctx, const struct label_request *request, struct text_list *out,
                       struct error *err)
{
    return answer(ctx, request, false, out, err);
}
