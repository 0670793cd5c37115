/* resolve.c - from a label block to its series: parse, check, ask the policy, find or make.
 *
 * The slow path of a push: once per block and life of its cache entry. No lock is held while
 * labels are parsed or the policy is asked. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "model/fingerprint.h"
#include "store/engine.h"

struct verdict {
    char *why;
    size_t why_size;
    enum refusal reason;
    bool passing; /* another one in a moment, perhaps: not remembered */
};

TIDE_PRINTF(3, 4)
static int refuse(struct verdict *verdict, enum refusal reason, const char *format, ...)
{
    va_list args;

    verdict->reason = reason;
    va_start(args, format);
    vsnprintf(verdict->why, verdict->why_size, format, args);
    va_end(args);
    return 1;
}

static int shown(uint32_t len)
{
    return (int)TIDE_MIN(len, 80u);
}

static int check_label(const struct store_limits *limits, const struct label *label,
                       struct verdict *verdict)
{
    if (label->name_len == 0)
        return refuse(verdict, REFUSED_LABELS, "a label without a name");
    if (label->name_len > limits->label_name_bytes)
        return refuse(verdict, REFUSED_LABELS, "label name of %u bytes: at most %u are allowed",
                      label->name_len, limits->label_name_bytes);
    if (!utf8_valid(label->name, label->name_len))
        return refuse(verdict, REFUSED_LABELS, "a label name is not valid UTF-8");
    if (label->value_len > limits->label_value_bytes)
        return refuse(
            verdict, REFUSED_LABELS, "value of label \"%.*s\" has %u bytes: at most %u are allowed",
            shown(label->name_len), label->name, label->value_len, limits->label_value_bytes);
    if (!utf8_valid(label->value, label->value_len))
        return refuse(verdict, REFUSED_LABELS, "value of label \"%.*s\" is not valid UTF-8",
                      shown(label->name_len), label->name);
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = memcmp(x->name, y->name, TIDE_MIN(x->name_len, y->name_len));

    return order != 0 ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

/* Drops empty values, checks, sorts. 0, or 1: refused. */
static int normalise(struct appender *appender, struct verdict *verdict)
{
    const struct store_limits *limits = &appender->store->options.limits;
    struct labels_builder *labels = &appender->labels;
    size_t kept = 0;
    bool sorted = true, named = false;

    for (size_t i = 0; i < labels->count; i++) {
        if (labels->list[i].value_len != 0)
            labels->list[kept++] = labels->list[i];
    }
    labels->count = kept;
    if (kept > limits->labels_per_series)
        return refuse(verdict, REFUSED_LABELS, "%zu labels: at most %u are allowed", kept,
                      limits->labels_per_series);
    for (size_t i = 0; i < kept; i++) {
        const struct label *label = &labels->list[i];

        if (check_label(limits, label, verdict) != 0)
            return 1;
        sorted = sorted && (i == 0 || compare_names(label - 1, label) < 0);
        named = named || (label->name_len == strlen(LABEL_METRIC_NAME) &&
                          memcmp(label->name, LABEL_METRIC_NAME, label->name_len) == 0);
    }
    if (!named)
        return refuse(verdict, REFUSED_LABELS, "no metric name (label " LABEL_METRIC_NAME ")");
    if (sorted)
        return 0;
    qsort(labels->list, kept, sizeof(*labels->list), compare_names);
    for (size_t i = 1; i < kept; i++) {
        if (compare_names(&labels->list[i - 1], &labels->list[i]) == 0)
            return refuse(verdict, REFUSED_LABELS, "label \"%.*s\" is given twice",
                          shown(labels->list[i].name_len), labels->list[i].name);
    }
    return 0;
}

/* 0, or 1: refused. */
static int admit(struct appender *appender, struct verdict *verdict)
{
    const struct policy *policy = appender->store->options.policy;

    if (policy == NULL || policy->admit == NULL)
        return 0;
    verdict->why[0] = '\0';
    switch (policy->admit(policy->ctx, &appender->labels, verdict->why, verdict->why_size)) {
    case ADMIT_AS_IS:
        return 0;
    case ADMIT_CHANGED:
        return normalise(appender, verdict);
    case ADMIT_DROP:
        verdict->reason = REFUSED_BY_POLICY;
        return 1;
    case ADMIT_LIMIT:
        verdict->reason = REFUSED_SERIES_LIMIT;
        verdict->passing = true;
        return 1;
    }
    return 0;
}

/* Ids of all pairs with a reference each. False (and no reference) if `existing` and one is new. */
static bool intern_pairs(struct appender *appender, bool existing)
{
    struct label_table *table = &appender->store->labels;
    const struct labels_builder *labels = &appender->labels;

    if (appender->pair_cap < labels->count) {
        appender->pair_cap = labels->count;
        appender->pairs =
            mem_realloc(appender->pairs, appender->pair_cap * sizeof(*appender->pairs));
    }
    for (size_t i = 0; i < labels->count; i++) {
        if (!existing) {
            appender->pairs[i] = label_table_intern(table, &labels->list[i]);
            continue;
        }
        if (label_table_intern_existing(table, &labels->list[i], &appender->pairs[i]))
            continue;
        while (i-- > 0)
            label_table_unref(table, appender->pairs[i]);
        return false;
    }
    return true;
}

static void release_pairs(struct appender *appender)
{
    for (size_t i = 0; i < appender->labels.count; i++)
        label_table_unref(&appender->store->labels, appender->pairs[i]);
}

static struct block_value value_of(struct store *store, const struct series *series)
{
    return (struct block_value){series->id, series_map_id(&store->map, series->id)->generation};
}

enum lookup {
    LOOKUP_FOUND,
    LOOKUP_NONE,
    LOOKUP_COLLISION,
    LOOKUP_FULL,  /* a quota has no place for it: appender->full */
    LOOKUP_STALE, /* the rules are others meanwhile */
};

/* A series is about to come into memory, under its stripe: does it get its places? */
static enum lookup take_places(struct appender *appender)
{
    struct store *store = appender->store;

