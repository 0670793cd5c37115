/* downsample.c - see downsample.h. */
#include "store/downsample.h"

#include "base/mem.h"
#include "store/folder.h"
#include "store/pass_parts.h"

/* A file is looked at again when so much more of it is old, if that is no part of `after`. */
#define STEP_MS ((int64_t)24 * 3600 * 1000)
#define STEPS_IN_AFTER 16

bool policy_downsamples(const struct policy *policy)
{
    return policy != NULL && policy->downsample_of != NULL && policy->downsamples(policy->ctx);
}

/* --- what is to be done
 * ------------------------------------------------------------------------------- */

static uint64_t hash(uint64_t sum, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    return sum;
}

/* Rules that do the same have the same; functions are told apart by their titles. */
static uint64_t identity_of(const struct downsample_verdict *verdict)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (size_t i = 0; i < verdict->count; i++) {
        const struct downsample_tier *tier = &verdict->tiers[i];
        int64_t numbers[] = {tier->after_ms, tier->every_ms, (int64_t)tier->method};

        sum = hash(sum, numbers, sizeof(numbers));
        if (tier->method == DOWNSAMPLE_FUNCTION)
            sum = hash(sum, tier->rule, strlen(tier->rule));
    }
    return sum;
}

/* End of the last window that is older than the tier's age at some time. */
static int64_t cut_of(const struct downsample_tier *tier, int64_t as_of_ms)
{
    int64_t before_ms;

    if (as_of_ms == TIDE_EARLIEST_MS ||
        __builtin_sub_overflow(as_of_ms, tier->after_ms, &before_ms))
        return TIDE_EARLIEST_MS;
    return reduce_floor(before_ms, tier->every_ms);
}

/* The time up to which windows may be thinned out: what is behind is in memory, or the newest. */
static bool find_limit(struct store *store, const struct duty *duty, int64_t *limit_ms, bool *quiet)
{
    struct stripe *stripe;
    struct series *series = lock_fp(store, duty->fp, &stripe);
    int64_t memory_ms = TIDE_LATEST_MS;
    bool found;

    if (series == NULL)
        return false;
    found = series->has_samples && !series->busy && !series->broken;
    if (found && !series->archived)
        memory_ms = edits_memory_from(series);
    *limit_ms = TIDE_MIN(series->last_ms, memory_ms);
    *quiet = memory_ms == TIDE_LATEST_MS;
    found = found && *limit_ms != TIDE_EARLIEST_MS;
    lock_release(&stripe->stripe_lock);
    if (found)
        (*limit_ms)--;
    return found;
}

/* What remains of each tier. True: there is something. */
static bool find_tiers(struct thin_job *job, const struct done_entry *done)
{
    int64_t lower_ms = TIDE_EARLIEST_MS;

    job->tier_count = 0;
    for (size_t i = 0; i < job->verdict.count; i++) {
        const struct downsample_tier *tier = &job->verdict.tiers[i];
        int64_t limit_ms = reduce_floor(job->limit_ms, tier->every_ms);
        int64_t to_ms = TIDE_MIN(cut_of(tier, job->as_of_ms), limit_ms);
        int64_t known_ms = TIDE_EARLIEST_MS, from_ms;

        if (done != NULL)
            known_ms = TIDE_MIN(cut_of(tier, done->as_of_ms),
                                reduce_floor(done->limit_ms, tier->every_ms));
        from_ms = known_ms;
        if (done != NULL && done->late_ms != TIDE_LATEST_MS)
            from_ms = TIDE_MIN(from_ms, reduce_floor(done->late_ms - 1, tier->every_ms));
        from_ms = TIDE_MAX(from_ms, lower_ms);
        lower_ms = TIDE_MAX(lower_ms, to_ms);
        if (from_ms < to_ms)
            job->tiers[job->tier_count++] = (struct reduce_tier){
                .from_ms = from_ms,
                .to_ms = to_ms,
                .known_ms = known_ms,
                .every_ms = tier->every_ms,
                .method = tier->method,
                .rule = tier->rule,
            };
    }
    return job->tier_count != 0;
}

/* Was the file looked at only just now? */
static bool is_early(const struct thin_job *job, const struct done_entry *done)
{
    const struct downsample_tier *youngest = &job->verdict.tiers[job->verdict.count - 1];
    int64_t step_ms = TIDE_MIN(STEP_MS, youngest->after_ms / STEPS_IN_AFTER);

    step_ms = TIDE_MAX(step_ms, youngest->every_ms);
    return done->looked_ms != TIDE_EARLIEST_MS && job->as_of_ms >= done->looked_ms &&
           job->as_of_ms - done->looked_ms < step_ms;
}

bool downsample_prepare(struct store *store, const struct policy *policy, const struct duty *duty,
                        struct thin_job *job)
{
    struct series_view view = duty_view(store, duty);
    struct done_entry *done;
    uint64_t rules;
    bool quiet;

