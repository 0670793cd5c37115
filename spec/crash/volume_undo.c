/* volume_undo.c - see volume_undo.h. */
#include "volume_undo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"

#define PATH_BYTES 1200

struct undo_volume {
    struct volume volume;
    struct volume *inner;
    const char *folder;
    const char *beside;
    struct undo_kill kill;
    struct lock lock; /* guards the rest */
    int journal;
    uint64_t backups;
    uint64_t hits;
};

static struct undo_volume *self_of(struct volume *volume)
{
    return (struct undo_volume *)(void *)volume;
}

/* --- fault points -------------------------------------------------------------------------------
 */

static const char *kind_of(const char *name)
{
    if (strncmp(name, "wal", 3) == 0)
        return "wal";
    if (strncmp(name, "heads.db", 8) == 0)
        return "heads";
    if (strlen(name) > 3 && name[2] == '/')
        return "series";
    return "other";
}

/* Counts a change; true when the process shall die at it. */
static bool strikes(struct undo_volume *self, const char *name, const char *verb)
{
    char point[64];
    bool result = false;

    if (self->kill.point == NULL)
        return false;
    snprintf(point, sizeof(point), "%s.%s", kind_of(name), verb);
    lock_acquire(&self->lock);
    if (strcmp(self->kill.point, "any") == 0 || strcmp(self->kill.point, point) == 0)
        result = ++self->hits == self->kill.nth;
    lock_release(&self->lock);
    return result;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    pause();
}

/* Around a change that is done as a whole. */
#define GUARD(self, name, verb, call)                                                              \
    do {                                                                                           \
        bool strike_ = strikes(self, name, verb);                                                  \
        if (strike_ && (self)->kill.style != UNDO_AFTER)                                           \
            die();                                                                                 \
        status = (call);                                                                           \
        if (strike_)                                                                               \
            die();                                                                                 \
    } while (0)

/* --- the journal --------------------------------------------------------------------------------
 */

static void note(struct undo_volume *self, const char *line)
{
    size_t len = strlen(line);

    if (write(self->journal, line, len) != (ssize_t)len)
        abort();
}

/* Lines: "D size name" bytes beyond size are not durable; "S name" they are; "C name" made;
 * "R backup from to" renamed, the file before has a link ("-": none); "U backup name" removed;
 * "F folder" names in it are durable; "A" everything is. */
static void note_name(struct undo_volume *self, char what, const char *name)
{
    char line[PATH_BYTES];

    snprintf(line, sizeof(line), "%c %s\n", what, name);
    lock_acquire(&self->lock);
    note(self, line);
    lock_release(&self->lock);
}

static void note_data(struct undo_volume *self, const char *name, uint64_t durable)
{
    char line[PATH_BYTES];

    snprintf(line, sizeof(line), "D %llu %s\n", (unsigned long long)durable, name);
    lock_acquire(&self->lock);
    note(self, line);
    lock_release(&self->lock);
}

/* A second link to what a name means now, before it changes. */
static void back_up(struct undo_volume *self, const char *name, char *backup, size_t size)
{
    char from[PATH_BYTES], to[PATH_BYTES];

    lock_acquire(&self->lock);
    snprintf(backup, size, "%llu", (unsigned long long)++self->backups);
    lock_release(&self->lock);
    snprintf(from, sizeof(from), "%s/%s", self->folder, name);
    snprintf(to, sizeof(to), "%s/%s", self->beside, backup);
    if (link(from, to) != 0)
        snprintf(backup, size, "-");
}

static void note_rename(struct undo_volume *self, const char *from, const char *to)
{
    char line[PATH_BYTES * 2], backup[32];

    back_up(self, to, backup, sizeof(backup));
    snprintf(line, sizeof(line), "R %s %s %s\n", backup, from, to);
    lock_acquire(&self->lock);
    note(self, line);
    lock_release(&self->lock);
}

