/* number.h - doubles as text, shortest form that reads back bit for bit (through <charconv>).
 *
 * Pure functions, thread-safe. NaN payloads are not kept in text. */
#ifndef TIDE_BASE_NUMBER_H
#define TIDE_BASE_NUMBER_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NUMBER_MAX_BYTES 32

/**
 * Writes a sample value as the Prometheus API and its text format do: Go's
 * FormatFloat(v, 'f', -1, 64), but the 'e' form for |v| < 1e-6 or >= 1e21; "NaN", "+Inf", "-Inf",
 * "-0".
 *
 * @param out  NUMBER_MAX_BYTES of room; not terminated
 * @return bytes written
 */
size_t number_format_api(char *out, double value);
/** As Go's FormatFloat(v, 'f', -1, 64): never an exponent. NUMBER_PLAIN_MAX_BYTES of room. */
#define NUMBER_PLAIN_MAX_BYTES 352
size_t number_format_plain(char *out, double value);
/** As Go's FormatFloat(v, 'g', -1, 64): exponent form for exponents < -4 or >= 6 (1e+06). */
size_t number_format_go(char *out, double value);
/** Milliseconds as seconds with three decimals or none ("1435781451.781", "-1"). */
size_t number_format_seconds(char *out, int64_t ms);

/**
 * Reads a whole text as a double, as Go's ParseFloat without hex and underscores: decimal or
 * exponent, sign, Inf, Infinity, NaN in any letter case (NaN is 7ff8000000000001).
 *
 * @return true when all `len` bytes are one number. Out of range: true with +-Inf and, when
 *         `overflowed` is not NULL, *overflowed set to true.
 */
bool number_parse(const char *text, size_t len, double *value, bool *overflowed);

#ifdef __cplusplus
}
#endif
#endif