    if (!intake_is_current(store, appender->set))
        return LOOKUP_STALE;
    appender->full = door_enter(&store->intake, appender->door, appender->overruled);
    return appender->full == NULL ? LOOKUP_FOUND : LOOKUP_FULL;
}

/* It has come; the series keeps the reference to its door. */
static void give_door(struct appender *appender, struct series *series)
{
    if (appender->door == NULL)
        return;
    series->door = door_name(appender->door);
    appender->door = NULL;
}

/* Looks for the metric under one fingerprint; makes it there if `make` and nobody is. */
static enum lookup look_under(struct appender *appender, uint64_t fp, bool make,
                              struct block_value *value)
{
    struct store *store = appender->store;
    struct stripe *stripe = series_map_stripe(&store->map, fp);
    size_t count = appender->labels.count;
    enum lookup result = LOOKUP_NONE;
    struct series *series;

    lock_acquire(&stripe->stripe_lock);
    series = series_map_find_locked(stripe, fp);
    if (series != NULL && !series_has_pairs(series, appender->pairs, count)) {
        result = LOOKUP_COLLISION;
    } else if (series != NULL) {
        result = series->archived ? take_places(appender) : LOOKUP_FOUND;
        if (result == LOOKUP_FOUND && series->archived) {
            series = series_unarchive_locked(store, stripe, series);
            give_door(appender, series);
        }
        if (result == LOOKUP_FOUND)
            *value = value_of(store, series);
    } else if (make && (result = take_places(appender)) == LOOKUP_FOUND) {
        uint32_t *pairs = series_new_pairs(&store->pool, fp, count);

        memcpy(pairs, appender->pairs, count * sizeof(*pairs));
        for (size_t i = 0; i < count; i++) /* the appender keeps its own references */
            label_table_ref(&store->labels, pairs[i]);
        series = series_create_locked(store, stripe, fp, pairs, (uint16_t)count, false);
        series->arrival_s = store_now_s(store);
        give_door(appender, series);
        *value = value_of(store, series);
        counter_add(&store->counters.series_created, 1);
        appender->made = true;
    }
    lock_release(&stripe->stripe_lock);
    return result;
}

static void make_unique_string(struct appender *appender)
{
    struct labels *labels = labels_new_sorted(appender->labels.list, appender->labels.count);

    appender->text.len = 0;
    fingerprint_unique_string(&appender->text, labels);
    labels_unref(labels);
}

static bool find_mapping_locked(struct appender *appender, const struct mapper_shard *shard,
                                uint64_t raw, uint64_t *fp)
{
    if (shard->count == 0)
        return false;
    make_unique_string(appender);
    return mapper_find_locked(shard, raw, appender->text.data, appender->text.len, fp);
}

static void tell_new(struct appender *appender)
{
    struct labels *labels;

    if (!policy_wants(appender->store, STORE_EVENT_SERIES_NEW))
        return;
    labels = labels_new_sorted(appender->labels.list, appender->labels.count);
    policy_tell(appender->store, STORE_EVENT_SERIES_NEW, labels, NULL);
    labels_unref(labels);
}

/* Format section 6: LOOKUP_NONE only if `make` is false. 0 with `looked`, or -1 with err. */
static int map_and_make(struct appender *appender, bool make, struct block_value *value,
                        enum lookup *looked, struct error *err)
{
    struct store *store = appender->store;
    uint64_t raw = fingerprint_of_list(appender->labels.list, appender->labels.count), fp;
    struct mapper_shard *shard = mapper_shard(&store->mapper, raw);
    enum lookup found = LOOKUP_COLLISION;
    int result = 0;

