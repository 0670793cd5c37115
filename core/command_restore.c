/* command_restore.c - `tidemark restore`: a snapshot, or another stopped folder, becomes the data
 * folder. */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "command.h"
#include "disk/folder_copy.h"
#include "disk/heads.h"
#include "disk/version.h"
#include "offline.h"

struct restore {
    struct offline offline; /* only to show progress */
    struct volume *from;
    struct volume *to;
    struct error err;
};

/* A name alone is that of a snapshot of the data folder. */
static char *source_path(const char *source, const char *data)
{
    struct buf path = {0};

    if (strchr(source, '/') == NULL)
        buf_printf(&path, "%s/snapshots/%s", data, source);
    else
        buf_puts(&path, source);
    buf_putc(&path, '\0');
    return (char *)path.data;
}

static int keep_series(void *ctx, const struct heads_series *series, struct error *err)
{
    (void)ctx;
    (void)series;
    (void)err;
    return 0;
}

/* Is it a whole, closed store? The series files are checked by `tidemark verify`. */
static int check_source(struct restore *restore)
{
    struct volume *from = restore->from;
    struct heads_visitor visitor = {NULL, keep_series, NULL};
    struct heads_result heads;
    struct volume_stat stat;

    if (version_check(from, false, NULL, &restore->err) != 0)
        return -1;
    if (from->stat(from, "DIRTY", &stat, &restore->err) == 0)
        return error_set(&restore->err, ERR_CONFLICT,
                         "%s is in use or was not closed cleanly: restore from a snapshot of it",
                         from->where);
    if (heads_read(from, HEADS_FILE, HEADS_STRICT, &visitor, &heads, &restore->err) != 0)
        return error_note(&restore->err, "%s", from->where);
    return 0;
}

static int is_not_empty(void *ctx, const struct volume_entry *entry, struct error *err)
{
    const struct restore *restore = ctx;

    if (entry->name[0] == '.' || strcmp(entry->name, "lost+found") == 0 ||
        strcmp(entry->name, "DIRTY") == 0)
        return 0;
    return error_set(err, ERR_CONFLICT,
                     "%s is not empty: give another --data, or --replace, which keeps what is "
                     "there beside it",
                     restore->to->where);
}

/* Makes room; under the lock of the folder. */
static int make_room(struct restore *restore, bool replace)
{
    time_t now = time(NULL);
    char into[40];
    struct tm utc;
    bool moved;

    if (!replace)
        return restore->to->list(restore->to, "", is_not_empty, restore, &restore->err);
    gmtime_r(&now, &utc);
    into[strftime(into, sizeof(into), "replaced-%Y%m%dT%H%M%SZ", &utc)] = '\0';
    if (folder_set_aside(restore->to, into, &moved, &restore->err) != 0)
        return -1;
    if (moved)
        printf("what was there is in %s/%s\n", restore->to->where, into);
    return 0;
}

static void show(void *ctx, const struct folder_copy *copy)
{
    struct restore *restore = ctx;

    offline_show_progress(&restore->offline, "files", copy->files, 0);
}

static int copy_locked(struct restore *restore, bool replace)
{
    struct folder_copy copy = {.progress = show, .ctx = restore};

    if (make_room(restore, replace) != 0 ||
        folder_copy(restore->from, restore->to, &copy, &restore->err) != 0)
        return -1;
    offline_end_progress();
    printf("restored %" PRIu64 " files, %" PRIu64 " bytes, from %s to %s\n", copy.files, copy.bytes,
           restore->from->where, restore->to->where);
    return 0;
}

static int run(struct restore *restore, const char *source, const char *data, bool replace)
{
    char *path = source_path(source, data);
    bool existed;
    int result = -1;

    restore->from = volume_posix_open(path, false, &restore->err);
    mem_free(path);
    if (restore->from == NULL || check_source(restore) != 0)
        return -1;
    restore->to = volume_posix_open(data, true, &restore->err);
    if (restore->to == NULL || restore->to->lock(restore->to, &existed, &restore->err) != 0)
        return -1;
    result = copy_locked(restore, replace);
    /* What failed half way has no VERSION, and is refused by a start; the marker tells nothing. */
    if (restore->to->unlock(restore->to, true, &restore->err) != 0)
        result = -1;
    return result;
}

int command_restore(int argc, char **argv)
{
    struct restore restore = {0};
    bool replace = false;
    const struct command_option options[] = {{"--replace", NULL, &replace}, {0}};
    struct arguments arguments;
    struct config config;
    int result;

    if (arguments_parse(&arguments, argc, argv, options, 1) != 0)
        return EXIT_USAGE;
    if (arguments.operand_count != 1) {
        fprintf(stderr, "tidemark: which snapshot? (a folder, or a name in snapshots/)\n");
        return EXIT_USAGE;
    }
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    result = run(&restore, arguments.operands[0], config.data, replace);
    if (result != 0)
        fprintf(stderr, "tidemark: %s\n", restore.err.text);
    if (restore.from != NULL)
        restore.from->close(restore.from);
    if (restore.to != NULL)
        restore.to->close(restore.to);
    config_destroy(&config);
    return result == 0 ? EXIT_GOOD : EXIT_FOUND;
}
