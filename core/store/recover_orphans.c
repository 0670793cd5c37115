/* recover_orphans.c - metrics for series files that neither heads.db nor the archive knows.
 *
 * The checkpoint before the last one is asked first, then the label index on disk, turned over:
 * it may be old, so a metric counts only if its fingerprint is that of the file (or a mapped one).
 * A file that is still nobody's goes to orphaned/, as the original does with all of them. */
#include "base/logger.h"
#include "base/mem.h"
#include "chunk/chunk.h"
#include "model/fingerprint.h"
#include "store/recover.h"
#include "store/replay.h"

/* What is found for the i-th orphan. */
struct found_metric {
    struct labels *labels; /* NULL: nothing yet */
    bool covered;          /* all that it has is in the log */
    struct buf pairs;      /* of the label index: uvarint length + bytes, name and value in turn */
};

struct search {
    struct recovery *recovery;
    struct found_metric *found; /* by index in recovery->orphans */
};

static struct found_metric *find_orphan(struct search *search, uint64_t fp)
{
    const struct fp_list *orphans = &search->recovery->orphans;
    const uint64_t *at =
        bsearch(&fp, orphans->fps, orphans->count, sizeof(fp), fingerprint_compare);

    return at != NULL ? &search->found[at - orphans->fps] : NULL;
}

static bool proves_itself(uint64_t fp, const struct labels *labels)
{
    return fp <= FINGERPRINT_MAX_MAPPED || fingerprint_of(labels) == fp;
}

static int see_old_head(void *ctx, const struct heads_series *series, struct error *err)
{
    struct found_metric *found = find_orphan(ctx, series->fp);

    (void)err;
    if (found != NULL && found->labels == NULL && proves_itself(series->fp, series->labels))
        found->labels = labels_ref(series->labels);
    return 0;
}

static void search_old_heads(struct search *search)
{
    struct heads_visitor visitor = {.ctx = search, .series = see_old_head};
    struct heads_result result;
    struct error problem;

    if (heads_read(search->recovery->volume, HEADS_OLD_FILE, HEADS_SALVAGE, &visitor, &result,
                   &problem) != 0 &&
        problem.code != ERR_NOT_FOUND)
        log_warn("the checkpoint before the last one cannot be read", "problem=\"%s\"",
                 problem.text);
}

/* The log defines what came after the last checkpoint, so such a series has nothing else. */
static void see_logged(void *ctx, uint64_t fp, const struct label *list, size_t count)
{
    struct search *search = ctx;
    struct found_metric *found = find_orphan(search, fp);
    struct error ignored;

    if (found == NULL || found->labels != NULL)
        return;
    found->labels = labels_new(list, count, &ignored);
    found->covered = found->labels != NULL && search->recovery->store->folder->log_covers;
    if (found->labels == NULL || proves_itself(fp, found->labels))
        return;
    found->covered = false;
    labels_unref(found->labels);
    found->labels = NULL;
}

static void search_log(struct search *search)
{
    struct error problem;

    if (replay_definitions(search->recovery->store, search->recovery->store->folder->log_from,
                           see_logged, search, &problem) != 0)
        log_warn("the log cannot be searched for metrics", "problem=\"%s\"", problem.text);
}

static void put_string(struct buf *out, struct codable_string text)
{
    codable_put_uvarint(out, text.len);
    buf_append(out, text.bytes, text.len);
}

static int see_pair(void *ctx, struct codable_string name, struct codable_string value,
                    const uint64_t *fps, size_t count, struct error *err)
{
    (void)err;
    for (size_t i = 0; i < count; i++) {
        struct found_metric *found = find_orphan(ctx, fps[i]);

        if (found == NULL || found->labels != NULL)
            continue;
        put_string(&found->pairs, name);
        put_string(&found->pairs, value);
    }
    return 0;
}

static struct labels *labels_of_pairs(const struct buf *pairs)
{
    struct labels_builder builder;
    struct labels *labels = NULL;
    struct arena scratch = {0};
    struct error problem;

    labels_builder_init(&builder);
    if (pairs->len != 0 &&
        label_parse_pairs(pairs->data, pairs->len, NULL, &scratch, &builder, &problem) == 0)
        labels = labels_builder_build(&builder);
    labels_builder_destroy(&builder);
    arena_destroy(&scratch);
    return labels;
}

static void search_label_index(struct search *search)
{
    struct volume *volume = search->recovery->volume;
    struct error problem;
    struct label_index *index = label_index_open_existing(volume, false, &problem);

    /* It is made anew in any case. */
    if (index == NULL)
        index = label_index_open_existing(volume, true, &problem);
    if (index == NULL || label_index_scan_pairs(index, see_pair, search, &problem) != 0)
        log_warn("not all of the label index can be searched for metrics", "problem=\"%s\"",
                 problem.text);
    if (index != NULL && label_index_close(index, &problem) != 0)
        log_warn("the label index did not close", "problem=\"%s\"", problem.text);
    for (size_t i = 0; i < search->recovery->orphans.count; i++) {
        struct found_metric *found = &search->found[i];
        struct labels *labels = found->labels == NULL ? labels_of_pairs(&found->pairs) : NULL;

        if (labels != NULL && proves_itself(search->recovery->orphans.fps[i], labels))
            found->labels = labels;
        else
            labels_unref(labels);
        buf_destroy(&found->pairs);
    }
}

int recover_orphans(struct recovery *recovery, struct error *err)
{
    struct search search = {.recovery = recovery};
    size_t count = recovery->orphans.count;
    int result = 0;

    if (count == 0)
        return 0;
    search.found = mem_zalloc(count, sizeof(*search.found));
    search_log(&search);
    search_old_heads(&search);
    search_label_index(&search);
    for (size_t i = 0; i < count; i++) {
        uint64_t fp = recovery->orphans.fps[i];
        int adopted = 1;

        if (search.found[i].covered && result == 0)
            adopted = series_file_delete(recovery->volume, fp, err); /* it is made again */
        else if (search.found[i].labels != NULL && result == 0)
            adopted = recovery_adopt(recovery, fp, search.found[i].labels, err);
        if (adopted < 0)
            result = -1;
        else if (adopted == 1 && result == 0)
            recovery_quarantine(recovery, fp, search.found[i].labels,
                                search.found[i].labels != NULL ? "no sound chunk in the series file"
                                                               : "purge during crash recovery");
        labels_unref(search.found[i].labels);
    }
    mem_free(search.found);
    return result;
}
