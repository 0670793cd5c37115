/* push_gateway.c - see push_gateway.h. */
#include "http/push_gateway.h"

#include <stdlib.h>

#include "base/logger.h"
#include "base/thread.h"
#include "http/gateway_groups.h"
#include "http/http_site.h"
#include "http/push.h"
#include "http/push_text.h"
#include "http/tenant.h"
#include "wire/push_group.h"

/* How often times to live are looked at, while there are any. */
#define LOOK_NS INT64_C(1000000000)

struct gateway {
    const struct http_site *site;
    struct gateway_groups *groups;
    struct thread thread; /* ends groups */
    struct lock lock;     /* guards the next two */
    struct cond woken;
    bool stopping;
    bool timed; /* some group has a time to live */
};

/* --- the group of a request --------------------------------------------------------------------
 */

struct group_path {
    struct push_group group;
    struct buf pairs; /* owned */
};

static int compare_names(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = memcmp(x->name, y->name, TIDE_MIN(x->name_len, y->name_len));

    return order != 0 ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

/* The credential's tenant is part of the group's key, whatever the path says of it. */
static int stamp(const struct http_request *request, struct push_group *group, struct error *err)
{
    struct label tenant;
    size_t at = 0;
    int held = tenant_label(request, &tenant, err);

    if (held != 1)
        return held;
    while (at < group->count && (group->labels[at].name_len != tenant.name_len ||
                                 memcmp(group->labels[at].name, tenant.name, tenant.name_len) != 0))
        at++;
    if (at == PUSH_GROUP_MAX_LABELS)
        return error_set(err, ERR_LIMIT, "more than %d labels in the path",
                         PUSH_GROUP_MAX_LABELS - 1);
    if (at == group->count)
        group->count++;
    group->labels[at] = tenant;
    qsort(group->labels, group->count, sizeof(group->labels[0]), compare_names);
    return 0;
}

static int read_path(struct http_request *request, struct group_path *path, struct error *err)
{
    static const char prefix[] = "/metrics/";
    struct http_text raw = request->head->path;
    const char *at = memmem(raw.at, raw.len, prefix, strlen(prefix));

    TIDE_ASSERT(at != NULL); /* the route's pattern has it */
    at += strlen(prefix);
    if (push_group_parse(at, (size_t)(raw.at + raw.len - at), request->arena, &path->group, err) !=
        0)
        return -1;
    if (stamp(request, &path->group, err) != 0)
        return -1;
    for (size_t i = 0; i < path->group.count; i++) {
        const struct label *label = &path->group.labels[i];

        if (label->value_len > 0)
            label_pairs_put(&path->pairs, label->name, label->name_len, label->value,
                            label->value_len);
    }
    return 0;
}

/* --- the series of a push ----------------------------------------------------------------------
 */

/* Sets a series by its labels, as pairs in the arena; false when they are none. */
static bool read_series(const struct batch *batch, size_t i, struct arena *arena,
                        struct labels_builder *builder, struct gateway_series *series)
{
    const struct batch_entry *entry = &batch->entries[i];
    struct arena_mark mark = arena_mark(arena);
    struct buf pairs = {0};
    struct labels *labels;
    struct label name = {0};
    struct error err;

    labels_builder_reset(builder, NULL);
    if (entry->sample_count == 0 ||
        batch->parse(entry->block, entry->block_len, batch->parse_ctx, arena, builder, &err) != 0) {
        arena_release(arena, mark);
        return false;
    }
    labels = labels_builder_build(builder);
    for (size_t k = 0; k < labels_count(labels); k++) {
        struct label label = labels_at(labels, k);

        label_pairs_put(&pairs, label.name, label.name_len, label.value, label.value_len);
    }
    labels_find(labels, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), &name);
    arena_release(arena, mark);
    series->block = (const uint8_t *)arena_dup(arena, pairs.data, pairs.len);
    series->len = pairs.len;
    series->name = arena_dup(arena, name.value != NULL ? name.value : "", name.value_len);
    series->name_len = name.value_len;
    series->newest_ms = INT64_MIN;
    for (uint32_t k = 0; k < entry->sample_count; k++)
        series->newest_ms = TIDE_MAX(series->newest_ms, batch->times_ms[entry->first_sample + k]);
    buf_destroy(&pairs);
    labels_unref(labels);
    return true;
}

