/* labels.c - see labels.h. One allocation: header, entries, then all bytes. */
#include "model/labels.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"
#include "base/utf8.h"

struct entry {
    uint32_t name_at; /* offset into the bytes; the value follows the name */
    uint32_t name_len;
    uint32_t value_len;
};

struct labels {
    uint32_t references; /* atomic */
    uint32_t count;
    uint32_t size; /* of the whole block */
    uint64_t hash; /* atomic; 0: nobody asked for it yet */
    struct entry entries[];
};

static const char *block_bytes(const struct labels *labels)
{
    return (const char *)(labels->entries + labels->count);
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, TIDE_MIN(a_len, b_len));

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_names(const void *a, const void *b)
{
    const struct label *x = a, *y = b;

    return compare_bytes(x->name, x->name_len, y->name, y->name_len);
}

static void hash_text(XXH64_state_t *state, const char *text, uint32_t len)
{
    uint8_t prefix[4] = {255, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16)};
    uint8_t small = (uint8_t)len;

    if (len < 255)
        XXH64_update(state, &small, 1);
    else
        XXH64_update(state, prefix, sizeof(prefix));
    XXH64_update(state, text, len);
}

static uint64_t compute_hash(const struct labels *labels)
{
    XXH64_state_t state;

    XXH64_reset(&state, 0);
    for (size_t i = 0; i < labels->count; i++) {
        struct label label = labels_at(labels, i);

        hash_text(&state, label.name, label.name_len);
        hash_text(&state, label.value, label.value_len);
    }
    return XXH64_digest(&state);
}

struct labels *labels_new_sorted(const struct label *list, size_t count)
{
    size_t size = sizeof(struct labels) + count * sizeof(struct entry);
    struct labels *labels;
    char *bytes;
    uint32_t at = 0;

    for (size_t i = 0; i < count; i++)
        size += (size_t)list[i].name_len + list[i].value_len;
    TIDE_ASSERT(size <= UINT32_MAX);
    labels = mem_alloc(size);
    labels->references = 1;
    labels->count = (uint32_t)count;
    labels->size = (uint32_t)size;
    bytes = (char *)(labels->entries + count);
    for (size_t i = 0; i < count; i++) {
        labels->entries[i] = (struct entry){at, list[i].name_len, list[i].value_len};
        memcpy(bytes + at, list[i].name, list[i].name_len);
        at += list[i].name_len;
        if (list[i].value_len != 0)
            memcpy(bytes + at, list[i].value, list[i].value_len);
        at += list[i].value_len;
    }
    labels->hash = 0;
    return labels;
}

/* Copies what has a value into `out`, sorted; returns how many. */
static size_t sort_present(const struct label *list, size_t count, struct label *out)
{
    size_t kept = 0;
    bool sorted = true;

    for (size_t i = 0; i < count; i++) {
        if (list[i].value_len == 0)
            continue;
        out[kept] = list[i];
        sorted = sorted && (kept == 0 || compare_names(&out[kept - 1], &out[kept]) < 0);
        kept++;
    }
    if (!sorted)
        qsort(out, kept, sizeof(*out), compare_names);
    return kept;
}

#define STACK_LABELS 64

struct labels *labels_new(const struct label *list, size_t count, struct error *err)
{
    struct label stack[STACK_LABELS];
    struct label *sorted = count <= STACK_LABELS ? stack : mem_alloc(count * sizeof(*sorted));
    struct labels *labels = NULL;
    size_t kept = sort_present(list, count, sorted);

    for (size_t i = 0; i < kept; i++) {
        if (sorted[i].name_len == 0) {
            error_set(err, ERR_INVALID, "empty label name");
            goto out;
        }
        if (i > 0 && compare_names(&sorted[i - 1], &sorted[i]) == 0) {
            error_set(err, ERR_INVALID, "label \"%.*s\" is given twice",
                      (int)TIDE_MIN(sorted[i].name_len, 200u), sorted[i].name);
            goto out;
        }
    }
    labels = labels_new_sorted(sorted, kept);
out:
    if (sorted != stack)
        mem_free(sorted);
    return labels;
}

