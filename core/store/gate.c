/* gate.c - see gate.h.
 *
 * Who enters stores its number, then looks whether the gate is closed; who closes stores that, then
 * looks who is inside. Both orders are sequentially consistent, so at least one sees the other. */
#include "store/gate.h"

#include <stdlib.h>

#include "base/mem.h"

void gate_init(struct gate *gate, void (*left)(void *ctx), void *ctx)
{
    *gate = (struct gate){.left = left, .left_ctx = ctx};
    lock_init(&gate->gate_lock);
    cond_init(&gate->change);
}

void gate_destroy(struct gate *gate)
{
    TIDE_ASSERT(gate->slots == NULL);
    lock_destroy(&gate->gate_lock);
    cond_destroy(&gate->change);
}

struct gate_slot *gate_slot_new(struct gate *gate)
{
    struct gate_slot *slot = aligned_alloc(64, sizeof(*slot));

    TIDE_ASSERT(slot != NULL);
    *slot = (struct gate_slot){0};
    lock_acquire(&gate->gate_lock);
    slot->next = gate->slots;
    gate->slots = slot;
    lock_release(&gate->gate_lock);
    return slot;
}

void gate_slot_free(struct gate *gate, struct gate_slot *slot)
{
    struct gate_slot **link = &gate->slots;

    lock_acquire(&gate->gate_lock);
    TIDE_ASSERT(slot->inside == 0);
    while (*link != slot)
        link = &(*link)->next;
    *link = slot->next;
    lock_release(&gate->gate_lock);
    mem_free(slot);
}

static void set_inside(struct gate_slot *slot, uint64_t number)
{
    __atomic_store_n(&slot->inside, number, __ATOMIC_SEQ_CST);
}

bool gate_is_closed(const struct gate *gate)
{
    return __atomic_load_n(&gate->closed, __ATOMIC_SEQ_CST) != 0;
}

void gate_enter(struct gate *gate, struct gate_slot *slot)
{
    for (;;) {
        set_inside(slot, __atomic_add_fetch(&gate->batches, 1, __ATOMIC_SEQ_CST));
        if (TIDE_LIKELY(!gate_is_closed(gate)))
            return;
        set_inside(slot, 0);
        lock_acquire(&gate->gate_lock);
        cond_broadcast(&gate->change);
        while (gate_is_closed(gate))
            cond_wait(&gate->change, &gate->gate_lock);
        lock_release(&gate->gate_lock);
    }
}

void gate_leave(struct gate *gate, struct gate_slot *slot)
{
    set_inside(slot, 0);
    if (TIDE_UNLIKELY(gate_is_closed(gate))) {
        lock_acquire(&gate->gate_lock);
        cond_broadcast(&gate->change);
        lock_release(&gate->gate_lock);
    }
    if (TIDE_UNLIKELY(__atomic_load_n(&gate->awaited, __ATOMIC_SEQ_CST)) &&
        __atomic_exchange_n(&gate->awaited, 0, __ATOMIC_SEQ_CST) && gate->left != NULL)
        gate->left(gate->left_ctx);
}

/* Is a batch up to this number inside? */
static bool somebody_inside_locked(const struct gate *gate, uint64_t number)
{
    for (const struct gate_slot *slot = gate->slots; slot != NULL; slot = slot->next) {
        uint64_t inside = __atomic_load_n(&slot->inside, __ATOMIC_SEQ_CST);

        if (inside != 0 && inside <= number)
            return true;
    }
    return false;
}

void gate_close(struct gate *gate)
{
    lock_acquire(&gate->gate_lock);
    while (gate_is_closed(gate))
        cond_wait(&gate->change, &gate->gate_lock);
    __atomic_store_n(&gate->closed, 1, __ATOMIC_SEQ_CST);
    while (somebody_inside_locked(gate, UINT64_MAX))
        cond_wait(&gate->change, &gate->gate_lock);
    lock_release(&gate->gate_lock);
}

void gate_open(struct gate *gate)
{
    lock_acquire(&gate->gate_lock);
    __atomic_store_n(&gate->closed, 0, __ATOMIC_SEQ_CST);
    cond_broadcast(&gate->change);
    lock_release(&gate->gate_lock);
}

uint64_t gate_last(const struct gate *gate)
{
    return __atomic_load_n(&gate->batches, __ATOMIC_SEQ_CST);
}

bool gate_await(struct gate *gate, uint64_t number)
{
    bool inside;

    lock_acquire(&gate->gate_lock);
    inside = somebody_inside_locked(gate, number);
    if (inside) {
        __atomic_store_n(&gate->awaited, 1, __ATOMIC_SEQ_CST);
        inside = somebody_inside_locked(gate, number);
    }
    lock_release(&gate->gate_lock);
    return !inside;
}
