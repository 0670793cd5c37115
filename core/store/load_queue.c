/* load_queue.c - see load_queue.h. */
#include "store/load_queue.h"

#include "base/mem.h"
#include "base/thread.h"
#include "chunk/chunk.h"

/* A batch is handed over when it has so much. */
#define BATCH_SERIES 256u
#define BATCH_BYTES ((size_t)256 << 10)
#define BATCHES 8u

/* Pointers into chunks and payloads are set when it is handed over: both may move before. */
struct batch_of_series {
    struct batch_of_series *next;
    struct heads_series series[BATCH_SERIES];
    size_t count;
    struct heads_chunk *chunks;
    size_t chunk_count;
    size_t chunk_cap;
    struct buf payloads;
};

struct load_queue {
    load_builder *build;
    void *ctx;
    struct thread thread;
    struct batch_of_series *filling; /* of the putting thread */

    struct lock lock;              /* guards the rest */
    struct cond change;            /* both threads */
    struct batch_of_series *ready; /* oldest first */
    struct batch_of_series **ready_end;
    struct batch_of_series *idle;
    bool finished;
};

static void hand_back(struct load_queue *queue, struct batch_of_series *batch)
{
    lock_acquire(&queue->lock);
    batch->next = queue->idle;
    queue->idle = batch;
    cond_signal(&queue->change);
    lock_release(&queue->lock);
}

static struct batch_of_series *wait_for_idle(struct load_queue *queue)
{
    struct batch_of_series *batch;

    lock_acquire(&queue->lock);
    while (queue->idle == NULL)
        cond_wait(&queue->change, &queue->lock);
    batch = queue->idle;
    queue->idle = batch->next;
    lock_release(&queue->lock);
    batch->count = batch->chunk_count = batch->payloads.len = 0;
    return batch;
}

/* The oldest that is ready; NULL at the end. */
static struct batch_of_series *wait_for_ready(struct load_queue *queue)
{
    struct batch_of_series *batch;

    lock_acquire(&queue->lock);
    while (queue->ready == NULL && !queue->finished)
        cond_wait(&queue->change, &queue->lock);
    batch = queue->ready;
    if (batch != NULL) {
        queue->ready = batch->next;
        if (queue->ready == NULL)
            queue->ready_end = &queue->ready;
    }
    lock_release(&queue->lock);
    return batch;
}

static void *build_all(void *arg)
{
    struct load_queue *queue = arg;
    struct batch_of_series *batch;

    while ((batch = wait_for_ready(queue)) != NULL) {
        for (size_t i = 0; i < batch->count; i++) {
            queue->build(queue->ctx, &batch->series[i]);
            labels_unref(batch->series[i].labels);
        }
        hand_back(queue, batch);
    }
    return NULL;
}

static void set_pointers(struct batch_of_series *batch)
{
    struct heads_chunk *chunk = batch->chunks;
    const uint8_t *payload = batch->payloads.data;

    for (size_t i = 0; i < batch->count; i++) {
        batch->series[i].chunks = chunk;
        for (size_t k = 0; k < batch->series[i].count; k++, chunk++) {
            if (chunk->payload == NULL)
                continue;
            chunk->payload = payload;
            payload += CHUNK_BYTES;
        }
    }
}

static void hand_over(struct load_queue *queue)
{
    struct batch_of_series *batch = queue->filling;

    set_pointers(batch);
    batch->next = NULL;
    lock_acquire(&queue->lock);
    *queue->ready_end = batch;
    queue->ready_end = &batch->next;
    cond_signal(&queue->change);
    lock_release(&queue->lock);
    queue->filling = NULL;
}

void load_queue_put(struct load_queue *queue, const struct heads_series *series)
{
    struct batch_of_series *batch;
    size_t room;

    if (queue->filling == NULL)
        queue->filling = wait_for_idle(queue);
    batch = queue->filling;
    batch->series[batch->count] = *series;
    batch->series[batch->count++].labels = labels_ref(series->labels);
    room = batch->chunk_count + series->count;
    if (room > batch->chunk_cap) {
        batch->chunk_cap = TIDE_MAX(room, (size_t)2 * BATCH_SERIES);
        batch->chunks = mem_realloc(batch->chunks, batch->chunk_cap * sizeof(*batch->chunks));
    }
    memcpy(batch->chunks + batch->chunk_count, series->chunks,
           series->count * sizeof(*series->chunks));
    batch->chunk_count = room;
    for (size_t i = 0; i < series->count; i++) {
        if (series->chunks[i].payload != NULL)
            buf_append(&batch->payloads, series->chunks[i].payload, CHUNK_BYTES);
    }
    if (batch->count == BATCH_SERIES || batch->payloads.len >= BATCH_BYTES)
        hand_over(queue);
}

static void free_queue(struct load_queue *queue)
{
    struct batch_of_series *batch;

    while ((batch = queue->idle) != NULL) {
        queue->idle = batch->next;
        mem_free(batch->chunks);
        buf_destroy(&batch->payloads);
        mem_free(batch);
    }
    cond_destroy(&queue->change);
    lock_destroy(&queue->lock);
    mem_free(queue);
}

struct load_queue *load_queue_start(load_builder *build, void *ctx, struct error *err)
{
    struct load_queue *queue = mem_zalloc(1, sizeof(*queue));

    queue->build = build;
    queue->ctx = ctx;
    queue->ready_end = &queue->ready;
    lock_init(&queue->lock);
    cond_init(&queue->change);
    for (size_t i = 0; i < BATCHES; i++) {
        struct batch_of_series *batch = mem_zalloc(1, sizeof(*batch));

        batch->next = queue->idle;
        queue->idle = batch;
    }
    if (thread_start(&queue->thread, "builder", 0, build_all, queue, err) == 0)
        return queue;
    free_queue(queue);
    return NULL;
}

void load_queue_finish(struct load_queue *queue)
{
    if (queue->filling != NULL)
        hand_over(queue);
    lock_acquire(&queue->lock);
    queue->finished = true;
    cond_signal(&queue->change);
    lock_release(&queue->lock);
    thread_join(&queue->thread);
    free_queue(queue);
}
