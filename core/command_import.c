/* command_import.c - `tidemark import`: samples of any age into the running server, of files or
 * of another server that answers remote read.
 *
 * They go in pieces of whole lines, each a request of its own, so any size does; a piece that the
 * server has no room for at the moment is sent again. Repeats are harmless. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client.h"
#include "remote_source.h"
#include "wire/json_lines.h"

#define PIECE_BYTES ((size_t)4 << 20)
#define LINE_BYTES ((size_t)16 << 20)
#define LINE_SAMPLES ((size_t)10000) /* of a line that we make */
#define RETRY_NS INT64_C(500000000)
#define RETRIES 600 /* five minutes without progress */

struct import {
    struct client client;
    struct config config;
    const char *format;  /* "json", "text"; NULL: by the first line of each file */
    const char *path;    /* of the route */
    struct buf piece;    /* whole lines, then one that is not whole yet */
    uint64_t first_line; /* of the piece, from 1 */
    uint64_t lines;      /* sent, of all files */
    uint64_t bytes;
    uint64_t refused;
    uint64_t expiring;

    const char *source; /* --remote-read; NULL: files */
    struct selection_arguments asked;
    struct labels *series; /* of the source, the last one; owned */
    uint64_t series_count, samples;
};

/* The number behind `"name":` in an answer. */
static uint64_t number_in(const struct fetch_reply *reply, const char *name)
{
    char mark[40];
    const char *found, *end;
    uint64_t number = 0;

    snprintf(mark, sizeof(mark), "\"%s\":", name);
    if (reply->body.len == 0 ||
        (found = memmem(reply->body.data, reply->body.len, mark, strlen(mark))) == NULL)
        return 0;
    end = (const char *)reply->body.data + reply->body.len;
    for (found += strlen(mark); found < end && *found >= '0' && *found <= '9'; found++)
        number = number * 10 + (uint64_t)(*found - '0');
    return number;
}

static void sleep_ns(int64_t ns)
{
    struct timespec rest = {ns / 1000000000, ns % 1000000000};

    nanosleep(&rest, NULL);
}

/* Bad lines do not stop an import: they are counted, and the first of each piece are shown. */
static int judge(struct import *import, const char *name, const struct fetch_reply *reply)
{
    import->expiring += number_in(reply, "expiring");
    if (reply->status < 300)
        return 0;
    fprintf(stderr, "tidemark: %s, lines from %" PRIu64 " on: ", name, import->first_line);
    client_print_refusal(reply);
    import->refused += number_in(reply, "refused");
    return reply->status == 400 && number_in(reply, "refused") != 0 ? 0 : -1;
}

static int send_piece(struct import *import, const char *name, size_t len)
{
    static const char *const headers[] = {"Content-Type: text/plain", NULL};
    int result = 0;

    for (int attempt = 0; len != 0; attempt++) {
        struct fetch_request request = {
            .method = "POST", .headers = headers, .body = import->piece.data, .body_len = len};
        struct fetch_reply reply;

        if (client_exchange(&import->client, &import->config, import->path, &request, &reply) != 0)
            return -1;
        if ((reply.status == 503 || reply.status == 429) && attempt < RETRIES) {
            fetch_reply_destroy(&reply);
            sleep_ns(RETRY_NS);
            continue;
        }
        result = judge(import, name, &reply);
        fetch_reply_destroy(&reply);
        break;
    }
    for (size_t i = 0; i < len; i++)
        import->first_line += import->piece.data[i] == '\n';
    import->bytes += len;
    import->piece.len -= len;
    memmove(import->piece.data, import->piece.data + len, import->piece.len);
    return result;
}

/* Bytes up to the end of the last whole line. */
static size_t whole_lines(const struct buf *piece)
{
    const uint8_t *end = piece->len != 0 ? memrchr(piece->data, '\n', piece->len) : NULL;

    return end == NULL ? 0 : (size_t)(end + 1 - piece->data);
}

static void choose_route(struct import *import)
{
    static const char json[] = "{\"metric\"";
    bool is_json = import->format != NULL
                       ? strcmp(import->format, "json") == 0
                       : import->piece.len >= sizeof(json) - 1 &&
                             memcmp(import->piece.data, json, sizeof(json) - 1) == 0;

    import->path = is_json ? "/api/v1/import" : "/api/v1/import/prometheus";
}

static int import_stream(struct import *import, const char *name, FILE *file)
{
    bool first = true;

    import->first_line = 1;
    import->piece.len = 0;
    for (;;) {
        size_t got = fread(buf_reserve(&import->piece, PIECE_BYTES), 1, PIECE_BYTES, file);
        size_t whole;

        import->piece.len += got;
        if (ferror(file) != 0) {
            fprintf(stderr, "tidemark: cannot read %s: %s\n", name, strerror(errno));
            return -1;
        }
        if (first)
            choose_route(import);
        first = false;
        whole = got == 0 ? import->piece.len : whole_lines(&import->piece);
        if (whole == 0 && import->piece.len > LINE_BYTES) {
            fprintf(stderr, "tidemark: %s: line %" PRIu64 " is longer than %zu bytes\n", name,
                    import->first_line, LINE_BYTES);
            return -1;
        }
        if (send_piece(import, name, whole) != 0)
            return -1;
        if (got == 0)
            break;
    }
    import->lines += import->first_line - 1;
    return 0;
}

