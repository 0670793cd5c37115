/* door.c - from the labels of a series to what the declared rules mean for it (door.h). */
#include "store/door.h"

#include "base/logger.h"
#include "base/mem.h"
#include "store/engine.h"

#define STACK_LABELS 64

void intake_init(struct intake *intake)
{
    *intake = (struct intake){0};
    lock_init(&intake->refresh_lock);
    lock_init(&intake->leaf_lock);
    cond_init(&intake->counted);
}

/* --- sets --------------------------------------------------------------------------------------
 */

static void free_set(struct intake_set *set)
{
    if (set->rules.release != NULL)
        set->rules.release(set->rules.owner);
    text_map_destroy(&set->doors);
    text_map_destroy(&set->quotas);
    mem_free(set->quota_counts);
    mem_free(set);
}

/* Under the lock; true: the last reference has gone, free it without the lock. */
static bool unref_locked(struct intake_set *set)
{
    return --set->references == 0;
}

void intake_set_unref(struct intake *intake, struct intake_set *set)
{
    bool last;

    if (set == NULL)
        return;
    lock_acquire(&intake->leaf_lock);
    last = unref_locked(set);
    lock_release(&intake->leaf_lock);
    if (last)
        free_set(set);
}

struct intake_set *intake_hold_set(struct intake *intake)
{
    struct intake_set *set;

    lock_acquire(&intake->leaf_lock);
    set = intake->set;
    if (set != NULL)
        set->references++;
    lock_release(&intake->leaf_lock);
    return set;
}

struct intake_set *intake_take_set(struct store *store)
{
    struct intake *intake = &store->intake;
    struct intake_set *set;

    if (__atomic_load_n(&intake->set, __ATOMIC_ACQUIRE) == NULL)
        return NULL;
    lock_acquire(&intake->leaf_lock);
    while (intake->counting)
        cond_wait(&intake->counted, &intake->leaf_lock);
    set = intake->set;
    if (set != NULL)
        set->references++;
    lock_release(&intake->leaf_lock);
    return set;
}

bool intake_is_current(const struct store *store, const struct intake_set *set)
{
    return __atomic_load_n(&store->intake.set, __ATOMIC_ACQUIRE) == set;
}

/* --- keys --------------------------------------------------------------------------------------
 */

static struct label find(const struct label *list, size_t count, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < count; i++) {
        if (list[i].name_len == len && memcmp(list[i].name, name, len) == 0)
            return list[i];
    }
    return (struct label){name, "", (uint32_t)len, 0};
}

void quota_key(const struct limit_rule *rule, size_t index, const struct label *list, size_t count,
               struct buf *key)
{
    uint32_t number = (uint32_t)index;

    buf_append(key, &number, sizeof(number));
    for (size_t i = 0; i < rule->by_count; i++) {
        struct label label = find(list, count, rule->by[i]);

        buf_append(key, &label.value_len, sizeof(label.value_len));
        buf_append(key, label.value, label.value_len);
    }
}

/* The numbers of the transforms that apply, and behind them the keys of quotas. False: nothing. */
static bool make_key(const struct intake_rules *rules, const struct label *list, size_t count,
                     struct buf *key)
{
    key->len = 0;
    for (size_t i = 0; i < rules->transform_count; i++) {
        const struct transform_rule *rule = &rules->transforms[i];
        uint32_t number = (uint32_t)i;

        if (matchers_accept_list(rule->matchers, rule->matcher_count, list, count))
            buf_append(key, &number, sizeof(number));
    }
    if (rules->limit_count != 0) {
        uint32_t none = UINT32_MAX;

        buf_append(key, &none, sizeof(none));
    }
    for (size_t i = 0; i < rules->limit_count; i++) {
        const struct limit_rule *rule = &rules->limits[i];

        if (matchers_accept_list(rule->matchers, rule->matcher_count, list, count))
            quota_key(rule, i, list, count, key);
    }
    return key->len > (rules->limit_count != 0 ? sizeof(uint32_t) : 0);
}

