#include "http/access_log.h"

#include "base/buf.h"
#include "base/logger.h"
#include "base/mem.h"
#include "base/thread.h"
#include "script/config.h"

/* Longer paths are cut. */
#define PATH_MAX_BYTES 500
#define METHOD_MAX_BYTES 20
#define SECOND_NS INT64_C(1000000000)

struct access_log {
    const struct clock *clock;
    struct access_log_options options; /* each atomic */

    struct lock rate_lock; /* guards the rest */
    int64_t second_ns;     /* when the running second began */
    int64_t lines;         /* in it */
    uint64_t left_out;     /* since the last line */
};

struct access_log *access_log_new(const struct access_log_options *options,
                                  const struct clock *clock)
{
    struct access_log *log = mem_zalloc(1, sizeof(*log));

    log->clock = clock;
    lock_init(&log->rate_lock);
    access_log_set(log, options);
    return log;
}

void access_log_free(struct access_log *log)
{
    if (log == NULL)
        return;
    lock_destroy(&log->rate_lock);
    mem_free(log);
}

void access_log_set(struct access_log *log, const struct access_log_options *options)
{
    __atomic_store_n(&log->options.requests, options->requests, __ATOMIC_RELAXED);
    __atomic_store_n(&log->options.slow_ns, options->slow_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&log->options.lines_per_second, options->lines_per_second, __ATOMIC_RELAXED);
}

/* May a line be written? Then how many were not since the last one. */
static bool pass(struct access_log *log, int64_t now_ns, uint64_t *left_out)
{
    int64_t most = __atomic_load_n(&log->options.lines_per_second, __ATOMIC_RELAXED);
    bool passes;

    lock_acquire(&log->rate_lock);
    if (now_ns - log->second_ns >= SECOND_NS) {
        log->second_ns = now_ns;
        log->lines = 0;
    }
    passes = log->lines < most;
    if (passes) {
        log->lines++;
        *left_out = log->left_out;
        log->left_out = 0;
    } else {
        log->left_out++;
    }
    lock_release(&log->rate_lock);
    return passes;
}

/* What a client chose cannot end the quotes, the field or the line. */
static void put_escaped(struct buf *out, const char *at, size_t len, size_t most)
{
    for (size_t i = 0; i < len && i < most; i++) {
        unsigned char c = (unsigned char)at[i];

        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\')
            buf_printf(out, "%%%02X", (unsigned)c);
        else
            buf_putc(out, (char)c);
    }
    if (len > most)
        buf_puts(out, "...");
}

static void write_line(const struct http_request *request, int status, int64_t took_ns, bool slow,
                       uint64_t received, uint64_t sent, uint64_t left_out)
{
    const struct http_head *head = request->head;
    struct buf line = {0};

    buf_puts(&line, "method=");
    if (head != NULL && head->path.len > 0) {
        put_escaped(&line, head->method.at, head->method.len, METHOD_MAX_BYTES);
        buf_puts(&line, " path=\"");
        put_escaped(&line, head->path.at, head->path.len, PATH_MAX_BYTES);
        buf_putc(&line, '"');
    } else {
        buf_puts(&line, "- path=\"\"");
    }
    buf_printf(&line, " status=%d took_ms=%" PRId64 " in=%" PRIu64 " out=%" PRIu64 " client=%s",
               status, took_ns / 1000000, received, sent,
               request->remote != NULL ? request->remote : "-");
    if (request->user != NULL) {
        buf_puts(&line, " user=\"");
        put_escaped(&line, request->user, strlen(request->user), PATH_MAX_BYTES);
        buf_putc(&line, '"');
    }
    if (slow)
        buf_puts(&line, " slow=true");
    if (left_out > 0)
        buf_printf(&line, " left_out=%" PRIu64, left_out);
    buf_putc(&line, '\0');
    if (status >= 500)
        log_warn("request", "%s", (const char *)line.data);
    else
        log_info("request", "%s", (const char *)line.data);
    buf_destroy(&line);
}

void access_log_request(struct access_log *log, const struct http_request *request, int status,
                        uint64_t received, uint64_t sent)
{
    int64_t mode = __atomic_load_n(&log->options.requests, __ATOMIC_RELAXED);
    int64_t now_ns = clock_mono_ns(log->clock);
    int64_t took_ns = now_ns - request->started_ns;
    bool slow = took_ns >= __atomic_load_n(&log->options.slow_ns, __ATOMIC_RELAXED);
    uint64_t left_out;

    if (mode == CONFIG_LOG_OFF || (mode == CONFIG_LOG_ERRORS && status < 400 && !slow))
        return;
    if (pass(log, now_ns, &left_out))
        write_line(request, status, took_ns, slow, received, sent, left_out);
}
