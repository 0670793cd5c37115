/* logger.c - see logger.h. */
#include "base/logger.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_MAX_BYTES 4096

static int current_level = LOG_LEVEL_INFO;
static int current_format = LOG_FORMAT_LOGFMT;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void logger_set_level(enum log_level level)
{
    __atomic_store_n(&current_level, (int)level, __ATOMIC_RELAXED);
}

enum log_level logger_level(void)
{
    return (enum log_level)__atomic_load_n(&current_level, __ATOMIC_RELAXED);
}

void logger_set_format(enum log_format format)
{
    __atomic_store_n(&current_format, (int)format, __ATOMIC_RELAXED);
}

/* Control characters would let a label value forge a line. */
static void replace_control_characters(char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    }
}

static size_t format_time(char *out, size_t size)
{
    int64_t now_ms = clock_wall_ms(clock_system());
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    size_t len;

    gmtime_r(&seconds, &tm);
    len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return len + (size_t)snprintf(out + len, size - len, ".%03dZ", (int)(now_ms % 1000));
}

static size_t append_json_string(char *out, size_t size, const char *text)
{
    size_t len = 0;

    for (; *text != '\0' && len + 3 < size; text++) {
        if (*text == '"' || *text == '\\')
            out[len++] = '\\';
        out[len++] = *text;
    }
    return len;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

/* Bytes of "name=" at the start of a text; 0: it starts with something else. */
static size_t name_len(const char *text)
{
    size_t len = 0;

    while (is_name_byte(text[len]))
        len++;
    return len > 0 && text[len] == '=' ? len + 1 : 0;
}

/* The end of a field's value: before a blank and the next name, or of the text. Quotes within a
 * quoted value need no escape, so they do not end it. */
static const char *value_end(const char *value)
{
    const char *at = value;

    for (; *at != '\0'; at++) {
        if (*at == ' ' && name_len(at + 1) > 0 &&
            (*value != '"' || (at > value + 1 && at[-1] == '"')))
            break;
    }
    return at;
}

/* key=value pairs as members of a JSON object, all values texts; what is none is "text". */
static size_t append_json_fields(char *out, size_t size, char *fields)
{
    size_t len = 0;

    while (*fields != '\0') {
        size_t name = name_len(fields);
        char *value = fields + name, *end = (char *)value_end(value), *next = end;

        /* the frame of a member, and an end that fits in any case */
        if (size - len < name + 16)
            break;
        if (*next == ' ')
            next++;
        if (*value == '"' && end > value + 1 && end[-1] == '"') {
            value++;
            end--;
        }
        *end = '\0';
        len += (size_t)snprintf(out + len, size - len, ",\"%.*s\":\"", name > 0 ? (int)name - 1 : 4,
                                name > 0 ? fields : "text");
        len += append_json_string(out + len, size - len - 1, value);
        out[len++] = '"';
        fields = next;
    }
    return len;
}

static size_t format_line(char *line, size_t size, enum log_level level, const char *message,
                          char *fields)
{
    char when[40];
    size_t len;

    format_time(when, sizeof(when));
    if (__atomic_load_n(&current_format, __ATOMIC_RELAXED) == LOG_FORMAT_LOGFMT) {
        len = (size_t)snprintf(line, size, "ts=%s level=%s msg=\"%s\"%s%s", when,
                               level_names[level], message, fields[0] != '\0' ? " " : "", fields);
        return len < size ? len : size - 1;
    }
    len = (size_t)snprintf(line, size, "{\"ts\":\"%s\",\"level\":\"%s\",\"msg\":\"%s\"", when,
                           level_names[level], message);
    len += append_json_fields(line + len, size - len - 1, fields);
    line[len++] = '}';
    return len;
}

void logger_write(enum log_level level, const char *message, const char *format, ...)
{
    char fields[LINE_MAX_BYTES - 256] = "";
    char line[LINE_MAX_BYTES + 2];
    size_t len;

    if (level > logger_level())
        return;
    if (format != NULL) {
        va_list args;

        va_start(args, format);
        vsnprintf(fields, sizeof(fields), format, args);
        va_end(args);
        replace_control_characters(fields, strlen(fields));
    }
    len = format_line(line, LINE_MAX_BYTES, level, message, fields);
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) == -1)
        return; /* nowhere left to say so */
}

bool log_limit_pass(struct log_limit *limit, int64_t interval_s, uint64_t *dropped)
{
    int64_t now = clock_mono_ns(clock_system());
    int64_t next = __atomic_load_n(&limit->next_ns, __ATOMIC_RELAXED);

    if (now < next ||
        !__atomic_compare_exchange_n(&limit->next_ns, &next, now + interval_s * 1000000000, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        __atomic_add_fetch(&limit->dropped, 1, __ATOMIC_RELAXED);
        return false;
    }
    *dropped = __atomic_exchange_n(&limit->dropped, 0, __ATOMIC_RELAXED);
    return true;
}
