#include "disk/version.h"

#include <ctype.h>

#define VERSION_NUMBER 1
/* A sound VERSION has two bytes. */
#define VERSION_MAX_BYTES 64

/* A signed decimal number with white space around it; false when it is anything else. */
static bool parse_number(const char *text, size_t len, int64_t *number)
{
    bool negative = false;
    int64_t value = 0;
    size_t i = 0;

    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    while (i < len && isspace((unsigned char)text[i]))
        i++;
    if (i < len && (text[i] == '-' || text[i] == '+'))
        negative = text[i++] == '-';
    if (i == len)
        return false;
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > INT64_MAX / 100)
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *number = negative ? -value : value;
    return true;
}

static int check_text(const struct volume *volume, const char *text, size_t len, struct error *err)
{
    int64_t number;

    if (len > VERSION_MAX_BYTES || !parse_number(text, len, &number))
        return error_set(err, ERR_UNSUPPORTED,
                         "%s/" VERSION_FILE " does not hold a version number; expected \"%d\": not "
                         "a data folder, or damaged",
                         volume->where, VERSION_NUMBER);
    if (number != VERSION_NUMBER)
        return error_set(err, ERR_UNSUPPORTED,
                         "found storage version %" PRId64 " in %s, need version %d", number,
                         volume->where, VERSION_NUMBER);
    return 0;
}

/* Only what an empty file system has by itself may be there, and what a first start that was cut
 * off has left. */
static int refuse_name(void *ctx, const struct volume_entry *entry, struct error *err)
{
    const struct volume *volume = ctx;

    if (entry->name[0] == '.' || strcmp(entry->name, VERSION_FILE ".tmp") == 0 ||
        (strcmp(entry->name, "lost+found") == 0 && entry->stat.is_folder))
        return 0;
    return error_set(err, ERR_UNSUPPORTED,
                     "%s is not empty (it holds \"%.100s\") but has no " VERSION_FILE
                     " file: not a data folder of storage version %d",
                     volume->where, entry->name, VERSION_NUMBER);
}

/* Whole or not at all: a crash on the first start must not leave a folder that is refused. */
static int write_version(struct volume *volume, struct error *err)
{
    struct volume_writer *writer = volume->replace(volume, VERSION_FILE, err);
    struct buf text = {0};
    int status = -1;

    if (writer != NULL) {
        buf_printf(&text, "%d\n", VERSION_NUMBER);
        status = writer->write(writer, text.data, text.len, err);
        if (status == 0)
            status = writer->finish(writer, true, err);
        if (status == 0)
            status = writer->publish(writer, true, NULL, err);
        else
            writer->discard(writer);
        buf_destroy(&text);
    }
    return status == 0 ? 0 : error_note(err, "cannot make a data folder in %s", volume->where);
}

int version_check(struct volume *volume, bool make, bool *created, struct error *err)
{
    char text[VERSION_MAX_BYTES + 1];
    size_t len;

    if (created != NULL)
        *created = false;
    if (volume->read(volume, VERSION_FILE, 0, text, sizeof(text), &len, err) == 0)
        return check_text(volume, text, len, err);
    if (err->code != ERR_NOT_FOUND)
        return -1;
    if (volume->list(volume, "", refuse_name, volume, err) != 0)
        return -1;
    if (!make)
        return error_set(err, ERR_NOT_FOUND, "%s is empty: no " VERSION_FILE " in it",
                         volume->where);
    if (write_version(volume, err) != 0)
        return -1;
    if (created != NULL)
        *created = true;
    return 0;
}