/* --- making doors ------------------------------------------------------------------------------
 */

/* An id for a door, 0: all are taken. Under the lock. */
static uint32_t new_id_locked(struct intake *intake)
{
    uint32_t id;

    if (intake->free_count != 0)
        return intake->free_ids[--intake->free_count];
    id = intake->next_id + 1;
    if (id / DOOR_SEGMENT >= DOOR_SEGMENTS)
        return 0;
    intake->next_id = id;
    if (intake->segments[id / DOOR_SEGMENT] == NULL)
        intake->segments[id / DOOR_SEGMENT] =
            mem_zalloc(DOOR_SEGMENT, sizeof(*intake->segments[0]));
    return id;
}

static void free_id_locked(struct intake *intake, uint32_t id)
{
    if (intake->free_count == intake->free_cap) {
        intake->free_cap = intake->free_cap != 0 ? intake->free_cap * 2 : 64;
        intake->free_ids =
            mem_realloc(intake->free_ids, intake->free_cap * sizeof(*intake->free_ids));
    }
    intake->free_ids[intake->free_count++] = id;
}

/* The quota of a rule for these labels; NULL: there are too many of them. */
static struct quota *find_quota_locked(struct intake_set *set, size_t index,
                                       const struct label *list, size_t count)
{
    const struct limit_rule *rule = &set->rules.limits[index];
    struct buf key = {0};
    struct quota *quota;

    quota_key(rule, index, list, count, &key);
    quota = text_map_get(&set->quotas, key.data, key.len);
    if (quota == NULL && set->quota_counts[index] < LIMIT_GROUPS_MAX) {
        quota = quota_new(rule, list, count, &key);
        text_map_put(&set->quotas, key.data, key.len, quota);
        set->quota_counts[index]++;
        __atomic_add_fetch(&rule->counts->groups, 1, __ATOMIC_RELAXED);
    }
    buf_destroy(&key);
    if (quota != NULL) {
        quota->doors++;
        return quota;
    }
    counter_add(&rule->counts->failed, 1);
    log_warn_limited("a limit has too many groups: series of others are let in", "rule=\"%s\"",
                     rule->title);
    return NULL;
}

static struct door *make_locked(struct intake *intake, struct intake_set *set,
                                const struct label *list, size_t count, const struct buf *key)
{
    const struct intake_rules *rules = &set->rules;
    uint32_t id = new_id_locked(intake);
    struct door *door;

    if (id == 0)
        return NULL;
    door = mem_zalloc(1, sizeof(*door));
    *door = (struct door){.id = id, .set = set, .key_len = key->len};
    door->key = mem_dup(key->data, key->len);
    door->transforms =
        mem_alloc((rules->transform_count + 1) * sizeof(*door->transforms)); /* NOLINT */
    door->quotas = mem_alloc((rules->limit_count + 1) * sizeof(*door->quotas));
    for (size_t i = 0; i < rules->transform_count; i++) {
        const struct transform_rule *rule = &rules->transforms[i];

        if (!matchers_accept_list(rule->matchers, rule->matcher_count, list, count))
            continue;
        door->transforms[door->transform_count++] = rule;
        door->has_intervals = door->has_intervals || rule->interval_ms != 0;
    }
    for (size_t i = 0; i < rules->limit_count; i++) {
        const struct limit_rule *rule = &rules->limits[i];
        struct quota *quota;

        if (!matchers_accept_list(rule->matchers, rule->matcher_count, list, count))
            continue;
        quota = find_quota_locked(set, i, list, count);
        if (quota == NULL)
            continue;
        door->quotas[door->quota_count++] = quota;
        door->has_rates = door->has_rates || rule->samples_per_second > 0;
    }
    set->references++;
    text_map_put(&set->doors, key->data, key->len, door);
    intake->segments[id / DOOR_SEGMENT][id % DOOR_SEGMENT] = door;
    return door;
}

