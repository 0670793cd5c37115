/* influx.h - InfluxDB line protocol, as versions 1 and 2 take it.
 *
 *     measurement,tag=value field=value,field=value timestamp
 *
 * Each numeric field becomes a series: its name is measurement_field, or just the measurement when
 * the field is called "value", or just the field when there is no measurement; tags are labels.
 * Characters that PromQL would want quoted in a name become '_' (with a '_' before a first digit).
 * Booleans are 1 and 0; strings are counted as skipped. The label block is
 * "measurement,tags field" as it stands in the line (for further fields of a line it is made).
 *
 * Beyond the protocol: a string may not contain a raw line feed (each line stands for itself). */
#ifndef TIDE_WIRE_INFLUX_H
#define TIDE_WIRE_INFLUX_H

#include "base/base.h"
#include "wire/push.h"

/* Nanoseconds in one unit of the timestamps. */
#define INFLUX_NANOSECONDS ((int64_t)1)
/* Guess the unit of each timestamp by its size, as VictoriaMetrics does. */
#define INFLUX_GUESS ((int64_t)0)

/**
 * Reads ?precision=: n ns u us µs ms s m h, or "auto" (INFLUX_GUESS); empty is nanoseconds.
 *
 * @return false when it is none of them
 */
bool influx_precision_parse(const char *text, size_t len, int64_t *unit_ns);

/**
 * Decodes lines. A line with anything wrong outside its tags is refused whole, with as many samples
 * as it had fields; wrong tags are told by the label parser.
 *
 * @return 0, or -1 with err: LIMIT (over 4 GiB; fields that repeat too many label bytes)
 * Cost: about 60 ns a line of one field.
 */
TIDE_NODISCARD int influx_decode(const uint8_t *body, size_t len, int64_t unit_ns,
                                 struct push *push, struct batch *batch,
                                 struct append_result *result, struct error *err);

/** label_parser of LABEL_FORMAT_INFLUX; names are made in scratch. */
int influx_parse_labels(const uint8_t *block, size_t len, const void *ctx, struct arena *scratch,
                        struct labels_builder *out, struct error *err);

#endif
