/* engine.c - see engine.h. */
#include "promql/engine.h"

#include "base/clock.h"
#include "base/mem.h"
#include "promql/eval_result.h"
#include "promql/plan_build.h"

void query_stats_destroy(struct query_stats *stats)
{
    mem_free(stats->samples_per_step);
    *stats = (struct query_stats){0};
}

static int64_t now_ns(void)
{
    return clock_mono_ns(clock_system());
}

static void stats_start(struct query_stats *stats, const struct promql_query *query,
                        const struct plan *plan)
{
    if (!query->per_step)
        return;
    stats->steps = plan->grid.steps;
    stats->samples_per_step = mem_zalloc(stats->steps, sizeof(*stats->samples_per_step));
}

/* A query that had to wait may be out of time before it begins. */
static int check_start(const struct eval *ev, struct error *err)
{
    const struct promql_query *query = ev->query;

    if (query->cancelled != NULL && __atomic_load_n(query->cancelled, __ATOMIC_RELAXED) != 0)
        return eval_cancelled(ev, "query execution", err);
    if (query->deadline_ns != 0 && now_ns() >= query->deadline_ns)
        return error_set(err, ERR_TIMEOUT, "query timed out in query execution");
    return 0;
}

static int evaluate(const struct promql_query *query, struct plan *plan, struct value *out,
                    struct annotations *annotations, struct query_stats *stats, struct error *err)
{
    struct eval ev = {
        .query = query, .plan = plan, .notes = annotations, .stats = stats, .until_check = 1};
    int result;

    ev.counts_samples = stats != NULL && (query->count_samples || query->per_step);
    ev.max_samples = query->max_samples != 0 ? query->max_samples : PROMQL_DEFAULT_MAX_SAMPLES;
    result = check_start(&ev, err);
    if (result == 0)
        result = eval_result(&ev, out, err);
    eval_publish(&ev);
    eval_leave_pot(&ev);
    eval_sources_free(&ev);
    range_scratch_destroy(&ev.scratch);
    columns_destroy(&ev.columns);
    columns_destroy(&ev.clean);
    if (result != 0)
        value_destroy(out);
    return result;
}

int promql_execute_tree(const struct promql_query *query, const struct query_tree *tree,
                        struct value *out, struct annotations *annotations,
                        struct query_stats *stats, struct error *err)
{
    struct plan plan = {0};
    int64_t start_ns = now_ns(), planned_ns;
    int result = plan_build(&plan, query, tree, err);

    planned_ns = now_ns();
    if (stats != NULL)
        stats->prepare_ns += planned_ns - start_ns;
    if (result == 0) {
        if (stats != NULL)
            stats_start(stats, query, &plan);
        result = evaluate(query, &plan, out, annotations, stats, err);
    }
    if (stats != NULL)
        stats->eval_ns = now_ns() - planned_ns;
    plan_destroy(&plan);
    return result;
}

int promql_execute(const struct promql_query *query, struct value *out,
                   struct annotations *annotations, struct query_stats *stats, struct error *err)
{
    int64_t start_ns = now_ns();
    struct query_tree *tree =
        promql_parse(query->text, query->len, query->options, query->regexes, err);
    int result;

    if (tree == NULL)
        return -1;
    if (stats != NULL)
        stats->prepare_ns = now_ns() - start_ns;
    result = promql_execute_tree(query, tree, out, annotations, stats, err);
    query_tree_free(tree);
    return result;
}
