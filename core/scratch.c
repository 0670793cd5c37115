/* scratch.c - see scratch.h. */
#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

int scratch_make(struct scratch *scratch, const char *parent, struct error *err)
{
    struct buf path = {0};

    if (parent == NULL)
        parent = getenv("TMPDIR");
    buf_printf(&path, "%s/tidemark-XXXXXX", parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    buf_putc(&path, '\0');
    if (mkdtemp((char *)path.data) == NULL) {
        error_set_errno(err, "cannot make a scratch folder (%s; --scratch DIR puts it elsewhere)",
                        (const char *)path.data);
        buf_destroy(&path);
        return -1;
    }
    scratch->path = (char *)path.data;
    scratch->volume = volume_posix_open(scratch->path, false, err);
    return scratch->volume != NULL ? 0 : -1;
}

static int collect_name(void *ctx, const struct volume_entry *entry, struct error *err)
{
    struct buf *names = ctx;

    (void)err;
    buf_putc(names, entry->stat.is_folder ? 'd' : 'f');
    buf_append(names, entry->name, strlen(entry->name) + 1);
    return 0;
}

static void empty(struct volume *volume)
{
    struct buf names = {0};
    struct error err;

    if (volume->list(volume, "", collect_name, &names, &err) == 0) {
        for (size_t at = 0; at < names.len;) {
            const char *name = (const char *)names.data + at + 1;

            if (names.data[at] == 'd')
                (void)volume->remove_folder(volume, name, &err);
            else
                (void)volume->remove(volume, name, &err);
            at += strlen(name) + 2;
        }
    }
    buf_destroy(&names);
}

void scratch_clear(const struct scratch *scratch)
{
    if (scratch->volume != NULL)
        empty(scratch->volume);
    if (scratch->path != NULL && rmdir(scratch->path) != 0)
        fprintf(stderr, "tidemark: %s could not be removed: %s\n", scratch->path, strerror(errno));
}

void scratch_remove(struct scratch *scratch)
{
    scratch_clear(scratch);
    if (scratch->volume != NULL)
        scratch->volume->close(scratch->volume);
    mem_free(scratch->path);
    *scratch = (struct scratch){0};
}
