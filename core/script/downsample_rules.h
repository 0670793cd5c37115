/* downsample_rules.h - the store's questions about old samples, put to the rules (decide.c fills
 * them into the policy; store/policy.h says what each means). Context is the rulebook. */
#ifndef TIDE_SCRIPT_DOWNSAMPLE_RULES_H
#define TIDE_SCRIPT_DOWNSAMPLE_RULES_H

#include "store/policy.h"

bool downsamples(void *ctx);
void downsample_of(void *ctx, const struct series_view *series, struct downsample_verdict *verdict);
int downsample_window(void *ctx, const char *title, const int64_t *times_ms, const double *values,
                      size_t len, int64_t end_ms, double *value, struct error *err);

#endif
