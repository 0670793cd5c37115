/* remote_write2.h - bodies of remote write 2.0: io.prometheus.write.v2.Request (after snappy).
 *
 * Labels are references into a table of symbols that each request has anew, so the decoder makes
 * a LABEL_FORMAT_PAIRS block for each series, in the batch's arena. */
#ifndef TIDE_WIRE_REMOTE_WRITE2_H
#define TIDE_WIRE_REMOTE_WRITE2_H

#include "base/base.h"
#include "wire/push.h"

/**
 * Decodes a Request. A series with a bad reference, an odd number of them, samples and histograms
 * at once, or neither, is refused and the others stay. Exemplars and native histograms are
 * counted as skipped; metadata goes to the sink under the series' name.
 *
 * @return 0, or -1 with err: INVALID (broken outside of the series, or symbols that do not begin
 *         with the empty one), LIMIT (more than 4 million symbols; labels that unfold to more than
 *         push_block_budget)
 */
TIDE_NODISCARD int remote_write2_decode(const uint8_t *body, size_t len, struct push *push,
                                        struct batch *batch, struct append_result *result,
                                        struct error *err);

#endif
