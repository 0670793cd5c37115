/* eval_crew.c - see eval_crew.h. Batches of series go through a ring of slots: claimed in order by
 * any hand, handed on in order, claimed again. */
#include "promql/eval_crew.h"

#include "base/mem.h"
#include "base/thread.h"

#define BATCH_SERIES_MAX ((size_t)32)
#define BATCH_VALUES ((size_t)32 * 1024)
#define SLOTS_PER_HAND 3
#define HELPERS_MAX ((size_t)7)
/* Below so many values and samples a query is done before a helper has woken up. */
#define WORK_WORTH_HELP ((size_t)400 * 1000)
/* A series costs about so many values, however few it has. */
#define SERIES_WORK ((size_t)100)

enum slot_state { SLOT_FREE, SLOT_CLAIMED, SLOT_DONE };

/* The results of one batch. */
struct slot {
    enum slot_state state; /* crew_lock */
    double *values;        /* batch_series rows; the claimer's until it is done */
    bool empty[BATCH_SERIES_MAX];
    struct query_stats stats;
    int result;
    struct error error;
};

struct crew {
    struct lock crew_lock; /* guards all that is not said to be otherwise */
    struct cond changed;
    unsigned references; /* of the evaluating thread and of helpers that were called */
    unsigned working;    /* hands that compute, or may */
    bool closed;
    size_t claimed, consumed; /* batches */
    struct slot *slots;
    size_t slot_count;

    /* Immutable while it works: */
    struct eval *ev; /* of the evaluating thread; hands copy what they need */
    const struct plan_node *node;
    const struct series_work *work;
    size_t count, batch_series, batches;
    size_t hand_samples; /* what each hand may hold */
    size_t kept_samples; /* crew_lock: held beyond the hands, in the source */
};

/* --- one thread's part ---------------------------------------------------------------------------
 */

static void hand_init(struct eval *hand, const struct crew *crew)
{
    const struct eval *ev = crew->ev;

    *hand = (struct eval){.query = ev->query,
                          .plan = ev->plan,
                          .counts_samples = ev->counts_samples,
                          .is_hand = true,
                          .max_samples = crew->hand_samples,
                          .until_check = 1};
}

/* The caller holds the lock. */
static void hand_destroy_locked(struct eval *hand, struct crew *crew)
{
    crew->kept_samples += hand->held - (crew->node->source->kept == NULL ? hand->columns.len : 0);
    eval_leave_pot(hand);
    range_scratch_destroy(&hand->scratch);
    columns_destroy(&hand->columns);
    columns_destroy(&hand->clean);
}

static void compute_batch(struct eval *hand, const struct crew *crew, size_t batch,
                          struct slot *slot)
{
    size_t first = batch * crew->batch_series;
    size_t end = TIDE_MIN(first + crew->batch_series, crew->count);

    slot->stats = (struct query_stats){0};
    slot->result = 0;
    hand->stats = &slot->stats;
    for (size_t i = first; i < end && slot->result == 0; i++)
        slot->result = crew->work->compute(crew->work, hand, i,
                                           slot->values + (i - first) * crew->node->grid.steps,
                                           &slot->empty[i - first], &slot->error);
    hand->stats = NULL;
}

/* Computes the next batch that nobody has claimed; false when there is none, or no slot for it. */
static bool work_once_locked(struct eval *hand, struct crew *crew)
{
    size_t batch = crew->claimed;
    struct slot *slot = &crew->slots[batch % crew->slot_count];

    if (crew->closed || batch == crew->batches || batch - crew->consumed >= crew->slot_count)
        return false;
    crew->claimed++;
    slot->state = SLOT_CLAIMED;
    lock_release(&crew->crew_lock);
    compute_batch(hand, crew, batch, slot);
    lock_acquire(&crew->crew_lock);
    slot->state = SLOT_DONE;
    cond_broadcast(&crew->changed);
    return true;
}

static void crew_free(struct crew *crew)
{
    for (size_t i = 0; i < crew->slot_count; i++)
        mem_free(crew->slots[i].values);
    mem_free(crew->slots);
    cond_destroy(&crew->changed);
    lock_destroy(&crew->crew_lock);
    mem_free(crew);
}

static void crew_unref_locked(struct crew *crew)
{
    bool last = --crew->references == 0;

    lock_release(&crew->crew_lock);
    if (last)
        crew_free(crew);
}

/* A helper's whole part, on its thread. It may come when all is over. */
static void help(void *arg)
{
    struct crew *crew = arg;
    struct eval hand;

    lock_acquire(&crew->crew_lock);
    if (!crew->closed) {
        crew->working++;
        hand_init(&hand, crew);
        while (!crew->closed && crew->claimed < crew->batches) {
            if (!work_once_locked(&hand, crew))
                cond_wait(&crew->changed, &crew->crew_lock);
        }
        hand_destroy_locked(&hand, crew);
        crew->working--;
        cond_broadcast(&crew->changed);
    }
    crew_unref_locked(crew);
}

/* --- the evaluating thread
 * ------------------------------------------------------------------------ */

