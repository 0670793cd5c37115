#include "http/metadata_table.h"

#include <stdlib.h>

#include "base/text_map.h"
#include "base/thread.h"
#include "wire/result_json.h"

/* Longer texts are cut. */
#define TEXT_BYTES ((size_t)4096)
/* What an entry takes beside its texts. */
#define ENTRY_BYTES ((size_t)128)

struct about {
    char *help; /* owned; NULL: not said */
    char *unit;
    enum metadata_type type;
};

struct metadata_table {
    struct lock lock;      /* guards all below */
    struct text_map names; /* of struct about */
    size_t bytes;
    size_t max_bytes;
};

struct metadata_table *metadata_table_new(size_t max_bytes)
{
    struct metadata_table *table = mem_zalloc(1, sizeof(*table));

    table->max_bytes = max_bytes;
    lock_init(&table->lock);
    return table;
}

void metadata_table_free(struct metadata_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->names.cap; i++) {
        struct about *about = table->names.slots[i].value;

        if (about == NULL)
            continue;
        mem_free(about->help);
        mem_free(about->unit);
        mem_free(about);
    }
    text_map_destroy(&table->names);
    lock_destroy(&table->lock);
    mem_free(table);
}

/* Replaces *kept by the text when it differs and there is room. */
static void keep_text(struct metadata_table *table, char **kept, const char *text, size_t len)
{
    size_t before = *kept != NULL ? strlen(*kept) : 0;

    if (text == NULL)
        return;
    if (len > TEXT_BYTES) {
        len = TEXT_BYTES;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--; /* not within a character */
    }
    if ((before == len && *kept != NULL && memcmp(*kept, text, len) == 0) ||
        table->bytes - before + len > table->max_bytes)
        return;
    table->bytes = table->bytes - before + len;
    mem_free(*kept);
    *kept = mem_dup(text, len);
}

void metadata_table_put(void *ctx, const struct metadata *metadata)
{
    struct metadata_table *table = ctx;
    struct about *about;

    if (metadata->name_len == 0 || metadata->name_len > TEXT_BYTES)
        return;
    lock_acquire(&table->lock);
    about = text_map_get(&table->names, metadata->name, metadata->name_len);
    if (about == NULL && table->bytes + ENTRY_BYTES + metadata->name_len <= table->max_bytes) {
        about = mem_zalloc(1, sizeof(*about));
        text_map_put(&table->names, metadata->name, metadata->name_len, about);
        table->bytes += ENTRY_BYTES + metadata->name_len;
    }
    if (about != NULL) {
        if (metadata->has_type)
            about->type = metadata->type;
        keep_text(table, &about->help, metadata->help, metadata->help_len);
        keep_text(table, &about->unit, metadata->unit, metadata->unit_len);
    }
    lock_release(&table->lock);
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp((*(struct text_map_entry *const *)a)->key,
                  (*(struct text_map_entry *const *)b)->key);
}

static void put_text(struct buf *out, const char *text)
{
    json_put_string(out, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

static void put_entry(struct buf *out, const struct text_map_entry *entry)
{
    const struct about *about = entry->value;

    json_put_string(out, entry->key, entry->len);
    buf_printf(out, ":[{\"type\":\"%s\",\"help\":", metadata_type_name(about->type));
    put_text(out, about->help);
    buf_puts(out, ",\"unit\":");
    put_text(out, about->unit);
    buf_puts(out, "}]");
}

void metadata_table_write(struct metadata_table *table, metadata_filter *filter, void *ctx,
                          size_t limit, struct buf *out)
{
    struct text_map_entry **list;
    size_t count = 0;

    buf_putc(out, '{');
    lock_acquire(&table->lock);
    list = mem_alloc((table->names.count + 1) * sizeof(struct text_map_entry *));
    for (size_t i = 0; i < table->names.cap; i++) {
        struct text_map_entry *entry = &table->names.slots[i];

        if (entry->key != NULL && (filter == NULL || filter(ctx, entry->key, entry->len)))
            list[count++] = entry;
    }
    qsort(list, count, sizeof(*list), compare_entries);
    if (limit != 0)
        count = TIDE_MIN(count, limit);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_entry(out, list[i]);
    }
    lock_release(&table->lock);
    mem_free(list);
    buf_putc(out, '}');
}
