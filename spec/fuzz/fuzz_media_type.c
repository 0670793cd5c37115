/* fuzz_media_type.c - Content-Type and Accept: any bytes are read, and never left. */
#include <stdlib.h>

#include "http/media_type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A text that was found must lie within the bytes. */
static void check(struct http_text text, const char *bytes, size_t size)
{
    if (text.len != 0 && (text.at < bytes || text.len > size - (size_t)(text.at - bytes)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size + (size == 0));
    struct http_text list = {bytes, size};
    struct media_type type;
    size_t elements = 0;

    if (size != 0)
        memcpy(bytes, data, size);
    media_type_parse(list, &type);
    check(type.name, bytes, size);
    check(media_type_parameter(&type, "q"), bytes, size);
    while (media_type_next(&list, &type)) {
        if (++elements > size)
            abort();
        check(type.name, bytes, size);
        check(media_type_parameter(&type, "version"), bytes, size);
        http_text_is(type.name, "application/openmetrics-text");
    }
    free(bytes);
    return 0;
}
