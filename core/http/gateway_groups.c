#include "http/gateway_groups.h"

#include "base/bytes.h"
#include "base/text_map.h"
#include "base/thread.h"
#include "model/columns.h"
#include "wire/label_pairs.h"

struct member {
    int64_t newest_ms;
    uint64_t push; /* the number of the last push that had it */
    char *name;    /* owned */
};

struct group {
    struct text_map members; /* of struct member, by block */
    int64_t failure_ms;      /* 0: never */
    int64_t end_ms;          /* INT64_MAX: no end */
};

struct gateway_groups {
    struct lock lock;     /* guards all below */
    struct text_map list; /* of struct group, by the labels of the path */
    size_t series;        /* members of all */
    size_t max_series;
    uint64_t pushes;
};

static void free_member(struct member *member)
{
    mem_free(member->name);
    mem_free(member);
}

static void free_group(struct group *group)
{
    for (size_t i = 0; i < group->members.cap; i++) {
        if (group->members.slots[i].key != NULL)
            free_member(group->members.slots[i].value);
    }
    text_map_destroy(&group->members);
    mem_free(group);
}

struct gateway_groups *gateway_groups_new(size_t max_series)
{
    struct gateway_groups *groups = mem_zalloc(1, sizeof(*groups));

    groups->max_series = max_series;
    lock_init(&groups->lock);
    return groups;
}

void gateway_groups_free(struct gateway_groups *groups)
{
    if (groups == NULL)
        return;
    for (size_t i = 0; i < groups->list.cap; i++) {
        if (groups->list.slots[i].key != NULL)
            free_group(groups->list.slots[i].value);
    }
    text_map_destroy(&groups->list);
    lock_destroy(&groups->lock);
    mem_free(groups);
}

/* --- what is to be stored ----------------------------------------------------------------------
 */

static void begin_batch(struct batch *out)
{
    out->format = LABEL_FORMAT_PAIRS;
    out->parse = label_pairs_parse;
    out->parse_ctx = NULL;
}

static void put_sample(struct batch *out, const void *block, size_t len, int64_t time_ms,
                       double value)
{
    batch_add_entry(out, (const uint8_t *)arena_dup(&out->arena, block, len), len, 0);
    batch_add_sample(out, time_ms, value);
}

/* The end of a series, behind its newest sample. */
static void put_marker(struct batch *out, const struct text_map_entry *entry, int64_t now_ms)
{
    const struct member *member = entry->value;
    int64_t time_ms = TIDE_MAX(now_ms, member->newest_ms + 1);

    put_sample(out, entry->key, entry->len, time_ms, bits_double(SAMPLE_STALE_BITS));
}

/* A series with the group's labels alone. */
static void put_group_series(struct batch *out, const char *name, const void *group, size_t len,
                             int64_t now_ms, double value)
{
    struct buf block = {0};

    label_pairs_put(&block, LABEL_METRIC_NAME, strlen(LABEL_METRIC_NAME), name, strlen(name));
    buf_append(&block, group, len);
    put_sample(out, block.data, block.len, now_ms, value);
    buf_destroy(&block);
}

static void put_times(struct batch *out, const struct gateway_push *push, const struct group *group)
{
    if (!push->failed)
        put_group_series(out, "push_time_seconds", push->group, push->group_len, push->now_ms,
                         (double)push->now_ms / 1e3);
    put_group_series(out, "push_failure_time_seconds", push->group, push->group_len, push->now_ms,
                     (double)group->failure_ms / 1e3);
}

static void end_group(struct gateway_groups *groups, const void *key, size_t len, int64_t now_ms,
                      struct batch *out)
{
    struct group *group = text_map_get(&groups->list, key, len);
    double stale = bits_double(SAMPLE_STALE_BITS);

    if (group == NULL)
        return;
    for (size_t i = 0; i < group->members.cap; i++) {
        if (group->members.slots[i].key != NULL)
            put_marker(out, &group->members.slots[i], now_ms);
    }
    put_group_series(out, "push_time_seconds", key, len, now_ms, stale);
    put_group_series(out, "push_failure_time_seconds", key, len, now_ms, stale);
    groups->series -= group->members.count;
    text_map_remove(&groups->list, key, len);
    free_group(group);
}

/* --- pushes ------------------------------------------------------------------------------------
 */

