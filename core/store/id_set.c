/* id_set.c - see id_set.h. */
#include "store/id_set.h"

#include "base/mem.h"

#define ARRAY_MAX 64

static bool is_bitmap(const struct id_set *set)
{
    return set->cap == 0 && set->count > 1;
}

void id_set_destroy(struct id_set *set)
{
    if (set->cap != 0)
        mem_free(set->as.array);
    else if (is_bitmap(set))
        roaring_bitmap_free(set->as.bitmap);
    *set = (struct id_set){0};
}

/* Index of the first array element >= id. */
static uint32_t lower_bound(const struct id_set *set, uint32_t id)
{
    uint32_t low = 0, high = set->count;

    if (high != 0 && set->as.array[high - 1] < id)
        return high; /* ids mostly come in ascending order */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (set->as.array[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void become_array(struct id_set *set)
{
    uint32_t one = set->as.one;

    set->cap = 4;
    set->as.array = mem_alloc(set->cap * sizeof(uint32_t));
    set->as.array[0] = one;
}

static void become_bitmap(struct id_set *set)
{
    uint32_t *array = set->as.array;

    set->as.bitmap = roaring_bitmap_of_ptr(set->count, array);
    set->cap = 0;
    mem_free(array);
}

bool id_set_add(struct id_set *set, uint32_t id)
{
    uint32_t at;

    if (set->count == 0 && set->cap == 0) {
        set->as.one = id;
        set->count = 1;
        return true;
    }
    if (is_bitmap(set)) {
        if (!roaring_bitmap_add_checked(set->as.bitmap, id))
            return false;
        set->count++;
        return true;
    }
    if (set->cap == 0) {
        if (set->as.one == id)
            return false;
        become_array(set);
    }
    at = lower_bound(set, id);
    if (at < set->count && set->as.array[at] == id)
        return false;
    if (set->count == ARRAY_MAX) {
        become_bitmap(set);
        roaring_bitmap_add(set->as.bitmap, id);
        set->count++;
        return true;
    }
    if (set->count == set->cap) {
        set->cap *= 2;
        set->as.array = mem_realloc(set->as.array, set->cap * sizeof(uint32_t));
    }
    memmove(set->as.array + at + 1, set->as.array + at, (set->count - at) * sizeof(uint32_t));
    set->as.array[at] = id;
    set->count++;
    return true;
}

/* A bitmap shrinks to an array at half of the bound, so that it does not go back and forth. */
static void shrink(struct id_set *set)
{
    roaring_bitmap_t *bitmap = set->as.bitmap;

    if (set->count > ARRAY_MAX / 2)
        return;
    set->cap = ARRAY_MAX / 2;
    set->as.array = mem_alloc(set->cap * sizeof(uint32_t));
    roaring_bitmap_to_uint32_array(bitmap, set->as.array);
    roaring_bitmap_free(bitmap);
}

bool id_set_remove(struct id_set *set, uint32_t id)
{
    uint32_t at;

    if (!id_set_contains(set, id))
        return false;
    if (is_bitmap(set)) {
        roaring_bitmap_remove(set->as.bitmap, id);
        set->count--;
        shrink(set);
        return true;
    }
    if (set->cap != 0) {
        at = lower_bound(set, id);
        memmove(set->as.array + at, set->as.array + at + 1,
                (set->count - at - 1) * sizeof(uint32_t));
    }
    set->count--;
    if (set->count == 0)
        id_set_destroy(set);
    return true;
}

bool id_set_contains(const struct id_set *set, uint32_t id)
{
    uint32_t at;

    if (set->count == 0)
        return false;
    if (is_bitmap(set))
        return roaring_bitmap_contains(set->as.bitmap, id);
    if (set->cap == 0)
        return set->as.one == id;
    at = lower_bound(set, id);
    return at < set->count && set->as.array[at] == id;
}

/* The ids of a set that is not a bitmap. */
static const uint32_t *few(const struct id_set *set)
{
    return set->cap != 0 ? set->as.array : &set->as.one;
}

void id_set_union_into(const struct id_set *set, roaring_bitmap_t *out)
{
    if (is_bitmap(set))
        roaring_bitmap_or_inplace(out, set->as.bitmap);
    else if (set->count != 0)
        roaring_bitmap_add_many(out, set->count, few(set));
}

void id_set_intersect_into(const struct id_set *set, roaring_bitmap_t *out)
{
    roaring_bitmap_t *other;

    if (is_bitmap(set)) {
        roaring_bitmap_and_inplace(out, set->as.bitmap);
        return;
    }
    other = set->count != 0 ? roaring_bitmap_of_ptr(set->count, few(set)) : roaring_bitmap_create();
    roaring_bitmap_and_inplace(out, other);
    roaring_bitmap_free(other);
}

void id_set_subtract_from(const struct id_set *set, roaring_bitmap_t *out)
{
    if (is_bitmap(set)) {
        roaring_bitmap_andnot_inplace(out, set->as.bitmap);
        return;
    }
    for (uint32_t i = 0; i < set->count; i++)
        roaring_bitmap_remove(out, few(set)[i]);
}

void id_set_copy(const struct id_set *set, uint32_t *out)
{
    if (is_bitmap(set))
        roaring_bitmap_to_uint32_array(set->as.bitmap, out);
    else if (set->count != 0)
        memcpy(out, few(set), set->count * sizeof(uint32_t));
}

size_t id_set_bytes(const struct id_set *set)
{
    if (is_bitmap(set))
        return 64 + (size_t)set->count * 2;
    return (size_t)set->cap * sizeof(uint32_t);
}