static void note_remove(struct undo_volume *self, const char *name)
{
    char line[PATH_BYTES], backup[32];

    back_up(self, name, backup, sizeof(backup));
    snprintf(line, sizeof(line), "U %s %s\n", backup, name);
    lock_acquire(&self->lock);
    note(self, line);
    lock_release(&self->lock);
}

static const char *folder_of(const char *name, char *out, size_t size)
{
    const char *slash = strrchr(name, '/');

    snprintf(out, size, "%.*s", slash != NULL ? (int)(slash - name) : 0, name);
    return out;
}

static void note_folder(struct undo_volume *self, const char *name)
{
    char folder[PATH_BYTES];

    note_name(self, 'F', folder_of(name, folder, sizeof(folder)));
}

/* --- changes ------------------------------------------------------------------------------------
 */

static int undo_append(struct volume *volume, const char *name, uint64_t expected_size,
                       const struct volume_part *parts, size_t count, bool sync,
                       struct volume_stat *stat, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    struct volume *inner = self->inner;
    bool strike = strikes(self, name, "append");
    int status;

    if (strike && self->kill.style == UNDO_BEFORE)
        die();
    if (expected_size == 0)
        note_name(self, 'C', name);
    note_data(self, name, expected_size);
    if (strike && self->kill.style == UNDO_TORN) {
        struct volume_part half = {parts[0].bytes, parts[0].len / 2};

        (void)!inner->append(inner, name, expected_size, &half, 1, false, NULL, err);
        die();
    }
    status = inner->append(inner, name, expected_size, parts, count, sync, stat, err);
    if (strike)
        die();
    if (status == 0 && sync)
        note_name(self, 'S', name);
    return status;
}

struct undo_writer {
    struct volume_writer writer;
    struct undo_volume *self;
    struct volume_writer *inner;
    char name[VOLUME_NAME_MAX + 1];
};

static struct undo_writer *writer_of(struct volume_writer *writer)
{
    return (struct undo_writer *)(void *)writer;
}

static int writer_write(struct volume_writer *writer, const void *bytes, size_t len,
                        struct error *err)
{
    struct undo_writer *self = writer_of(writer);
    int status;

    GUARD(self->self, self->name, "write", self->inner->write(self->inner, bytes, len, err));
    return status;
}

static int writer_copy(struct volume_writer *writer, const char *from, uint64_t offset,
                       uint64_t len, struct error *err)
{
    struct undo_writer *self = writer_of(writer);
    int status;

    GUARD(self->self, self->name, "write", self->inner->copy(self->inner, from, offset, len, err));
    return status;
}

static int writer_patch(struct volume_writer *writer, uint64_t offset, const void *bytes,
                        size_t len, struct error *err)
{
    struct undo_writer *self = writer_of(writer);

    return self->inner->patch(self->inner, offset, bytes, len, err);
}

static int writer_finish(struct volume_writer *writer, bool sync, struct error *err)
{
    struct undo_writer *self = writer_of(writer);
    char tmp[VOLUME_NAME_MAX + 8];
    int status;

    snprintf(tmp, sizeof(tmp), "%s.tmp", self->name);
    note_data(self->self, tmp, 0);
    GUARD(self->self, self->name, "sync", self->inner->finish(self->inner, sync, err));
    if (status == 0 && sync)
        note_name(self->self, 'S', tmp);
    writer->stat = self->inner->stat;
    return status;
}

static int writer_publish(struct volume_writer *writer, bool sync_folder, struct volume_stat *stat,
                          struct error *err)
{
    struct undo_writer *writer_self = writer_of(writer);
    struct undo_volume *self = writer_self->self;
    struct undo_writer copy = *writer_self;
    char tmp[VOLUME_NAME_MAX + 8];
    int status;

    mem_free(writer_self);
    snprintf(tmp, sizeof(tmp), "%s.tmp", copy.name);
    note_rename(self, tmp, copy.name);
    GUARD(self, copy.name, "rename", copy.inner->publish(copy.inner, sync_folder, stat, err));
    if (status == 0 && sync_folder)
        note_folder(self, copy.name);
    return status;
}

