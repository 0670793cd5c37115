/* reload_state.h - how the last reload of scripts and configuration went. Thread-safe. */
#ifndef TIDE_HTTP_RELOAD_STATE_H
#define TIDE_HTTP_RELOAD_STATE_H

#include "base/error.h"

struct reload_state;

struct reload_view {
    int64_t loaded_ms;   /* wall clock: what is in force was read then */
    int64_t failed_ms;   /* of a failure after that; 0: none */
    struct error failed; /* that failure */
};

/** @param now_ms  the start, which loaded everything */
struct reload_state *reload_state_new(int64_t now_ms);
/** Takes NULL. */
void reload_state_free(struct reload_state *state);
/** @param err  NULL: it went well */
void reload_state_note(struct reload_state *state, int64_t now_ms, const struct error *err);
struct reload_view reload_state_get(struct reload_state *state);

#endif