    /* The common case needs no mapper: the series is there under its raw fingerprint. */
    if (raw > FINGERPRINT_MAX_MAPPED) {
        *looked = found = look_under(appender, raw, false, value);
        if (found != LOOKUP_NONE && found != LOOKUP_COLLISION)
            return 0;
    }
    appender->made = false;
    lock_acquire(&shard->mapper_lock);
    if (find_mapping_locked(appender, shard, raw, &fp)) {
        found = look_under(appender, fp, make, value);
    } else {
        if (raw > FINGERPRINT_MAX_MAPPED)
            found = look_under(appender, raw, make, value);
        if (found == LOOKUP_COLLISION && make) {
            make_unique_string(appender);
            result = mapper_add_locked(&store->mapper, shard, raw, appender->text.data,
                                       appender->text.len, &fp, err);
            if (result == 0)
                found = look_under(appender, fp, true, value);
        }
    }
    lock_release(&shard->mapper_lock);
    if (appender->made)
        tell_new(appender);
    if (result != 0)
        return -1;
    if (found == LOOKUP_COLLISION && make)
        return error_set(err, ERR_CORRUPT, "fingerprint %016" PRIx64 " was given twice", fp);
    *looked = found;
    return 0;
}

static int parse(struct appender *appender, const struct batch *batch,
                 const struct batch_entry *entry, struct verdict *verdict)
{
    struct error problem;

    labels_builder_reset(&appender->labels, NULL);
    arena_reset(&appender->scratch);
    if (batch->parse(entry->block, entry->block_len, batch->parse_ctx, &appender->scratch,
                     &appender->labels, &problem) != 0)
        return refuse(verdict, REFUSED_LABELS, "%s", problem.text);
    return normalise(appender, verdict);
}

bool policy_wants(const struct store *store, enum store_event_kind kind)
{
    const struct policy *policy = store->options.policy;

    return policy != NULL && policy->event != NULL && policy->event_wanted != NULL &&
           policy->event_wanted(policy->ctx, kind);
}

void policy_tell(const struct store *store, enum store_event_kind kind, const struct labels *labels,
                 const char *text)
{
    if (policy_wants(store, kind))
        store->options.policy->event(store->options.policy->ctx, kind, labels, text);
}

uint32_t policy_version(const struct store *store)
{
    const struct policy *policy = store->options.policy;

    return policy != NULL && policy->version != NULL ? (uint32_t)policy->version(policy->ctx) : 0;
}

static struct block_value refusal_value(const struct store *store, enum refusal reason)
{
    return (struct block_value){BLOCK_REFUSED + (uint32_t)reason, policy_version(store)};
}

/* May no series begin? Then `why` says the reason. */
static bool is_full(const struct store *store, char why[256])
{
    const struct store_limits *limits = &store->options.limits;
    uint64_t active = gauge_read(&store->counters.active);
    uint64_t total = active + gauge_read(&store->counters.archived);
    char room[160];

    if (active >= limits->max_series) {
        snprintf(why, 256, "there are %" PRIu64 " series: no more are taken", active);
    } else if (total >= limits->max_total_series) {
        snprintf(why, 256,
                 "there are %" PRIu64 " series, archived ones included: no more are "
                 "taken (limits.total_series)",
                 total);
    } else if (disk_room_level(store) != DISK_ROOM_PLENTY) {
        disk_room_describe(store, room, sizeof(room));
        snprintf(why, 256, "no new series, the disk is filling up: %s", room);
    } else {
        return false;
    }
    return true;
}

/* --- quotas ------------------------------------------------------------------------------------
 */

static bool strip(struct appender *appender, const struct limit_rule *rule)
{
    struct labels_builder *labels = &appender->labels;
    bool stripped = false;

    for (size_t i = 0; i < labels->count; i++) {
        struct label *label = &labels->list[i];

        for (size_t k = 0; k < rule->strip_count && label->value_len != 0; k++) {
            if (label->name_len == strlen(rule->strip[k]) &&
                memcmp(label->name, rule->strip[k], label->name_len) == 0) {
                label->value_len = 0;
                stripped = true;
            }
        }
    }
    return stripped;
}

static int refuse_full(struct appender *appender, struct verdict *verdict)
{
    const struct limit_rule *rule = appender->full->rule;
    struct buf who = {0};

    labels_format_set(&who, appender->full->labels);
    counter_add(&rule->counts->refused_series, 1);
    refuse(verdict, REFUSED_SERIES_LIMIT,
           "limit \"%s\": %.*s has the %" PRIu64 " series that it may have in memory", rule->title,
           (int)TIDE_MIN(who.len, (size_t)120), (const char *)who.data, rule->series);
    buf_destroy(&who);
    return 1;
}

/* What the rule of the quota that is full does with the block. 0: the labels are to be looked up
 * again; 1: refused. */
static int apply_verdict(struct appender *appender, struct verdict *verdict)
{
    const struct limit_rule *rule = appender->full->rule;
    const struct intake_rules *rules = &appender->set->rules;
    uint64_t fp;

    if (appender->overruled == NULL) {
        appender->overruled = arena_alloc(&appender->scratch, rules->limit_count);
        memset(appender->overruled, 0, rules->limit_count);
    }
    if (appender->overruled[rule - rules->limits])
        return refuse_full(appender, verdict);
    appender->overruled[rule - rules->limits] = 1;
    switch (rule->over) {
    case LIMIT_DROP:
        break;
    case LIMIT_STRIP:
        if (!strip(appender, rule))
            break;
        counter_add(&rule->counts->stripped, 1);
        return normalise(appender, verdict);
    case LIMIT_SAMPLE:
        fp = fingerprint_of_list(appender->labels.list, appender->labels.count);
        if (fp % rule->one_in == 0)
            return 0;
        counter_add(&rule->counts->skipped_series, 1);
        return refuse(verdict, REFUSED_BY_POLICY,
                      "left out by the limit \"%s\": one in %" PRIu32 " is kept", rule->title,
                      rule->one_in);
    case LIMIT_SHORT:
        labels_builder_set(&appender->labels, LIMIT_LABEL, strlen(LIMIT_LABEL), rule->title,
                           strlen(rule->title));
        counter_add(&rule->counts->shortened, 1);
        return normalise(appender, verdict);
    }
    return refuse_full(appender, verdict);
}

/* Finds or makes the series of the appender's labels. 0 with `looked`, or -1 with err. */
static int look_up(struct appender *appender, bool make, struct block_value *value,
                   enum lookup *looked, struct error *err)
{
    struct intake *intake = &appender->store->intake;
    int result = 0;

