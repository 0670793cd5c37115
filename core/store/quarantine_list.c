/* quarantine_list.c - what lies in orphaned/, with what the hints say (chunk_list.h). */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "disk/quarantine.h"
#include "disk/series_file.h"
#include "store/chunk_list.h"
#include "store/folder.h"

#define MAX_HINT_BYTES 4096
/* Names that are looked at; a folder with more is counted up to here. */
#define MAX_NAMES 100000

struct entries {
    struct volume *volume;
    const char *folder; /* being listed: "94"; "": orphaned/ itself */
    struct quarantined *list;
    size_t count;
    size_t cap;
    char (*folders)[3]; /* 256 of room */
    size_t folder_count;
};

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static struct quarantined *add(struct entries *entries)
{
    if (entries->count == entries->cap) {
        entries->cap = entries->cap != 0 ? entries->cap * 2 : 64;
        entries->list = mem_realloc(entries->list, entries->cap * sizeof(*entries->list));
    }
    entries->list[entries->count] = (struct quarantined){0};
    return &entries->list[entries->count++];
}

/* A hint names its file: "X.hint" that of "X.db". */
static bool name_of(const struct volume_entry *entry, const char *folder, char *name, size_t size)
{
    size_t len = strlen(entry->name);
    bool is_hint = len > 5 && strcmp(entry->name + len - 5, ".hint") == 0;

    snprintf(name, size, "%s%s%.*s%s", folder, folder[0] != '\0' ? "/" : "",
             (int)(is_hint ? len - 5 : len), entry->name, is_hint ? ".db" : "");
    return is_hint;
}

static int visit(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct entries *entries = ctx;
    struct quarantined *one;
    const char *slash;

    (void)err;
    if (entries->folder[0] == '\0' && entry->stat.is_folder && strlen(entry->name) == 2 &&
        is_hex(entry->name[0]) && is_hex(entry->name[1])) {
        if (entries->folder_count < 256)
            memcpy(entries->folders[entries->folder_count++], entry->name, 3);
        return 0;
    }
    if (entries->count == MAX_NAMES)
        return 0;
    one = add(entries);
    one->is_missing = name_of(entry, entries->folder, one->name, sizeof(one->name));
    one->size_bytes = entry->stat.is_folder || one->is_missing ? 0 : entry->stat.size;
    one->changed_ms = entry->stat.mtime_ns / 1000000;
    slash = strchr(one->name, '/');
    one->is_series = slash != NULL && series_file_parse(entries->folder, slash + 1, &one->fp);
    return 0;
}

/* By name; the file in front of its hint. */
static int compare(const void *a, const void *b)
{
    const struct quarantined *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : (int)x->is_missing - (int)y->is_missing;
}

/* A file and its hint are one entry. */
static void join(struct entries *entries)
{
    size_t kept = 0;

    if (entries->count != 0)
        qsort(entries->list, entries->count, sizeof(*entries->list), compare);
    for (size_t i = 0; i < entries->count; i++) {
        if (kept == 0 || strcmp(entries->list[kept - 1].name, entries->list[i].name) != 0)
            entries->list[kept++] = entries->list[i];
    }
    entries->count = kept;
}

static int gather(struct entries *entries, struct error *err)
{
    struct volume *volume = entries->volume;
    char folder[sizeof(QUARANTINE_FOLDER) + 3];

    entries->folder = "";
    if (volume->list(volume, QUARANTINE_FOLDER, visit, entries, err) != 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    for (size_t i = 0; i < entries->folder_count; i++) {
        entries->folder = entries->folders[i];
        snprintf(folder, sizeof(folder), QUARANTINE_FOLDER "/%.2s", entries->folder);
        if (volume->list(volume, folder, visit, entries, err) != 0 && err->code != ERR_NOT_FOUND)
            return -1;
    }
    return 0;
}

/* Two lines: the metric, the reason. No hint, or a broken one: nothing is known. */
static void read_hint(struct volume *volume, struct arena *arena, struct quarantined *one)
{
    char name[sizeof(one->name) + sizeof(QUARANTINE_FOLDER) + 8], text[MAX_HINT_BYTES + 1], *end;
    size_t stem = strlen(one->name), got;
    struct error problem;

    if (stem > 3 && strcmp(one->name + stem - 3, ".db") == 0)
        stem -= 3;
    snprintf(name, sizeof(name), QUARANTINE_FOLDER "/%.*s.hint", (int)stem, one->name);
    if (volume->read(volume, name, 0, text, MAX_HINT_BYTES, &got, &problem) != 0)
        return;
    text[got] = '\0';
    end = strchr(text, '\n');
    if (end == NULL)
        return;
    one->metric = arena_dup(arena, text, (size_t)(end - text));
    one->reason = arena_dup(arena, end + 1, strcspn(end + 1, "\n"));
}

int store_quarantine_list(struct store *store, size_t limit, struct quarantine_list *list,
                          struct error *err)
{
    struct entries entries = {0};
    char folders[256][3];
    int result;

    if (store_need_folder(store, err) != 0)
        return -1;
    entries.volume = store->folder->volume;
    entries.folders = folders;
    result = gather(&entries, err);
    join(&entries);
    list->items = entries.list;
    list->total = entries.count;
    list->count = TIDE_MIN(entries.count, limit);
    for (size_t i = 0; i < list->count; i++)
        read_hint(entries.volume, &list->arena, &list->items[i]);
    return result;
}

void quarantine_list_destroy(struct quarantine_list *list)
{
    mem_free(list->items);
    arena_destroy(&list->arena);
    *list = (struct quarantine_list){0};
}
