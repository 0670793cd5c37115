/* fuzz_remote_read.c - requests of remote read: any bytes are read or refused. */
#include "push_fuzz.h"
#include "wire/remote_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *body = malloc(size + (size == 0));
    struct remote_read_request request;
    struct arena arena = {0};
    struct error err;

    if (size != 0)
        memcpy(body, data, size);
    if (remote_read_decode(body, size, &arena, &request, &err) == 0) {
        for (size_t i = 0; i < request.query_count; i++) {
            for (size_t m = 0; m < request.queries[i].matcher_count; m++) {
                const struct remote_read_matcher *matcher = &request.queries[i].matchers[m];

                push_fuzz_touch(matcher->name, matcher->name_len);
                push_fuzz_touch(matcher->value, matcher->value_len);
            }
        }
    }
    arena_destroy(&arena);
    free(body);
    return 0;
}