static struct crew *crew_new(struct eval *ev, const struct plan_node *node,
                             const struct series_work *work, size_t helpers)
{
    struct crew *crew = mem_zalloc(1, sizeof(*crew));
    size_t steps = node->grid.steps;

    lock_init(&crew->crew_lock);
    cond_init(&crew->changed);
    crew->references = 1;
    crew->ev = ev;
    crew->node = node;
    crew->work = work;
    crew->count = node->source->selection->count;
    crew->batch_series = TIDE_MIN(BATCH_VALUES / steps + 1, BATCH_SERIES_MAX);
    crew->batches = (crew->count + crew->batch_series - 1) / crew->batch_series;
    crew->hand_samples = ev->max_samples - TIDE_MIN(ev->held, ev->max_samples);
    crew->slot_count = (helpers + 1) * SLOTS_PER_HAND;
    crew->slots = mem_zalloc(crew->slot_count, sizeof(*crew->slots));
    for (size_t i = 0; i < crew->slot_count; i++)
        crew->slots[i].values = mem_alloc(crew->batch_series * steps * sizeof(double));
    return crew;
}

static void add_stats(struct eval *ev, const struct query_stats *stats)
{
    if (ev->stats == NULL)
        return;
    ev->stats->samples += stats->samples;
    ev->stats->samples_read += stats->samples_read;
    ev->stats->series_read += stats->series_read;
}

static int hand_on_batch(struct crew *crew, struct series_work *work, size_t batch,
                         const struct slot *slot, struct error *err)
{
    size_t first = batch * crew->batch_series;
    size_t end = TIDE_MIN(first + crew->batch_series, crew->count);

    add_stats(crew->ev, &slot->stats);
    if (slot->result != 0) {
        *err = slot->error;
        return -1;
    }
    for (size_t i = first; i < end; i++) {
        double *values = slot->values + (i - first) * crew->node->grid.steps;

        if (!slot->empty[i - first] && work->hand_on(work, i, values, err) != 0)
            return -1;
    }
    return eval_tick(crew->ev, crew->node->grid.steps, err);
}

/* All batches in order, computing those that nobody has claimed yet. */
static int run_crew(struct crew *crew, struct series_work *work, struct error *err)
{
    struct eval hand;
    int result = 0;

    hand_init(&hand, crew);
    lock_acquire(&crew->crew_lock);
    while (result == 0 && crew->consumed < crew->batches) {
        struct slot *slot = &crew->slots[crew->consumed % crew->slot_count];

        if (crew->claimed == crew->consumed || slot->state != SLOT_DONE) {
            if (!work_once_locked(&hand, crew))
                cond_wait(&crew->changed, &crew->crew_lock);
            continue;
        }
        lock_release(&crew->crew_lock);
        result = hand_on_batch(crew, work, crew->consumed, slot, err);
        lock_acquire(&crew->crew_lock);
        slot->state = SLOT_FREE;
        crew->consumed++;
        cond_broadcast(&crew->changed);
    }
    crew->closed = true;
    cond_broadcast(&crew->changed);
    while (crew->working != 0)
        cond_wait(&crew->changed, &crew->crew_lock);
    hand_destroy_locked(&hand, crew);
    crew->ev->held += crew->kept_samples;
    crew_unref_locked(crew);
    return result;
}

static size_t helpers_worth(const struct eval *ev, const struct plan_node *node,
                            const struct series_work *work)
{
    const struct query_helpers *helpers = ev->query->helpers;
    size_t steps = node->grid.steps, count = node->source->selection->count, total;

    if (helpers == NULL || work->alone || ev->is_hand || ev->query->per_step || count < 64)
        return 0;
    if (!size_mul(count, steps + SERIES_WORK, &total) || total < WORK_WORTH_HELP)
        return 0;
    return TIDE_MIN(helpers->max, HELPERS_MAX);
}

/* All series on this thread. */
static int run_alone(struct eval *ev, const struct plan_node *node, struct series_work *work,
                     struct sink *sink, struct error *err)
{
    for (size_t i = 0; i < node->source->selection->count; i++) {
        double *values = sink->room(sink);
        bool empty = false;

        if (work->compute(work, ev, i, values, &empty, err) != 0)
            return -1;
        if ((!empty && work->hand_on(work, i, values, err) != 0) ||
            eval_tick(ev, node->grid.steps, err) != 0)
            return -1;
    }
    return 0;
}

int eval_each_series(struct eval *ev, const struct plan_node *node, struct series_work *work,
                     struct sink *sink, struct error *err)
{
    size_t helpers = helpers_worth(ev, node, work), called = 0;
    struct crew *crew;

    if (helpers == 0)
        return run_alone(ev, node, work, sink, err);
    crew = crew_new(ev, node, work, helpers);
    for (; called < helpers; called++) {
        lock_acquire(&crew->crew_lock);
        crew->references++;
        lock_release(&crew->crew_lock);
        if (ev->query->helpers->call(ev->query->helpers->ctx, help, crew))
            continue;
        lock_acquire(&crew->crew_lock);
        crew->references--;
        lock_release(&crew->crew_lock);
        break;
    }
    if (called != 0)
        return run_crew(crew, work, err);
    lock_acquire(&crew->crew_lock);
    crew_unref_locked(crew);
    return run_alone(ev, node, work, sink, err);
}
