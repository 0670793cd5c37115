/* store_race.h - what the programs share that race threads on one store (store_threads.c,
 * late_threads.c, removal_threads.c). Functions for one file each, so static. */
#ifndef TIDE_SPEC_STORE_RACE_H
#define TIDE_SPEC_STORE_RACE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "store/append.h"
#include "store/store.h"

static inline void race_put_text(struct buf *out, const char *text)
{
    out->len += uvarint_put(buf_reserve(out, VARINT_MAX_BYTES), strlen(text));
    buf_puts(out, text);
}

static inline void race_put_label(struct buf *out, const char *name, const char *format, int number)
{
    char text[40];

    snprintf(text, sizeof(text), format, number);
    race_put_text(out, name);
    race_put_text(out, text);
}

static inline int race_label_number(const struct labels *labels, const char *name)
{
    struct label label;
    int number = 0;

    if (!labels_find(labels, name, strlen(name), &label))
        return -1;
    for (uint32_t i = 0; i < label.value_len; i++)
        number = number * 10 + label.value[i] - '0';
    return number;
}

static inline void race_must(int status, const struct error *err)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static inline struct store *race_open_store(const char *folder, const struct clock *clock)
{
    struct store_options options;
    struct error err;
    struct store *store;

    store_options_init(&options);
    options.data_dir = folder;
    options.clock = clock;
    options.no_background = true;
    options.retention_ms = RETENTION_FOREVER;
    options.head_chunk_timeout_ms = 120000;
    store = store_open(&options, NULL, &err);
    race_must(store != NULL ? 0 : -1, &err);
    return store;
}

#endif