static void writer_discard(struct volume_writer *writer)
{
    struct undo_writer *self = writer_of(writer);

    self->inner->discard(self->inner);
    mem_free(self);
}

static struct volume_writer *undo_replace(struct volume *volume, const char *name,
                                          struct error *err)
{
    struct undo_volume *self = self_of(volume);
    struct volume_writer *inner = self->inner->replace(self->inner, name, err);
    struct undo_writer *writer;

    if (inner == NULL)
        return NULL;
    writer = mem_zalloc(1, sizeof(*writer));
    writer->writer = (struct volume_writer){.write = writer_write,
                                            .copy = writer_copy,
                                            .patch = writer_patch,
                                            .finish = writer_finish,
                                            .publish = writer_publish,
                                            .discard = writer_discard};
    writer->self = self;
    writer->inner = inner;
    snprintf(writer->name, sizeof(writer->name), "%s", name);
    return &writer->writer;
}

static int undo_truncate(struct volume *volume, const char *name, uint64_t size, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, name, "truncate", self->inner->truncate(self->inner, name, size, err));
    return status;
}

static int undo_remove(struct volume *volume, const char *name, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    note_remove(self, name);
    GUARD(self, name, "remove", self->inner->remove(self->inner, name, err));
    return status;
}

static int undo_remove_folder(struct volume *volume, const char *name, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, name, "remove", self->inner->remove_folder(self->inner, name, err));
    return status;
}

static int undo_make_folder(struct volume *volume, const char *name, struct error *err)
{
    struct undo_volume *self = self_of(volume);

    return self->inner->make_folder(self->inner, name, err);
}

static int undo_move(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    note_rename(self, from, to);
    GUARD(self, to, "rename", self->inner->move(self->inner, from, to, err));
    return status;
}

static int undo_share(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    note_rename(self, "-", to);
    GUARD(self, to, "share", self->inner->share(self->inner, from, to, err));
    return status;
}

static int undo_sync(struct volume *volume, const char *name, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, name, "sync", self->inner->sync(self->inner, name, err));
    if (status == 0)
        note_name(self, 'S', name);
    return status;
}

static int undo_sync_folder(struct volume *volume, const char *folder, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, "folder", "sync", self->inner->sync_folder(self->inner, folder, err));
    if (status == 0)
        note_name(self, 'F', folder);
    return status;
}

static int undo_sync_all(struct volume *volume, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, "all", "sync", self->inner->sync_all(self->inner, err));
    if (status == 0) {
        lock_acquire(&self->lock);
        note(self, "A\n");
        lock_release(&self->lock);
    }
    return status;
}

/* --- what changes nothing -----------------------------------------------------------------------
 */

static int undo_read(struct volume *volume, const char *name, uint64_t offset, void *bytes,
                     size_t len, size_t *got, struct error *err)
{
    struct volume *inner = self_of(volume)->inner;

    return inner->read(inner, name, offset, bytes, len, got, err);
}

static int undo_stat(struct volume *volume, const char *name, struct volume_stat *stat,
                     struct error *err)
{
    struct volume *inner = self_of(volume)->inner;

    return inner->stat(inner, name, stat, err);
}

static int undo_list(struct volume *volume, const char *folder,
                     int (*visit)(void *ctx, const struct volume_entry *entry, struct error *err),
                     void *ctx, struct error *err)
{
    struct volume *inner = self_of(volume)->inner;

    return inner->list(inner, folder, visit, ctx, err);
}

static int undo_space(struct volume *volume, struct volume_space *space, struct error *err)
{
    struct volume *inner = self_of(volume)->inner;

    return inner->space(inner, space, err);
}

static int undo_lock(struct volume *volume, bool *existed, struct error *err)
{
    struct volume *inner = self_of(volume)->inner;

    return inner->lock(inner, existed, err);
}

static int undo_unlock(struct volume *volume, bool clean, struct error *err)
{
    struct volume *inner = self_of(volume)->inner;

    return inner->unlock(inner, clean, err);
}

