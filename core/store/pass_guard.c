/* pass_guard.c - see pass_guard.h. */
#include "store/pass_guard.h"

#include <stdio.h>

#include "base/logger.h"
#include "base/mem.h"
#include "store/pass_parts.h"

#define STATE_BYTES 512
/* Under other rules than those of the last pass, so much time at most explains what goes. */
#define EXPLAINED_MS ((int64_t)6 * 3600 * 1000)

/* --- the file: what must not be forgotten
 * --------------------------------------------------------------- */

static int save_locked(struct store *store, struct error *err)
{
    struct pass_guard *guard = &store->folder->pass_guard;
    struct volume *volume = store->folder->volume;
    struct volume_writer *writer = volume->replace(volume, PASS_STATE_FILE, err);
    const struct store_hold *hold = &guard->hold;
    char text[STATE_BYTES];
    int len = snprintf(
        text, sizeof(text),
        "tidemark retention 1\nsettled %016" PRIx64 " %" PRId64 "\nheld %s %016" PRIx64 " %" PRIu64
        " %" PRId64 "\nconfirmed %016" PRIx64 " %" PRIu64 "\n",
        guard->settled, guard->passed_ms, hold->id[0] != '\0' ? hold->id : "-", hold->rules,
        guard->hold_limit, hold->since_ms, guard->confirmed, guard->confirmed_chunks);

    if (writer == NULL)
        return -1;
    if (writer->write(writer, text, (size_t)len, err) != 0 ||
        writer->finish(writer, true, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    guard->unsaved = false;
    return writer->publish(writer, true, NULL, err);
}

/* Where nothing goes by age there is nothing that the next start had to know. */
static void save_quietly_locked(struct store *store)
{
    struct error err;

    store->folder->pass_guard.unsaved = true;
    if (clock_guard_matters(store) && save_locked(store, &err) != 0)
        log_error(PASS_STATE_FILE " could not be written: the next start does not know of the last "
                                  "pass",
                  "problem=\"%s\"", err.text);
}

static bool parse_state(struct pass_guard *guard, const char *text)
{
    struct store_hold *hold = &guard->hold;

    if (sscanf(text,
               "tidemark retention 1\nsettled %" SCNx64 " %" SCNd64 "\nheld %16s %" SCNx64
               " %" SCNu64 " %" SCNd64 "\nconfirmed %" SCNx64 " %" SCNu64,
               &guard->settled, &guard->passed_ms, hold->id, &hold->rules, &guard->hold_limit,
               &hold->since_ms, &guard->confirmed, &guard->confirmed_chunks) != 8)
        return false;
    if (hold->id[0] == '-')
        *hold = (struct store_hold){0};
    return true;
}

/* One that cannot be read is one of a store whose last pass nobody knows. */
int pass_guard_open(struct store *store, struct error *err)
{
    struct volume *volume = store->folder->volume;
    struct pass_guard *guard = &store->folder->pass_guard;
    char text[STATE_BYTES + 1];
    size_t got = 0;

    guard->passed_ms = TIDE_EARLIEST_MS;
    if (volume->read(volume, PASS_STATE_FILE, 0, text, STATE_BYTES, &got, err) != 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        if (!store->folder->fresh)
            return 0;
        guard->settled = retention_name_now(store); /* nothing is there that could go */
        guard->passed_ms = clock_wall_ms(store->clock);
        guard->unsaved = true;
        return 0;
    }
    text[got] = '\0';
    if (!parse_state(guard, text)) {
        log_warn(PASS_STATE_FILE " cannot be read: the next pass counts as the first one", NULL);
        guard->settled = guard->confirmed = 0;
        guard->passed_ms = TIDE_EARLIEST_MS;
        guard->hold = (struct store_hold){0};
    }
    guard->open_for = guard->confirmed;
    guard->budget = guard->confirmed_chunks;
    return 0;
}

void pass_guard_close(struct store *store)
{
    struct pass_guard *guard = &store->folder->pass_guard;

    lock_acquire(&guard->guard_lock);
    if (guard->unsaved)
        save_quietly_locked(store);
    lock_release(&guard->guard_lock);
}

/* --- a pass
 * ----------------------------------------------------------------------------------------- */

void pass_guard_begin(struct store *store)
{
    struct pass_guard *guard = &store->folder->pass_guard;

    guard->walking = true;
    guard->walk_spoilt = guard->walk_deferred = false;
    guard->walk_rules = retention_name_now(store);
    guard->walk_began_ms = clock_wall_ms(store->clock);
}

void pass_guard_spoil(struct store *store)
{
    store->folder->pass_guard.walk_spoilt = true;
}

static void settle_locked(struct store *store)
{
    struct pass_guard *guard = &store->folder->pass_guard;

    if (guard->settled != guard->walk_rules)
        log_info("the first pass of retention under these rules is done",
                 "rules=%016" PRIx64 " trash=%s thinned=%s", guard->walk_rules,
                 pass_trash_id(store, PASS_TRASH_DROPPED),
                 pass_trash_id(store, PASS_TRASH_THINNED));
    guard->settled = guard->walk_rules;
    guard->open_for = guard->confirmed = 0;
    guard->confirmed_chunks = guard->budget = 0;
    guard->hold = (struct store_hold){0};
}

void pass_guard_end(struct store *store)
{
    struct pass_guard *guard = &store->folder->pass_guard;

    if (!guard->walking)
        return;
    guard->walking = false;
    if (guard->walk_spoilt || clock_guard_holds(store, false) ||
        retention_name_now(store) != guard->walk_rules) {
        guard->survey_wanted = true;
    } else {
        lock_acquire(&guard->guard_lock);
        guard->passed_ms = guard->walk_began_ms;
        guard->survey_wanted = guard->walk_deferred;
        if (!guard->walk_deferred)
            settle_locked(store);
        save_quietly_locked(store);
        lock_release(&guard->guard_lock);
    }
    pass_trash_end(store);
}

int64_t pass_guard_known_ms(const struct store *store, uint64_t rules, int64_t from_ms)
{
    const struct folder *folder = store->folder;
    const struct pass_guard *guard = &folder->pass_guard;
    int64_t since_ms, known_ms;

    if (guard->passed_ms == TIDE_EARLIEST_MS ||
        __builtin_sub_overflow(folder->pass_now_ms, guard->passed_ms, &since_ms))
        return TIDE_LATEST_MS;
    if (guard->settled != rules)
        since_ms = TIDE_MIN(since_ms, EXPLAINED_MS);
    if (__builtin_sub_overflow(from_ms, TIDE_MAX(since_ms, (int64_t)0), &known_ms))
        return TIDE_LATEST_MS;
    return known_ms;
}

bool pass_guard_allows(struct store *store, uint64_t rules, uint64_t surprising, uint64_t chunks)
{
    struct pass_guard *guard = &store->folder->pass_guard;
    bool allowed = surprising == 0;

    if (allowed)
        return true;
    lock_acquire(&guard->guard_lock);
    if (guard->open_for == rules && guard->budget >= chunks) {
        guard->budget -= chunks;
        allowed = true;
    } else {
        guard->open_for = 0;
        guard->walk_deferred = true;
        guard->survey_wanted = guard->survey_wanted || guard->hold.rules != rules;
        counter_add(&store->counters.drops_held, 1);
    }
    lock_release(&guard->guard_lock);
    return allowed;
}

bool pass_guard_is_first(const struct store *store, uint64_t rules)
{
    return store->folder->pass_guard.settled != rules;
}

/* --- the survey
 * ------------------------------------------------------------------------------------- */

static uint64_t least_chunks(const struct store *store)
{
    return store->options.hold_least_bytes / SERIES_RECORD_BYTES;
}

static uint64_t share_of(const struct store *store, uint64_t chunks)
{
    return (uint64_t)((double)chunks * store->options.hold_share);
}

static bool is_much(const struct store *store, uint64_t chunks, uint64_t all_chunks)
{
    return chunks >= least_chunks(store) && chunks > share_of(store, all_chunks);
}

bool pass_guard_would_hold(struct store *store, uint64_t rules, uint64_t chunks,
                           uint64_t all_chunks)
{
    struct pass_guard *guard = &store->folder->pass_guard;
    bool open;

    lock_acquire(&guard->guard_lock);
    open = guard->open_for == rules && guard->budget >= chunks;
    lock_release(&guard->guard_lock);
    return !open && is_much(store, chunks, all_chunks);
}

static void name_hold(const struct store *store, struct store_hold *hold)
{
    uint64_t mixed = (hold->rules ^ (uint64_t)hold->since_ms) * UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ (uint64_t)clock_mono_ns(store->clock)) * UINT64_C(0xff51afd7ed558ccd);
    snprintf(hold->id, sizeof(hold->id), "%016" PRIx64, mixed ^ mixed >> 32);
}

static void hold_locked(struct store *store, struct store_hold *found)
{
    struct pass_guard *guard = &store->folder->pass_guard;
    const struct store_hold *held = &guard->hold;
    bool same =
        held->id[0] != '\0' && held->rules == found->rules && found->chunks <= guard->hold_limit;

    if (same) {
        memcpy(found->id, held->id, sizeof(found->id));
        found->since_ms = held->since_ms;
        guard->hold = *found;
        return;
    }
    found->since_ms = clock_wall_ms(store->clock);
    name_hold(store, found);
    guard->hold = *found;
    guard->hold_limit = found->chunks + TIDE_MAX(found->chunks / 10, least_chunks(store) / 10);
    log_warn("a pass of retention is held: it would drop more than retention.hold_share; POST "
             "/api/v1/admin/tsdb/confirm?id=ID lets it go on",
             "id=%s series=%" PRIu64 " chunks=%" PRIu64 " of=%" PRIu64 " bytes=%" PRIu64
             " first_ms=%" PRId64 " last_ms=%" PRId64 " rules=%016" PRIx64,
             found->id, found->series, found->chunks, found->all_chunks, found->bytes,
             found->first_ms, found->last_ms, found->rules);
    save_quietly_locked(store);
}

static void judge(struct store *store)
{
    struct pass_guard *guard = &store->folder->pass_guard;
    struct store_hold found = guard->survey;

    guard->surveying = false;
    guard->survey_wanted = false;
    lock_acquire(&guard->guard_lock);
    if (guard->confirmed == found.rules && guard->confirmed_chunks >= found.chunks) {
        guard->open_for = found.rules;
        guard->budget = guard->confirmed_chunks;
    } else if (!is_much(store, found.chunks, found.all_chunks)) {
        if (guard->hold.id[0] != '\0')
            log_info("the pass that was held would not drop much any more: it goes on", "id=%s",
                     guard->hold.id);
        guard->hold = (struct store_hold){0};
        guard->open_for = found.rules;
        guard->budget = TIDE_MAX(share_of(store, found.all_chunks), least_chunks(store));
    } else {
        guard->open_for = 0;
        hold_locked(store, &found);
    }
    lock_release(&guard->guard_lock);
}

static void begin_survey(struct store *store)
{
    struct pass_guard *guard = &store->folder->pass_guard;

    guard->surveying = true;
    guard->survey_at = 0;
    guard->survey = (struct store_hold){
        .rules = retention_name_now(store),
        .first_ms = TIDE_LATEST_MS,
        .last_ms = TIDE_EARLIEST_MS,
    };
}

/* A series that nothing is due of, and whose chunks are known, is only counted. */
static void note(struct store *store, const struct series *series, struct duties *duties)
{
    struct store_hold *survey = &store->folder->pass_guard.survey;
    struct duty duty;

    if (!series->has_samples)
        return;
    duty = duty_of(store, series);
    survey->all_chunks += duty.chunks;
    duty_recall(store, &duty);
    if (duty.answered && !duty.uncounted &&
        (series->busy || !duty_decide(store, store->options.policy, &duty).due))
        return;
    if (!duty.answered)
        duty.labels = series_labels_locked(store, series);
    duties_add(duties, &duty);
}

static int survey_duty(struct store *store, const struct duty *duty, struct error *err)
{
    struct store_hold *survey = &store->folder->pass_guard.survey;
    struct duty_verdict verdict = duty_decide(store, store->options.policy, duty);
    struct drop_order order = drop_order_of(duty, &verdict);
    struct drop_count count;

    if (duty->uncounted)
        survey->all_chunks += duty_count_file(store, duty->fp);
    if (!verdict.due)
        return 0;
    if (retention_count(store, &order, false, &count, err) != 0)
        return err->code == ERR_IO ? -1 : 0; /* a damaged file loses nothing by age */
    if (count.surprising == 0)
        return 0;
    survey->series++;
    survey->chunks += count.removed.chunks;
    survey->bytes += count.removed.bytes;
    survey->first_ms = TIDE_MIN(survey->first_ms, count.removed.first_ms);
    survey->last_ms = TIDE_MAX(survey->last_ms, count.removed.last_ms);
    return 0;
}

static int survey_stripe(struct store *store, struct stripe *stripe, struct error *err)
{
    struct duties duties = {0};
    int result = 0;

    duty_begin(store);
    lock_acquire(&stripe->stripe_lock);
    for (uint32_t i = 0; stripe->slots != NULL && i <= stripe->mask; i++) {
        duty_prefetch(store, stripe, i);
        if (stripe->slots[i] != NULL)
            note(store, stripe->slots[i], &duties);
    }
    lock_release(&stripe->stripe_lock);
    for (size_t i = 0; i < duties.count && result == 0; i++)
        result = survey_duty(store, &duties.items[i], err);
    duties_destroy(&duties);
    return result;
}

bool pass_guard_wants_survey(struct store *store)
{
    struct pass_guard *guard = &store->folder->pass_guard;
    uint64_t rules = retention_name_now(store);
    bool known;

    if (!clock_guard_matters(store) || clock_guard_holds(store, false))
        return false;
    lock_acquire(&guard->guard_lock);
    known = guard->settled == rules || guard->open_for == rules ||
            (guard->hold.rules == rules && guard->hold.chunks != 0);
    lock_release(&guard->guard_lock);
    return guard->surveying || guard->survey_wanted || !known;
}

int pass_guard_survey(struct store *store, uint32_t stripes, struct error *err)
{
    struct pass_guard *guard = &store->folder->pass_guard;

    if (!pass_guard_wants_survey(store))
        return 0;
    if (!guard->surveying || guard->survey.rules != retention_name_now(store))
        begin_survey(store);
    for (; stripes > 0 && guard->survey_at < SERIES_STRIPES; stripes--) {
        if (survey_stripe(store, &store->map.stripes[guard->survey_at], err) != 0)
            return -1;
        guard->survey_at++;
    }
    if (guard->survey_at == SERIES_STRIPES)
        judge(store);
    return 0;
}

/* --- for people
 * ------------------------------------------------------------------------------------ */

void store_hold_get(struct store *store, struct store_hold *hold)
{
    struct pass_guard *guard;

    *hold = (struct store_hold){0};
    if (store->folder == NULL)
        return;
    guard = &store->folder->pass_guard;
    lock_acquire(&guard->guard_lock);
    *hold = guard->hold;
    lock_release(&guard->guard_lock);
}

static void tell_confirmed(struct store *store, const struct store_hold *hold, const char *by)
{
    struct removal told = {
        .time_ms = clock_wall_ms(store->clock),
        .from_ms = TIDE_EARLIEST_MS,
        .to_ms = hold->last_ms,
        .first_ms = hold->first_ms,
        .last_ms = hold->last_ms,
        .series = hold->series,
        .chunks = hold->chunks,
        .bytes = hold->bytes,
        .rules = hold->rules,
    };

    snprintf(told.id, sizeof(told.id), "%s", hold->id);
    snprintf(told.by, sizeof(told.by), "%s", by);
    audit_write(store, "confirm", &told);
    log_info("a held pass of retention is confirmed: it goes on",
             "id=%s by=\"%s\" series=%" PRIu64 " chunks=%" PRIu64, hold->id, by, hold->series,
             hold->chunks);
}

int store_hold_confirm(struct store *store, const char *id, const char *by, struct error *err)
{
    struct pass_guard *guard;
    struct store_hold hold;
    int result = 0;

    if (store->folder == NULL)
        return error_set(err, ERR_UNSUPPORTED, "this store is in memory only: it holds no pass");
    guard = &store->folder->pass_guard;
    lock_acquire(&guard->guard_lock);
    hold = guard->hold;
    if (hold.id[0] == '\0' || strcmp(hold.id, id) != 0) {
        lock_release(&guard->guard_lock);
        return error_set(err, ERR_NOT_FOUND, "nothing is held under \"%.40s\"%s%s", id,
                         hold.id[0] != '\0' ? "; now it is " : "", hold.id);
    }
    guard->confirmed = guard->open_for = hold.rules;
    guard->confirmed_chunks = guard->budget = guard->hold_limit;
    guard->hold = (struct store_hold){0};
    result = save_locked(store, err);
    lock_release(&guard->guard_lock);
    tell_confirmed(store, &hold, by);
    return result == 0 ? 0 : error_note(err, "confirmed, but not for the next start");
}
