/* LevelDB behind kv.h, with the options of the original (format, section 14). */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <leveldb/c.h>

#include "disk/kv.h"

#define DEFAULT_CACHE_BYTES ((size_t)8 << 20)
#define DEFAULT_BUFFER_BYTES ((size_t)4 << 20)
#define BLOOM_BITS 10
/* Tables kept open, per index: four of them share the process' descriptors with series files. */
#define MAX_OPEN_TABLES 128

struct leveldb_kv {
    struct kv kv;
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read;
    leveldb_readoptions_t *scan; /* a scan must not empty the block cache */
    leveldb_writeoptions_t *write;
    leveldb_writeoptions_t *write_synced;
    char *path;
};

static struct leveldb_kv *self_of(struct kv *kv)
{
    return (struct leveldb_kv *)(void *)kv;
}

/* LevelDB's errors are texts; takes and frees one. "Invalid argument" is a read at a place that no
 * file has: a damaged footer of a table. */
static int take_error(struct error *err, const char *path, char *text)
{
    enum error_code code = ERR_IO;

    if (strncmp(text, "Corruption", 10) == 0 || strstr(text, "is not an sstable") != NULL ||
        strstr(text, "No such file") != NULL || strstr(text, "Not a directory") != NULL ||
        strstr(text, "Invalid argument") != NULL)
        code = ERR_CORRUPT;
    else if (strstr(text, "already held by process") != NULL || strstr(text, "lock ") != NULL)
        code = ERR_CONFLICT;
    else if (strstr(text, "does not exist") != NULL)
        code = ERR_NOT_FOUND;
    error_set_at(err, code, strstr(text, "No space left") != NULL ? ENOSPC : 0, TIDE_WHERE,
                 "index %s: %s", path, text);
    leveldb_free(text);
    return -1;
}

static int leveldb_kv_get(struct kv *kv, const void *key, size_t key_len, struct buf *value,
                          bool *found, struct error *err)
{
    struct leveldb_kv *self = self_of(kv);
    char *problem = NULL;
    size_t len;
    char *bytes = leveldb_get(self->db, self->read, key, key_len, &len, &problem);

    value->len = 0;
    if (problem != NULL)
        return take_error(err, self->path, problem);
    *found = bytes != NULL;
    if (bytes != NULL)
        buf_append(value, bytes, len);
    leveldb_free(bytes);
    return 0;
}

static int leveldb_kv_write(struct kv *kv, const struct kv_batch *batch, bool sync,
                            struct error *err)
{
    struct leveldb_kv *self = self_of(kv);
    leveldb_writebatch_t *changes = leveldb_writebatch_create();
    struct kv_change change;
    char *problem = NULL;
    size_t at = 0;

    while (kv_batch_next(batch, &at, &change)) {
        if (change.value != NULL)
            leveldb_writebatch_put(changes, (const char *)change.key, change.key_len,
                                   (const char *)change.value, change.value_len);
        else
            leveldb_writebatch_delete(changes, (const char *)change.key, change.key_len);
    }
    leveldb_write(self->db, sync ? self->write_synced : self->write, changes, &problem);
    leveldb_writebatch_destroy(changes);
    return problem == NULL ? 0 : take_error(err, self->path, problem);
}

/* Bytewise, a shorter prefix first. */
static bool key_before(const char *a, size_t a_len, const void *b, size_t b_len)
{
    int order = memcmp(a, b, TIDE_MIN(a_len, b_len));

    return order < 0 || (order == 0 && a_len < b_len);
}

static int leveldb_kv_scan(struct kv *kv, const void *from, size_t from_len, const void *to,
                           size_t to_len,
                           int (*visit)(void *ctx, const void *key, size_t key_len,
                                        const void *value, size_t value_len, struct error *err),
                           void *ctx, struct error *err)
{
    struct leveldb_kv *self = self_of(kv);
    leveldb_iterator_t *iter = leveldb_create_iterator(self->db, self->scan);
    char *problem = NULL;
    int status = 0;

    if (from == NULL)
        leveldb_iter_seek_to_first(iter);
    else
        leveldb_iter_seek(iter, from, from_len);
    for (; status == 0 && leveldb_iter_valid(iter); leveldb_iter_next(iter)) {
        size_t key_len, value_len;
        const char *key = leveldb_iter_key(iter, &key_len);
        const char *value = leveldb_iter_value(iter, &value_len);

        if (to != NULL && !key_before(key, key_len, to, to_len))
            break;
        status = visit(ctx, key, key_len, value, value_len, err);
    }
    if (status == 0)
        leveldb_iter_get_error(iter, &problem);
    leveldb_iter_destroy(iter);
    return problem == NULL ? status : take_error(err, self->path, problem);
}