/* --- tables: their writes are fault points ------------------------------------------------------
 */

struct undo_kv {
    struct kv kv;
    struct undo_volume *self;
    struct kv *inner;
};

static int kv_get(struct kv *kv, const void *key, size_t key_len, struct buf *value, bool *found,
                  struct error *err)
{
    struct kv *inner = ((struct undo_kv *)(void *)kv)->inner;

    return inner->get(inner, key, key_len, value, found, err);
}

static int kv_write(struct kv *kv, const struct kv_batch *batch, bool sync, struct error *err)
{
    struct undo_kv *self = (struct undo_kv *)(void *)kv;
    int status;

    GUARD(self->self, "table", "write", self->inner->write(self->inner, batch, sync, err));
    return status;
}

static int kv_scan(struct kv *kv, const void *from, size_t from_len, const void *to, size_t to_len,
                   int (*visit)(void *ctx, const void *key, size_t key_len, const void *value,
                                size_t value_len, struct error *err),
                   void *ctx, struct error *err)
{
    struct kv *inner = ((struct undo_kv *)(void *)kv)->inner;

    return inner->scan(inner, from, from_len, to, to_len, visit, ctx, err);
}

static int kv_close(struct kv *kv, struct error *err)
{
    struct undo_kv *self = (struct undo_kv *)(void *)kv;
    int status = self->inner->close(self->inner, err);

    mem_free(self);
    return status;
}

static struct kv *undo_open_kv(struct volume *volume, const char *name,
                               const struct kv_options *options, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    struct kv *inner = self->inner->open_kv(self->inner, name, options, err);
    struct undo_kv *kv;

    if (inner == NULL)
        return NULL;
    kv = mem_zalloc(1, sizeof(*kv));
    kv->kv = (struct kv){.get = kv_get, .write = kv_write, .scan = kv_scan, .close = kv_close};
    kv->self = self;
    kv->inner = inner;
    return &kv->kv;
}

static void undo_close(struct volume *volume)
{
    struct undo_volume *self = self_of(volume);

    close(self->journal);
    lock_destroy(&self->lock);
    mem_free(self);
}

struct volume *volume_undo_new(struct volume *inner, const char *folder, const char *beside,
                               const struct undo_kill *kill)
{
    struct undo_volume *self = mem_zalloc(1, sizeof(*self));
    char path[PATH_BYTES];

    self->inner = inner;
    self->folder = folder;
    self->beside = beside;
    self->kill = *kill;
    lock_init(&self->lock);
    mkdir(beside, 0700);
    snprintf(path, sizeof(path), "%s/journal", beside);
    self->journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (self->journal < 0)
        abort();
    self->volume = (struct volume){.append = undo_append,
                                   .read = undo_read,
                                   .stat = undo_stat,
                                   .replace = undo_replace,
                                   .truncate = undo_truncate,
                                   .remove = undo_remove,
                                   .remove_folder = undo_remove_folder,
                                   .make_folder = undo_make_folder,
                                   .move = undo_move,
                                   .share = undo_share,
                                   .list = undo_list,
                                   .sync = undo_sync,
                                   .sync_folder = undo_sync_folder,
                                   .sync_all = undo_sync_all,
                                   .space = undo_space,
                                   .lock = undo_lock,
                                   .unlock = undo_unlock,
                                   .open_kv = undo_open_kv,
                                   .close = undo_close,
                                   .where = inner->where};
    return &self->volume;
}

/* --- forgetting ---------------------------------------------------------------------------------
 */

/* A change that no sync has covered. */
struct change {
    char what; /* 'D', 'C', 'R', 'U' */
    char name[600];
    char from[600];
    char backup[32];
    unsigned long long durable;
    bool settled;
    bool undo;
};

