/* rule_stats.c - see rule_stats.h. */
#include "script/rule_stats.h"

#include <stdio.h>

#include "base/logger.h"
#include "base/mem.h"
#include "model/labels.h"

static uint64_t load(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static void add(uint64_t *value, uint64_t by)
{
    __atomic_add_fetch(value, by, __ATOMIC_RELAXED);
}

static double read_calls(void *ctx)
{
    return (double)load(&((struct rule_stats *)ctx)->calls);
}

static double read_errors(void *ctx)
{
    return (double)load(&((struct rule_stats *)ctx)->errors);
}

static double read_seconds(void *ctx)
{
    return (double)load(&((struct rule_stats *)ctx)->nanoseconds) / 1e9;
}

/* --- on /metrics -------------------------------------------------------------------------------
 */

/* hook="...",rule="..." */
static void put_labels(const struct rule_stats *stats, struct buf *labels)
{
    buf_printf(labels, "hook=\"%s\",rule=\"", rule_hook_name(stats->hook));
    for (const char *at = stats->title; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            buf_putc(labels, '\\');
        buf_putc(labels, *at);
    }
    buf_putc(labels, '"');
}

static void show(struct rule_stats *stats, struct metrics *metrics)
{
    struct buf labels = {0};
    const char *text;

    put_labels(stats, &labels);
    buf_putc(&labels, '\0');
    text = (char *)labels.data;
    metrics_callback(metrics, METRIC_COUNTER, "tidemark_rule_calls_total",
                     "Answers that were asked of a rule's function.", text, read_calls, stats);
    metrics_callback(metrics, METRIC_COUNTER, "tidemark_rule_errors_total",
                     "Calls that failed, were stopped or answered nonsense.", text, read_errors,
                     stats);
    metrics_callback(metrics, METRIC_COUNTER, "tidemark_rule_seconds_total",
                     "Time spent in a rule's function.", text, read_seconds, stats);
    buf_destroy(&labels);
}

static double read_counter(void *ctx)
{
    return (double)counter_get(ctx);
}

static double read_gauge(void *ctx)
{
    return (double)load(ctx);
}

/* One counter of what the store did by a rule; `more`: labels beside the rule's title. */
static void show_done(const struct rule_stats *stats, struct metrics *metrics, const char *name,
                      const char *help, const char *more, struct counter *counter)
{
    struct buf labels = {0};

    put_labels(stats, &labels);
    buf_printf(&labels, ",%s", more);
    buf_putc(&labels, '\0');
    metrics_callback(metrics, METRIC_COUNTER, name, help, (char *)labels.data, read_counter,
                     counter);
    buf_destroy(&labels);
}

#define SAMPLES_NAME "tidemark_rule_samples_total"
#define SAMPLES_HELP "What declared rules did to samples on their way in."
#define SERIES_NAME "tidemark_rule_series_total"
#define SERIES_HELP "What limits did to label blocks of new series, each time that one was asked."

static void show_transform(struct rule_stats *stats, struct metrics *metrics)
{
    struct intake_counts *counts = &stats->intake;

    show_done(stats, metrics, SAMPLES_NAME, SAMPLES_HELP, "action=\"changed\"", &counts->changed);
    show_done(stats, metrics, SAMPLES_NAME, SAMPLES_HELP, "action=\"dropped_nan\"",
              &counts->dropped_nan);
    show_done(stats, metrics, SAMPLES_NAME, SAMPLES_HELP, "action=\"dropped_interval\"",
              &counts->dropped_interval);
}

static void show_limit(struct rule_stats *stats, struct metrics *metrics)
{
    struct intake_counts *counts = &stats->intake;
    const struct {
        const char *more;
        struct counter *counter;
    } series[] = {{"action=\"refused\"", &counts->refused_series},
                  {"action=\"stripped\"", &counts->stripped},
                  {"action=\"left_out\"", &counts->skipped_series},
                  {"action=\"shortened\"", &counts->shortened},
                  {"action=\"let_in_uncounted\"", &counts->failed}};
    struct buf labels = {0};

    for (size_t i = 0; i < TIDE_COUNT(series); i++)
        show_done(stats, metrics, SERIES_NAME, SERIES_HELP, series[i].more, series[i].counter);
    show_done(stats, metrics, SAMPLES_NAME, SAMPLES_HELP, "action=\"refused\"",
              &counts->refused_samples);
    show_done(stats, metrics, SAMPLES_NAME, SAMPLES_HELP, "action=\"left_out\"",
              &counts->skipped_samples);
    put_labels(stats, &labels);
    buf_putc(&labels, '\0');
    metrics_callback(metrics, METRIC_COUNTER, "tidemark_limit_soft_total",
                     "Times that a quota reached its soft bound.", (char *)labels.data,
                     read_counter, &counts->soft);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_limit_quotas",
                     "Quotas of a limit that have series in memory.", (char *)labels.data,
                     read_gauge, &counts->groups);
    metrics_callback(metrics, METRIC_GAUGE, "tidemark_limit_full_quotas",
                     "Quotas that have all the series that they may have.", (char *)labels.data,
                     read_gauge, &counts->full);
    buf_destroy(&labels);
}

/* -----------------------------------------------------------------------------------------------
 */

struct rule_stats *rule_stats_of(struct rule_stats **list, enum rule_hook hook, const char *title,
                                 struct metrics *metrics)
{
    struct rule_stats *stats;

