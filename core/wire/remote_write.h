/* remote_write.h - bodies of remote write 1.0: prometheus.WriteRequest (after snappy).
 *
 * A TimeSeries' label block is the bytes of its Label fields as they came (tag, length, message):
 * the sender repeats them byte for byte, so a known series is found without reading a label.
 * Labels are only skipped here; remote_write_parse_labels reads them when the block is new. */
#ifndef TIDE_WIRE_REMOTE_WRITE_H
#define TIDE_WIRE_REMOTE_WRITE_H

#include "base/base.h"
#include "wire/push.h"

/**
 * Decodes a WriteRequest. Exemplars and native histograms are counted as skipped, metadata goes to
 * the sink. A TimeSeries that is broken inside is refused, the others stay. An empty body is good.
 *
 * @return 0, or -1 with err: INVALID (broken outside of the series: cut off, or no protobuf)
 * Cost: about 50 ns a series of 8 labels and one sample, no allocation once the batch has grown.
 */
TIDE_NODISCARD int remote_write_decode(const uint8_t *body, size_t len, struct push *push,
                                       struct batch *batch, struct append_result *result,
                                       struct error *err);

/** label_parser of LABEL_FORMAT_REMOTE_WRITE; texts are borrowed from the block. */
int remote_write_parse_labels(const uint8_t *block, size_t len, const void *ctx,
                              struct arena *scratch, struct labels_builder *out, struct error *err);

#endif
