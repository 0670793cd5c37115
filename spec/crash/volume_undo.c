/* volume_undo.c - see volume_undo.h. */
#include "volume_undo.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "disk/volume_forward.h"

struct undo_volume {
    struct volume_forward forward;
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

const char *undo_folder_of(const char *name, char *out, size_t size)
{
    const char *slash = strrchr(name, '/');

    snprintf(out, size, "%.*s", slash != NULL ? (int)(slash - name) : 0, name);
    return out;
}

static void note_folder(struct undo_volume *self, const char *name)
{
    char folder[PATH_BYTES];

    note_name(self, 'F', undo_folder_of(name, folder, sizeof(folder)));
}

/* --- changes ------------------------------------------------------------------------------------
 */

static int undo_append(struct volume *volume, const char *name, uint64_t expected_size,
                       const struct volume_part *parts, size_t count, bool sync,
                       struct volume_stat *stat, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    struct volume *inner = self->forward.inner;
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
    struct writer_forward forward;
    struct undo_volume *self;
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

    GUARD(self->self, self->name, "write",
          self->forward.inner->write(self->forward.inner, bytes, len, err));
    return status;
}

static int writer_copy(struct volume_writer *writer, const char *from, uint64_t offset,
                       uint64_t len, struct error *err)
{
    struct undo_writer *self = writer_of(writer);
    int status;

    GUARD(self->self, self->name, "write",
          self->forward.inner->copy(self->forward.inner, from, offset, len, err));
    return status;
}

static int writer_finish(struct volume_writer *writer, bool sync, struct error *err)
{
    struct undo_writer *self = writer_of(writer);
    char tmp[VOLUME_NAME_MAX + 8];
    int status;

    snprintf(tmp, sizeof(tmp), "%s.tmp", self->name);
    note_data(self->self, tmp, 0);
    GUARD(self->self, self->name, "sync",
          self->forward.inner->finish(self->forward.inner, sync, err));
    if (status == 0 && sync)
        note_name(self->self, 'S', tmp);
    writer->stat = self->forward.inner->stat;
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
    GUARD(self, copy.name, "rename",
          copy.forward.inner->publish(copy.forward.inner, sync_folder, stat, err));
    if (status == 0 && sync_folder)
        note_folder(self, copy.name);
    return status;
}

static struct volume_writer *undo_replace(struct volume *volume, const char *name,
                                          struct error *err)
{
    struct undo_volume *self = self_of(volume);
    struct volume_writer *inner = self->forward.inner->replace(self->forward.inner, name, err);
    struct undo_writer *writer;

    if (inner == NULL)
        return NULL;
    writer = mem_zalloc(1, sizeof(*writer));
    writer_forward_start(&writer->forward, inner);
    writer->forward.writer.write = writer_write;
    writer->forward.writer.copy = writer_copy;
    writer->forward.writer.finish = writer_finish;
    writer->forward.writer.publish = writer_publish;
    writer->self = self;
    snprintf(writer->name, sizeof(writer->name), "%s", name);
    return &writer->forward.writer;
}

static int undo_truncate(struct volume *volume, const char *name, uint64_t size, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, name, "truncate",
          self->forward.inner->truncate(self->forward.inner, name, size, err));
    return status;
}

static int undo_remove(struct volume *volume, const char *name, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    note_remove(self, name);
    GUARD(self, name, "remove", self->forward.inner->remove(self->forward.inner, name, err));
    return status;
}

static int undo_remove_folder(struct volume *volume, const char *name, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, name, "remove", self->forward.inner->remove_folder(self->forward.inner, name, err));
    return status;
}

static int undo_move(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    note_rename(self, from, to);
    GUARD(self, to, "rename", self->forward.inner->move(self->forward.inner, from, to, err));
    return status;
}

static int undo_share(struct volume *volume, const char *from, const char *to, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    note_rename(self, "-", to);
    GUARD(self, to, "share", self->forward.inner->share(self->forward.inner, from, to, err));
    return status;
}