struct labels *labels_ref(const struct labels *labels)
{
    struct labels *shared = (struct labels *)(uintptr_t)labels;

    __atomic_add_fetch(&shared->references, 1, __ATOMIC_RELAXED);
    return shared;
}

void labels_unref(const struct labels *labels)
{
    struct labels *shared = (struct labels *)(uintptr_t)labels;

    if (shared != NULL && __atomic_sub_fetch(&shared->references, 1, __ATOMIC_ACQ_REL) == 0)
        mem_free(shared);
}

size_t labels_count(const struct labels *labels)
{
    return labels->count;
}

struct label labels_at(const struct labels *labels, size_t i)
{
    const struct entry *entry = &labels->entries[i];
    const char *name = block_bytes(labels) + entry->name_at;

    return (struct label){name, name + entry->name_len, entry->name_len, entry->value_len};
}

bool labels_find(const struct labels *labels, const char *name, size_t name_len,
                 struct label *label)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (labels->entries[i].name_len == name_len &&
            memcmp(block_bytes(labels) + labels->entries[i].name_at, name, name_len) == 0) {
            *label = labels_at(labels, i);
            return true;
        }
    }
    return false;
}

bool labels_equal(const struct labels *a, const struct labels *b)
{
    uint64_t a_hash, b_hash;

    if (a == b)
        return true;
    if (a->size != b->size || a->count != b->count)
        return false;
    a_hash = __atomic_load_n(&a->hash, __ATOMIC_RELAXED);
    b_hash = __atomic_load_n(&b->hash, __ATOMIC_RELAXED);
    if (a_hash != b_hash && a_hash != 0 && b_hash != 0)
        return false;
    return memcmp(a->entries, b->entries, a->size - sizeof(*a)) == 0;
}

int labels_compare(const struct labels *a, const struct labels *b)
{
    size_t common = TIDE_MIN(a->count, b->count);

    for (size_t i = 0; i < common; i++) {
        struct label x = labels_at(a, i), y = labels_at(b, i);
        int order = compare_bytes(x.name, x.name_len, y.name, y.name_len);

        if (order == 0)
            order = compare_bytes(x.value, x.value_len, y.value, y.value_len);
        if (order != 0)
            return order;
    }
    return (a->count > b->count) - (a->count < b->count);
}

uint64_t labels_hash(const struct labels *labels)
{
    struct labels *shared = (struct labels *)(uintptr_t)labels;
    uint64_t hash = __atomic_load_n(&shared->hash, __ATOMIC_RELAXED);

    if (hash == 0) { /* whoever computes it finds the same */
        hash = compute_hash(labels);
        __atomic_store_n(&shared->hash, hash, __ATOMIC_RELAXED);
    }
    return hash;
}

void labels_builder_init(struct labels_builder *builder)
{
    *builder = (struct labels_builder){0};
}

void labels_builder_destroy(struct labels_builder *builder)
{
    mem_free(builder->list);
    *builder = (struct labels_builder){0};
}

static void builder_push(struct labels_builder *builder, struct label label)
{
    if (builder->count == builder->cap) {
        builder->cap = builder->cap != 0 ? builder->cap * 2 : 16;
        builder->list = mem_realloc(builder->list, builder->cap * sizeof(*builder->list));
    }
    builder->list[builder->count++] = label;
}

void labels_builder_reset(struct labels_builder *builder, const struct labels *base)
{
    builder->count = 0;
    for (size_t i = 0; base != NULL && i < base->count; i++)
        builder_push(builder, labels_at(base, i));
}

void labels_builder_set(struct labels_builder *builder, const char *name, size_t name_len,
                        const char *value, size_t value_len)
{
    struct label label = {name, value, (uint32_t)name_len, (uint32_t)value_len};

    for (size_t i = 0; i < builder->count; i++) {
        if (compare_names(&builder->list[i], &label) == 0) {
            builder->list[i] = label;
            return;
        }
    }
    builder_push(builder, label);
}

