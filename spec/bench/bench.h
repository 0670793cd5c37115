/* bench.h - what the benchmarks on one store share. Functions for one file each, so static. */
#ifndef TIDE_SPEC_BENCH_H
#define TIDE_SPEC_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

/* Ends the program with the error's text unless status is 0. */
static inline void must(int status, const struct error *err)
{
    if (status == 0)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

/* Adds a label of LABEL_FORMAT_PAIRS; `format` has one %zu, or none. */
static inline void put_label(struct buf *out, const char *name, const char *format, size_t number)
{
    char text[64];

    snprintf(text, sizeof(text), format, number);
    out->len += uvarint_put(buf_reserve(out, VARINT_MAX_BYTES), strlen(name));
    buf_puts(out, name);
    out->len += uvarint_put(buf_reserve(out, VARINT_MAX_BYTES), strlen(text));
    buf_puts(out, text);
}

#endif
