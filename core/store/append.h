/* append.h - what becomes of a pushed batch: the verdict on every sample.
 *
 * Bounds on labels and on future samples come first. A sample that is not newer than the newest of
 * its series is late: it is kept within a window (store_options.out_of_order_ms), and where it
 * meets another of its time, a rule says which counts; without a window the rules are those of
 * storage 1.x (behaviour section 5). */
#ifndef TIDE_STORE_APPEND_H
#define TIDE_STORE_APPEND_H

#include "base/base.h"
#include "base/error.h"
#include "store/batch.h"
#include "store/edit_list.h"

enum refusal {
    REFUSED_OUT_OF_ORDER, /* older than the series' newest sample (out_of_order 0) */
    REFUSED_DUPLICATE,    /* the newest time again, with another value (out_of_order 0) */
    REFUSED_TOO_OLD,      /* older than the newest by more than storage.out_of_order */
    REFUSED_FUTURE,       /* later than now + limits.future */
    REFUSED_LABELS,       /* names, values, counts or lengths not allowed */
    REFUSED_SERIES_LIMIT, /* would be a new series, and there are too many */
    REFUSED_BY_POLICY,    /* a script said drop: not an error for the sender */
    REFUSED_RATE,         /* over a limit's samples a second: come again later */
    REFUSED_MALFORMED,    /* the decoder could not read the line (counted by wire) */
    REFUSED_REASONS,      /* how many reasons there are */
};

/* Metric label and JSON text: "out_of_order", "duplicate_timestamp", ... Static. */
const char *refusal_name(enum refusal reason);

#define APPEND_EXAMPLES 10

struct refusal_example {
    enum refusal reason;
    uint32_t line;  /* batch_entry.line */
    uint32_t entry; /* index in the batch */
    char text[200]; /* what and why, one line */
};

/* When the answer about a push may leave: once the write-ahead log is so far. Zeroed: at once. */
struct append_ticket {
    uint64_t position; /* in the log, behind all that the push changed */
    uint64_t barrier;  /* repeats were accepted: the batches begun up to this number come first */
    uint64_t merge; /* an import brought late samples: the merges begun up to this number are done
                     */
};

struct append_result {
    struct append_ticket ticket; /* of all appends into this result; store_is_durable */
    uint64_t accepted;           /* stored, or identical to what is stored */
    uint64_t late;               /* of these, not newer than the newest of their series */
    uint64_t expiring;           /* imported, and so old that storage.retention will drop it */
    uint64_t refused[REFUSED_REASONS];
    struct refusal_example examples[APPEND_EXAMPLES];
    size_t example_count;
};

void append_result_init(struct append_result *result);
/** Counts `samples` refusals; keeps the first APPEND_EXAMPLES as examples. */
void append_result_refuse(struct append_result *result, enum refusal reason, uint64_t samples,
                          uint32_t entry, uint32_t line, const char *format, ...) TIDE_PRINTF(6, 7);
uint64_t append_result_refused(const struct append_result *result);

struct store;
struct appender;

/** Scratch of one pushing thread; one owner, not thread-safe. */
struct appender *appender_new(struct store *store);
void appender_free(struct appender *appender);
/** The store's rule for two values at one time. */
enum duplicate_rule appender_rule(const struct appender *appender);

/**
 * Appends all samples of a batch; bad ones are refused one by one, good ones stay.
 *
 * @param result  filled (append_result_init was called); on failure holds what was done before
 * @return 0 (look at result), or -1 with err: ERR_BUSY (try again later, from the first sample on:
 *         identical repeats are accepted), ERR_IO (storage is read-only)
 * Cost: a known series takes no label parsing and no allocation. Thread-safe by appender.
 */
TIDE_NODISCARD int store_append(struct appender *appender, const struct batch *batch,
                                struct append_result *result, struct error *err);

/**
 * The same for samples of any age, whatever the window: sorted by series and time, what is newer
 * than the newest of its series is pushed, all else merged into the series files soon. Counts in
 * result->expiring what the default retention will drop.
 *
 * @param rule  where a late sample meets another; DUPLICATE_FIRST keeps what is there
 * @return as store_append; BUSY also while too many late samples wait for their merge
 */
TIDE_NODISCARD int store_import(struct appender *appender, const struct batch *batch,
                                enum duplicate_rule rule, struct append_result *result,
                                struct error *err);

#ifndef TIDE_CDEF
/** Is there nothing to wait for? */
static inline bool append_ticket_is_empty(const struct append_ticket *ticket)
{
    return ticket->position == 0 && ticket->barrier == 0 && ticket->merge == 0;
}
/** Raises a ticket so that it also waits for another. */
static inline void append_ticket_raise(struct append_ticket *ticket,
                                       const struct append_ticket *other)
{
    ticket->position = TIDE_MAX(ticket->position, other->position);
    ticket->barrier = TIDE_MAX(ticket->barrier, other->barrier);
    ticket->merge = TIDE_MAX(ticket->merge, other->merge);
}
#endif

/**
 * Is everything that a ticket stands for as durable as wal.sync promises? An answer leaves only
 * then. Never blocks; thread-safe.
 *
 * @return 1 yes; 0 not yet (store_set_durable_listener tells when to ask again); -1 with err: IO
 *         (it never will be)
 */
int store_is_durable(struct store *store, struct append_ticket *ticket, struct error *err);
/** Waits for that (not on an event loop). @return 0, or -1 with err: IO, TIMEOUT */
TIDE_NODISCARD int store_wait_durable(struct store *store, struct append_ticket *ticket,
                                      int64_t timeout_ms, struct error *err);
/**
 * `moved` is called, on a thread of the store, whenever a ticket may have become durable; it must
 * be quick. One listener; NULL: nobody. When this returns, the one before is not being called any
 * more.
 */
void store_set_durable_listener(struct store *store, void (*moved)(void *ctx), void *ctx);

#endif
