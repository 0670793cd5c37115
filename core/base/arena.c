/* arena.c - see arena.h. */
#include "base/arena.h"

#include "base/mem.h"

#define ARENA_BLOCK_BYTES ((size_t)64 * 1024)

struct arena_block {
    struct arena_block *older;
    size_t cap;
    size_t offset; /* bytes used of data */
    uint8_t data[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_block *block = arena->block;
    void *memory;

    size = (size + 7) & ~(size_t)7;
    if (block == NULL || block->cap - block->offset < size) {
        size_t cap = size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES;

        block = mem_alloc(sizeof(*block) + cap);
        block->older = arena->block;
        block->cap = cap;
        block->offset = 0;
        arena->block = block;
    }
    memory = block->data + block->offset;
    block->offset += size;
    arena->used_bytes += size;
    return memory;
}

char *arena_dup(struct arena *arena, const void *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);

    if (len != 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){
        .block = arena->block,
        .offset = arena->block != NULL ? arena->block->offset : 0,
        .used_bytes = arena->used_bytes,
    };
}

void arena_release(struct arena *arena, struct arena_mark mark)
{
    while (arena->block != mark.block) {
        struct arena_block *block = arena->block;

        arena->block = block->older;
        mem_free(block);
    }
    if (arena->block != NULL)
        arena->block->offset = mark.offset;
    arena->used_bytes = mark.used_bytes;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->block;

    if (block == NULL)
        return;
    arena_release(arena, (struct arena_mark){.block = block, .offset = 0, .used_bytes = 0});
    while (block->older != NULL) {
        struct arena_block *older = block->older;

        block->older = older->older;
        mem_free(older);
    }
    if (block->cap > ARENA_BLOCK_BYTES * 16)
        arena_destroy(arena);
}

void arena_destroy(struct arena *arena)
{
    arena_release(arena, (struct arena_mark){0});
}
