/* push.h - what all push routes have in common: a body is decoded into the worker's batch, goes
 * into the store in one place (push_append), and what became of it is told in the protocol's form.
 *
 * A route fills a push_job and calls push_run with its push_form. The good part of a push is always
 * kept; the rest is reported item by item. Runs on the worker. */
#ifndef TIDE_HTTP_PUSH_H
#define TIDE_HTTP_PUSH_H

#include "base/base.h"
#include "http/http_reply.h"
#include "http/http_request.h"
#include "http/params.h"
#include "store/append.h"
#include "store/batch.h"
#include "wire/label_pairs.h"
#include "wire/push.h"

struct store;

/* What a thread needs to take pushes: an appender, and a batch that is used again. One owner, not
 * thread-safe; must be freed before the store is closed. */
struct pusher {
    struct appender *appender;
    struct batch batch;
    struct append_result result;
};

struct pusher *pusher_new(struct store *store);
/** Takes NULL. */
void pusher_free(struct pusher *pusher);

/* One push. Zero it, then push_begin. */
struct push_job {
    struct http_request *request;
    struct http_reply *reply;
    const uint8_t *body;
    size_t len;
    struct push push; /* the time of arrival, metadata, what was skipped */
    struct batch *batch;
    struct append_result *result;
    struct params params;     /* of the URL; a body is never a form */
    struct label_extra extra; /* labels that the request adds: ?extra_label=, a group, a database */
    struct label tenant_label;
    struct label_extra tenant; /* the credential's: wins over all other labels */
    bool extra_applied;
    bool import;     /* samples of any age are taken (store_import) */
    int64_t unit_ns; /* Influx: of its times */
};

/* How a protocol reads a body, and how it tells what became of it. */
struct push_form {
    /* @return 0, or -1 with err: nothing of the body is to be trusted */
    int (*decode)(struct push_job *job, struct error *err);
    /* The batch was appended; what was refused is in job->result. NULL: push_answer */
    void (*answer)(struct push_job *job);
    /* Nothing more was stored: body as a whole bad, or the store would not. NULL: the API's form */
    void (*fail)(struct push_job *job, const struct error *err);
};

/**
 * Empties the worker's batch and result for this request, and reads the URL's parameters with
 * extra_label=NAME=VALUE among them.
 *
 * @return 0 (push_end it), or -1 with err: INVALID
 */
TIDE_NODISCARD int push_begin(struct push_job *job, struct http_request *request,
                              struct http_reply *reply, struct error *err);
/** Decodes, appends and answers; ends the job. */
void push_run(struct push_job *job, const struct push_form *form);
/**
 * Appends what the batch holds, with the job's extra labels: the only way of pushed samples into
 * the store.
 *
 * @return 0, or -1 with err: BUSY, IO
 */
TIDE_NODISCARD int push_append(struct push_job *job, struct error *err);
/** Adds the job's extra labels to its batch; push_append does it, unless it was done before. */
void push_apply_extra(struct push_job *job);
/** Empties the batch for samples that go beside the body, and get no extra labels. */
void push_next_batch(struct push_job *job);
/** Counts what was done and gives back what the job holds; keeps a batch of usual size. Safe on a
 * zeroed job. */
void push_end(struct push_job *job);
/** begin, run and end in one; a failing begin is told by the form. */
void push_whole(struct http_request *request, struct http_reply *reply,
                const struct push_form *form);

/** 204, or 400 with the counts, the reasons and the first refused items, as JSON. */
void push_answer(struct push_job *job);
/** What the sender did wrong; what a script dropped is not among it. */
uint64_t push_faults(const struct append_result *result);
/** Were samples refused that may come again in a while (over a limit's rate)? */
bool push_is_over_rate(const struct append_result *result);
/** Of them, what has to do with the format of the body: broken lines and labels. */
uint64_t push_malformed(const struct append_result *result);
/** "2 samples were written, 1 were refused: ..." with the first reason, for other forms. */
void push_put_summary(struct buf *out, const struct append_result *result);
/** One line for each example: `line 3: why`, with `separator` between them. */
void push_put_examples(struct buf *out, const struct append_result *result, const char *separator);

#endif
