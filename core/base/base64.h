/* base64.h - base64 as RFC 4648 has it. Pure, thread-safe. */
#ifndef TIDE_BASE_BASE64_H
#define TIDE_BASE_BASE64_H

#include "base/base.h"

enum base64_alphabet { BASE64_STANDARD, BASE64_URL }; /* with + and /, or with - and _ */

/**
 * Decodes in place; padding may be there or not.
 *
 * @param len  in: of the text; out: of the bytes
 * @return false when it is not base64; the text is spoilt then
 */
TIDE_NODISCARD bool base64_decode(char *text, size_t *len, enum base64_alphabet alphabet);

#endif