    for (stats = *list; stats != NULL; stats = stats->next) {
        if (stats->hook == hook && strcmp(stats->title, title) == 0)
            return stats;
    }
    stats = mem_zalloc(1, sizeof(*stats));
    stats->hook = hook;
    stats->title = mem_dup(title, strlen(title));
    lock_init(&stats->lock);
    stats->next = *list;
    *list = stats;
    if (metrics == NULL)
        return stats;
    if (hook == RULE_TRANSFORM)
        show_transform(stats, metrics);
    else if (hook == RULE_LIMIT)
        show_limit(stats, metrics);
    else
        show(stats, metrics);
    return stats;
}

void rule_stats_free_all(struct rule_stats *list)
{
    while (list != NULL) {
        struct rule_stats *next = list->next;

        lock_destroy(&list->lock);
        mem_free(list->title);
        mem_free(list);
        list = next;
    }
}

bool rule_stats_suspended(const struct rule_stats *stats, uint64_t version)
{
    return load(&stats->suspended_version) == version;
}

void rule_stats_good(struct rule_stats *stats, int64_t took_ns)
{
    add(&stats->calls, 1);
    add(&stats->nanoseconds, (uint64_t)took_ns);
    if (__atomic_load_n(&stats->errors_in_row, __ATOMIC_RELAXED) != 0)
        __atomic_store_n(&stats->errors_in_row, 0, __ATOMIC_RELAXED);
}

void rule_stats_bad(const struct rule *rule, uint64_t version, uint32_t max_errors, int64_t took_ns,
                    struct error *err)
{
    struct rule_stats *stats = rule->stats;
    struct buf quoted = {0};

    error_note(err, "%s rule \"%s\" (%s:%d)", rule_hook_name(rule->hook), rule->title, rule->script,
               rule->line);
    add(&stats->calls, 1);
    add(&stats->errors, 1);
    add(&stats->nanoseconds, (uint64_t)took_ns);
    lock_acquire(&stats->lock);
    snprintf(stats->last_error, sizeof(stats->last_error), "%.*s",
             (int)sizeof(stats->last_error) - 1, err->text);
    lock_release(&stats->lock);
    labels_quote(&quoted, err->text, strlen(err->text));
    log_warn_limited("rule failed", "error=%.*s", (int)quoted.len, (char *)quoted.data);
    if (__atomic_add_fetch(&stats->errors_in_row, 1, __ATOMIC_RELAXED) == max_errors) {
        __atomic_store_n(&stats->suspended_version, version, __ATOMIC_RELAXED);
        log_error("rule suspended until the next reload", "errors_in_row=%u error=%.*s",
                  (unsigned)max_errors, (int)quoted.len, (char *)quoted.data);
    }
    buf_destroy(&quoted);
}

/* A text as JSON; titles and errors hold no zero bytes. */
static void json_text(struct buf *out, const char *text)
{
    buf_putc(out, '"');
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            buf_printf(out, "\\%c", *at);
        else if ((unsigned char)*at < 0x20)
            buf_printf(out, "\\u%04x", (unsigned)*at);
        else
            buf_putc(out, *at);
    }
    buf_putc(out, '"');
}

struct rule_stats_view rule_stats_view(const struct rule *rule, uint64_t version)
{
    struct rule_stats *stats = rule->stats;
    struct rule_stats_view view = {.calls = load(&stats->calls),
                                   .errors = load(&stats->errors),
                                   .nanoseconds = load(&stats->nanoseconds),
                                   .suspended = rule_stats_suspended(stats, version)};

    lock_acquire(&stats->lock);
    memcpy(view.last_error, stats->last_error, sizeof(view.last_error));
    lock_release(&stats->lock);
    return view;
}

size_t rule_stats_done(const struct rule *rule, struct rule_done *done)
{
    const struct intake_counts *counts = &rule->stats->intake;
    size_t count = 0;

#define DONE(what, counter)                                                                        \
    done[count++] = (struct rule_done)                                                             \
    {                                                                                              \
        what, counter_get(&(counter))                                                              \
    }
    if (rule->hook == RULE_TRANSFORM) {
        DONE("changed", counts->changed);
        DONE("dropped_nan", counts->dropped_nan);
        DONE("dropped_interval", counts->dropped_interval);
    }
    if (rule->hook == RULE_LIMIT) {
        DONE("refused_series", counts->refused_series);
        DONE("refused_samples", counts->refused_samples);
        DONE("stripped", counts->stripped);
        DONE("left_out_series", counts->skipped_series);
        DONE("left_out_samples", counts->skipped_samples);
        DONE("shortened", counts->shortened);
        DONE("soft", counts->soft);
        done[count++] = (struct rule_done){"quotas", load(&counts->groups)};
        done[count++] = (struct rule_done){"full_quotas", load(&counts->full)};
    }
#undef DONE
    return count;
}

static void describe_done(const struct rule *rule, struct buf *out)
{
    struct rule_done done[RULE_DONE_MAX];
    size_t count = rule_stats_done(rule, done);

    for (size_t i = 0; i < count; i++)
        buf_printf(out, ",\"%s\":%" PRIu64, done[i].what, done[i].count);
}

void rule_stats_describe(const struct rule *rule, uint64_t version, struct buf *out)
{
    const struct rule_stats_view view = rule_stats_view(rule, version);

    buf_printf(out, "{\"hook\":\"%s\",\"title\":", rule_hook_name(rule->hook));
    json_text(out, rule->title);
    buf_puts(out, ",\"script\":");
    json_text(out, rule->script);
    buf_printf(out,
               ",\"line\":%d,\"calls\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"seconds\":%.9g,"
               "\"suspended\":%s,\"last_error\":",
               rule->line, view.calls, view.errors, (double)view.nanoseconds / 1e9,
               view.suspended ? "true" : "false");
    json_text(out, view.last_error);
    if (rule->hook == RULE_TRANSFORM || rule->hook == RULE_LIMIT)
        describe_done(rule, out);
    buf_puts(out, "}");
}
