/* duty.c - see duty.h. */
#include "store/duty.h"

#include "base/mem.h"
#include "store/downsample.h"
#include "store/pass_parts.h"

/* So many slots ahead of the one at work a series' entries are fetched; twice that the series. */
#define DUTY_AHEAD 8

void duties_add(struct duties *duties, const struct duty *duty)
{
    if (duties->count == duties->cap) {
        duties->cap = duties->cap != 0 ? duties->cap * 2 : 64;
        duties->items = mem_realloc(duties->items, duties->cap * sizeof(*duties->items));
    }
    duties->items[duties->count++] = *duty;
}

void duties_destroy(struct duties *duties)
{
    for (size_t i = 0; i < duties->count; i++)
        labels_unref(duties->items[i].labels);
    mem_free(duties->items);
}

bool policy_decides(const struct policy *policy)
{
    return policy != NULL && policy->retention_of != NULL;
}

/* The pass closes the head of a quiet series first, which makes one more chunk. */
static bool closes_head(const struct store *store, const struct series *series)
{
    uint32_t quiet_s = store_now_s(store) - series->arrival_s;

    return series_has_head(series) &&
           (int64_t)quiet_s > store->options.head_chunk_timeout_ms / 1000;
}

struct duty duty_of(const struct store *store, const struct series *series)
{
    struct duty duty = {
        .fp = series->fp,
        .id = series->id,
        .generation =
            __atomic_load_n(&series_map_id(&store->map, series->id)->generation, __ATOMIC_RELAXED),
        .first_ms = series->first_known ? series->first_ms : TIDE_EARLIEST_MS,
        .last_ms = series->last_ms,
        .archived = series->archived,
        .uncounted = series->archived || series->file_chunks == FILE_CHUNKS_UNKNOWN,
    };

    if (!series->archived)
        duty.chunks = series->chunk_count - series->persisted + closes_head(store, series);
    if (!duty.uncounted)
        duty.chunks += (uint64_t)series->file_chunks;
    return duty;
}

/* --- names of what is in force
 * ---------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

uint64_t retention_name(const struct store *store, uint64_t rules)
{
    uint64_t name = mix(mix(1, (uint64_t)store->options.retention_ms), rules);

    return name != 0 ? name : 1;
}

uint64_t retention_name_now(const struct store *store)
{
    const struct policy *policy = store->options.policy;
    bool named = policy_decides(policy) && policy->retention_rules != NULL;

    return retention_name(store, named ? policy->retention_rules(policy->ctx) : 0);
}

/* Whether it has to be asked: scripts without a rule of retention have nothing to say. */
static bool has_rules(const struct policy *policy)
{
    return policy_decides(policy) &&
           (policy->retention_rules == NULL || policy->retention_rules(policy->ctx) != 0);
}

/* --- asking
 * ----------------------------------------------------------------------------------------- */

static uint64_t version_of(const struct policy *policy)
{
    return policy->version != NULL ? policy->version(policy->ctx) : 0;
}

void duty_begin(struct store *store)
{
    struct folder *folder = store->folder;
    struct verdicts *verdicts = &folder->verdicts;

    folder->pass_now_ms = clock_wall_ms(store->clock);
    folder->pass_asks = has_rules(store->options.policy);
    folder->pass_thins = policy_downsamples(store->options.policy);
    if (!folder->pass_asks)
        return;
    verdicts_renew(verdicts, version_of(store->options.policy), folder->pass_now_ms);
    verdicts_reserve(verdicts, series_map_id_bound(&store->map));
    gauge_put(&store->counters.verdict_bytes, verdicts_bytes(verdicts));
}

void duty_recall(struct store *store, struct duty *duty)
{
    struct folder *folder = store->folder;

    duty->said = (struct retention_verdict){.keep_ms = RETENTION_DEFAULT};
    duty->answered =
        !folder->pass_asks || verdicts_find(&folder->verdicts, &store->use, duty->id,
                                            duty->generation, folder->pass_now_ms, &duty->said);
}

void duty_prefetch(const struct store *store, const struct stripe *stripe, uint32_t at)
{
    const struct verdicts *verdicts = &store->folder->verdicts;
    const struct series *far, *near;

    if (at + 2 * DUTY_AHEAD <= stripe->mask) {
        far = stripe->slots[at + 2 * DUTY_AHEAD];
        if (far != NULL) {
            __builtin_prefetch(far);
            __builtin_prefetch(&far->mtime_ns);
        }
    }
    if (at + DUTY_AHEAD > stripe->mask || (near = stripe->slots[at + DUTY_AHEAD]) == NULL)
        return;
    __builtin_prefetch(series_map_id(&store->map, near->id));
    __builtin_prefetch(near->pairs);
    if (near->id < verdicts->slot_count)
        __builtin_prefetch(&verdicts->slots[near->id]);
}

uint64_t duty_count_file(const struct store *store, uint64_t fp)
{
    struct series_file_stat stat;
    struct error ignored;

    return series_file_stat(store->folder->volume, fp, &stat, &ignored) == 0 ? stat.chunks : 0;
}

static uint64_t count_file(void *ctx, uint64_t fp)
{
    return duty_count_file(ctx, fp);
}

struct series_view duty_view(struct store *store, const struct duty *duty)
{
    return (struct series_view){
        .labels = duty->labels,
        .fp = duty->fp,
        .first_ms = duty->first_ms,
        .last_ms = duty->last_ms,
        .chunks = duty->chunks,
        .bytes = duty->chunks * SERIES_RECORD_BYTES,
        .archived = duty->archived,
        .uses = &store->use,
        .id = duty->id,
        .count_file = duty->uncounted ? count_file : NULL,
        .count_ctx = store,
    };
}

/* An answer is only remembered with the version of rules that gave it. */
static struct retention_verdict ask(struct store *store, const struct policy *policy,
                                    const struct duty *duty)
{
    struct series_view view = duty_view(store, duty);
    struct verdicts *verdicts = &store->folder->verdicts;
    uint32_t stamp = verdict_stamp(&store->use, duty->id);
    struct retention_verdict answer = policy->retention_of(policy->ctx, &view);

    if (policy == store->options.policy && version_of(policy) == verdicts->version)
        verdicts_put(verdicts, duty->id, duty->generation, &answer, stamp);
    return answer;
}

/* Earliest time that is kept, and nothing for ever. */
static int64_t keep_from(const struct store *store, int64_t keep_ms)
{
    int64_t before_ms;

    if (keep_ms == RETENTION_FOREVER ||
        __builtin_sub_overflow(store->folder->pass_now_ms, keep_ms, &before_ms))
        return TIDE_EARLIEST_MS;
    return before_ms;
}

struct duty_verdict duty_decide(struct store *store, const struct policy *policy,
                                const struct duty *duty)
{
    struct retention_verdict answer = {.keep_ms = RETENTION_DEFAULT};
    struct duty_verdict verdict = {0};

    if (policy_decides(policy))
        answer = duty->answered && policy == store->options.policy ? duty->said
                                                                   : ask(store, policy, duty);
    verdict.by_default = answer.keep_ms == RETENTION_DEFAULT;
    verdict.keep_ms = verdict.by_default ? store->options.retention_ms : answer.keep_ms;
    verdict.rule = verdict.by_default ? NULL : answer.rule;
    verdict.rules = retention_name(store, answer.rules);
    verdict.from_ms = keep_from(store, verdict.keep_ms);
    verdict.due = duty->first_ms < verdict.from_ms;
    verdict.kept = verdict.due && kept_holds(store, duty->fp, verdict.rules);
    verdict.due = verdict.due && !verdict.kept;
    return verdict;
}