static int undo_sync(struct volume *volume, const char *name, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, name, "sync", self->forward.inner->sync(self->forward.inner, name, err));
    if (status == 0)
        note_name(self, 'S', name);
    return status;
}

static int undo_sync_folder(struct volume *volume, const char *folder, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, "folder", "sync",
          self->forward.inner->sync_folder(self->forward.inner, folder, err));
    if (status == 0)
        note_name(self, 'F', folder);
    return status;
}

static int undo_sync_all(struct volume *volume, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    int status;

    GUARD(self, "all", "sync", self->forward.inner->sync_all(self->forward.inner, err));
    if (status == 0) {
        lock_acquire(&self->lock);
        note(self, "A\n");
        lock_release(&self->lock);
    }
    return status;
}

/* --- tables: their writes are fault points, and what their log holds unsynced can be forgotten ---
 */

struct undo_kv {
    struct kv_forward forward;
    struct undo_volume *self;
    char folder[VOLUME_NAME_MAX + 1];
};

/* The log that LevelDB appends to now: the one with the greatest number. False: there is none. */
static bool find_log(const struct undo_kv *kv, char *name, size_t size, uint64_t *bytes)
{
    char path[PATH_BYTES];
    unsigned long long newest = 0, number;
    struct dirent *entry;
    struct stat stat_now;
    DIR *folder;
    int end;

    snprintf(path, sizeof(path), "%s/%s", kv->self->folder, kv->folder);
    folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        end = 0;
        if (sscanf(entry->d_name, "%llu.log%n", &number, &end) == 1 && end > 0 && number > newest)
            newest = number;
    }
    if (folder != NULL)
        closedir(folder);
    snprintf(name, size, "%s/%06llu.log", kv->folder, newest);
    snprintf(path, sizeof(path), "%s/%s", kv->self->folder, name);
    if (newest == 0 || stat(path, &stat_now) != 0)
        return false;
    *bytes = (uint64_t)stat_now.st_size;
    return true;
}

static int kv_write(struct kv *kv, const struct kv_batch *batch, bool sync, struct error *err)
{
    struct undo_kv *self = (struct undo_kv *)(void *)kv;
    char name[PATH_BYTES];
    uint64_t bytes;
    int status;

    if (find_log(self, name, sizeof(name), &bytes))
        note_data(self->self, name, bytes);
    GUARD(self->self, "table", "write",
          self->forward.inner->write(self->forward.inner, batch, sync, err));
    if (status == 0 && sync && find_log(self, name, sizeof(name), &bytes))
        note_name(self->self, 'S', name);
    return status;
}

static struct kv *undo_open_kv(struct volume *volume, const char *name,
                               const struct kv_options *options, struct error *err)
{
    struct undo_volume *self = self_of(volume);
    struct kv *inner = self->forward.inner->open_kv(self->forward.inner, name, options, err);
    struct undo_kv *kv;

    if (inner == NULL)
        return NULL;
    kv = mem_zalloc(1, sizeof(*kv));
    kv_forward_start(&kv->forward, inner);
    kv->forward.kv.write = kv_write;
    kv->self = self;
    snprintf(kv->folder, sizeof(kv->folder), "%s", name);
    return &kv->forward.kv;
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
    struct volume *volume = &self->forward.volume;
    char path[PATH_BYTES];

    self->folder = folder;
    self->beside = beside;
    self->kill = *kill;
    lock_init(&self->lock);
    mkdir(beside, 0700);
    snprintf(path, sizeof(path), "%s/journal", beside);
    self->journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (self->journal < 0)
        abort();
    volume_forward_start(&self->forward, inner);
    volume->append = undo_append;
    volume->replace = undo_replace;
    volume->truncate = undo_truncate;
    volume->remove = undo_remove;
    volume->remove_folder = undo_remove_folder;
    volume->move = undo_move;
    volume->share = undo_share;
    volume->sync = undo_sync;
    volume->sync_folder = undo_sync_folder;
    volume->sync_all = undo_sync_all;
    volume->open_kv = undo_open_kv;
    volume->close = undo_close;
    return volume;
}
