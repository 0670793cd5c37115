/* audit.c - see audit.h. */
#include "store/audit.h"

#include <stdio.h>
#include <time.h>

#include "base/logger.h"
#include "store/folder.h"

#define PASS_NS ((int64_t)3600 * 1000000000)

/* --- a line
 * ------------------------------------------------------------------------------------------- */

static void put_text(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_putc(out, (char)c);
    }
}

static void put_time(struct buf *out, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    char text[40];
    struct tm utc;

    gmtime_r(&seconds, &utc);
    text[strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc)] = '\0';
    buf_printf(out, "%s.%03dZ", text, (int)(((time_ms % 1000) + 1000) % 1000));
}

void removal_put_json(struct buf *out, const char *action, const struct removal *removal)
{
    buf_puts(out, "{\"time\":\"");
    put_time(out, removal->time_ms);
    buf_printf(out, "\",\"action\":\"%s\",\"id\":\"%s\",\"time_ms\":%" PRId64, action, removal->id,
               removal->time_ms);
    buf_printf(out,
               ",\"series\":%" PRIu64 ",\"series_gone\":%" PRIu64 ",\"chunks\":%" PRIu64
               ",\"samples\":%" PRIu64 ",\"bytes\":%" PRIu64,
               removal->series, removal->series_gone, removal->chunks, removal->samples,
               removal->bytes);
    buf_printf(out,
               ",\"first_ms\":%" PRId64 ",\"last_ms\":%" PRId64 ",\"from_ms\":%" PRId64
               ",\"to_ms\":%" PRId64 ",\"by\":\"",
               removal->first_ms, removal->last_ms, removal->from_ms, removal->to_ms);
    put_text(out, removal->by);
    buf_putc(out, '"');
    if (removal->rules != 0)
        buf_printf(out, ",\"rules\":\"%016" PRIx64 "\"", removal->rules);
    buf_putc(out, '}');
}

bool removal_parse_json(const char *text, struct removal *removal)
{
    const char *at = strstr(text, "\"time_ms\":");
    size_t len = 0;

    if (at == NULL ||
        sscanf(at,
               "\"time_ms\":%" SCNd64 ",\"series\":%" SCNu64 ",\"series_gone\":%" SCNu64
               ",\"chunks\":%" SCNu64 ",\"samples\":%" SCNu64 ",\"bytes\":%" SCNu64
               ",\"first_ms\":%" SCNd64 ",\"last_ms\":%" SCNd64 ",\"from_ms\":%" SCNd64
               ",\"to_ms\":%" SCNd64,
               &removal->time_ms, &removal->series, &removal->series_gone, &removal->chunks,
               &removal->samples, &removal->bytes, &removal->first_ms, &removal->last_ms,
               &removal->from_ms, &removal->to_ms) != 10)
        return false;
    at = strstr(at, "\"by\":\"");
    if (at == NULL)
        return false;
    for (at += 6; *at != '"' && *at != '\0' && len + 1 < sizeof(removal->by); at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        removal->by[len++] = *at;
    }
    removal->by[len] = '\0';
    removal->thinned = strstr(text, "\"action\":\"downsample\"") != NULL;
    removal->by_pass = removal->thinned || strstr(text, "\"action\":\"retention\"") != NULL;
    at = strstr(at, "\",\"rules\":\"");
    if (at != NULL)
        sscanf(at, "\",\"rules\":\"%" SCNx64, &removal->rules);
    return true;
}

/* --- the file
 * ----------------------------------------------------------------------------------------- */

/* Size of the file now. A line that a crash cut off is ended first (*torn). */
static int find_end(struct volume *volume, uint64_t *size, bool *torn, struct error *err)
{
    struct volume_stat stat = {0};
    char last = '\n';
    size_t got = 0;

    if (volume->stat(volume, AUDIT_FILE, &stat, err) != 0 && err->code != ERR_NOT_FOUND)
        return -1;
    *size = stat.size;
    if (stat.size != 0 && volume->read(volume, AUDIT_FILE, stat.size - 1, &last, 1, &got, err) != 0)
        return -1;
    *torn = last != '\n';
    return 0;
}

