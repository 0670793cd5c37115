/* webhook.h - alerts on their way to an Alertmanager: a bounded queue and a thread that posts.
 *
 * POST of a JSON array of alerts (Alertmanager's API v2). What is not taken is tried again, after 1
 * s, 2 s ... 1 min; a full queue leaves out the oldest and counts it. Thread-safe. */
#ifndef TIDE_SCRIPT_WEBHOOK_H
#define TIDE_SCRIPT_WEBHOOK_H

#include "base/base.h"
#include "base/error.h"
#include "base/metrics.h"

#define WEBHOOK_QUEUE 10000
#define WEBHOOK_BATCH 64

struct webhook;

/**
 * @param url         "http://alertmanager:9093/api/v2/alerts"; copied
 * @param timeout_ms  of one post
 * @param metrics     may be NULL; not to be printed after the stop
 * @return owned (webhook_stop), or NULL with err: IO (no thread)
 */
TIDE_NODISCARD struct webhook *webhook_start(const char *url, int64_t timeout_ms,
                                             struct metrics *metrics, struct error *err);
/** Tries once more what is queued, for at most a timeout, then ends. Takes NULL. */
void webhook_stop(struct webhook *webhook);
/** One alert as a JSON object; copied. */
void webhook_put(struct webhook *webhook, const char *json, size_t len);

#endif
