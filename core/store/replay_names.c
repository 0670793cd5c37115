/* replay_names.c - see replay_names.h. */
#include "store/replay_names.h"

#include "base/mem.h"
#include "store/replay.h"

#define FIRST_CAP ((size_t)1024)

static size_t find(const struct replay_names *names, uint64_t fp)
{
    size_t at = (size_t)(fp * 0x9e3779b97f4a7c15u >> 20) & (names->cap - 1);

    while (names->slots[at] != NULL && names->slots[at]->fp != fp)
        at = (at + 1) & (names->cap - 1);
    return at;
}

static void grow(struct replay_names *names)
{
    struct replay_series **old = names->slots;
    size_t old_cap = names->cap;

    names->cap = old_cap != 0 ? old_cap * 2 : FIRST_CAP;
    names->slots = mem_zalloc(names->cap, sizeof(struct replay_series *));
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i] != NULL)
            names->slots[find(names, old[i]->fp)] = old[i];
    }
    mem_free(old);
}

struct replay_series *replay_names_get(struct replay_names *names, uint64_t fp, bool *is_new)
{
    struct replay_series *entry;
    size_t at;

    if ((names->count + 1) * 4 > names->cap * 3)
        grow(names);
    at = find(names, fp);
    *is_new = names->slots[at] == NULL;
    if (!*is_new)
        return names->slots[at];
    entry = arena_alloc(&names->arena, sizeof(*entry));
    *entry = (struct replay_series){.fp = fp};
    names->slots[at] = entry;
    names->count++;
    return entry;
}

void replay_names_destroy(struct replay_names *names)
{
    arena_destroy(&names->arena);
    mem_free(names->slots);
    *names = (struct replay_names){0};
}
