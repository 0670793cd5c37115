/* value.h - what a query answers: scalar, string, instant vector or matrix.
 *
 * One owner. A vector has one sample a series, all at the value's time; a matrix has columns. */
#ifndef TIDE_MODEL_VALUE_H
#define TIDE_MODEL_VALUE_H

#include "base/base.h"
#include "model/columns.h"
#include "model/labels.h"

enum value_type { VALUE_NONE, VALUE_SCALAR, VALUE_STRING, VALUE_VECTOR, VALUE_MATRIX };

/* Native histograms are not stored yet; a series that has them will point to their column here. */
struct histogram_columns;

struct value_series {
    const struct labels *labels;          /* owned reference */
    double value;                         /* vector */
    struct columns samples;               /* matrix; owned */
    struct histogram_columns *histograms; /* NULL */
};

struct value {
    enum value_type type;
    int64_t time_ms; /* of scalar, string and vector */
    double scalar;
    char *text; /* string; owned, terminated; may hold any bytes */
    size_t text_len;
    struct value_series *series; /* vector and matrix; owned */
    size_t count;
    size_t cap;
};

/** Frees all it owns and makes it VALUE_NONE; safe on a zeroed value. */
void value_destroy(struct value *value);
/** Adds an empty series; takes the reference over. The pointer is good until the next add. */
struct value_series *value_add_series(struct value *value, const struct labels *labels);

#endif
