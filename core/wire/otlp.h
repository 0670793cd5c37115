/* otlp.h - OTLP metrics in protobuf (ExportMetricsServiceRequest), as Prometheus translates them.
 *
 *   name       characters outside [a-zA-Z0-9:] become '_', runs of them one; then the unit in words
 *              (s: seconds, By: bytes, a/b: a_per_b), ratio for gauges of unit 1, total for
 *              monotonic sums; a word that the name has already is not added again
 *   labels     the point's attributes (other characters become '_'); job is the resource's
 *              service.namespace/service.name, instance its service.instance.id; the resource's
 *              other attributes go to one target_info series
 *   histogram  _bucket with le (cumulative, with +Inf), _count, and _sum if there is one
 *   summary    quantile, _sum, _count
 *
 * A point that is flagged as having no value becomes a staleness marker. Sums and histograms of
 * delta temporality are refused, as Prometheus does: exporters can be told to send cumulative ones.
 * Exponential histograms and exemplars are counted as skipped. Attributes that are arrays, maps or
 * bytes are left out. */
#ifndef TIDE_WIRE_OTLP_H
#define TIDE_WIRE_OTLP_H

#include "base/base.h"
#include "wire/push.h"

/**
 * Decodes a request (decompressed). A broken point costs itself; an empty request is good.
 *
 * @return 0, or -1 with err: INVALID (broken above the points), LIMIT (labels that unfold to more
 *         than push_block_budget)
 */
TIDE_NODISCARD int otlp_decode(const uint8_t *body, size_t len, struct push *push,
                               struct batch *batch, struct append_result *result,
                               struct error *err);

#endif
