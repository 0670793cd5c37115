/* metric_family.h - Prometheus' client model in protobuf: io.prometheus.client.MetricFamily
 * messages, each behind its length, as Go's Pushgateway client sends them.
 *
 * A counter, gauge or untyped metric is one series; a summary is quantile series, _sum and _count;
 * a histogram _bucket series with le (with +Inf), _sum and _count (of a gauge histogram: _gsum and
 * _gcount). Times are milliseconds; without one it is push.now_ms. Exemplars and native histograms
 * are counted as skipped. */
#ifndef TIDE_WIRE_METRIC_FAMILY_H
#define TIDE_WIRE_METRIC_FAMILY_H

#include "base/base.h"
#include "wire/push.h"

/**
 * Decodes a body. A metric that is broken inside is refused, the others stay.
 *
 * @return 0, or -1 with err: INVALID (broken above the metrics, or cut off), LIMIT (labels that
 *         unfold to more than push_block_budget)
 */
TIDE_NODISCARD int metric_family_decode(const uint8_t *body, size_t len, struct push *push,
                                        struct batch *batch, struct append_result *result,
                                        struct error *err);

#endif
