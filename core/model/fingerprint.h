/* fingerprint.h - the raw fingerprint of a metric and its unique string (format sections 5, 6). */
#ifndef TIDE_MODEL_FINGERPRINT_H
#define TIDE_MODEL_FINGERPRINT_H

#include "base/base.h"
#include "base/buf.h"
#include "model/labels.h"

/* 0 .. this are numbers given to metrics whose raw fingerprint is taken (format section 6). */
#define FINGERPRINT_MAX_MAPPED ((uint64_t)1 << 20)
#define FINGERPRINT_HEX_BYTES 16

/** The 1.x "fast" fingerprint: XOR over all labels of FNV-1a 64 of name 0xFF value. Pure. */
uint64_t fingerprint_of(const struct labels *labels);
/** The same for labels in any order, none with an empty value. */
uint64_t fingerprint_of_list(const struct label *list, size_t count);
/** Appends the unique string, key of mappings.db: "name 0xFF value" sorted, joined by 0xFF. */
void fingerprint_unique_string(struct buf *out, const struct labels *labels);
/** 16 lower-case hex digits and a terminator into `out` (17 bytes). */
void fingerprint_format(char *out, uint64_t fp);
/** Any hex text that fits 64 bits; false otherwise. */
bool fingerprint_parse(const char *text, size_t len, uint64_t *fp);
/** For qsort and bsearch over fingerprints. */
int fingerprint_compare(const void *a, const void *b);
/** Sorts; each stays once. Returns how many there are then. */
size_t fingerprint_sort_unique(uint64_t *fps, size_t count);

#endif
