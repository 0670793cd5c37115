/* wal_segments.c - see wal_segments.h; and the functions of wal.h that only look at files. */
#include "disk/wal_segments.h"

#include <stdlib.h>

#include "base/mem.h"
#include "disk/wal.h"
#include "disk/wal_file.h"

static int visit_entry(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct wal_segments *list = ctx;
    uint64_t number;

    (void)err;
    if (entry->stat.is_folder || !wal_file_parse(entry->name, &number))
        return 0;
    if (list->count == list->cap) {
        list->cap = list->cap != 0 ? list->cap * 2 : 16;
        list->items = mem_realloc(list->items, list->cap * sizeof(*list->items));
    }
    list->items[list->count].number = number;
    list->items[list->count++].size = entry->stat.size;
    list->bytes += entry->stat.size;
    return 0;
}

static int compare_numbers(const void *a, const void *b)
{
    const struct wal_segment_entry *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

int wal_segments_list(struct volume *volume, struct wal_segments *list, struct error *err)
{
    if (volume->list(volume, WAL_FOLDER, visit_entry, list, err) != 0) {
        if (err->code == ERR_NOT_FOUND)
            return 0;
        return error_note(err, "log");
    }
    qsort(list->items, list->count, sizeof(*list->items), compare_numbers);
    return 0;
}

void wal_segments_destroy(struct wal_segments *list)
{
    mem_free(list->items);
    *list = (struct wal_segments){0};
}

uint8_t *wal_segment_read(struct volume *volume, const struct wal_segment_entry *entry, size_t *len,
                          struct error *err)
{
    char name[WAL_NAME_BYTES];
    uint8_t *bytes = entry->size <= WAL_SEGMENT_MAX ? mem_try_alloc(entry->size) : NULL;

    wal_file_name(name, entry->number);
    if (bytes == NULL) {
        error_set(err, ERR_NOMEM, "%s: no memory for its %" PRIu64 " bytes", name, entry->size);
        return NULL;
    }
    if (volume->read(volume, name, 0, bytes, entry->size, len, err) != 0) {
        error_note(err, "%s", name);
        mem_free(bytes);
        return NULL;
    }
    return bytes;
}

int wal_segments_remove(struct volume *volume, uint64_t segment, struct error *err)
{
    struct wal_segments list = {0};
    char name[WAL_NAME_BYTES];
    size_t removed = 0;
    int result = wal_segments_list(volume, &list, err);

    for (size_t i = 0; result == 0 && i < list.count && list.items[i].number < segment; i++) {
        wal_file_name(name, list.items[i].number);
        result = volume->remove(volume, name, err);
        removed++;
    }
    if (result == 0 && removed != 0)
        result = volume->sync_folder(volume, WAL_FOLDER, err);
    wal_segments_destroy(&list);
    return result;
}

int wal_remove_all(struct volume *volume, struct error *err)
{
    if (wal_segments_remove(volume, UINT64_MAX, err) != 0)
        return -1;
    if (volume->remove_folder(volume, WAL_FOLDER, err) != 0)
        return error_note(err, "log");
    return 0;
}
