/* use_table.c - see use_table.h. */
#include "store/use_table.h"

#include "base/mem.h"
#include "store/folder.h"

#define PAGE_IDS 4096u
#define PAGES ((size_t)1 << 20)

void use_table_init(struct use_table *table)
{
    *table = (struct use_table){0};
    table->known = mem_zalloc(PAGES, sizeof(*table->known));
    table->reads = mem_zalloc(PAGES, sizeof(*table->reads));
    lock_init(&table->pages_lock);
}

void use_table_destroy(struct use_table *table)
{
    /* Pages of what is known have no gaps, and none of reads is without one. */
    for (size_t i = 0; i < PAGES && table->known[i] != NULL; i++) {
        mem_free(table->known[i]);
        mem_free(table->reads[i]);
    }
    mem_free(table->known);
    mem_free(table->reads);
    lock_destroy(&table->pages_lock);
    *table = (struct use_table){0};
}

/* The page in its place of a directory; made if it is missing. */
static void *page_at(struct use_table *table, void **place, size_t item_bytes)
{
    void *page = __atomic_load_n(place, __ATOMIC_ACQUIRE);

    if (page != NULL)
        return page;
    lock_acquire(&table->pages_lock);
    page = *place;
    if (page == NULL) {
        page = mem_zalloc(PAGE_IDS, item_bytes);
        __atomic_add_fetch(&table->bytes, PAGE_IDS * item_bytes, __ATOMIC_RELAXED);
        /* Release: who sees the page sees its zeros. */
        __atomic_store_n(place, page, __ATOMIC_RELEASE);
    }
    lock_release(&table->pages_lock);
    return page;
}

static uint32_t *known_of(struct use_table *table, uint32_t id)
{
    uint32_t *page;

    /* Ids come in order, their owners not always: a page is never made before its neighbours. */
    for (size_t i = id / PAGE_IDS;
         i > 0 && __atomic_load_n(&table->known[i - 1], __ATOMIC_ACQUIRE) == NULL; i--)
        (void)page_at(table, (void **)&table->known[i - 1], sizeof(*page));
    page = page_at(table, (void **)&table->known[id / PAGE_IDS], sizeof(*page));
    return &page[id % PAGE_IDS];
}

static struct use_reads *reads_of(struct use_table *table, uint32_t id)
{
    struct use_reads *page =
        page_at(table, (void **)&table->reads[id / PAGE_IDS], sizeof(struct use_reads));

    return &page[id % PAGE_IDS];
}

static void put_reads(struct use_reads *to, struct use_reads reads)
{
    __atomic_store_n(&to->last_s, reads.last_s, __ATOMIC_RELAXED);
    __atomic_store_n(&to->count, reads.count, __ATOMIC_RELAXED);
}

static void note_change(struct use_table *table)
{
    __atomic_add_fetch(&table->changes, 1, __ATOMIC_RELAXED);
}

void use_table_put(struct use_table *table, uint32_t id, const struct use_entry *entry)
{
    bool has_page = __atomic_load_n(&table->reads[id / PAGE_IDS], __ATOMIC_ACQUIRE) != NULL;

    __atomic_store_n(known_of(table, id), entry->known, __ATOMIC_RELAXED);
    if (has_page || entry->reads.last_s != 0)
        put_reads(reads_of(table, id), entry->reads);
}

void use_table_begin(struct use_table *table, uint32_t id, int64_t now_s)
{
    uint32_t known_s = (uint32_t)TIDE_MIN(TIDE_MAX(now_s, (int64_t)2), (int64_t)UINT32_MAX) & ~1u;

    use_table_put(table, id, &(struct use_entry){.known = known_s | !table->counting});
    note_change(table);
}

void use_table_count(struct use_table *table, const uint32_t *ids, size_t count, int64_t now_s)
{
    uint32_t last_s = (uint32_t)TIDE_MIN(TIDE_MAX(now_s, (int64_t)1), (int64_t)UINT32_MAX);

    for (size_t i = 0; i < count; i++) {
        struct use_reads *reads = reads_of(table, ids[i]);

        __atomic_store_n(&reads->last_s, last_s, __ATOMIC_RELAXED);
        if (__atomic_load_n(&reads->count, __ATOMIC_RELAXED) < UINT32_MAX - 4096)
            __atomic_add_fetch(&reads->count, 1, __ATOMIC_RELAXED);
    }
    if (count != 0)
        note_change(table);
}

struct use_reads use_table_reads(const struct use_table *table, uint32_t id)
{
    const struct use_reads *page = __atomic_load_n(&table->reads[id / PAGE_IDS], __ATOMIC_ACQUIRE);

    if (page == NULL)
        return (struct use_reads){0};
    return (struct use_reads){
        .last_s = __atomic_load_n(&page[id % PAGE_IDS].last_s, __ATOMIC_RELAXED),
        .count = __atomic_load_n(&page[id % PAGE_IDS].count, __ATOMIC_RELAXED),
    };
}

struct use_entry use_table_get(const struct use_table *table, uint32_t id)
{
    const uint32_t *known = __atomic_load_n(&table->known[id / PAGE_IDS], __ATOMIC_ACQUIRE);
    struct use_entry entry = {.reads = use_table_reads(table, id)};

    if (known != NULL)
        entry.known = __atomic_load_n(&known[id % PAGE_IDS], __ATOMIC_RELAXED);
    return entry;
}

uint64_t use_table_bytes(const struct use_table *table)
{
    return __atomic_load_n(&table->bytes, __ATOMIC_RELAXED);
}

struct series_use series_view_use(const struct series_view *view)
{
    struct use_entry entry = {0};
    bool from_birth;

    if (view->uses != NULL)
        entry = use_table_get(view->uses, view->id);
    from_birth = entry.known != 0 && entry.known % 2 == 0;
    return (struct series_use){
        .created_ms = (int64_t)(entry.known & ~1u) * 1000,
        .last_read_ms = (int64_t)entry.reads.last_s * 1000,
        .reads = from_birth ? (int64_t)entry.reads.count : USE_READS_UNKNOWN,
    };
}

void store_use_get(struct store *store, uint64_t fp, struct series_use *use)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, fp, &stripe);
    struct series_view view = {0};

    if (series != NULL) {
        view.uses = &store->use;
        view.id = series->id;
    }
    *use = series_view_use(&view);
    if (series != NULL)
        lock_release(&stripe->stripe_lock);
}
