/* tally.c - see tally.h. */
#include "script/tally.h"

#include "base/mem.h"
#include "base/thread.h"

struct tally {
    char *name; /* with the prefix */
    char *labels;
    uint64_t value; /* atomic */
    struct tally *next;
};

struct tallies {
    struct metrics *metrics;
    struct lock lock; /* guards what follows; states remember what they found */
    struct tally *first;
    size_t count;
};

struct tallies *tallies_new(struct metrics *metrics)
{
    struct tallies *tallies = mem_zalloc(1, sizeof(*tallies));

    tallies->metrics = metrics;
    lock_init(&tallies->lock);
    return tallies;
}

void tallies_free(struct tallies *tallies)
{
    if (tallies == NULL)
        return;
    while (tallies->first != NULL) {
        struct tally *next = tallies->first->next;

        mem_free(tallies->first->name);
        mem_free(tallies->first->labels);
        mem_free(tallies->first);
        tallies->first = next;
    }
    lock_destroy(&tallies->lock);
    mem_free(tallies);
}

static double read_value(void *ctx)
{
    return (double)__atomic_load_n(&((struct tally *)ctx)->value, __ATOMIC_RELAXED);
}

static struct tally *make(struct tallies *tallies, const char *name, const char *help,
                          const char *labels)
{
    struct tally *tally = mem_zalloc(1, sizeof(*tally));

    tally->name = mem_dup(name, strlen(name));
    tally->labels = mem_dup(labels, strlen(labels));
    tally->next = tallies->first;
    tallies->first = tally;
    tallies->count++;
    if (tallies->metrics != NULL)
        metrics_callback(tallies->metrics, METRIC_COUNTER, tally->name, help, tally->labels,
                         read_value, tally);
    return tally;
}

struct tally *tallies_get(struct tallies *tallies, const char *name, const char *help,
                          const char *labels)
{
    struct tally *found;
    struct buf full = {0};

    buf_printf(&full, "tidemark_script_%s", name);
    buf_putc(&full, '\0');
    lock_acquire(&tallies->lock);
    for (found = tallies->first; found != NULL; found = found->next) {
        if (strcmp(found->name, (char *)full.data) == 0 && strcmp(found->labels, labels) == 0)
            break;
    }
    if (found == NULL && tallies->count < TALLY_MAX)
        found = make(tallies, (char *)full.data, help, labels);
    lock_release(&tallies->lock);
    buf_destroy(&full);
    return found;
}

void tally_add(struct tally *tally, uint64_t by)
{
    __atomic_add_fetch(&tally->value, by, __ATOMIC_RELAXED);
}