static size_t list_series(const struct push_job *job, struct gateway_series *list)
{
    struct labels_builder builder;
    size_t count = 0;

    labels_builder_init(&builder);
    for (size_t i = 0; i < job->batch->entry_count; i++)
        count += read_series(job->batch, i, job->request->arena, &builder, &list[count]);
    labels_builder_destroy(&builder);
    return count;
}

/* Stores what the groups made; none of that is the sender's fault. */
static int store_changes(struct push_job *job, struct error *err)
{
    struct append_result *result = job->result, changes;
    int failed;

    append_result_init(&changes);
    job->result = &changes;
    failed = push_append(job, err);
    job->result = result;
    return failed;
}

/* --- the routes --------------------------------------------------------------------------------
 */

static void fail(struct http_reply *reply, const struct error *err)
{
    const char *type;
    int status = http_status_of(err->code, &type);

    http_reply_text(reply, status, err->text);
    buf_putc(&reply->body, '\n');
    if (status == 503)
        http_reply_field(reply, "Retry-After", "1");
}

static void answer(const struct append_result *result, struct http_reply *reply)
{
    if (push_faults(result) == 0)
        return;
    http_reply_text(reply, push_is_over_rate(result) ? 429 : 400, "");
    if (push_is_over_rate(result))
        http_reply_field(reply, "Retry-After", "1");
    push_put_summary(&reply->body, result);
    buf_putc(&reply->body, '\n');
    push_put_examples(&reply->body, result, "\n");
    buf_putc(&reply->body, '\n');
}

static void wake(struct gateway *gateway)
{
    lock_acquire(&gateway->lock);
    gateway->timed = true;
    cond_signal(&gateway->woken);
    lock_release(&gateway->lock);
}

static int read_ttl(const struct push_job *job, int64_t *ttl_ms, struct error *err)
{
    *ttl_ms = 0;
    if (params_duration(&job->params, "ttl", ttl_ms, err) != 0)
        return -1;
    if (*ttl_ms < 0 || (*ttl_ms == 0 && params_get(&job->params, "ttl").len > 0))
        return error_set(err, ERR_INVALID, "invalid parameter \"ttl\": must be more than 0");
    return 0;
}

/* Stores the body; then what it changes in its group. */
static int push_into_group(struct push_job *job, const struct group_path *path, int64_t ttl_ms,
                           struct error *err)
{
    struct gateway *gateway = job->request->site->gateway;
    struct gateway_push push = {.group = path->pairs.data,
                                .group_len = path->pairs.len,
                                .now_ms = job->push.now_ms,
                                .ttl_ms = ttl_ms,
                                .replaces = job->request->head->verb == HTTP_VERB_PUT};
    struct gateway_series *list = NULL;
    int failed = push_text_decode(job, err);

    if (failed == 0) {
        push_apply_extra(job);
        list = mem_alloc((job->batch->entry_count + 1) * sizeof(*list));
        push.count = list_series(job, list);
        push.series = list;
        failed = push_append(job, err);
    }
    push.failed = failed != 0 || push_faults(job->result) != 0;
    push_next_batch(job);
    gateway_groups_push(gateway->groups, &push, job->batch);
    mem_free(list);
    if (failed == 0)
        return store_changes(job, err);
    if (store_changes(job, &(struct error){0}) != 0)
        log_warn("the time of a failed push could not be stored", NULL);
    return -1;
}

