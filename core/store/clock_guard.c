/* clock_guard.c - see clock_guard.h. */
#include "store/clock_guard.h"

#include <stdio.h>

#include "base/logger.h"
#include "store/folder.h"

#define STATE_BYTES 256
/* The newest sample is looked for in all series so often, and while its age is doubtful. */
#define WALK_NS ((int64_t)3600 * 1000000000)
#define WALK_DOUBTFUL_NS ((int64_t)60 * 1000000000)

const char *clock_doubt_name(enum clock_doubt doubt)
{
    static const char *const names[] = {"trusted", "ahead", "jumped", "quiet"};

    return names[doubt];
}

/* --- the file: what must not be forgotten
 * --------------------------------------------------------------- */

static int save_state_locked(struct store *store, struct error *err)
{
    const struct clock_guard *guard = &store->folder->guard;
    struct volume *volume = store->folder->volume;
    struct volume_writer *writer = volume->replace(volume, CLOCK_STATE_FILE, err);
    char text[STATE_BYTES];
    int len = snprintf(text, sizeof(text),
                       "tidemark clock 1\ndoubt %s %" PRId64 "\nconfirmed %" PRId64 "\n",
                       clock_doubt_name(guard->doubt), guard->since_ms, guard->confirmed_ms);

    if (writer == NULL)
        return -1;
    if (writer->write(writer, text, (size_t)len, err) != 0 ||
        writer->finish(writer, true, err) != 0) {
        writer->discard(writer);
        return -1;
    }
    return writer->publish(writer, true, NULL, err);
}

/* With a retention of for ever there is nothing that the next start had to know. */
bool clock_guard_matters(const struct store *store)
{
    return store->options.retention_ms != RETENTION_FOREVER ||
           (store->options.policy != NULL && store->options.policy->retention_of != NULL);
}

static void doubt_locked(struct store *store, enum clock_doubt doubt)
{
    struct clock_guard *guard = &store->folder->guard;
    struct error err;

    guard->doubt = doubt;
    guard->since_ms = guard->wall_ms;
    logger_write(clock_guard_matters(store) ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG,
                 "the clock is doubted: nothing is deleted by age until POST "
                 "/api/v1/admin/tsdb/confirm",
                 "why=%s wall_ms=%" PRId64 " newest_sample_ms=%" PRId64 " slack_ms=%" PRId64,
                 clock_doubt_name(doubt), guard->wall_ms, guard->newest_ms,
                 store->options.clock_slack_ms);
    if (doubt != CLOCK_QUIET && clock_guard_matters(store) && save_state_locked(store, &err) != 0)
        log_error("the doubt could not be written down: the next start may not know of it",
                  "problem=\"%s\"", err.text);
}

/* "doubt ahead 1600000000000\nconfirmed -1\n"; false: it is no such text. */
static bool parse_state(struct clock_guard *guard, const char *text)
{
    char doubt[16];

    if (sscanf(text, "tidemark clock 1\ndoubt %15s %" SCNd64 "\nconfirmed %" SCNd64, doubt,
               &guard->since_ms, &guard->confirmed_ms) != 3)
        return false;
    for (int i = CLOCK_TRUSTED; i <= CLOCK_QUIET; i++) {
        if (strcmp(doubt, clock_doubt_name((enum clock_doubt)i)) == 0) {
            guard->doubt = (enum clock_doubt)i;
            return true;
        }
    }
    return false;
}