static void free_kv(struct leveldb_kv *self)
{
    if (self->db != NULL)
        leveldb_close(self->db);
    leveldb_options_destroy(self->options);
    leveldb_cache_destroy(self->cache);
    leveldb_filterpolicy_destroy(self->filter);
    leveldb_readoptions_destroy(self->read);
    leveldb_readoptions_destroy(self->scan);
    leveldb_writeoptions_destroy(self->write);
    leveldb_writeoptions_destroy(self->write_synced);
    mem_free(self->path);
    mem_free(self);
}

static int leveldb_kv_close(struct kv *kv, struct error *err)
{
    (void)err; /* LevelDB's close cannot fail: what was written is in its log */
    free_kv(self_of(kv));
    return 0;
}

static void set_options(struct leveldb_kv *self, const struct kv_options *options)
{
    size_t cache = DEFAULT_CACHE_BYTES, buffer = DEFAULT_BUFFER_BYTES;

    if (options != NULL && options->block_cache_bytes != 0)
        cache = options->block_cache_bytes;
    if (options != NULL && options->write_buffer_bytes != 0)
        buffer = options->write_buffer_bytes;
    self->options = leveldb_options_create();
    self->cache = leveldb_cache_create_lru(cache);
    self->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS);
    leveldb_options_set_create_if_missing(self->options, 1);
    /* Without these, repair and compaction do not look at checksums: they keep tables that cannot
     * be read afterwards, or meet an assertion of LevelDB's. */
    leveldb_options_set_paranoid_checks(self->options, 1);
    leveldb_options_set_cache(self->options, self->cache);
    leveldb_options_set_filter_policy(self->options, self->filter);
    leveldb_options_set_write_buffer_size(self->options, buffer);
    leveldb_options_set_compression(self->options, leveldb_snappy_compression);
    leveldb_options_set_max_open_files(self->options, MAX_OPEN_TABLES);
    self->read = leveldb_readoptions_create();
    self->scan = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(self->read, 1);
    leveldb_readoptions_set_verify_checksums(self->scan, 1);
    leveldb_readoptions_set_fill_cache(self->scan, 0);
    self->write = leveldb_writeoptions_create();
    self->write_synced = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(self->write_synced, 1);
}

/* LevelDB makes folder and lock file even when it is told not to create a database. */
static bool is_there(const char *path)
{
    struct buf current = {0};
    bool there;

    buf_printf(&current, "%s/CURRENT", path);
    buf_putc(&current, '\0');
    there = access((const char *)current.data, F_OK) == 0;
    buf_destroy(&current);
    return there;
}

struct kv *kv_leveldb_open(const char *path, const struct kv_options *options, struct error *err)
{
    struct leveldb_kv *self;
    char *problem = NULL;

    if (options != NULL && options->must_exist && !is_there(path)) {
        error_set(err, ERR_NOT_FOUND, "index %s: there is none", path);
        return NULL;
    }
    self = mem_zalloc(1, sizeof(*self));
    self->path = mem_dup(path, strlen(path));
    set_options(self, options);
    if (options != NULL && options->salvage)
        leveldb_repair_db(self->options, path, &problem);
    if (problem == NULL)
        self->db = leveldb_open(self->options, path, &problem);
    if (problem != NULL) {
        take_error(err, path, problem);
        free_kv(self);
        return NULL;
    }
    self->kv = (struct kv){.get = leveldb_kv_get,
                           .write = leveldb_kv_write,
                           .scan = leveldb_kv_scan,
                           .close = leveldb_kv_close};
    return &self->kv;
}
