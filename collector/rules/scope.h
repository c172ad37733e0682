/*
 * scope.h - does an expression speak of single instances?
 *
 * It does if evaluating it with instance="x" added to every selector yields exactly those
 * elements of the full result that have instance="x".  Then a rule can be run for the one
 * instance whose samples have just arrived.  The answer errs on the side of no.
 */
#pragma once

#include <stdbool.h>

#include "collector/promql/engine.h"

#define SCOPE_LABEL "instance"

bool scope_is_single(const struct promql_expression *expression);
