/* eval_labels.c - see eval_labels.h. */
#include "promql/eval_labels.h"

#include "base/bytes.h"
#include "base/mem.h"

/* --- sets of label sets -------------------------------------------------------------------- */

static size_t free_slot(const struct label_set_map *map, uint64_t hash)
{
    size_t slot = (size_t)(hash & (map->slot_count - 1));

    while (map->slots[slot] != 0)
        slot = (slot + 1) & (map->slot_count - 1);
    return slot;
}

static void grow(struct label_set_map *map)
{
    mem_free(map->slots);
    map->slot_count = map->slot_count != 0 ? map->slot_count * 2 : 64;
    map->slots = mem_zalloc(map->slot_count, sizeof(*map->slots));
    map->cap = map->slot_count / 2;
    map->sets = mem_realloc(map->sets, map->cap * sizeof(*map->sets));
    for (size_t i = 0; i < map->count; i++)
        map->slots[free_slot(map, labels_hash(map->sets[i]))] = (uint32_t)i + 1;
}

size_t label_set_map_put(struct label_set_map *map, const struct labels *labels, bool *is_new)
{
    uint64_t hash = labels_hash(labels);
    size_t slot;

    if (map->count == map->cap)
        grow(map);
    slot = (size_t)(hash & (map->slot_count - 1));
    while (map->slots[slot] != 0) {
        size_t number = map->slots[slot] - 1;

        if (labels_equal(map->sets[number], labels)) {
            labels_unref(labels);
            *is_new = false;
            return number;
        }
        slot = (slot + 1) & (map->slot_count - 1);
    }
    map->sets[map->count] = labels;
    map->slots[slot] = (uint32_t)map->count + 1;
    *is_new = true;
    return map->count++;
}

void label_set_map_destroy(struct label_set_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        labels_unref(map->sets[i]);
    mem_free(map->sets);
    mem_free(map->slots);
    *map = (struct label_set_map){0};
}

/* --- parts of label sets ------------------------------------------------------------------- */

bool label_names_has(const struct query_texts *names, const char *text, size_t len)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->items[i].len == len && memcmp(names->items[i].bytes, text, len) == 0)
            return true;
    }
    return false;
}

bool label_is_metadata(const char *name, size_t len)
{
    return len == 8 && (memcmp(name, "__name__", 8) == 0 || memcmp(name, "__type__", 8) == 0 ||
                        memcmp(name, "__unit__", 8) == 0);
}

static bool is_metric_name(const char *name, size_t len)
{
    return len == 8 && memcmp(name, LABEL_METRIC_NAME, 8) == 0;
}

#define STACK_LABELS 64

struct labels *labels_keep(const struct labels *labels, const struct query_texts *names)
{
    struct label stack[STACK_LABELS];
    size_t count = labels_count(labels), kept = 0;
    struct label *list = count <= STACK_LABELS ? stack : mem_alloc(count * sizeof(*list));
    struct labels *result;

    for (size_t i = 0; i < count; i++) {
        list[kept] = labels_at(labels, i);
        kept += label_names_has(names, list[kept].name, list[kept].name_len);
    }
    result = labels_new_sorted(list, kept);
    if (list != stack)
        mem_free(list);
    return result;
}

struct labels *labels_drop(const struct labels *labels, const struct query_texts *names,
                           bool drop_metric_name)
{
    struct label stack[STACK_LABELS];
    size_t count = labels_count(labels), kept = 0;
    struct label *list = count <= STACK_LABELS ? stack : mem_alloc(count * sizeof(*list));
    struct labels *result;

    for (size_t i = 0; i < count; i++) {
        list[kept] = labels_at(labels, i);
        kept += !label_names_has(names, list[kept].name, list[kept].name_len) &&
                !(drop_metric_name && is_metric_name(list[kept].name, list[kept].name_len));
    }
    result = labels_new_sorted(list, kept);
    if (list != stack)
        mem_free(list);
    return result;
}

