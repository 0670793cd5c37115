/* running.c - see running.h. A list of queries under a lock; the slow ones in a ring. */
#include "promql/running.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "model/labels.h"

#define LOGGED_TEXT_MAX ((size_t)2048)

struct running_query {
    struct running_queries *queries;
    struct running_query *next, *prev; /* the list's lock */
    struct running_info info;          /* immutable, but `killed` (the list's lock) */
    int *cancelled;
    int64_t asked_ns;
    struct query_progress progress; /* atomic: the evaluator writes, lists read */
    char texts[];                   /* query, client, user, each terminated */
};

struct running_queries {
    struct lock list_lock; /* guards all below */
    struct running_query *first, *last;
    struct running_query *slow[RUNNING_SLOW_KEPT];
    size_t slow_count; /* ever */
    uint64_t next_id;
    int64_t slower_than_ns;
};

struct running_queries *running_queries_new(int64_t slower_than_ns)
{
    struct running_queries *queries = mem_zalloc(1, sizeof(*queries));

    lock_init(&queries->list_lock);
    queries->next_id = 1;
    queries->slower_than_ns = slower_than_ns;
    return queries;
}

void running_queries_free(struct running_queries *queries)
{
    if (queries == NULL)
        return;
    TIDE_ASSERT(queries->first == NULL);
    for (size_t i = 0; i < RUNNING_SLOW_KEPT; i++)
        mem_free(queries->slow[i]);
    lock_destroy(&queries->list_lock);
    mem_free(queries);
}

void running_queries_set_slow(struct running_queries *queries, int64_t slower_than_ns)
{
    lock_acquire(&queries->list_lock);
    queries->slower_than_ns = slower_than_ns;
    lock_release(&queries->list_lock);
}

/* --- beginning and end ------------------------------------------------------------------------ */

static const char *put_text(char **at, const char *text, size_t len)
{
    const char *start = *at;

    if (len != 0)
        memcpy(*at, text, len);
    (*at)[len] = '\0';
    *at += len + 1;
    return start;
}

struct running_query *running_query_begin(struct running_queries *queries,
                                          const struct running_ask *ask)
{
    size_t len = TIDE_MIN(ask->len, RUNNING_TEXT_MAX);
    const char *client = ask->client != NULL ? ask->client : "";
    const char *user = ask->user != NULL ? ask->user : "";
    struct running_query *query;
    char *at;

    if (queries == NULL)
        return NULL;
    query = mem_zalloc(1, sizeof(*query) + len + strlen(client) + strlen(user) + 3);
    at = query->texts;
    query->queries = queries;
    query->cancelled = ask->cancelled;
    query->asked_ns = ask->asked_ns;
    query->info.text = put_text(&at, ask->text, len);
    query->info.len = len;
    query->info.client = put_text(&at, client, strlen(client));
    query->info.user = put_text(&at, user, strlen(user));
    query->info.start_ms = ask->start_ms;
    query->info.end_ms = ask->end_ms;
    query->info.step_ms = ask->step_ms;
    query->info.began_ms =
        clock_wall_ms(clock_system()) - (clock_mono_ns(clock_system()) - ask->asked_ns) / 1000000;
    lock_acquire(&queries->list_lock);
    query->info.id = queries->next_id++;
    query->prev = queries->last;
    if (queries->last != NULL)
        queries->last->next = query;
    else
        queries->first = query;
    queries->last = query;
    lock_release(&queries->list_lock);
    return query;
}

struct query_progress *running_query_progress(struct running_query *query)
{
    return query != NULL ? &query->progress : NULL;
}

/* What it is now, or was when it ended. */
static struct running_info info_of(const struct running_query *query)
{
    const struct query_progress *progress = &query->progress;
    struct running_info info = query->info;

    info.samples = __atomic_load_n(&progress->samples_read, __ATOMIC_RELAXED);
    info.series = __atomic_load_n(&progress->series_read, __ATOMIC_RELAXED);
    info.memory_bytes = __atomic_load_n(&progress->memory_bytes, __ATOMIC_RELAXED);
    return info;
}

const char *running_outcome(enum error_code error)
{
    return error == ERR_NONE ? "success" : error_code_name(error);
}

static void log_slow(const struct running_info *info)
{
    struct buf text = {0};

    labels_quote(&text, info->text, TIDE_MIN(info->len, LOGGED_TEXT_MAX));
    buf_putc(&text, '\0');
    log_warn("slow query",
             "id=%" PRIu64 " took_ms=%" PRId64 " outcome=%s samples=%" PRIu64 " series=%" PRIu64
             " memory_bytes=%" PRIu64 " start_ms=%" PRId64 " end_ms=%" PRId64 " step_ms=%" PRId64
             " client=\"%s\" user=\"%s\" query=%s",
             info->id, info->age_ns / 1000000, running_outcome(info->error), info->samples,
             info->series, info->memory_bytes, info->start_ms, info->end_ms, info->step_ms,
             info->client, info->user, (const char *)text.data);
    buf_destroy(&text);
}

