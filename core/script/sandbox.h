/* sandbox.h - one Lua state that operator code cannot get out of: not in time, memory or reach.
 *
 * The JIT engine is off (compiled loops see no hooks), only base, string, table, math and bit are
 * open, and operator chunks run in an environment that lua/tidemark/env.lua lists name by name. A
 * hook every 200 instructions compares the clock; past the deadline, or after memory was refused,
 * an error that no pcall keeps is raised until the call is left. C functions between two hooks run
 * on; those that could run for long are not offered.
 *
 * Threads: a sandbox belongs to one thread at a time; give it SANDBOX_STACK_BYTES of stack. What it
 * calls in C may run another sandbox on the same thread, within the time that is left. Only this
 * room includes lua.h. */
#ifndef TIDE_SCRIPT_SANDBOX_H
#define TIDE_SCRIPT_SANDBOX_H

#include "base/base.h"
#include "base/error.h"

struct sandbox;
struct watchdog;
struct lua_State;

/* Recursion through C functions of Lua's library ends in an error, not in a crash, with this: the
 * attacks of spec/script crash 1 MiB and not 2 MiB. Less than the minimum is refused. */
#define SANDBOX_STACK_BYTES ((size_t)16 << 20)
#define SANDBOX_MIN_STACK_BYTES ((size_t)4 << 20)

/* Nested pcalls; at the ends of Lua's stack a hook could not run. */
#define SANDBOX_MAX_PCALLS 16

/* How a sandbox_run went wrong; the text is in err. */
enum sandbox_stop {
    SANDBOX_RAN,       /* it did not: result 0 */
    SANDBOX_RAISED,    /* a Lua error */
    SANDBOX_TIME,      /* past its deadline */
    SANDBOX_MEMORY,    /* asked for more than the limit */
    SANDBOX_CANCELLED, /* somebody set the flag of sandbox_set_cancel */
};

/**
 * A new state with the trusted library (`require "tidemark.NAME"` of embedded files) and, behind
 * it, the restricted strings of env.lua.
 *
 * @param memory_limit  bytes for all of the state
 * @param watchdog      may be NULL (then only the hook watches); must outlive the sandbox
 * @return NULL with err: ERR_NOMEM, ERR_INVALID (the embedded Lua is broken)
 */
TIDE_NODISCARD struct sandbox *sandbox_new(size_t memory_limit, struct watchdog *watchdog,
                                           struct error *err);
/** On the owning thread. Takes NULL. */
void sandbox_free(struct sandbox *sandbox);

/**
 * Runs a C function in protected mode, with the clock running: it pushes arguments, calls Lua with
 * lua_call and reads results. Whatever is raised inside ends the run; so hold no lock, descriptor
 * or heap block in it that is not also known to the caller. The Lua stack is empty before and
 * after.
 *
 * @param time_ns  from now; <= 0: no deadline (trusted code only)
 * @return 0, or -1 with err: ERR_INVALID (Lua error, with script and line), ERR_TIMEOUT, ERR_LIMIT
 *         (memory), ERR_UNSUPPORTED (this thread's stack is too small). The sandbox is usable
 * afterwards. Not to be called within itself.
 */
TIDE_NODISCARD int sandbox_run(struct sandbox *sandbox, void (*run)(struct lua_State *L, void *ctx),
                               void *ctx, int64_t time_ns, struct error *err);
/** A pointer for the C functions that its Lua calls; borrowed. */
void sandbox_set_owner(struct sandbox *sandbox, void *owner);
/** A flag that ends its runs when it is not 0 (atomic); borrowed; NULL: none. */
void sandbox_set_cancel(struct sandbox *sandbox, const int *cancelled);
/** Whether this thread is within its sandbox_run. */
bool sandbox_is_active(const struct sandbox *sandbox);
/** When the run under way is to end, monotonic; 0: no deadline, or no run. */
int64_t sandbox_deadline_ns(const struct sandbox *sandbox);
/** From within a run: C that takes as long as it takes begins, and ends. Its time does not count.
 */
int64_t sandbox_pause(struct sandbox *sandbox);
void sandbox_resume(struct sandbox *sandbox, int64_t paused);
/** When the last sandbox_run began, monotonic: reading the clock costs as much as a small rule. */
int64_t sandbox_start_ns(const struct sandbox *sandbox);
/** What ended the last sandbox_run. */
enum sandbox_stop sandbox_last_stop(const struct sandbox *sandbox);
/** Collects all garbage; outside a run. */
void sandbox_collect(struct sandbox *sandbox);
/** Bytes that the state holds now, garbage included. */
size_t sandbox_used_bytes(const struct sandbox *sandbox);

#ifndef TIDE_CDEF
/* For the inside of a sandbox_run; all may raise. */

/** Pushes the table of a trusted module, such as "tidemark.config". */
void sandbox_require_raises(struct lua_State *L, const char *module);
/**
 * Pushes operator source as a function in a fresh environment (never bytecode).
 *
 * @param chunk_name  as in messages: "@scripts/keep.lua"
 * @param names       stack index of a table of more names for it (`tide`), 0 for none
 */
void sandbox_load_raises(struct lua_State *L, const char *source, size_t len,
                         const char *chunk_name, int names);
/** Pushes the table `native`, through which trusted modules call C. */
void sandbox_native_raises(struct lua_State *L);
/** The sandbox that a state belongs to. */
struct sandbox *sandbox_of(struct lua_State *L);
/** What sandbox_set_owner set for it. */
void *sandbox_owner(struct lua_State *L);
#endif

/**
 * A thread that signals (SIGUSR2) threads whose sandbox is past its deadline, for code that no hook
 * reaches in time, and ends the process with a message if one is stuck in C for a minute: a server
 * that hangs silently is worse. It sleeps without waking while nothing runs. One a process.
 */
TIDE_NODISCARD struct watchdog *watchdog_new(struct error *err);
/** After all of its sandboxes. Takes NULL. */
void watchdog_free(struct watchdog *watchdog);

#endif