struct labels *labels_drop_metadata(const struct labels *labels)
{
    static const struct query_text metadata[] = {{"__name__", 8}, {"__type__", 8}, {"__unit__", 8}};
    static const struct query_texts names = {metadata, TIDE_COUNT(metadata)};

    return labels_drop(labels, &names, false);
}

/* --- numbers for parts ------------------------------------------------------------------------ */

static bool is_part(const struct label_part_map *map, const struct label *label)
{
    bool named = label_names_has(map->names, label->name, label->name_len);

    return map->keeps ? named : !named && !is_metric_name(label->name, label->name_len);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
}

static uint64_t mix_text(uint64_t hash, const char *text, size_t len)
{
    uint64_t last = 0;
    size_t i = 0;

    for (; i + 8 <= len; i += 8)
        hash = mix(hash, get_le64((const uint8_t *)text + i));
    memcpy(&last, text + i, len - i);
    return mix(mix(hash, last), len);
}

static uint64_t part_hash(const struct label_part_map *map, const struct labels *labels)
{
    size_t count = labels_count(labels);
    uint64_t hash = 0;

    for (size_t i = 0; i < count; i++) {
        struct label label = labels_at(labels, i);

        if (is_part(map, &label))
            hash =
                mix_text(mix_text(hash, label.name, label.name_len), label.value, label.value_len);
    }
    return hash;
}

static bool part_equals(const struct label_part_map *map, const struct labels *labels,
                        const struct labels *part)
{
    size_t count = labels_count(labels), parts = labels_count(part), at = 0;

    for (size_t i = 0; i < count; i++) {
        struct label label = labels_at(labels, i), other;

        if (!is_part(map, &label))
            continue;
        if (at == parts)
            return false;
        other = labels_at(part, at++);
        if (label.name_len != other.name_len || label.value_len != other.value_len ||
            memcmp(label.name, other.name, label.name_len) != 0 ||
            memcmp(label.value, other.value, label.value_len) != 0)
            return false;
    }
    return at == parts;
}

static void grow_parts(struct label_part_map *map)
{
    size_t cap = map->cap != 0 ? map->cap * 2 : 32;

    map->parts = mem_realloc(map->parts, cap * sizeof(*map->parts));
    map->hashes = mem_realloc(map->hashes, cap * sizeof(*map->hashes));
    mem_free(map->slots);
    map->slots = mem_zalloc(cap * 2, sizeof(*map->slots));
    map->cap = cap;
    for (size_t i = 0; i < map->count; i++) {
        size_t slot = map->hashes[i] & (cap * 2 - 1);

        while (map->slots[slot] != 0)
            slot = (slot + 1) & (cap * 2 - 1);
        map->slots[slot] = (uint32_t)i + 1;
    }
}

size_t label_part_map_put(struct label_part_map *map, const struct labels *labels, bool *is_new)
{
    uint64_t hash = part_hash(map, labels);
    size_t slot;

    if (map->count == map->cap)
        grow_parts(map);
    slot = hash & (map->cap * 2 - 1);
    while (map->slots[slot] != 0) {
        size_t number = map->slots[slot] - 1;

        if (map->hashes[number] == hash && part_equals(map, labels, map->parts[number])) {
            *is_new = false;
            return number;
        }
        slot = (slot + 1) & (map->cap * 2 - 1);
    }
    map->parts[map->count] =
        map->keeps ? labels_keep(labels, map->names) : labels_drop(labels, map->names, true);
    map->hashes[map->count] = hash;
    map->slots[slot] = (uint32_t)map->count + 1;
    *is_new = true;
    return map->count++;
}

void label_part_map_destroy(struct label_part_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        labels_unref(map->parts[i]);
    mem_free(map->parts);
    mem_free(map->hashes);
    mem_free(map->slots);
    map->parts = NULL;
    map->hashes = NULL;
    map->slots = NULL;
    map->count = map->cap = 0;
}
