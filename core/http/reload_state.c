#include "http/reload_state.h"

#include "base/mem.h"
#include "base/thread.h"

struct reload_state {
    struct lock reload_state_lock; /* a leaf */
    struct reload_view view;
};

struct reload_state *reload_state_new(int64_t now_ms)
{
    struct reload_state *state = mem_zalloc(1, sizeof(*state));

    lock_init(&state->reload_state_lock);
    state->view.loaded_ms = now_ms;
    return state;
}

void reload_state_free(struct reload_state *state)
{
    if (state == NULL)
        return;
    lock_destroy(&state->reload_state_lock);
    mem_free(state);
}

void reload_state_note(struct reload_state *state, int64_t now_ms, const struct error *err)
{
    lock_acquire(&state->reload_state_lock);
    if (err == NULL) {
        state->view = (struct reload_view){.loaded_ms = now_ms};
    } else {
        state->view.failed_ms = now_ms;
        state->view.failed = *err;
    }
    lock_release(&state->reload_state_lock);
}

struct reload_view reload_state_get(struct reload_state *state)
{
    struct reload_view view;

    lock_acquire(&state->reload_state_lock);
    view = state->view;
    lock_release(&state->reload_state_lock);
    return view;
}