/* A file that cannot be read is a doubt: it may have held one. */
static int load_state(struct store *store, struct error *err)
{
    struct volume *volume = store->folder->volume;
    struct clock_guard *guard = &store->folder->guard;
    char text[STATE_BYTES + 1];
    size_t got;

    if (volume->read(volume, CLOCK_STATE_FILE, 0, text, STATE_BYTES, &got, err) != 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    text[got] = '\0';
    if (parse_state(guard, text))
        return 0;
    log_warn(CLOCK_STATE_FILE " cannot be read", NULL);
    guard->confirmed_ms = TIDE_EARLIEST_MS;
    guard->doubt = CLOCK_AHEAD;
    guard->since_ms = guard->wall_ms;
    return 0;
}

/* --- looking
 * --------------------------------------------------------------------------------------- */

static bool is_off(const struct store *store)
{
    return store->options.clock_slack_ms <= 0 || store->options.clock_slack_ms == CLOCK_SLACK_OFF;
}

/* Is the wall clock further than the slack beyond all that vouches for it? */
static bool is_far_ahead(const struct store *store, const struct clock_guard *guard)
{
    int64_t known_ms = TIDE_MAX(guard->newest_ms, guard->confirmed_ms), limit_ms;

    if (guard->newest_ms == TIDE_EARLIEST_MS)
        return false; /* nothing to lose */
    return !__builtin_add_overflow(known_ms, store->options.clock_slack_ms, &limit_ms) &&
           guard->wall_ms > limit_ms;
}

static void find_newest(struct store *store, int64_t mono_ns)
{
    struct clock_guard *guard = &store->folder->guard;
    int64_t min_ms = TIDE_LATEST_MS, max_ms = TIDE_EARLIEST_MS;

    store_time_range(store, &min_ms, &max_ms);
    guard->newest_ms = TIDE_MAX(guard->newest_ms, max_ms);
    guard->walked_mono_ns = mono_ns;
}

/* The step of the wall clock since the last look that the monotonic clock knows nothing of. */
static int64_t take_jump(struct store *store, int64_t mono_ns)
{
    struct clock_guard *guard = &store->folder->guard;
    int64_t wall_ms = clock_wall_ms(store->clock);
    int64_t jump_ms = wall_ms - guard->wall_ms - (mono_ns - guard->mono_ns) / 1000000;

    guard->wall_ms = wall_ms;
    guard->mono_ns = mono_ns;
    return jump_ms;
}

int clock_guard_open(struct store *store, struct error *err)
{
    struct clock_guard *guard = &store->folder->guard;

    guard->newest_ms = TIDE_EARLIEST_MS;
    guard->confirmed_ms = TIDE_EARLIEST_MS;
    guard->wall_ms = clock_wall_ms(store->clock);
    guard->mono_ns = clock_mono_ns(store->clock);
    if (load_state(store, err) != 0)
        return -1;
    find_newest(store, guard->mono_ns);
    if (is_off(store))
        return 0;
    lock_acquire(&guard->guard_lock);
    if (guard->doubt != CLOCK_TRUSTED)
        log_warn("the clock is doubted since an earlier run: nothing is deleted by age until POST "
                 "/api/v1/admin/tsdb/confirm",
                 "why=%s", clock_doubt_name(guard->doubt));
    else if (is_far_ahead(store, guard))
        doubt_locked(store, CLOCK_AHEAD);
    lock_release(&guard->guard_lock);
    return 0;
}

/* What is still doubted without a jump or a start behind it goes by what samples say. */
static void judge_quiet_locked(struct store *store, bool walk, int64_t mono_ns)
{
    struct clock_guard *guard = &store->folder->guard;

    int64_t walk_ns = is_far_ahead(store, guard) ? WALK_DOUBTFUL_NS : WALK_NS;

    if (walk || guard->newest_ms == TIDE_EARLIEST_MS || mono_ns - guard->walked_mono_ns >= walk_ns)
        find_newest(store, mono_ns);
    if (guard->doubt == CLOCK_TRUSTED && is_far_ahead(store, guard)) {
        doubt_locked(store, CLOCK_QUIET);
    } else if (guard->doubt == CLOCK_QUIET && !is_far_ahead(store, guard)) {
        guard->doubt = CLOCK_TRUSTED;
        guard->since_ms = 0;
        log_info("samples are near the clock again: deletions by age go on", NULL);
    }
}

bool clock_guard_holds(struct store *store, bool walk)
{
    struct clock_guard *guard = &store->folder->guard;
    int64_t mono_ns = clock_mono_ns(store->clock);
    bool holds;

    if (is_off(store))
        return false;
    lock_acquire(&guard->guard_lock);
    /* A jump that ends near the newest sample of before is a clock that was put right. (Of before:
     * senders on this machine jump with it.) */
    if (take_jump(store, mono_ns) > store->options.clock_slack_ms && is_far_ahead(store, guard) &&
        (guard->doubt == CLOCK_TRUSTED || guard->doubt == CLOCK_QUIET))
        doubt_locked(store, CLOCK_JUMPED);
    if (guard->doubt == CLOCK_TRUSTED || guard->doubt == CLOCK_QUIET)
        judge_quiet_locked(store, walk, mono_ns);
    holds = guard->doubt != CLOCK_TRUSTED;
    lock_release(&guard->guard_lock);
    return holds;
}

/* --- for people
 * ------------------------------------------------------------------------------------ */

void store_clock_get(struct store *store, struct store_clock *out)
{
    struct clock_guard *guard;

    *out = (struct store_clock){
        .wall_ms = clock_wall_ms(store->clock),
        .newest_ms = TIDE_EARLIEST_MS,
        .confirmed_ms = TIDE_EARLIEST_MS,
        .slack_ms = is_off(store) ? CLOCK_SLACK_OFF : store->options.clock_slack_ms,
    };
    if (store->folder == NULL)
        return;
    guard = &store->folder->guard;
    lock_acquire(&guard->guard_lock);
    out->doubt = is_off(store) ? CLOCK_TRUSTED : guard->doubt;
    out->since_ms = out->doubt != CLOCK_TRUSTED ? guard->since_ms : 0;
    out->newest_ms = guard->newest_ms;
    out->confirmed_ms = guard->confirmed_ms;
    lock_release(&guard->guard_lock);
}

int store_clock_confirm(struct store *store, const char *by, struct error *err)
{
    struct clock_guard *guard;
    enum clock_doubt doubt;
    int result;

    if (store->folder == NULL)
        return error_set(err, ERR_UNSUPPORTED, "this store is in memory only: it doubts no clock");
    guard = &store->folder->guard;
    lock_acquire(&guard->guard_lock);
    doubt = guard->doubt;
    take_jump(store, clock_mono_ns(store->clock));
    guard->doubt = CLOCK_TRUSTED;
    guard->since_ms = 0;
    guard->confirmed_ms = guard->wall_ms;
    result = save_state_locked(store, err);
    lock_release(&guard->guard_lock);
    log_info("the clock is confirmed: deletions by age go on", "by=\"%s\" doubt=%s", by,
             clock_doubt_name(doubt));
    return result == 0 ? 0 : error_note(err, "confirmed, but not for the next start");
}
