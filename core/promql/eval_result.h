/* eval_result.h - runs a plan and makes the answer of it. */
#ifndef TIDE_PROMQL_EVAL_RESULT_H
#define TIDE_PROMQL_EVAL_RESULT_H

#include "model/value.h"
#include "promql/eval.h"

/** Evaluates the plan's root into `out`, zeroed; the caller destroys it, on failure too. */
TIDE_NODISCARD int eval_result(struct eval *ev, struct value *out, struct error *err);

#endif