static void remove_locked(struct running_queries *queries, struct running_query *query)
{
    if (query->prev != NULL)
        query->prev->next = query->next;
    else
        queries->first = query->next;
    if (query->next != NULL)
        query->next->prev = query->prev;
    else
        queries->last = query->prev;
}

void running_query_end(struct running_query *query, enum error_code outcome)
{
    struct running_queries *queries;
    struct running_query *forgotten = query;
    struct running_info info;
    bool slow;

    if (query == NULL)
        return;
    queries = query->queries;
    lock_acquire(&queries->list_lock);
    remove_locked(queries, query);
    query->info.age_ns = clock_mono_ns(clock_system()) - query->asked_ns;
    query->info.error = outcome;
    query->progress.memory_bytes = query->progress.peak_bytes;
    info = info_of(query);
    slow = queries->slower_than_ns != 0 && info.age_ns >= queries->slower_than_ns;
    lock_release(&queries->list_lock);
    if (slow) {
        log_slow(&info);
        lock_acquire(&queries->list_lock);
        forgotten = queries->slow[queries->slow_count % RUNNING_SLOW_KEPT];
        queries->slow[queries->slow_count++ % RUNNING_SLOW_KEPT] = query;
        lock_release(&queries->list_lock);
    }
    mem_free(forgotten);
}

/* --- lists -------------------------------------------------------------------------------------
 */

static void list_start(struct running_list *out, size_t count)
{
    *out = (struct running_list){.items = mem_zalloc(count + 1, sizeof(*out->items)),
                                 .texts = mem_zalloc(1, sizeof(struct arena))};
}

static void list_add(struct running_list *out, const struct running_query *query)
{
    struct arena *texts = out->texts;
    struct running_info *info = &out->items[out->count++];

    *info = info_of(query);
    info->text = arena_dup(texts, info->text, info->len);
    info->client = arena_dup(texts, info->client, strlen(info->client));
    info->user = arena_dup(texts, info->user, strlen(info->user));
}

void running_queries_list(struct running_queries *queries, struct running_list *out)
{
    int64_t now_ns = clock_mono_ns(clock_system());
    size_t count = 0;

    *out = (struct running_list){0};
    if (queries == NULL)
        return;
    lock_acquire(&queries->list_lock);
    for (const struct running_query *query = queries->first; query != NULL; query = query->next)
        count++;
    list_start(out, count);
    for (const struct running_query *query = queries->first; query != NULL; query = query->next) {
        list_add(out, query);
        out->items[out->count - 1].age_ns = now_ns - query->asked_ns;
    }
    lock_release(&queries->list_lock);
}

void running_queries_slow(struct running_queries *queries, struct running_list *out)
{
    *out = (struct running_list){0};
    if (queries == NULL)
        return;
    lock_acquire(&queries->list_lock);
    list_start(out, TIDE_MIN(queries->slow_count, (size_t)RUNNING_SLOW_KEPT));
    for (size_t i = 1; i <= queries->slow_count && i <= RUNNING_SLOW_KEPT; i++)
        list_add(out, queries->slow[(queries->slow_count - i) % RUNNING_SLOW_KEPT]);
    lock_release(&queries->list_lock);
}

void running_list_destroy(struct running_list *list)
{
    mem_free(list->items);
    if (list->texts != NULL)
        arena_destroy(list->texts);
    mem_free(list->texts);
    *list = (struct running_list){0};
}

int running_queries_kill(struct running_queries *queries, uint64_t id, const char *by,
                         struct error *err)
{
    struct running_query *query;

    if (queries == NULL)
        return error_set(err, ERR_NOT_FOUND, "no queries are listed here");
    lock_acquire(&queries->list_lock);
    for (query = queries->first; query != NULL && query->info.id != id; query = query->next)
        ;
    if (query != NULL) {
        query->info.killed = true;
        __atomic_store_n(query->cancelled, QUERY_KILLED, __ATOMIC_RELAXED);
    }
    lock_release(&queries->list_lock);
    if (query == NULL)
        return error_set(err, ERR_NOT_FOUND, "no query %" PRIu64 " is running", id);
    log_info("query killed", "id=%" PRIu64 " by=\"%s\"", id, by);
    return 0;
}