    *job = (struct thin_job){.fp = duty->fp, .policy = policy};
    policy->downsample_of(policy->ctx, &view, &job->verdict);
    rules = retention_name(store, job->verdict.rules);
    job->trash = pass_guard_is_first(store, rules);
    if (job->verdict.count == 0 || kept_holds(store, duty->fp, rules) ||
        !find_limit(store, duty, &job->limit_ms, &quiet))
        return false;
    job->as_of_ms = clock_wall_ms(store->clock);
    job->identity = identity_of(&job->verdict);
    done = done_table_find(&store->folder->done, duty->fp);
    if (done != NULL && (done->identity != job->identity || is_early(job, done))) {
        if (done->identity == job->identity)
            return false;
        done = NULL;
    }
    if (!find_tiers(job, done))
        return false;
    /* What a quiet series has in its file now is all: it need not wait for more. */
    job->least_share = store->options.min_shrink_ratio;
    if (quiet &&
        cut_of(&job->verdict.tiers[job->verdict.count - 1], job->as_of_ms) >=
            reduce_floor(job->limit_ms, job->verdict.tiers[job->verdict.count - 1].every_ms))
        job->least_share = 0;
    return true;
}

void thin_job_destroy(struct thin_job *job)
{
    reducer_destroy(&job->reducer);
}

/* --- what was done
 * ------------------------------------------------------------------------------------- */

/* The tier to which the chunks are counted: the one that took most. */
static size_t main_tier(const struct thin_job *job)
{
    size_t most = 0;

    for (size_t i = 1; i < job->tier_count; i++) {
        if (job->reducer.removed[i] > job->reducer.removed[most])
            most = i;
    }
    return most;
}

bool thin_job_removed(const struct thin_job *job, size_t tier, struct removal *removed)
{
    const struct reducer *reducer = &job->reducer;

    if (job->end != THIN_DONE || !job->changed || reducer->removed[tier] == 0)
        return false;
    *removed = (struct removal){
        .series = 1,
        .samples = reducer->removed[tier],
        .first_ms = reducer->first_ms[tier],
        .last_ms = reducer->last_ms[tier],
        .from_ms = TIDE_EARLIEST_MS,
        .to_ms = job->tiers[tier].to_ms,
    };
    if (tier == main_tier(job) && job->chunks_before > job->chunks_after)
        removed->chunks = job->chunks_before - job->chunks_after;
    removed->bytes = removed->chunks * SERIES_RECORD_BYTES;
    return true;
}

static void account(struct store *store, const struct thin_job *job)
{
    bool counted = false;

    for (size_t i = 0; i < job->tier_count; i++) {
        struct removal removed, in_trash;

        if (!thin_job_removed(job, i, &removed))
            continue;
        counter_add(&store->counters.thinned_samples, removed.samples);
        if (job->trash) {
            memcpy(removed.id, pass_trash_id(store, PASS_TRASH_THINNED), sizeof(removed.id));
            in_trash = removed;
            in_trash.series = !counted; /* once, of however many tiers */
            counted = true;
            pass_trash_count(store, PASS_TRASH_THINNED, &in_trash);
        }
        audit_thin_add(store, job->tiers[i].rule, &removed);
    }
}

/* Remembers how far the series is now. */
static void remember(struct store *store, const struct thin_job *job)
{
    struct done_table *table = &store->folder->done;
    const struct done_entry *before = done_table_find(table, job->fp);
    struct done_entry after = {
        .fp = job->fp,
        .identity = job->identity,
        .as_of_ms = TIDE_EARLIEST_MS,
        .limit_ms = TIDE_EARLIEST_MS,
        .late_ms = TIDE_LATEST_MS,
    };

    if (job->end != THIN_DONE)
        return;
    if (job->postponed && before != NULL && before->identity == job->identity)
        after = *before;
    if (!job->postponed) {
        after.as_of_ms = job->as_of_ms;
        after.limit_ms = job->limit_ms;
    }
    after.looked_ms = job->as_of_ms;
    done_table_put(table, &after);
}

static int run_jobs(struct store *store, struct thin_job *jobs, size_t count, struct error *err)
{
    int result = merge_thin(store, jobs, count, err);

    for (size_t i = 0; i < count; i++) {
        account(store, &jobs[i]);
        remember(store, &jobs[i]);
        thin_job_destroy(&jobs[i]);
    }
    return result;
}

int downsample_stripe(struct store *store, const struct duties *duties, bool held,
                      struct error *err)
{
    const struct policy *policy = store->options.policy;
    struct thin_job *jobs;
    size_t count = 0;
    int result = 0;

    if (!policy_downsamples(policy) || duties->count == 0)
        return 0;
    jobs = mem_alloc(TIDE_MIN(duties->count, (size_t)THIN_ROUND) * sizeof(*jobs));
    for (size_t i = 0; i < duties->count && result == 0; i++) {
        if (!downsample_prepare(store, policy, &duties->items[i], &jobs[count]))
            continue;
        if (held) {
            counter_add(&store->counters.drops_held, 1);
            continue;
        }
        if (++count < THIN_ROUND)
            continue;
        result = run_jobs(store, jobs, count, err);
        count = 0;
    }
    if (count != 0 && result == 0)
        result = run_jobs(store, jobs, count, err);
    mem_free(jobs);
    return result;
}