static int import_file(struct import *import, const char *name)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    int result;

    if (file == NULL) {
        fprintf(stderr, "tidemark: cannot open %s: %s\n", name, strerror(errno));
        return -1;
    }
    result = import_stream(import, file == stdin ? "standard input" : name, file);
    if (file != stdin)
        fclose(file);
    return result;
}

/* --- another server -----------------------------------------------------------------------------
 */

static int take_samples(void *ctx, const struct labels *labels, const struct columns *samples,
                        struct error *err)
{
    struct import *import = ctx;

    if (import->series == NULL || !labels_equal(import->series, labels)) {
        labels_unref(import->series);
        import->series = labels_ref(labels);
        import->series_count++;
    }
    import->samples += samples->len;
    for (size_t from = 0; from < samples->len; from += LINE_SAMPLES) {
        json_lines_put(&import->piece, labels, samples, from,
                       TIDE_MIN(from + LINE_SAMPLES, samples->len));
        if (import->piece.len >= PIECE_BYTES &&
            send_piece(import, import->source, import->piece.len) != 0)
            return error_set(err, ERR_CANCELLED, "broken off after %" PRIu64 " samples",
                             import->samples);
    }
    return 0;
}

/* Its own route, when only the server is named. */
static void put_source_url(struct buf *url, const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '/')
        len--;
    buf_append(url, text, len);
    if (len < 5 || memcmp(text + len - 5, "/read", 5) != 0)
        buf_puts(url, "/api/v1/read");
    buf_putc(url, '\0');
}

static int import_source(struct import *import)
{
    struct buf url = {0};
    struct remote_source source = {
        .ca = import->client.ca, .selection = &import->asked, .take = take_samples, .ctx = import};
    int result;

    put_source_url(&url, import->source);
    import->source = source.url = (const char *)url.data;
    import->path = "/api/v1/import";
    import->first_line = 1;
    result = remote_source_read(&source);
    if (result == 0)
        result = send_piece(import, import->source, import->piece.len);
    import->lines = import->first_line - 1;
    printf("read %" PRIu64 " samples of %" PRIu64 " series from %s\n", import->samples,
           import->series_count, source.url);
    if (source.histograms != 0)
        fprintf(stderr,
                "tidemark: warning: %" PRIu64 " chunks of native histograms were left out\n",
                source.histograms);
    labels_unref(import->series);
    buf_destroy(&url);
    return result;
}

static int import_files(struct import *import, const struct arguments *arguments)
{
    int result = 0;

    if (arguments->operand_count == 0)
        result = import_file(import, "-");
    for (size_t i = 0; i < arguments->operand_count && result == 0; i++)
        result = import_file(import, arguments->operands[i]);
    return result;
}

static void print_summary(const struct import *import)
{
    printf("imported %" PRIu64 " lines (%" PRIu64 " bytes), %" PRIu64 " samples refused\n",
           import->lines, import->bytes, import->refused);
    if (import->expiring != 0)
        fprintf(stderr,
                "tidemark: warning: %" PRIu64 " samples are older than storage.retention: they "
                "will be dropped\n",
                import->expiring);
}

static int check_arguments(struct import *import, const struct arguments *arguments,
                           const char *start, const char *end)
{
    if (import->format != NULL && strcmp(import->format, "json") != 0 &&
        strcmp(import->format, "text") != 0) {
        fprintf(stderr, "tidemark: --format %s: json and text are known\n", import->format);
        return -1;
    }
    if (import->source != NULL)
        return selection_arguments_read(&import->asked, arguments, start, end);
    if (start == NULL && end == NULL)
        return 0;
    fprintf(stderr, "tidemark: --start and --end belong to --remote-read\n");
    return -1;
}

int command_import(int argc, char **argv)
{
    struct import import = {.asked = {.to_ms = clock_wall_ms(clock_system())}};
    const char *start = NULL, *end = NULL;
    const struct command_option options[] = {CLIENT_OPTIONS(import.client),
                                             {"--format", &import.format, NULL},
                                             {"--remote-read", &import.source, NULL},
                                             {"--start", &start, NULL},
                                             {"--end", &end, NULL},
                                             {0}};
    struct arguments arguments;
    int status = EXIT_USAGE;

    if (arguments_parse(&arguments, argc, argv, options, OPERANDS_MAX) == 0 &&
        check_arguments(&import, &arguments, start, end) == 0)
        status = arguments_load_config(&arguments, &import.config) == 0 ? EXIT_GOOD : EXIT_FOUND;
    if (status == EXIT_GOOD) {
        int result =
            import.source != NULL ? import_source(&import) : import_files(&import, &arguments);

        print_summary(&import);
        status = result == 0 && import.refused == 0 ? EXIT_GOOD : EXIT_FOUND;
        buf_destroy(&import.piece);
        config_destroy(&import.config);
    }
    selection_arguments_destroy(&import.asked);
    return status;
}
