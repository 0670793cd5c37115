/* json_lines.h - import and export as JSON lines, the dialect of VictoriaMetrics.
 *
 *     {"metric":{"__name__":"up","job":"a"},"values":[0,1],"timestamps":[1549891472010,...]}
 *
 * One object a line, times in milliseconds; null is NaN, "Infinity", "-Infinity" and "NaN" may be
 * strings or (as vmctl writes them) bare words, and so may "StaleNaN", our own word for a staleness
 * marker. Keys come in any order, unknown ones are skipped. The parser is our own because a line
 * goes straight into a batch: cJSON makes a node of 64 bytes of every number first. */
#ifndef TIDE_WIRE_JSON_LINES_H
#define TIDE_WIRE_JSON_LINES_H

#include "base/base.h"
#include "base/buf.h"
#include "model/columns.h"
#include "model/labels.h"
#include "wire/push.h"

/**
 * Decodes the whole lines of a part of a body, so that a body of any size goes through bounded
 * memory: append the batch, reset it, come again with what was not used and more behind it.
 *
 * @param last  nothing follows: a line without its line feed counts too
 * @param line  in/out: lines before this part; counted on. Start with 0
 * @param used  out: bytes that were decoded. 0 when the part holds no whole line: then the line is
 *              longer than the part, and the caller decides how long a line may be
 * @return 0, or -1 with err: LIMIT (over 4 GiB). A broken line is refused, the others stay
 */
TIDE_NODISCARD int json_lines_decode_part(const uint8_t *part, size_t len, bool last,
                                          uint32_t *line, size_t *used, struct push *push,
                                          struct batch *batch, struct append_result *result,
                                          struct error *err);
/**
 * label_parser of LABEL_FORMAT_JSON: an object of labels as it stands in its line; texts with
 * escapes are made in scratch. So a fault in the labels is told when they are new.
 */
int json_lines_parse_labels(const uint8_t *block, size_t len, const void *ctx,
                            struct arena *scratch, struct labels_builder *out, struct error *err);
/** A whole body at once. */
TIDE_NODISCARD int json_lines_decode(const uint8_t *body, size_t len, struct push *push,
                                     struct batch *batch, struct append_result *result,
                                     struct error *err);

/** Appends one line with samples [from, to) of a series. */
void json_lines_put(struct buf *out, const struct labels *labels, const struct columns *samples,
                    size_t from, size_t to);

#endif
