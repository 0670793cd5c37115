/* graphite.h - Graphite's plaintext: "path value timestamp", one a line.
 *
 * A path may carry tags (path;name=value;...). Dots stay in the name, which PromQL then wants
 * quoted: {"servers.a.cpu"}. Times are seconds, may have a fraction, and -1 or none is now. */
#ifndef TIDE_WIRE_GRAPHITE_H
#define TIDE_WIRE_GRAPHITE_H

#include "base/base.h"
#include "wire/push.h"

/**
 * Decodes whole lines; a bad one is refused, NaN values are counted as empty.
 *
 * @return 0, or -1 with err: LIMIT (over 4 GiB)
 */
TIDE_NODISCARD int graphite_decode(const uint8_t *body, size_t len, struct push *push,
                                   struct batch *batch, struct append_result *result,
                                   struct error *err);

/** label_parser of LABEL_FORMAT_GRAPHITE; texts are borrowed from the block. */
int graphite_parse_labels(const uint8_t *block, size_t len, const void *ctx, struct arena *scratch,
                          struct labels_builder *out, struct error *err);

#endif
