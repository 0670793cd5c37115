/* push_group.c - see push_group.h; http-protocols.md sections 1.4 and 8. */
#include "wire/push_group.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "model/label_name.h"

#define BASE64_SUFFIX "@base64"

/* Undoes %XX into `out` (len bytes of room); false for a broken escape. */
static bool decode_percent(const char *text, size_t len, char *out, size_t *out_len)
{
    *out_len = 0;
    for (size_t i = 0; i < len; i++) {
        int byte;

        if (text[i] != '%') {
            out[(*out_len)++] = text[i];
            continue;
        }
        byte = percent_byte(text + i, len - i);
        if (byte < 0)
            return false;
        out[(*out_len)++] = (char)byte;
        i += 2;
    }
    return true;
}

struct part {
    const char *at;
    size_t len;
};

/* Up to the next slash; the cursor goes behind it, and to NULL behind the last part. */
static struct part next_part(const char **cursor, const char *end)
{
    const char *at = *cursor, *slash = memchr(at, '/', (size_t)(end - at));

    *cursor = slash != NULL ? slash + 1 : NULL;
    return (struct part){at, (size_t)((slash != NULL ? slash : end) - at)};
}

static bool is_label_name(const char *name, size_t len)
{
    if (len == 0 || !utf8_valid(name, len) || (len >= 2 && name[0] == '_' && name[1] == '_'))
        return false;
    return true;
}

static int parse_pair(struct part name, struct part value, struct arena *arena, struct label *label,
                      struct error *err)
{
    char *made = arena_alloc(arena, name.len + 1), *text = arena_alloc(arena, value.len + 1);
    char *plain = arena_alloc(arena, name.len + 1);
    size_t name_len, value_len, suffix = strlen(BASE64_SUFFIX);
    bool base64 = false;

    if (!decode_percent(name.at, name.len, plain, &name_len) ||
        !decode_percent(value.at, value.len, text, &value_len))
        return error_set(err, ERR_INVALID, "broken percent-encoding in \"%.*s/%.*s\"",
                         (int)TIDE_MIN(name.len, (size_t)100), name.at,
                         (int)TIDE_MIN(value.len, (size_t)100), value.at);
    if (name_len > suffix && memcmp(plain + name_len - suffix, BASE64_SUFFIX, suffix) == 0) {
        name_len -= suffix;
        base64 = true;
    }
    if (base64 && !base64_decode(text, &value_len, BASE64_URL))
        return error_set(err, ERR_INVALID, "\"%.*s\" is not URL-safe base64",
                         (int)TIDE_MIN(value.len, (size_t)100), value.at);
    name_len = label_name_unescape(plain, name_len, made);
    if (!is_label_name(made, name_len))
        return error_set(err, ERR_INVALID, "\"%.*s\" is not a label name for a group",
                         (int)TIDE_MIN(name_len, (size_t)100), made);
    *label = (struct label){made, text, (uint32_t)name_len, (uint32_t)value_len};
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = memcmp(x->name, y->name, TIDE_MIN(x->name_len, y->name_len));

    return order != 0 ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

int push_group_parse(const char *path, size_t len, struct arena *arena, struct push_group *group,
                     struct error *err)
{
    const char *cursor = path, *end = path + len;

    group->count = 0;
    while (cursor != NULL) {
        struct part name = next_part(&cursor, end), value;
        struct label *label = &group->labels[group->count];

        if (cursor == NULL)
            return error_set(err, ERR_INVALID, "the path has no value for \"%.*s\"",
                             (int)TIDE_MIN(name.len, (size_t)100), name.at);
        value = next_part(&cursor, end);
        if (group->count == PUSH_GROUP_MAX_LABELS)
            return error_set(err, ERR_LIMIT, "more than %d labels in the path",
                             PUSH_GROUP_MAX_LABELS);
        if (parse_pair(name, value, arena, label, err) != 0)
            return -1;
        if (group->count++ == 0 &&
            (label->name_len != 3 || memcmp(label->name, "job", 3) != 0 || label->value_len == 0))
            return error_set(err, ERR_INVALID, "the path must begin with job/ and a job's name");
    }
    qsort(group->labels, group->count, sizeof(group->labels[0]), compare_names);
    for (size_t i = 1; i < group->count; i++) {
        if (compare_names(&group->labels[i - 1], &group->labels[i]) == 0)
            return error_set(err, ERR_INVALID, "label \"%.*s\" is given twice",
                             (int)TIDE_MIN(group->labels[i].name_len, 100u), group->labels[i].name);
    }
    return 0;
}
