/* result_json.h - answers of the query API as JSON (http-protocols, section 2), piece by piece.
 *
 * Numbers print as Prometheus prints them, labels in their stored order. Appends to the caller's
 * buffer; allocates nothing else. */
#ifndef TIDE_WIRE_RESULT_JSON_H
#define TIDE_WIRE_RESULT_JSON_H

#include "base/base.h"
#include "base/buf.h"
#include "model/labels.h"
#include "model/value.h"
#include "store/querier.h"

/** A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void json_put_string(struct buf *out, const char *text, size_t len);
/** {"__name__":"up","job":"x"} */
void json_put_labels(struct buf *out, const struct labels *labels);
/** [1435781451.781,"1"] */
void json_put_sample(struct buf *out, int64_t time_ms, double value);

/* One more text beside the data. */
struct json_text {
    const char *text;
    size_t len;
};

/* An answer being written. All but `next` and `begun` is set by the caller, who keeps what is
 * pointed to until the last piece. */
struct result_json {
    const struct value *value;
    size_t max_series;       /* 0: all */
    const struct buf *stats; /* the value of "stats", JSON; NULL: none */
    const struct json_text *warnings;
    size_t warning_count;
    const struct json_text *infos;
    size_t info_count;
    size_t next; /* series that follows */
    bool begun;
};

/**
 * Appends the next piece of about `aim` bytes (a series is never cut).
 *
 * @return false when that was the last one
 */
bool result_json_next(struct result_json *result, struct buf *out, size_t aim);

/* A list being written: {"status":"success","data":[ ... ],"warnings":[...]}. */
struct list_json {
    struct buf *out;
    bool any;
};

void list_json_begin(struct list_json *list, struct buf *out);
void list_json_text(struct list_json *list, const char *text, size_t len);
void list_json_labels(struct list_json *list, const struct labels *labels);
/** Closes it with one warning, or NULL for none. */
void list_json_end(struct list_json *list, const char *warning);

#endif
