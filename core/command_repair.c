/* command_repair.c - `tidemark repair`: the recovery of a start, asked for and with every chunk
 * looked at; mappings.db, archive and label indexes are made anew, what is broken is put aside. */
#include <stdio.h>

#include "command.h"
#include "offline.h"

static void print_report(const struct store_recovery *done, const struct store_stats *stats)
{
    printf("%" PRIu64 " series files looked at, every chunk of them\n", done->files);
    printf("%" PRIu64 " brought to agree with heads.db\n", done->stitched);
    printf("%" PRIu64 " freed of damaged chunks\n", done->mended);
    printf("%" PRIu64 " given their metric again\n", done->found_again);
    printf("%" PRIu64 " moved to orphaned/, where a .hint beside each says why\n",
           done->quarantined);
    printf("%" PRIu64 " series had nothing left and are gone\n", done->lost);
    if (done->strange != 0)
        printf("%" PRIu64 " things that are no series files were put into orphaned/, or removed "
               "as left-overs\n",
               done->strange);
    printf("mappings.db and the label indexes were written anew\n");
    printf("%" PRIu64 " series are whole: %" PRIu64 " in heads.db, %" PRIu64 " archived\n",
           stats->series_in_memory + stats->series_archived, stats->series_in_memory,
           stats->series_archived);
}

static int repair_folder(struct offline *offline)
{
    struct store *store = offline_open_store(offline, offline->folder, true);
    struct store_recovery done;
    struct store_stats stats;
    struct error err;

    if (store == NULL)
        return EXIT_FOUND;
    store_recovery_get(store, &done);
    store_stats_get(store, &stats);
    if (store_close(store, &err) != 0) {
        fprintf(stderr, "tidemark: the folder could not be closed cleanly: %s\n", err.text);
        return EXIT_FOUND;
    }
    print_report(&done, &stats);
    return EXIT_GOOD;
}

int command_repair(int argc, char **argv)
{
    struct arguments arguments;
    struct config config;
    struct offline offline;
    int status = EXIT_FOUND;

    if (arguments_parse(&arguments, argc, argv, NULL, 0) != 0)
        return EXIT_USAGE;
    if (arguments_load_config(&arguments, &config) != 0)
        return EXIT_FOUND;
    if (offline_open(&offline, config.data, false, NULL) == 0) {
        status = repair_folder(&offline);
        offline_close(&offline);
    }
    config_destroy(&config);
    return status;
}
