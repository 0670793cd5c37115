/* events.c - see events.h. */
#include "script/events.h"

#include "base/mem.h"
#include "base/thread.h"

struct events {
    unsigned wanted;       /* atomic */
    uint64_t dropped;      /* atomic */
    struct lock leaf_lock; /* guards the rest */
    struct cond arrived;
    struct script_event *ring; /* EVENTS_MAX; NULL until the first */
    size_t first;
    size_t count;
    bool woken;
};

const char *event_kind_name(enum event_kind kind)
{
    static const char *const names[EVENT_KINDS] = {"series_new", "series_gone", "limit_soft",
                                                   "damage",     "disk_low",    "script_error"};

    return names[kind];
}

static double read_dropped(void *ctx)
{
    return (double)__atomic_load_n(&((struct events *)ctx)->dropped, __ATOMIC_RELAXED);
}

struct events *events_new(struct metrics *metrics)
{
    struct events *events = mem_zalloc(1, sizeof(*events));

    lock_init(&events->leaf_lock);
    cond_init(&events->arrived);
    if (metrics != NULL)
        metrics_callback(metrics, METRIC_COUNTER, "tidemark_script_events_dropped_total",
                         "Events that found the queue for scripts full.", "", read_dropped, events);
    return events;
}

void events_free(struct events *events)
{
    if (events == NULL)
        return;
    for (size_t i = 0; i < events->count; i++)
        labels_unref(events->ring[(events->first + i) % EVENTS_MAX].labels);
    mem_free(events->ring);
    cond_destroy(&events->arrived);
    lock_destroy(&events->leaf_lock);
    mem_free(events);
}

void events_want(struct events *events, unsigned kinds)
{
    __atomic_store_n(&events->wanted, kinds, __ATOMIC_RELAXED);
}

bool events_wanted(const struct events *events, enum event_kind kind)
{
    return events != NULL &&
           (__atomic_load_n(&events->wanted, __ATOMIC_RELAXED) & (1u << kind)) != 0;
}

void events_put(struct events *events, const struct script_event *event)
{
    if (!events_wanted(events, event->kind))
        return;
    lock_acquire(&events->leaf_lock);
    if (events->count == EVENTS_MAX) {
        __atomic_add_fetch(&events->dropped, 1, __ATOMIC_RELAXED);
    } else {
        struct script_event *place;

        if (events->ring == NULL)
            events->ring = mem_alloc(EVENTS_MAX * sizeof(*events->ring));
        place = &events->ring[(events->first + events->count++) % EVENTS_MAX];
        *place = *event;
        place->labels = event->labels != NULL ? labels_ref(event->labels) : NULL;
        cond_signal(&events->arrived);
    }
    lock_release(&events->leaf_lock);
}

bool events_take(struct events *events, struct script_event *event)
{
    bool found;

    lock_acquire(&events->leaf_lock);
    found = events->count > 0;
    if (found) {
        *event = events->ring[events->first];
        events->first = (events->first + 1) % EVENTS_MAX;
        events->count--;
    }
    lock_release(&events->leaf_lock);
    return found;
}

void events_wait(struct events *events, int64_t timeout_ns)
{
    lock_acquire(&events->leaf_lock);
    if (events->count == 0 && !events->woken && timeout_ns > 0)
        cond_wait_for(&events->arrived, &events->leaf_lock, timeout_ns);
    events->woken = false;
    lock_release(&events->leaf_lock);
}

void events_wake(struct events *events)
{
    lock_acquire(&events->leaf_lock);
    events->woken = true;
    cond_signal(&events->arrived);
    lock_release(&events->leaf_lock);
}
