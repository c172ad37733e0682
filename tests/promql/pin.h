/*
 * pin.h - an expression whose selectors all look at one time, whenever it is evaluated.
 */
#pragma once

#include "collector/promql/engine.h"

/* Parses the text and puts "@ at_ms" on every outermost selector and subquery that has no @
 * yet. NULL if the text does not parse, or if its value depends on the evaluation time all the
 * same (time(), start(), dates ...). */
struct promql_expression *pin_parse(const char *text, int64_t at_ms);