    appender->door = door_for(intake, appender->set, appender->labels.list, appender->labels.count,
                              &appender->text);
    *looked = LOOKUP_NONE;
    if (intern_pairs(appender, !make)) {
        result = map_and_make(appender, make, value, looked, err);
        release_pairs(appender);
    }
    return result;
}

/* The same, with what quotas say. 0 with `value`; 1: refused; -1 with err. */
static int look_up_within_quotas(struct appender *appender, struct verdict *verdict,
                                 struct block_value *value, struct error *err)
{
    struct store *store = appender->store;
    enum lookup looked = LOOKUP_STALE;
    char full_why[256];
    bool full = is_full(store, full_why);
    int result = 0;

    appender->overruled = NULL;
    while (result == 0 && (looked == LOOKUP_STALE || looked == LOOKUP_FULL)) {
        if (looked == LOOKUP_STALE) {
            intake_set_unref(&store->intake, appender->set);
            appender->set = intake_take_set(store);
            appender->overruled = NULL;
        }
        result = look_up(appender, !full, value, &looked, err);
        if (result == 0 && looked == LOOKUP_FULL) {
            appender->conditional = true;
            result = apply_verdict(appender, verdict);
        }
        door_unref(&store->intake, appender->door);
        appender->door = NULL;
    }
    intake_set_unref(&store->intake, appender->set);
    appender->set = NULL;
    verdict->passing = result == 0 && looked == LOOKUP_NONE;
    if (verdict->passing)
        return refuse(verdict, REFUSED_SERIES_LIMIT, "%s", full_why);
    return result;
}

/* --- blocks ------------------------------------------------------------------------------------
 */

/* 0 with `value`, 1: refused, -1 with err. */
static int resolve(struct appender *appender, const struct batch *batch,
                   const struct batch_entry *entry, struct verdict *verdict,
                   struct block_value *value, struct error *err)
{
    appender->conditional = false;
    if (parse(appender, batch, entry, verdict) != 0 || admit(appender, verdict) != 0)
        return 1;
    return look_up_within_quotas(appender, verdict, value, err);
}

int resolve_block(struct appender *appender, const struct batch *batch,
                  const struct batch_entry *entry, struct block_key key, struct block_value *value,
                  char *why, size_t why_size, struct error *err)
{
    struct store *store = appender->store;
    struct verdict verdict = {why, why_size, REFUSED_LABELS, false};
    uint32_t room = intake_room(store);
    int result;

    why[0] = '\0';
    result = resolve(appender, batch, entry, &verdict, value, err);
    if (result == -1)
        return -1;
    if (result == 1)
        *value = refusal_value(store, verdict.reason);
    if (verdict.passing)
        return 0;
    if (appender->conditional)
        key = block_key_while(key, room);
    block_cache_put(&store->cache, &appender->cursor, key, store_now_s(store), *value);
    return 0;
}
