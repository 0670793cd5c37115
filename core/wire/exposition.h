/* exposition.h - the text formats: Prometheus 0.0.4 and OpenMetrics 1.0.
 *
 * A line's label block is its text from the metric's name to the closing brace. The decoder finds
 * that end from behind and reads only value and timestamp; what lies between the braces is read by
 * exposition_parse_labels when the block is new, so a fault there is told by the store.
 *
 * What we take more or less of than the formats' parsers do (http-protocols.md 6 and 7):
 *   - one CR before LF, a missing final LF and signed timestamps are accepted;
 *   - raw line feeds in quotes and NUL bytes are refused;
 *   - an unknown escape keeps its backslash;
 *   - OpenMetrics is read line by line: blanks outside the braces are strict (one space), and a
 *     body without its "# EOF" counts one refusal, but its good samples stay; order and uniqueness
 *     of families are not checked;
 *   - exemplars and (unless push.keep_created) _created samples are counted and dropped. */
#ifndef TIDE_WIRE_EXPOSITION_H
#define TIDE_WIRE_EXPOSITION_H

#include "base/base.h"
#include "wire/push.h"

/**
 * Text format 0.0.4. Timestamps are milliseconds. HELP and TYPE go to the metadata sink.
 *
 * @return 0, or -1 with err: LIMIT (over 4 GiB)
 * Cost: about 40 ns a line of 190 bytes; no allocation once the batch has grown.
 */
TIDE_NODISCARD int exposition_decode_text(const uint8_t *body, size_t len, struct push *push,
                                          struct batch *batch, struct append_result *result,
                                          struct error *err);
/** OpenMetrics 1.0. Timestamps are seconds; HELP, TYPE and UNIT go to the sink. */
TIDE_NODISCARD int exposition_decode_openmetrics(const uint8_t *body, size_t len, struct push *push,
                                                 struct batch *batch, struct append_result *result,
                                                 struct error *err);

/** label_parser of LABEL_FORMAT_TEXT; texts with escapes are made in scratch. */
int exposition_parse_labels(const uint8_t *block, size_t len, const void *ctx,
                            struct arena *scratch, struct labels_builder *out, struct error *err);

#endif
