/* scheduler.c - see scheduler.h: when what runs. What a run does is in run_rule.c. */
#include "script/scheduler.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "script/rulebook_impl.h"
#include "script/run_rule.h"

#define DEFAULT_TIME_MS 10000
#define DEFAULT_WEBHOOK_MS 10000
#define DEFAULT_RESEND_MS 60000
/* With timers the clock is looked at so often, for it may be set; without any, disks are. */
#define LONGEST_SLEEP_MS 1000
#define IDLE_SLEEP_MS 30000
#define DISK_CHECK_MS 30000
/* So little free space is an event, once until there was more again. */
#define DISK_LOW_SHARE 0.1

/* One rule with an interval. */
struct timer {
    const struct rule *rule; /* of the state's set */
    int64_t due_ms;
};

struct scheduler {
    struct rule_runner runner;
    struct timer *timers;
    size_t count;
    uint64_t version; /* of the rules that the timers are of */
    struct thread thread;
    int stopping; /* atomic */
    int64_t disk_checked_ms;
    bool disk_was_low;
    uint64_t missed; /* atomic: runs that were left out */
};

static int64_t next_due(int64_t now_ms, int64_t every_ms)
{
    return (now_ms / every_ms + 1) * every_ms;
}

static bool is_timed(const struct rule *rule)
{
    return rule->every_ms != 0;
}

/* When it was due by the rules before; 0: it is new. */
static int64_t due_before(const struct timer *timers, size_t count, const struct rule *rule)
{
    for (size_t i = 0; i < count; i++) {
        if (timers[i].rule->hook == rule->hook && timers[i].rule->every_ms == rule->every_ms &&
            strcmp(timers[i].rule->title, rule->title) == 0)
            return timers[i].due_ms;
    }
    return 0;
}

/* The timers of the rules in force. `old` keeps the rules of the timers before alive. */
static void take_rules(struct scheduler *scheduler, struct ruleset *set, int64_t now_ms)
{
    struct timer *timers = mem_zalloc(set->rule_count + 1, sizeof(*timers));
    size_t count = 0;

    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rule *rule = &set->rules[i];
        int64_t due_ms;

        if (!is_timed(rule))
            continue;
        due_ms = due_before(scheduler->timers, scheduler->count, rule);
        timers[count++] =
            (struct timer){rule, due_ms != 0 ? due_ms : next_due(now_ms, rule->every_ms)};
    }
    mem_free(scheduler->timers);
    scheduler->timers = timers;
    scheduler->count = count;
    rule_runner_take_rules(&scheduler->runner, set);
}

/* The first that is due; NULL: none. */
static struct timer *find_due(struct scheduler *scheduler, int64_t now_ms)
{
    struct timer *first = NULL;

    for (size_t i = 0; i < scheduler->count; i++) {
        struct timer *timer = &scheduler->timers[i];

        if (timer->due_ms <= now_ms && (first == NULL || timer->due_ms < first->due_ms))
            first = timer;
    }
    return first;
}

static void check_disk(struct scheduler *scheduler, int64_t now_ms)
{
    const char *folder = scheduler->runner.actor.host.data_dir;
    struct statvfs stat;
    double free_bytes, all_bytes;
    bool low;

    if (folder == NULL || now_ms - scheduler->disk_checked_ms < DISK_CHECK_MS ||
        !events_wanted(scheduler->runner.book->events, EVENT_DISK_LOW))
        return;
    scheduler->disk_checked_ms = now_ms;
    if (statvfs(folder, &stat) != 0)
        return;
    free_bytes = (double)stat.f_bavail * (double)stat.f_frsize;
    all_bytes = (double)stat.f_blocks * (double)stat.f_frsize;
    low = free_bytes < DISK_LOW_SHARE * all_bytes;
    if (low && !scheduler->disk_was_low)
        events_put(scheduler->runner.book->events, &(struct script_event){.kind = EVENT_DISK_LOW,
                                                                          .time_ms = now_ms,
                                                                          .number = free_bytes,
                                                                          .bound = all_bytes});
    scheduler->disk_was_low = low;
}

static size_t run_events(struct scheduler *scheduler)
{
    struct script_event event;
    size_t ran = 0;

    /* No more than were there at first: those that they cause wait for the next round. */
    for (size_t i = 0; i < EVENTS_MAX && events_take(scheduler->runner.book->events, &event); i++) {
        if (scheduler->runner.book->sink != NULL)
            scheduler->runner.book->sink->event(scheduler->runner.book->sink->ctx, &event);
        ran += rule_runner_event(&scheduler->runner, &event);
        labels_unref(event.labels);
        if (__atomic_load_n(&scheduler->stopping, __ATOMIC_RELAXED))
            break;
    }
    return ran;
}