static int add_line(struct store *store, const struct buf *line, struct error *err)
{
    struct volume *volume = store->folder->volume;
    struct volume_part parts[2] = {{"\n", 0}, {line->data, line->len}};
    uint64_t size;
    bool torn;

    if (find_end(volume, &size, &torn, err) != 0)
        return -1;
    if (size >= AUDIT_MAX_BYTES) {
        if (volume->move(volume, AUDIT_FILE, AUDIT_OLD_FILE, err) != 0)
            return -1;
        size = 0;
        torn = false;
    }
    parts[0].len = torn ? 1 : 0;
    return volume->append(volume, AUDIT_FILE, size, parts, 2, true, NULL, err);
}

void audit_write(struct store *store, const char *action, const struct removal *removal)
{
    struct buf line = {0};
    struct error err;
    int result;

    removal_put_json(&line, action, removal);
    buf_putc(&line, '\n');
    lock_acquire(&store->folder->audit_lock);
    result = add_line(store, &line, &err);
    lock_release(&store->folder->audit_lock);
    if (result != 0)
        log_error("a line of " AUDIT_FILE " could not be written",
                  "problem=\"%s\" action=%s id=%s series=%" PRIu64 " samples=%" PRIu64, err.text,
                  action, removal->id, removal->series, removal->samples);
    buf_destroy(&line);
}

/* --- passes
 * ----------------------------------------------------------------------------------------- */

static bool is_of(const struct removal *line, const struct removal *dropped)
{
    return line->rules == dropped->rules && strcmp(line->id, dropped->id) == 0 &&
           strcmp(line->by, dropped->by) == 0;
}

/* The line of a rule; the last one takes what finds no room. */
static struct removal *find_rule(struct audit_pass *pass, const struct removal *dropped)
{
    struct removal *line;

    for (size_t i = 0; i < pass->count; i++) {
        if (is_of(&pass->rules[i], dropped))
            return &pass->rules[i];
    }
    if (pass->count == AUDIT_RULES)
        return &pass->rules[AUDIT_RULES - 1];
    line = &pass->rules[pass->count++];
    *line = (struct removal){
        .from_ms = TIDE_EARLIEST_MS,
        .first_ms = TIDE_LATEST_MS,
        .last_ms = TIDE_EARLIEST_MS,
        .to_ms = TIDE_EARLIEST_MS,
        .rules = dropped->rules,
    };
    memcpy(line->id, dropped->id, sizeof(line->id));
    snprintf(line->by, sizeof(line->by), "%s",
             pass->count == AUDIT_RULES ? "other rules" : dropped->by);
    return line;
}

const char *removal_action(const struct removal *removal)
{
    if (!removal->by_pass)
        return "delete";
    return removal->thinned ? "downsample" : "retention";
}

void removal_add(struct removal *sum, const struct removal *dropped)
{
    sum->series += dropped->series;
    sum->series_gone += dropped->series_gone;
    sum->chunks += dropped->chunks;
    sum->samples += dropped->samples;
    sum->bytes += dropped->bytes;
    sum->first_ms = TIDE_MIN(sum->first_ms, dropped->first_ms);
    sum->last_ms = TIDE_MAX(sum->last_ms, dropped->last_ms);
}

static void pass_add(struct store *store, struct audit_pass *pass, const struct removal *dropped)
{
    struct removal *line;

    if (pass->count == 0)
        pass->began_mono_ns = clock_mono_ns(store->clock);
    line = find_rule(pass, dropped);
    removal_add(line, dropped);
    line->to_ms = TIDE_MAX(line->to_ms, dropped->to_ms);
}

void audit_pass_add(struct store *store, const struct removal *dropped)
{
    pass_add(store, &store->folder->pass, dropped);
}

void audit_thin_add(struct store *store, const char *by, const struct removal *removed)
{
    struct removal named = *removed;

    snprintf(named.by, sizeof(named.by), "%s", by);
    pass_add(store, &store->folder->thin_pass, &named);
}

static void pass_flush(struct store *store, struct audit_pass *pass, const char *action, bool now)
{
    if (pass->count == 0 || (!now && clock_mono_ns(store->clock) - pass->began_mono_ns < PASS_NS))
        return;
    for (size_t i = 0; i < pass->count; i++) {
        pass->rules[i].time_ms = clock_wall_ms(store->clock);
        audit_write(store, action, &pass->rules[i]);
    }
    pass->count = 0;
}

void audit_pass_flush(struct store *store, bool now)
{
    pass_flush(store, &store->folder->pass, "retention", now);
    pass_flush(store, &store->folder->thin_pass, "downsample", now);
}
