/* access_log.h - a line for each request, as far as the configuration wants it: none, those that
 * failed or were slow, or all; at most so many a second.
 *
 *     msg="request" method=POST path="/api/v1/write" status=204 took_ms=3 in=5120 out=180
 *     client=192.0.2.7 user="agent"
 *
 * Paths without their parameters, which may hold secrets. Thread-safe. */
#ifndef TIDE_HTTP_ACCESS_LOG_H
#define TIDE_HTTP_ACCESS_LOG_H

#include "base/base.h"
#include "base/clock.h"
#include "http/http_request.h"

struct access_log;

/* The client hung up before its answer. */
#define ACCESS_LOG_GONE 499

struct access_log_options {
    int64_t requests; /* enum config_log_requests */
    int64_t slow_ns;
    int64_t lines_per_second;
};

struct access_log *access_log_new(const struct access_log_options *options,
                                  const struct clock *clock);
void access_log_free(struct access_log *log);
/** Other options from now on. */
void access_log_set(struct access_log *log, const struct access_log_options *options);
/**
 * A request has been answered.
 *
 * @param request   its head's texts are empty when it had none that could be read
 * @param received  bytes of its body
 * @param sent      bytes of the answer
 */
void access_log_request(struct access_log *log, const struct http_request *request, int status,
                        uint64_t received, uint64_t sent);

#endif
