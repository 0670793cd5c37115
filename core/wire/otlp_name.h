/* otlp_name.h - names of OTLP metrics and attributes as Prometheus writes them. Pure. */
#ifndef TIDE_WIRE_OTLP_NAME_H
#define TIDE_WIRE_OTLP_NAME_H

#include "base/base.h"
#include "base/buf.h"

/** Appends the metric's name with its unit, and _total or _ratio where asked for. */
void otlp_put_metric_name(struct buf *out, const char *name, size_t len, const char *unit,
                          size_t unit_len, bool is_gauge, bool is_counter);
/** Appends an attribute's key as a label name. */
void otlp_put_label_name(struct buf *out, const char *key, size_t len);

#endif