size_t scheduler_run_due(struct scheduler *scheduler)
{
    struct rulebook *book = scheduler->runner.book;
    struct script_state *state = script_state_of(book);
    int64_t now_ms = clock_wall_ms(book->clock);
    struct timer *timer;
    size_t ran = 0;

    if (state->set->version != scheduler->version) {
        scheduler->version = state->set->version;
        take_rules(scheduler, state->set, now_ms);
    }
    check_disk(scheduler, now_ms);
    while ((timer = find_due(scheduler, now_ms)) != NULL) {
        int64_t due_ms = timer->due_ms, every_ms = timer->rule->every_ms;

        /* A run that was missed, or a clock that jumped: only the newest counts. */
        if (now_ms - due_ms >= every_ms) {
            __atomic_add_fetch(&scheduler->missed, (uint64_t)((now_ms - due_ms) / every_ms),
                               __ATOMIC_RELAXED);
            due_ms = now_ms / every_ms * every_ms;
        }
        timer->due_ms = due_ms + every_ms;
        rule_runner_timer(&scheduler->runner, timer->rule, due_ms);
        ran++;
        if (__atomic_load_n(&scheduler->stopping, __ATOMIC_RELAXED))
            return ran;
    }
    return ran + run_events(scheduler);
}

int64_t scheduler_next_due_ms(const struct scheduler *scheduler)
{
    int64_t next_ms = INT64_MAX;

    for (size_t i = 0; i < scheduler->count; i++)
        next_ms = TIDE_MIN(next_ms, scheduler->timers[i].due_ms);
    return next_ms;
}

static int64_t sleep_ms(const struct scheduler *scheduler)
{
    int64_t now_ms = clock_wall_ms(scheduler->runner.book->clock);
    int64_t sleep = scheduler->count > 0 ? LONGEST_SLEEP_MS : IDLE_SLEEP_MS;

    for (size_t i = 0; i < scheduler->count; i++) {
        int64_t left_ms = scheduler->timers[i].due_ms - now_ms;

        if (left_ms < -scheduler->timers[i].rule->every_ms) /* the clock was set back */
            left_ms = LONGEST_SLEEP_MS;
        sleep = TIDE_MIN(sleep, left_ms);
    }
    return TIDE_MAX(sleep, 1);
}

static void *run(void *arg)
{
    struct scheduler *scheduler = arg;

    while (!__atomic_load_n(&scheduler->stopping, __ATOMIC_RELAXED)) {
        scheduler_run_due(scheduler);
        if (__atomic_load_n(&scheduler->stopping, __ATOMIC_RELAXED))
            break;
        events_wait(scheduler->runner.book->events, sleep_ms(scheduler) * 1000000);
    }
    return NULL;
}

static double read_missed(void *ctx)
{
    return (double)__atomic_load_n(&((struct scheduler *)ctx)->missed, __ATOMIC_RELAXED);
}

struct scheduler *scheduler_start(const struct scheduler_options *options, struct error *err)
{
    struct scheduler *scheduler = mem_zalloc(1, sizeof(*scheduler));
    const struct rule_runner_options runner = {
        .book = options->book,
        .time_ms = options->time_ms != 0 ? options->time_ms : DEFAULT_TIME_MS,
        .webhooks = options->webhooks,
        .webhook_timeout_ms =
            options->webhook_timeout_ms != 0 ? options->webhook_timeout_ms : DEFAULT_WEBHOOK_MS,
        .resend_ms = options->resend_ms != 0 ? options->resend_ms : DEFAULT_RESEND_MS,
        .source_url = options->source_url != NULL ? options->source_url : "",
        .metrics = options->metrics,
    };

    if (rule_runner_init(&scheduler->runner, &runner, err) != 0 ||
        (!options->no_thread &&
         thread_start(&scheduler->thread, "scripts", 0, run, scheduler, err) != 0)) {
        scheduler_stop(scheduler);
        return NULL;
    }
    if (options->metrics != NULL)
        metrics_callback(options->metrics, METRIC_COUNTER, "tidemark_script_timers_missed_total",
                         "Runs of timed rules that were left out because others took too long.", "",
                         read_missed, scheduler);
    return scheduler;
}

void scheduler_stop(struct scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    __atomic_store_n(&scheduler->stopping, 1, __ATOMIC_RELAXED);
    rule_runner_cancel(&scheduler->runner);
    events_wake(scheduler->runner.book->events);
    thread_join(&scheduler->thread);
    rule_runner_destroy(&scheduler->runner);
    mem_free(scheduler->timers);
    mem_free(scheduler);
}
