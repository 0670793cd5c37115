/* trial.h - the operator's tests of their rules (*_test.lua), each tried on a store of its own,
 * with fresh rules, by a clock that the test moves (`tidemark test`; docs/lua-api.md, "Tests").
 *
 * A test runs in a sandbox of its own, on the calling thread: it pushes, lets time pass (timers,
 * events, passes of maintenance run meanwhile, by hand), asks, and says what it expected. Nothing
 * leaves the process: what scripts log and what webhooks would get is kept for the test to see. */
#ifndef TIDE_SCRIPT_TRIAL_H
#define TIDE_SCRIPT_TRIAL_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "script/host.h"
#include "script/rulebook.h"
#include "script/ruleset.h"
#include "store/store.h"

/* Two sandboxes within each other, and what they ask. */
#define TRIAL_STACK_BYTES ((size_t)64 << 20)

/* All borrowed. */
struct trial_options {
    const char *folder;         /* of the scripts */
    const char *data_dir;       /* of the test's store: empty, and left for the caller to remove */
    struct store_options store; /* bounds and retention as a server would have them; where it is,
                                   its clock and threads are ours */
    struct rulebook_options rules; /* bounds of rules, likewise */
    struct script_host host;       /* bounds of queries, likewise */
    int64_t timer_time_ms;         /* of one run of a timer or event rule */
    int64_t resend_ms;             /* firing alerts are told again after so long */
    int64_t time_ms;               /* of one test, by the real clock */
    const int *cancelled;          /* atomic; ends the test under way */
};

/* One test(title, function). */
struct trial_entry {
    char *title;
    int line;
};

/* The tests of one file, in their order. Zeroed is empty. */
struct trial_list {
    struct trial_entry *items;
    size_t count;
    int64_t retention_ms; /* instead of the configured one; 0: that */
    struct buf only;      /* terminated, as in rulebook_options; empty: all scripts of the folder */
};

/**
 * Loads a file and lists its tests; runs none.
 *
 * @param list  empty; trial_list_destroy it in any case
 * @return 0, or -1 with err: the file's error, with its line
 */
TIDE_NODISCARD int trial_list_read(const struct trial_options *options,
                                   const struct script_file *file, struct trial_list *list,
                                   struct error *err);
void trial_list_destroy(struct trial_list *list);

/* How a test went; zero it, trial_result_destroy it. */
struct trial_result {
    bool passed;
    struct buf problem; /* why not, lines of text with file and line; not terminated */
    struct buf printed; /* by print() */
    int64_t took_ns;
};

/** Runs one test of a file, on a thread with TRIAL_STACK_BYTES of stack. */
void trial_run(const struct trial_options *options, const struct script_file *file,
               const struct trial_list *list, size_t index, struct trial_result *result);
void trial_result_destroy(struct trial_result *result);

#endif
