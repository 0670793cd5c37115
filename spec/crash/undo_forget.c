/* undo_forget.c - see volume_undo.h: what a loss of power takes, chosen from the journal. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "volume_undo.h"

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

        change->settled |= change->what != 'D' &&
                           strcmp(undo_folder_of(change->name, own, sizeof(own)), folder) == 0;
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
