/* exposition_put.h - samples as text: /federate, and whoever wants to read what is stored.
 *
 * The caller goes metric name by metric name (exposition_put_type at each new one) and closes
 * OpenMetrics with "# EOF\n". */
#ifndef TIDE_WIRE_EXPOSITION_PUT_H
#define TIDE_WIRE_EXPOSITION_PUT_H

#include "base/base.h"
#include "base/buf.h"
#include "model/labels.h"

/** "# TYPE name untyped\n" ("unknown" in OpenMetrics), as Prometheus' federation does. */
void exposition_put_type(struct buf *out, const char *name, size_t len, bool openmetrics);
/**
 * `name{label="value"} 1.5 1700000000000\n`; in OpenMetrics the time is in seconds. Names that are
 * not plain are quoted, the metric's inside the braces. Values in Go's shortest form (1e+06).
 */
void exposition_put_sample(struct buf *out, const struct labels *labels, int64_t time_ms,
                           double value, bool openmetrics);

#endif