struct changes {
    struct change *items;
    size_t count;
    size_t cap;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct change *add_change(struct changes *changes, char what)
{
    if (changes->count == changes->cap) {
        changes->cap = changes->cap != 0 ? changes->cap * 2 : 256;
        changes->items = mem_realloc(changes->items, changes->cap * sizeof(*changes->items));
    }
    memset(&changes->items[changes->count], 0, sizeof(*changes->items));
    changes->items[changes->count].what = what;
    return &changes->items[changes->count++];
}

static void settle_data(struct changes *changes, const char *name)
{
    for (size_t i = 0; i < changes->count; i++) {
        struct change *change = &changes->items[i];

        change->settled |= change->what == 'D' && strcmp(change->name, name) == 0;
    }
}

static void settle_names(struct changes *changes, const char *folder)
{
    char own[PATH_BYTES];

    for (size_t i = 0; i < changes->count; i++) {
        struct change *change = &changes->items[i];

        change->settled |=
            change->what != 'D' && strcmp(folder_of(change->name, own, sizeof(own)), folder) == 0;
    }
}

/* The bytes of a renamed file go with it; those of the file that it replaces are let be. */
static void move_data(struct changes *changes, size_t rename_at)
{
    for (size_t i = 0; i < rename_at; i++) {
        struct change data = changes->items[i];

        if (data.what != 'D' || data.settled)
            continue;
        if (strcmp(data.name, changes->items[rename_at].name) == 0)
            changes->items[i].settled = true;
        if (strcmp(data.name, changes->items[rename_at].from) != 0)
            continue;
        changes->items[i].settled = true;
        snprintf(data.name, sizeof(data.name), "%s", changes->items[rename_at].name);
        *add_change(changes, 'D') = data;
    }
}

static void read_line(struct changes *changes, char *line)
{
    struct change *change;

    switch (line[0]) {
    case 'D':
        change = add_change(changes, 'D');
        if (sscanf(line, "D %llu %599s", &change->durable, change->name) != 2)
            changes->count--;
        break;
    case 'C':
        change = add_change(changes, 'C');
        if (sscanf(line, "C %599s", change->name) != 1)
            changes->count--;
        break;
    case 'R':
        change = add_change(changes, 'R');
        if (sscanf(line, "R %31s %599s %599s", change->backup, change->from, change->name) != 3)
            changes->count--;
        else
            move_data(changes, changes->count - 1);
        break;
    case 'U':
        change = add_change(changes, 'U');
        if (sscanf(line, "U %31s %599s", change->backup, change->name) != 2)
            changes->count--;
        break;
    case 'S':
        settle_data(changes, line + 2);
        break;
    case 'F':
        settle_names(changes, line + 2);
        break;
    case 'A':
        for (size_t i = 0; i < changes->count; i++)
            changes->items[i].settled = true;
        break;
    }
}

static void read_journal(struct changes *changes, const char *beside)
{
    char path[PATH_BYTES], line[PATH_BYTES * 2];
    FILE *file;

    snprintf(path, sizeof(path), "%s/journal", beside);
    file = fopen(path, "r");
    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL) {
        size_t len = strlen(line);

        if (len == 0 || line[len - 1] != '\n')
            break; /* the change was not begun */
        line[len - 1] = '\0';
        read_line(changes, line);
    }
    fclose(file);
}

/* Changes of one name are undone from the last one back; different names do not know each other. */
static void choose(struct changes *changes, uint64_t *random)
{
    for (size_t i = changes->count; i-- > 0;) {
        struct change *change = &changes->items[i];
        bool later_kept = false, later_undone = false;

        if (change->settled || change->what == 'D')
            continue;
        for (size_t k = i + 1; k < changes->count; k++) {
            const struct change *later = &changes->items[k];

            if (later->what == 'D' || strcmp(later->name, change->name) != 0)
                continue;
            later_kept |= !later->undo;
            later_undone |= later->undo;
        }
        change->undo = !later_kept && next_random(random) % (later_undone ? 3 : 2) != 0;
    }
}

