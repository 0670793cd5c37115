/* gate.h - orders batches of changes against those who need a moment without any: who takes a
 * checkpoint's begin, who deletes (engine-design 9).
 *
 * A batch is inside from before its first change to memory until its record is in the log. Entering
 * and leaving are two atomic stores; closing waits for those inside. Never close it from within a
 * batch. Lock order: the gate comes before mapper, stripes and all leaves; no I/O, LevelDB or Lua
 * inside, and slices of at most 10,000 series while it is closed. */
#ifndef TIDE_STORE_GATE_H
#define TIDE_STORE_GATE_H

#include "base/base.h"

#ifndef TIDE_CDEF

#include "base/thread.h"

/* One for each thread that makes changes; owned by the gate. */
struct gate_slot {
    uint64_t inside; /* atomic: number of the batch under way; 0: none */
    struct gate_slot *next;
} __attribute__((aligned(64)));

struct gate {
    struct lock gate_lock; /* guards slots, and who may close */
    struct cond change;
    struct gate_slot *slots;
    uint64_t batches; /* atomic: numbers given */
    int closed;       /* atomic */
    int awaited;      /* atomic: somebody wants to know when a batch leaves */

    /* Called when a batch left that somebody waits for (gate_await); set once, before use. */
    void (*left)(void *ctx);
    void *left_ctx;
};

void gate_init(struct gate *gate, void (*left)(void *ctx), void *ctx);
void gate_destroy(struct gate *gate);
struct gate_slot *gate_slot_new(struct gate *gate);
/** Its thread is not inside. */
void gate_slot_free(struct gate *gate, struct gate_slot *slot);

/** Waits only while the gate is closed. */
void gate_enter(struct gate *gate, struct gate_slot *slot);
void gate_leave(struct gate *gate, struct gate_slot *slot);

/** Is somebody waiting for an empty gate, or has it closed? */
bool gate_is_closed(const struct gate *gate);
/** Waits until nobody is inside and lets nobody in. One closer at a time. */
void gate_close(struct gate *gate);
void gate_open(struct gate *gate);

/** Number of the batch that began last. */
uint64_t gate_last(const struct gate *gate);
/** Have all batches up to this number left? If not, `left` is called when one does. */
bool gate_await(struct gate *gate, uint64_t number);

#endif
#endif
