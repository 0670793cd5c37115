/* push.c - see push.h. */
#include "wire/push.h"

#include "base/mem.h"

static const char *const type_names[METADATA_TYPES] = {
    [METADATA_UNKNOWN] = "unknown",
    [METADATA_COUNTER] = "counter",
    [METADATA_GAUGE] = "gauge",
    [METADATA_HISTOGRAM] = "histogram",
    [METADATA_GAUGE_HISTOGRAM] = "gaugehistogram",
    [METADATA_SUMMARY] = "summary",
    [METADATA_INFO] = "info",
    [METADATA_STATESET] = "stateset",
};

const char *metadata_type_name(enum metadata_type type)
{
    return (unsigned)type < METADATA_TYPES ? type_names[type] : type_names[METADATA_UNKNOWN];
}

bool metadata_type_parse(const char *name, size_t len, enum metadata_type *type)
{
    for (unsigned i = 0; i < METADATA_TYPES; i++) {
        if (strlen(type_names[i]) == len && memcmp(type_names[i], name, len) == 0) {
            *type = (enum metadata_type)i;
            return true;
        }
    }
    if (len == 7 && memcmp(name, "untyped", 7) == 0) {
        *type = METADATA_UNKNOWN;
        return true;
    }
    return false;
}

#define BUDGET_LEAST_BYTES ((size_t)64 << 20)
#define BUDGET_FACTOR 8

size_t push_block_budget(size_t body_len)
{
    size_t budget;

    if (!size_mul(body_len, BUDGET_FACTOR, &budget))
        return SIZE_MAX;
    return TIDE_MAX(budget, BUDGET_LEAST_BYTES);
}
