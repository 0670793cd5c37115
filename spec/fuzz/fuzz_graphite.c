/* fuzz_graphite.c - lines of Graphite; and, as paths, what Pushgateway clients may send. */
#include "push_fuzz.h"
#include "wire/graphite.h"
#include "wire/push_group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_path(const uint8_t *data, size_t size)
{
    char *path = malloc(size + (size == 0));
    struct push_group group;
    struct arena arena = {0};
    struct error err;

    if (size != 0)
        memcpy(path, data, size);
    if (push_group_parse(path, size, &arena, &group, &err) == 0) {
        for (size_t i = 0; i < group.count; i++) {
            push_fuzz_touch(group.labels[i].name, group.labels[i].name_len);
            push_fuzz_touch(group.labels[i].value, group.labels[i].value_len);
        }
    }
    arena_destroy(&arena);
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_path(data, size);
    return push_fuzz_run(data, size, graphite_decode);
}