static void undo_name(const char *folder, const char *beside, const struct change *change)
{
    char name[PATH_BYTES], from[PATH_BYTES], backup[PATH_BYTES];

    snprintf(name, sizeof(name), "%s/%s", folder, change->name);
    snprintf(from, sizeof(from), "%s/%s", folder, change->from);
    snprintf(backup, sizeof(backup), "%s/%s", beside, change->backup);
    if (change->what == 'R' && strcmp(change->from, "-") != 0 && access(from, F_OK) != 0)
        rename(name, from);
    if (change->what == 'C' || (change->what == 'R' && strcmp(change->backup, "-") == 0))
        unlink(name);
    else if (strcmp(change->backup, "-") != 0)
        rename(backup, name);
}

/* Loses bytes of a file behind its durable part: a tail, and blocks in what is left. */
static void lose_bytes(const char *folder, const struct change *change, uint64_t *random)
{
    static const char zeros[512];
    char name[PATH_BYTES];
    struct stat stat_now;
    uint64_t size, durable = change->durable, choice = next_random(random) % 4;
    int fd;

    snprintf(name, sizeof(name), "%s/%s", folder, change->name);
    if (stat(name, &stat_now) != 0 || (uint64_t)stat_now.st_size <= durable || choice == 0)
        return;
    size = (uint64_t)stat_now.st_size;
    if (choice == 1)
        size = durable;
    else if (choice == 2)
        size = durable + next_random(random) % (size - durable + 1);
    if (truncate(name, (off_t)size) != 0 || size == durable)
        return;
    fd = open(name, O_WRONLY | O_CLOEXEC);
    for (uint64_t at = (durable + 511) / 512 * 512; fd >= 0 && at + 512 <= size; at += 512) {
        if (next_random(random) % 6 == 0 && pwrite(fd, zeros, sizeof(zeros), (off_t)at) < 0)
            break;
    }
    if (fd >= 0)
        close(fd);
}

/* Was the file under this name replaced, or its naming undone, after these bytes were written? */
static bool is_of_another_file(const struct changes *changes, size_t i)
{
    for (size_t k = i + 1; k < changes->count; k++) {
        const struct change *later = &changes->items[k];

        if (later->what != 'D' && later->what != 'C' && !later->undo &&
            strcmp(later->name, changes->items[i].name) == 0)
            return true;
    }
    for (size_t k = 0; k < i; k++) {
        const struct change *earlier = &changes->items[k];

        if (earlier->what != 'D' && earlier->undo &&
            strcmp(earlier->name, changes->items[i].name) == 0)
            return true;
    }
    return false;
}

static bool has_earlier_data(const struct changes *changes, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (changes->items[k].what == 'D' && !changes->items[k].settled &&
            strcmp(changes->items[k].name, changes->items[i].name) == 0 &&
            !is_of_another_file(changes, k))
            return true;
    }
    return false;
}

int undo_forget(const char *folder, const char *beside, uint64_t seed)
{
    struct changes changes = {0};
    uint64_t random = seed * 0x9e3779b97f4a7c15u | 1;
    size_t undone = 0, lost = 0;

    read_journal(&changes, beside);
    choose(&changes, &random);
    for (size_t i = changes.count; i-- > 0;) {
        if (!changes.items[i].undo)
            continue;
        undo_name(folder, beside, &changes.items[i]);
        undone++;
    }
    for (size_t i = 0; i < changes.count; i++) {
        const struct change *change = &changes.items[i];

        if (change->what != 'D' || change->settled || is_of_another_file(&changes, i) ||
            has_earlier_data(&changes, i))
            continue;
        lose_bytes(folder, change, &random);
        lost++;
    }
    printf("forgot names=%zu files=%zu of=%zu\n", undone, lost, changes.count);
    mem_free(changes.items);
    undo_settle(beside);
    return 0;
}

void undo_settle(const char *beside)
{
    char command[PATH_BYTES + 16];

    snprintf(command, sizeof(command), "rm -rf '%s'", beside);
    if (system(command) != 0)
        abort();
}