static struct group *group_of(struct gateway_groups *groups, const struct gateway_push *push)
{
    struct group *group = text_map_get(&groups->list, push->group, push->group_len);

    if (group != NULL || groups->series >= groups->max_series)
        return group;
    group = mem_zalloc(1, sizeof(*group));
    group->end_ms = INT64_MAX;
    text_map_put(&groups->list, push->group, push->group_len, group);
    return group;
}

static void remember(struct gateway_groups *groups, struct group *group,
                     const struct gateway_series *series)
{
    struct member *member = text_map_get(&group->members, series->block, series->len);

    if (member == NULL) {
        if (groups->series >= groups->max_series)
            return;
        member = mem_zalloc(1, sizeof(*member));
        member->newest_ms = INT64_MIN;
        member->name = mem_dup(series->name, series->name_len);
        text_map_put(&group->members, series->block, series->len, member);
        groups->series++;
    }
    member->newest_ms = TIDE_MAX(member->newest_ms, series->newest_ms);
    member->push = groups->pushes;
}

/* Takes out the members that this push replaces: all others, or those of its names. */
static void take_out(struct gateway_groups *groups, struct group *group,
                     const struct gateway_push *push, struct batch *out)
{
    struct text_map names = {0};
    struct text_map_entry *gone = mem_alloc((group->members.count + 1) * sizeof(*gone));
    size_t count = 0;

    for (size_t i = 0; i < push->count && !push->replaces; i++)
        text_map_put(&names, push->series[i].name, push->series[i].name_len, group);
    for (size_t i = 0; i < group->members.cap; i++) {
        const struct text_map_entry *entry = &group->members.slots[i];
        const struct member *member = entry->value;

        if (entry->key == NULL || member->push == groups->pushes)
            continue;
        if (push->replaces || text_map_get(&names, member->name, strlen(member->name)) != NULL)
            gone[count++] = *entry;
    }
    for (size_t i = 0; i < count; i++) {
        struct member *member = gone[i].value;

        put_marker(out, &gone[i], push->now_ms);
        text_map_remove(&group->members, gone[i].key, gone[i].len);
        free_member(member);
        groups->series--;
    }
    text_map_destroy(&names);
    mem_free(gone);
}

void gateway_groups_push(struct gateway_groups *groups, const struct gateway_push *push,
                         struct batch *out)
{
    static const struct group unknown = {.end_ms = INT64_MAX};
    struct group *group;

    begin_batch(out);
    lock_acquire(&groups->lock);
    groups->pushes++;
    group = group_of(groups, push);
    if (group != NULL) {
        for (size_t i = 0; i < push->count; i++)
            remember(groups, group, &push->series[i]);
        if (push->failed)
            group->failure_ms = push->now_ms;
        else
            take_out(groups, group, push, out);
        group->end_ms = push->ttl_ms == 0 || push->now_ms > INT64_MAX - push->ttl_ms
                            ? INT64_MAX
                            : push->now_ms + push->ttl_ms;
    }
    put_times(out, push, group != NULL ? group : &unknown);
    lock_release(&groups->lock);
}

void gateway_groups_delete(struct gateway_groups *groups, const uint8_t *key, size_t len,
                           int64_t now_ms, struct batch *out)
{
    begin_batch(out);
    lock_acquire(&groups->lock);
    end_group(groups, key, len, now_ms, out);
    lock_release(&groups->lock);
}

int64_t gateway_groups_expire(struct gateway_groups *groups, int64_t now_ms, struct batch *out)
{
    int64_t next_ms = INT64_MAX;
    size_t i = 0;

    begin_batch(out);
    lock_acquire(&groups->lock);
    while (i < groups->list.cap) {
        struct text_map_entry *entry = &groups->list.slots[i];
        const struct group *group = entry->value;
        struct buf key = {0};

        if (entry->key == NULL || group->end_ms > now_ms) {
            if (entry->key != NULL)
                next_ms = TIDE_MIN(next_ms, group->end_ms);
            i++;
            continue;
        }
        buf_append(&key, entry->key, entry->len); /* the entry goes; another may move here */
        end_group(groups, key.data, key.len, now_ms, out);
        buf_destroy(&key);
    }
    lock_release(&groups->lock);
    return next_ms;
}
