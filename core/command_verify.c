/* command_verify.c - `tidemark verify`: what is wrong with a stopped data folder. Changes nothing.
 */
#include <stdio.h>

#include "command.h"
#include "disk/verify.h"
#include "offline.h"
#include "wire/result_json.h"

struct report {
    struct offline *offline;
    bool json;
    struct buf line;
};

static const char *kind_name(const struct verify_finding *finding)
{
    return finding->kind == VERIFY_DAMAGE ? "damaged" : "differs";
}

static void print_json(struct report *report, const struct verify_finding *finding)
{
    struct buf *line = &report->line;

    line->len = 0;
    buf_printf(line, "{\"kind\":\"%s\",\"file\":", kind_name(finding));
    json_put_string(line, finding->file, strlen(finding->file));
    if (finding->chunk >= 0)
        buf_printf(line, ",\"chunk\":%" PRId64, finding->chunk);
    buf_puts(line, ",\"text\":");
    json_put_string(line, finding->text, strlen(finding->text));
    buf_puts(line, "}\n");
    fwrite(line->data, 1, line->len, stdout);
}

static void print_finding(void *ctx, const struct verify_finding *finding)
{
    struct report *report = ctx;

    offline_end_progress();
    if (report->json)
        print_json(report, finding);
    else if (finding->chunk >= 0)
        printf("%s: %s, chunk %" PRId64 ": %s\n", kind_name(finding), finding->file, finding->chunk,
               finding->text);
    else
        printf("%s: %s: %s\n", kind_name(finding), finding->file, finding->text);
}

static void print_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct report *report = ctx;

    offline_show_progress(report->offline, "series files", done, total);
}

static void print_summary(const struct report *report, const struct verify_summary *s, bool dirty)
{
    if (report->json) {
        printf("{\"kind\":\"summary\",\"closed_cleanly\":%s,\"series_in_heads\":%" PRIu64
               ",\"series_archived\":%" PRIu64 ",\"series_files\":%" PRIu64
               ",\"files_touched\":%" PRIu64 ",\"chunks\":%" PRIu64 ",\"samples\":%" PRIu64
               ",\"mappings\":%" PRIu64 ",\"damages\":%" PRIu64 ",\"differences\":%" PRIu64 "}\n",
               dirty ? "false" : "true", s->series_in_heads, s->series_archived, s->series_files,
               s->files_touched, s->chunks, s->samples, s->mappings, s->damages, s->differences);
        return;
    }
    printf("%" PRIu64 " series (%" PRIu64 " in heads.db, %" PRIu64 " archived), %" PRIu64
           " files, %" PRIu64 " chunks, %" PRIu64 " samples\n",
           s->series_in_heads + s->series_archived, s->series_in_heads, s->series_archived,
           s->series_files, s->chunks, s->samples);
    if (s->files_touched != 0)
        printf("%" PRIu64 " files have another time than heads.db knows (the folder was copied?): "
               "harmless\n",
               s->files_touched);
    if (dirty)
        printf("the folder was not closed cleanly: the next start recovers it, or `tidemark "
               "repair` does now\n");
    printf("%" PRIu64 " damaged places, %" PRIu64 " differences between files\n", s->damages,
           s->differences);
}

static int verify_folder(struct report *report)
{
    struct offline *offline = report->offline;
    struct verify_summary summary;
    struct verify_options options = {.scratch = offline->scratch.volume,
                                     .ctx = report,
                                     .finding = print_finding,
                                     .progress = print_progress};
    struct error err, unused;
    bool dirty = false;
    int status = offline->folder->guard(offline->folder, &dirty, &err);

    if (status == 0) {
        status = verify_volume(offline->folder, &options, &summary, &err);
        (void)offline->folder->unlock(offline->folder, false, &unused);
    }
    offline_end_progress();
    if (status != 0) {
        fprintf(stderr, "tidemark: %s\n", err.text);
        return EXIT_FOUND;
    }
    print_summary(report, &summary, dirty);
    return summary.damages + summary.differences == 0 ? EXIT_GOOD : EXIT_FOUND;
}

int command_verify(int argc, char **argv)
{
    struct arguments arguments;
    struct config config;
    struct offline offline;
    struct report report = {.offline = &offline};
    const char *scratch = NULL;
    const struct command_option options[] = {
        {"--json", NULL, &report.json}, {"--scratch", &scratch, NULL}, {0}};
    int status = EXIT_FOUND;

    if (arguments_parse(&arguments, argc, argv, options, 0) != 0)
        return EXIT_USAGE;
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    if (offline_open(&offline, config.data, true, scratch) == 0) {
        status = verify_folder(&report);
        offline_close(&offline);
    }
    buf_destroy(&report.line);
    config_destroy(&config);
    return status;
}
