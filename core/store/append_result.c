/* append_result.c - counting verdicts (append.h). */
#include <stdarg.h>
#include <stdio.h>

#include "store/append.h"

const char *refusal_name(enum refusal reason)
{
    static const char *const names[REFUSED_REASONS] = {
        [REFUSED_OUT_OF_ORDER] = "out_of_order", [REFUSED_DUPLICATE] = "duplicate_timestamp",
        [REFUSED_TOO_OLD] = "too_old",           [REFUSED_FUTURE] = "too_far_in_future",
        [REFUSED_LABELS] = "invalid_labels",     [REFUSED_SERIES_LIMIT] = "series_limit",
        [REFUSED_BY_POLICY] = "policy",          [REFUSED_RATE] = "rate_limit",
        [REFUSED_MALFORMED] = "malformed",
    };

    return names[reason];
}

void append_result_init(struct append_result *result)
{
    memset(result, 0, sizeof(*result));
}

void append_result_refuse(struct append_result *result, enum refusal reason, uint64_t samples,
                          uint32_t entry, uint32_t line, const char *format, ...)
{
    struct refusal_example *example;
    va_list args;

    result->refused[reason] += samples;
    if (result->example_count == APPEND_EXAMPLES)
        return;
    example = &result->examples[result->example_count++];
    example->reason = reason;
    example->entry = entry;
    example->line = line;
    va_start(args, format);
    vsnprintf(example->text, sizeof(example->text), format, args);
    va_end(args);
}

uint64_t append_result_refused(const struct append_result *result)
{
    uint64_t total = 0;

    for (size_t i = 0; i < REFUSED_REASONS; i++)
        total += result->refused[i];
    return total;
}
