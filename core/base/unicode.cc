/* unicode.cc - utf8_is_print (utf8.h), from RE2's tables of Unicode classes. */
#include <re2/re2.h>

#include "base/utf8.h"

extern "C" bool utf8_is_print(uint32_t code_point)
{
    static const re2::RE2 printable("[\\pL\\pM\\pN\\pP\\pS ]");
    char text[4];

    if (code_point < 0x7f)
        return code_point >= 0x20;
    size_t len = utf8_encode(text, code_point);
    return re2::RE2::FullMatch(re2::StringPiece(text, len), printable);
}
