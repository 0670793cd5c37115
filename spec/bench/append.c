/* append.c - cost of store_append for known series, of making series, and memory per series.
 *
 * Usage: append [SERIES] [ROUNDS] [BATCH] [late]. Memory only, one thread; prints CPU time, not
 * wall. With "late" every second round is older than the one before it, as a pair of senders that
 * watch the same targets makes it. */
#include "store/append.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "store/store.h"

static void put_text(uint8_t **to, const char *text)
{
    size_t len = strlen(text);

    *to += uvarint_put(*to, len);
    memcpy(*to, text, len);
    *to += len;
}

static size_t make_block(uint8_t *out, size_t i)
{
    char text[64];
    uint8_t *at = out;

    put_text(&at, "__name__");
    snprintf(text, sizeof(text), "node_metric_%zu_total", i % 200);
    put_text(&at, text);
    put_text(&at, "instance");
    snprintf(text, sizeof(text), "host-%zu.example.org:9100", i / 200);
    put_text(&at, text);
    put_text(&at, "job");
    put_text(&at, "node");
    put_text(&at, "datacenter");
    put_text(&at, i / 200 % 2 == 0 ? "frankfurt-1" : "helsinki-2");
    put_text(&at, "mode");
    snprintf(text, sizeof(text), "mode%zu", i % 8);
    put_text(&at, text);
    put_text(&at, "device");
    put_text(&at, "eth0");
    put_text(&at, "environment");
    put_text(&at, "production");
    return (size_t)(at - out);
}

/* Rounds come in pairs within 15 s; with `late` the later one first. Where it is in time. */
static size_t place_of_round(size_t round, bool late)
{
    return late ? round ^ 1 : round;
}

static int64_t time_of_place(size_t place)
{
    return 1600000000000 + (int64_t)(place / 2) * 15000 + (place % 2 == 1 ? 7000 : 0);
}

static size_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t pages = 0, resident = 0;

    if (file != NULL) {
        if (fscanf(file, "%zu %zu", &pages, &resident) != 2)
            resident = 0;
        fclose(file);
    }
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
    size_t series = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    size_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 60;
    size_t batch_size = argc > 3 ? strtoull(argv[3], NULL, 10) : 2000;
    bool late = argc > 4 && strcmp(argv[4], "late") == 0;
    uint8_t *blocks = mem_alloc(series * 200);
    uint32_t *lens = mem_alloc(series * sizeof(*lens));
    struct batch batch = {.format = LABEL_FORMAT_PAIRS, .parse = label_parse_pairs};
    struct append_result result;
    struct store_options options;
    struct store_stats stats;
    struct clock clock;
    struct appender *appender;
    struct store *store;
    struct error err;
    size_t before;
    int64_t known_ns = 0;

    for (size_t i = 0; i < series; i++)
        lens[i] = (uint32_t)make_block(blocks + i * 200, i);
    clock_init_manual(&clock, 1600000000000);
    store_options_init(&options);
    options.clock = &clock;
    before = resident_bytes();
    store = store_open(&options, NULL, &err);
    if (store == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    appender = appender_new(store);
    for (size_t round = 0; round < rounds; round++) {
        size_t place = place_of_round(round, late);
        int64_t now_ms = time_of_place(place);
        int64_t spent_ns = 0;

        clock_advance(&clock, 15000);
        for (size_t first = 0; first < series; first += batch_size) {
            int64_t start_ns;

            batch_reset(&batch);
            for (size_t i = first; i < series && i < first + batch_size; i++) {
                batch_add_entry(&batch, blocks + i * 200, lens[i], 0);
                batch_add_sample(&batch, now_ms + (int64_t)(i % 7),
                                 (double)(place * (i % 91)) + (i % 5 == 0 ? 0.25 : 0));
            }
            append_result_init(&result);
            start_ns = clock_process_cpu_ns();
            if (store_append(appender, &batch, &result, &err) != 0 ||
                append_result_refused(&result) != 0) {
                fprintf(stderr, "refused: %s %s\n", err.text, result.examples[0].text);
                return 1;
            }
            spent_ns += clock_process_cpu_ns() - start_ns;
        }
        if (round == 0)
            printf("make series      %8.0f ns each\n", (double)spent_ns / (double)series);
        else
            known_ns += spent_ns;
        if (round == 9 || round + 1 == rounds) {
            store_stats_get(store, &stats);
            printf("after %3zu rounds: %.0f bytes a series resident, %.0f counted (series %.0f, "
                   "chunks %.0f, labels %.0f, cache %.0f)\n",
                   round + 1, (double)(resident_bytes() - before) / (double)series,
                   (double)stats.memory_bytes / (double)series,
                   (double)stats.series_bytes / (double)series,
                   (double)stats.chunk_bytes / (double)series,
                   (double)stats.label_bytes / (double)series,
                   (double)stats.cache_bytes / (double)series);
        }
    }
    if (rounds > 1)
        printf("append           %8.1f ns a sample\n",
               (double)known_ns / (double)(series * (rounds - 1)));
    batch_destroy(&batch);
    appender_free(appender);
    if (store_close(store, &err) != 0)
        fprintf(stderr, "%s\n", err.text);
    mem_free(blocks);
    mem_free(lens);
    return 0;
}
