/* logger.h - the log: one line an event, a constant message and key=value pairs.
 *
 * error: someone must act. warn: degraded, but healing. info: life cycle; silent when idle.
 * debug: off. The one sink of the process (the convention's exception to "no globals");
 * thread-safe, a line is one write. Floor 1 does not log, it returns errors. */
#ifndef TIDE_BASE_LOGGER_H
#define TIDE_BASE_LOGGER_H

#include "base/base.h"

/* LOG_LEVEL_NONE is no line's: as the bound it keeps all of them back. */
enum log_level {
    LOG_LEVEL_NONE = -1,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/** Lines above `level` are dropped. Default: info, logfmt, to standard error. */
void logger_set_level(enum log_level level);
enum log_level logger_level(void);
void logger_set_format(enum log_format format);

/**
 * Writes one line. `format` makes "key=value key2=value2"; values with blanks are quoted by the
 * caller: "key=\"%s\"". In JSON each pair is a member of the line's object. NULL format: message
 * only.
 */
void logger_write(enum log_level level, const char *message, const char *format, ...)
    TIDE_PRINTF(3, 4);

#ifndef TIDE_CDEF

/* Lets one line through every `interval_s` seconds a call site; says how many were left out. */
struct log_limit {
    int64_t next_ns;
    uint64_t dropped;
};

bool log_limit_pass(struct log_limit *limit, int64_t interval_s, uint64_t *dropped);

#define log_error(message, ...) logger_write(LOG_LEVEL_ERROR, (message), __VA_ARGS__)
#define log_warn(message, ...) logger_write(LOG_LEVEL_WARN, (message), __VA_ARGS__)
#define log_info(message, ...) logger_write(LOG_LEVEL_INFO, (message), __VA_ARGS__)
#define log_debug(message, ...)                                                                    \
    do {                                                                                           \
        if (logger_level() >= LOG_LEVEL_DEBUG)                                                     \
            logger_write(LOG_LEVEL_DEBUG, (message), __VA_ARGS__);                                 \
    } while (0)

/* For hot or remote-triggered lines: at most one in 10 s a call site. */
#define log_warn_limited(message, format, ...)                                                     \
    do {                                                                                           \
        static struct log_limit limit_;                                                            \
        uint64_t dropped_;                                                                         \
        if (log_limit_pass(&limit_, 10, &dropped_))                                                \
            log_warn(message, format " left_out=%" PRIu64, __VA_ARGS__, dropped_);                 \
    } while (0)

#endif
#endif