void labels_builder_delete(struct labels_builder *builder, const char *name, size_t name_len)
{
    labels_builder_set(builder, name, name_len, "", 0);
}

struct labels *labels_builder_build(struct labels_builder *builder)
{
    struct label stack[STACK_LABELS];
    struct label *sorted =
        builder->count <= STACK_LABELS ? stack : mem_alloc(builder->count * sizeof(*sorted));
    struct labels *labels =
        labels_new_sorted(sorted, sort_present(builder->list, builder->count, sorted));

    if (sorted != stack)
        mem_free(sorted);
    return labels;
}

static void quote_code_point(struct buf *out, const char *text, size_t used, uint32_t code_point)
{
    if (utf8_is_print(code_point))
        buf_append(out, text, used);
    else if (code_point < 0x20 || code_point == 0x7f)
        buf_printf(out, "\\x%02x", code_point);
    else if (code_point < 0x10000)
        buf_printf(out, "\\u%04x", code_point);
    else
        buf_printf(out, "\\U%08x", code_point);
}

void labels_quote(struct buf *out, const char *text, size_t len)
{
    static const char escaped[] = "\a\b\f\n\r\t\v\\\"", letters[] = "abfnrtv\\\"";

    buf_putc(out, '"');
    for (size_t i = 0; i < len;) {
        const char *special = text[i] != '\0' ? strchr(escaped, text[i]) : NULL;
        uint32_t code_point;
        size_t used;

        if (special != NULL) {
            buf_putc(out, '\\');
            buf_putc(out, letters[special - escaped]);
            i++;
            continue;
        }
        used = utf8_decode(text + i, len - i, &code_point);
        if (used == 0) {
            buf_printf(out, "\\x%02x", (unsigned char)text[i]);
            i++;
            continue;
        }
        quote_code_point(out, text + i, used, code_point);
        i += used;
    }
    buf_putc(out, '"');
}

static bool is_metric_name(struct label label)
{
    return label.name_len == strlen(LABEL_METRIC_NAME) &&
           memcmp(label.name, LABEL_METRIC_NAME, label.name_len) == 0;
}

static int compare_buf_texts(const void *a, const void *b)
{
    const struct buf *x = a, *y = b;

    return compare_bytes((const char *)x->data, x->len, (const char *)y->data, y->len);
}

void labels_format_metric(struct buf *out, const struct labels *labels)
{
    struct buf *texts = mem_zalloc(labels->count, sizeof(*texts));
    size_t count = 0;

    for (size_t i = 0; i < labels->count; i++) {
        struct label label = labels_at(labels, i);

        if (is_metric_name(label)) {
            buf_append(out, label.value, label.value_len);
            continue;
        }
        buf_append(&texts[count], label.name, label.name_len);
        buf_putc(&texts[count], '=');
        labels_quote(&texts[count++], label.value, label.value_len);
    }
    qsort(texts, count, sizeof(*texts), compare_buf_texts); /* by the whole text, as the original */
    if (count != 0 || labels->count == 0)
        buf_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_puts(out, ", ");
        buf_append(out, texts[i].data, texts[i].len);
        buf_destroy(&texts[i]);
    }
    if (count != 0 || labels->count == 0)
        buf_putc(out, '}');
    mem_free(texts);
}

static bool is_plain_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return len > 0;
}

void labels_format_set(struct buf *out, const struct labels *labels)
{
    buf_putc(out, '{');
    for (size_t i = 0; i < labels->count; i++) {
        struct label label = labels_at(labels, i);

        if (i != 0)
            buf_puts(out, ", ");
        if (is_plain_name(label.name, label.name_len))
            buf_append(out, label.name, label.name_len);
        else
            labels_quote(out, label.name, label.name_len);
        buf_putc(out, '=');
        labels_quote(out, label.value, label.value_len);
    }
    buf_putc(out, '}');
}