struct door *door_for(struct intake *intake, struct intake_set *set, const struct label *list,
                      size_t count, struct buf *key)
{
    struct door *door;

    if (set == NULL || !make_key(&set->rules, list, count, key))
        return NULL;
    lock_acquire(&intake->leaf_lock);
    door = text_map_get(&set->doors, key->data, key->len);
    if (door == NULL)
        door = make_locked(intake, set, list, count, key);
    if (door != NULL)
        __atomic_add_fetch(&door->references, 1, __ATOMIC_RELAXED);
    lock_release(&intake->leaf_lock);
    return door;
}

/* --- unmaking them -----------------------------------------------------------------------------
 */

/* Takes it out of its set; true: the set goes too. */
static bool remove_locked(struct intake *intake, struct door *door)
{
    struct intake_set *set = door->set;

    text_map_remove(&set->doors, door->key, door->key_len);
    intake->segments[door->id / DOOR_SEGMENT][door->id % DOOR_SEGMENT] = NULL;
    free_id_locked(intake, door->id);
    for (size_t i = 0; i < door->quota_count; i++) {
        struct quota *quota = door->quotas[i];

        if (--quota->doors != 0)
            continue;
        text_map_remove(&set->quotas, quota->key, quota->key_len);
        set->quota_counts[quota->rule - set->rules.limits]--;
        __atomic_sub_fetch(&quota->rule->counts->groups, 1, __ATOMIC_RELAXED);
        quota_free(quota);
    }
    return unref_locked(set);
}

void door_unref(struct intake *intake, struct door *door)
{
    struct intake_set *set;
    uint32_t references;
    bool gone = false, last = false;

    if (door == NULL)
        return;
    references = __atomic_load_n(&door->references, __ATOMIC_RELAXED);
    while (references > 1) { /* not the last one: no lock */
        if (__atomic_compare_exchange_n(&door->references, &references, references - 1, true,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return;
    }
    set = door->set;
    lock_acquire(&intake->leaf_lock);
    gone = __atomic_sub_fetch(&door->references, 1, __ATOMIC_ACQ_REL) == 0;
    if (gone)
        last = remove_locked(intake, door);
    lock_release(&intake->leaf_lock);
    if (gone) {
        mem_free(door->key);
        mem_free((void *)door->transforms);
        mem_free((void *)door->quotas);
        mem_free(door);
    }
    if (last)
        free_set(set);
}

/* --- series ------------------------------------------------------------------------------------
 */

void door_attach_locked(struct store *store, struct series *series)
{
    struct intake *intake = &store->intake;
    struct intake_set *set;
    struct label stack[STACK_LABELS];
    struct label *list = stack;
    struct buf key = {0};
    struct door *door;

    if (intake_is_current(store, NULL))
        return;
    set = intake_hold_set(intake);
    if (series->pair_count > STACK_LABELS)
        list = mem_alloc(series->pair_count * sizeof(*list));
    for (uint16_t i = 0; i < series->pair_count; i++)
        list[i] = label_table_text(&store->labels, series->pairs[i]);
    door = door_for(intake, set, list, series->pair_count, &key);
    if (door != NULL) {
        door_count_in(intake, door);
        series->door = door_name(door);
    }
    intake_set_unref(intake, set);
    buf_destroy(&key);
    if (list != stack)
        mem_free(list);
}

void door_leave_locked(struct store *store, struct series *series)
{
    struct door *door;

    if (series->door == 0)
        return;
    door = door_of_id(&store->intake, series->door);
    series->door = 0;
    door_count_out(&store->intake, door);
    door_unref(&store->intake, door);
}

void intake_destroy(struct intake *intake)
{
    for (size_t i = 0; i < intake->due_count; i++) {
        labels_unref(intake->due[i].labels);
        intake_set_unref(intake, intake->due[i].set);
    }
    intake_set_unref(intake, intake->set);
    for (size_t i = 0; i < DOOR_SEGMENTS; i++)
        mem_free((void *)intake->segments[i]);
    mem_free(intake->free_ids);
    mem_free(intake->due);
    cond_destroy(&intake->counted);
    lock_destroy(&intake->leaf_lock);
    lock_destroy(&intake->refresh_lock);
}
