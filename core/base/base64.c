#include "base/base64.h"

#include <string.h>

static int digit_of(char c, enum base64_alphabet alphabet)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    if (found != NULL)
        return (int)(found - digits);
    if (c == (alphabet == BASE64_URL ? '-' : '+'))
        return 62;
    return c == (alphabet == BASE64_URL ? '_' : '/') ? 63 : -1;
}

bool base64_decode(char *text, size_t *len, enum base64_alphabet alphabet)
{
    uint32_t bits = 0;
    size_t count = 0, out = 0;

    while (*len > 0 && text[*len - 1] == '=')
        --*len;
    for (size_t i = 0; i < *len; i++) {
        int digit = digit_of(text[i], alphabet);

        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        /* digits 2, 3 and 4 of a group complete a byte, with 4, 2 and 0 bits left over */
        if (count % 4 != 0)
            text[out++] = (char)(bits >> (6 - count % 4 * 2));
        count++;
    }
    if (count % 4 == 1)
        return false;
    *len = out;
    return true;
}