static void put_group(struct http_request *request, struct http_reply *reply)
{
    struct group_path path = {0};
    struct push_job job = {0};
    struct error err;
    int64_t ttl_ms;

    if (read_path(request, &path, &err) != 0 || push_begin(&job, request, reply, &err) != 0 ||
        read_ttl(&job, &ttl_ms, &err) != 0) {
        fail(reply, &err);
    } else {
        job.extra.list = path.group.labels;
        job.extra.count = path.group.count;
        if (push_into_group(&job, &path, ttl_ms, &err) != 0)
            fail(reply, &err);
        else
            answer(job.result, reply);
        if (ttl_ms > 0)
            wake(request->site->gateway);
    }
    push_end(&job);
    buf_destroy(&path.pairs);
}

static void delete_group(struct http_request *request, struct http_reply *reply)
{
    struct group_path path = {0};
    struct push_job job = {0};
    struct error err;

    reply->status = 202;
    if (read_path(request, &path, &err) != 0 || push_begin(&job, request, reply, &err) != 0) {
        fail(reply, &err);
    } else {
        gateway_groups_delete(request->site->gateway->groups, path.pairs.data, path.pairs.len,
                              job.push.now_ms, job.batch);
        if (store_changes(&job, &err) != 0)
            fail(reply, &err);
    }
    push_end(&job);
    buf_destroy(&path.pairs);
}

void push_gateway(struct http_request *request, struct http_reply *reply)
{
    if (request->head->verb == HTTP_VERB_DELETE)
        delete_group(request, reply);
    else
        put_group(request, reply);
}

/* --- times to live -----------------------------------------------------------------------------
 */

/* @return false when no group will end by itself */
static bool end_groups(struct gateway *gateway, struct pusher **pusher)
{
    struct store *store = http_site_store(gateway->site);
    int64_t next_ms;
    struct error err;

    if (store == NULL)
        return true;
    if (*pusher == NULL)
        *pusher = pusher_new(store);
    batch_reset(&(*pusher)->batch);
    append_result_init(&(*pusher)->result);
    next_ms =
        gateway_groups_expire(gateway->groups, http_site_wall_ms(gateway->site), &(*pusher)->batch);
    if ((*pusher)->batch.entry_count > 0 &&
        store_append((*pusher)->appender, &(*pusher)->batch, &(*pusher)->result, &err) != 0)
        log_warn("the end of a group could not be stored", "error=\"%s\"", err.text);
    return next_ms != INT64_MAX;
}

static void *run(void *arg)
{
    struct gateway *gateway = arg;
    struct pusher *pusher = NULL;

    lock_acquire(&gateway->lock);
    while (!gateway->stopping) {
        if (!gateway->timed) {
            cond_wait(&gateway->woken, &gateway->lock);
            continue;
        }
        cond_wait_for(&gateway->woken, &gateway->lock, LOOK_NS);
        if (gateway->stopping)
            break;
        gateway->timed = false;
        lock_release(&gateway->lock);
        if (end_groups(gateway, &pusher))
            wake(gateway);
        lock_acquire(&gateway->lock);
    }
    lock_release(&gateway->lock);
    pusher_free(pusher);
    return NULL;
}

struct gateway *gateway_start(const struct http_site *site, struct error *err)
{
    struct gateway *gateway = mem_zalloc(1, sizeof(*gateway));

    gateway->site = site;
    gateway->groups = gateway_groups_new(site->options.group_series);
    lock_init(&gateway->lock);
    cond_init(&gateway->woken);
    if (thread_start(&gateway->thread, "groups", 0, run, gateway, err) != 0) {
        gateway_stop(gateway);
        return NULL;
    }
    return gateway;
}

void gateway_stop(struct gateway *gateway)
{
    if (gateway == NULL)
        return;
    lock_acquire(&gateway->lock);
    gateway->stopping = true;
    cond_signal(&gateway->woken);
    lock_release(&gateway->lock);
    thread_join(&gateway->thread);
    gateway_groups_free(gateway->groups);
    lock_destroy(&gateway->lock);
    cond_destroy(&gateway->woken);
    mem_free(gateway);
}
