/* folder_copy.c - see folder_copy.h. */
#include "disk/folder_copy.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "disk/version.h"

#define PIECE_BYTES ((size_t)1 << 20)

struct walk {
    struct volume *from;
    struct volume *to;
    struct folder_copy *copy;
    const char *folder; /* "" at the top */
    uint8_t *piece;
};

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcmp(name, *list) == 0)
            return true;
    }
    return false;
}

/* Beside the store, or only while it runs. */
static bool is_left_out(const char *name)
{
    static const char *const names[] = {VERSION_FILE, "DIRTY",      "wal",          "snapshots",
                                        "trash",      "lost+found", "heads.db.old", NULL};

    return is_one_of(name, names) || name[0] == '.' || strncmp(name, "replaced-", 9) == 0 ||
           strncmp(name, "audit.jsonl", 11) == 0;
}

static int copy_pieces(struct walk *walk, const char *name, uint64_t size,
                       struct volume_writer *writer, struct error *err)
{
    size_t got;

    for (uint64_t at = 0; at < size; at += got) {
        size_t want = (size_t)TIDE_MIN(size - at, (uint64_t)PIECE_BYTES);

        if (walk->from->read(walk->from, name, at, walk->piece, want, &got, err) != 0)
            return -1;
        if (got < want)
            return error_set(err, ERR_CORRUPT, "%s became shorter while it was copied", name);
        if (writer->write(writer, walk->piece, got, err) != 0)
            return -1;
    }
    return writer->finish(writer, false, err);
}

static int copy_file(struct walk *walk, const char *name, uint64_t size, struct error *err)
{
    struct volume_writer *writer = walk->to->replace(walk->to, name, err);

    if (writer == NULL)
        return -1;
    if (copy_pieces(walk, name, size, writer, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    if (writer->publish(writer, false, NULL, err) != 0)
        return -1;
    walk->copy->files++;
    walk->copy->bytes += size;
    if (walk->copy->progress != NULL)
        walk->copy->progress(walk->copy->ctx, walk->copy);
    return 0;
}

static int copy_entry(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct walk *walk = ctx;
    bool top = walk->folder[0] == '\0';
    char name[VOLUME_NAME_MAX + 1];
    struct walk inner = *walk;

    if (top && is_left_out(entry->name))
        return 0;
    if ((size_t)snprintf(name, sizeof(name), "%s%s%s", walk->folder, top ? "" : "/", entry->name) >=
        sizeof(name))
        return error_set(err, ERR_INVALID, "a name in %s is too long", walk->folder);
    if (!entry->stat.is_folder)
        return copy_file(walk, name, entry->stat.size, err);
    inner.folder = name;
    return walk->from->list(walk->from, name, copy_entry, &inner, err);
}

int folder_copy(struct volume *from, struct volume *to, struct folder_copy *copy, struct error *err)
{
    struct walk walk = {from, to, copy, "", mem_alloc(PIECE_BYTES)};
    struct volume_stat version;
    int result = from->list(from, "", copy_entry, &walk, err);

    if (result == 0)
        result = to->sync_all(to, err);
    if (result == 0)
        result = from->stat(from, VERSION_FILE, &version, err);
    if (result == 0)
        result = copy_file(&walk, VERSION_FILE, version.size, err);
    if (result == 0)
        result = to->sync_all(to, err);
    mem_free(walk.piece);
    return result;
}

/* --- setting aside
 * ---------------------------------------------------------------------------------- */

static int gather_name(void *ctx, const struct volume_entry *entry, struct error *err)
{
    static const char *const stay[] = {"snapshots", "trash", "lost+found", "DIRTY", NULL};
    struct buf *names = ctx;

    (void)err;
    if (is_one_of(entry->name, stay) || entry->name[0] == '.' ||
        strncmp(entry->name, "replaced-", 9) == 0 || strncmp(entry->name, "audit.jsonl", 11) == 0)
        return 0;
    buf_puts(names, entry->name);
    buf_putc(names, '\0');
    return 0;
}

int folder_set_aside(struct volume *volume, const char *into, bool *moved, struct error *err)
{
    struct buf names = {0};
    char to[VOLUME_NAME_MAX + 1];
    int result = volume->list(volume, "", gather_name, &names, err);

    *moved = names.len != 0;
    for (size_t at = 0; at < names.len && result == 0;) {
        const char *name = (const char *)names.data + at;

        snprintf(to, sizeof(to), "%s/%.300s", into, name);
        result = volume->move(volume, name, to, err);
        at += strlen(name) + 1;
    }
    buf_destroy(&names);
    return result == 0 ? volume->sync_all(volume, err) : -1;
}
