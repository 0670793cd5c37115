#include "disk/quarantine.h"

#include <stdio.h>

#include "disk/series_file.h"

#define UNKNOWN_METRIC "[UNKNOWN METRIC]"
#define UNKNOWN_REASON "[UNKNOWN REASON]"

/* Room for "orphaned/", the series' name and "hint" instead of "db". */
struct orphan_names {
    char series[SERIES_FILE_NAME_BYTES];
    char orphan[SERIES_FILE_NAME_BYTES + sizeof(QUARANTINE_FOLDER) + 1];
    char hint[SERIES_FILE_NAME_BYTES + sizeof(QUARANTINE_FOLDER) + 4];
};

static void names_of(uint64_t fp, struct orphan_names *names)
{
    series_file_name(names->series, fp);
    snprintf(names->orphan, sizeof(names->orphan), QUARANTINE_FOLDER "/%s", names->series);
    snprintf(names->hint, sizeof(names->hint), QUARANTINE_FOLDER "/%.*s.hint",
             (int)(SERIES_FILE_NAME_BYTES - 1 - 3), names->series);
}

static int write_hint(struct volume *volume, const char *name, const struct labels *labels,
                      const char *reason, struct error *err)
{
    struct volume_writer *writer = volume->replace(volume, name, err);
    struct buf text = {0};
    int status;

    if (writer == NULL)
        return -1;
    if (labels == NULL)
        buf_puts(&text, UNKNOWN_METRIC);
    else
        labels_format_metric(&text, labels);
    buf_printf(&text, "\n%s\n", reason == NULL || reason[0] == '\0' ? UNKNOWN_REASON : reason);
    status = writer->write(writer, text.data, text.len, err);
    if (status == 0)
        status = writer->finish(writer, false, err);
    buf_destroy(&text);
    if (status != 0) {
        writer->discard(writer);
        return -1;
    }
    return writer->publish(writer, false, NULL, err);
}

int quarantine_series(struct volume *volume, uint64_t fp, const struct labels *labels,
                      const char *reason, struct error *err)
{
    struct orphan_names names;
    struct error hint_err;
    int status;

    names_of(fp, &names);
    status = volume->move(volume, names.series, names.orphan, err);
    if (status != 0 && err->code == ERR_NOT_FOUND)
        status = 0;
    /* The file is what matters: a hint that cannot be written is no failure. */
    (void)write_hint(volume, names.hint, labels, reason, &hint_err);
    return status;
}

int quarantine_folder_name(struct volume *volume, const char *folder, struct error *err)
{
    char aside[sizeof(QUARANTINE_FOLDER "/file-") + 2];
    struct volume_stat stat;

    if (volume->stat(volume, folder, &stat, err) != 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    if (stat.is_folder)
        return 0;
    snprintf(aside, sizeof(aside), QUARANTINE_FOLDER "/file-%.2s", folder);
    return volume->move(volume, folder, aside, err);
}

int quarantine_obstacle(struct volume *volume, uint64_t fp, struct error *err)
{
    struct orphan_names names;
    struct volume_stat stat;
    char folder[3];

    names_of(fp, &names);
    snprintf(folder, sizeof(folder), "%.2s", names.series);
    if (quarantine_folder_name(volume, folder, err) != 0)
        return -1;
    if (volume->stat(volume, names.series, &stat, err) == 0 && !stat.is_folder && stat.size != 0)
        return error_set(err, ERR_CORRUPT, "%s cannot be appended to", names.series);
    if (volume->move(volume, names.series, names.orphan, err) == 0 || err->code == ERR_NOT_FOUND)
        return 0;
    return -1;
}
