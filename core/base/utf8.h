/* utf8.h - is it UTF-8? Pure, thread-safe. */
#ifndef TIDE_BASE_UTF8_H
#define TIDE_BASE_UTF8_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** True when the bytes are valid UTF-8 (no surrogates, no overlong forms, up to U+10FFFF). */
bool utf8_valid(const char *text, size_t len);
/**
 * Decodes one code point at text[0] (len > 0).
 *
 * @return bytes it takes, or 0 when they are not UTF-8
 */
size_t utf8_decode(const char *text, size_t len, uint32_t *code_point);
/** Encodes; `out` has 4 bytes of room. Returns the bytes written. */
size_t utf8_encode(char *out, uint32_t code_point);
/** Go's strconv.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space. */
bool utf8_is_print(uint32_t code_point);

#ifdef __cplusplus
}
#endif
#endif
