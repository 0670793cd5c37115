/* label_name.c - see label_name.h. */
#include "model/label_name.h"

#include "base/hex.h"
#include "base/utf8.h"

/* "2e_": the code point, and what it takes with its end; 0 when it is none. */
static size_t take_code_point(const char *at, const char *end, uint32_t *code_point)
{
    const char *from = at;

    *code_point = 0;
    while (at < end && *at != '_' && at - from < 6) {
        int digit = hex_digit(*at++);

        if (digit < 0)
            return 0;
        *code_point = *code_point << 4 | (uint32_t)digit;
    }
    if (at == from || at == end || *at != '_' || *code_point > 0x10ffff ||
        (*code_point >= 0xd800 && *code_point < 0xe000))
        return 0;
    return (size_t)(at - from) + 1;
}

/* Length of the name; SIZE_MAX when an escape is broken. */
static size_t unescape(const char *at, const char *end, char *out)
{
    size_t len = 0;

    while (at < end) {
        uint32_t code_point;
        size_t used;

        if (*at != '_') {
            out[len++] = *at++;
        } else if (end - at >= 2 && at[1] == '_') {
            out[len++] = '_';
            at += 2;
        } else {
            used = take_code_point(at + 1, end, &code_point);
            if (used == 0)
                return SIZE_MAX;
            len += utf8_encode(out + len, code_point); /* never longer than its escape */
            at += 1 + used;
        }
    }
    return len;
}

size_t label_name_unescape(const char *name, size_t len, char *out)
{
    size_t made = SIZE_MAX;

    if (len >= 3 && memcmp(name, "U__", 3) == 0)
        made = unescape(name + 3, name + len, out);
    if (made != SIZE_MAX)
        return made;
    memcpy(out, name, len);
    return len;
}
