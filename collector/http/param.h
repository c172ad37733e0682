/*
 * param.h - the values of API parameters as Prometheus reads them.
 *
 * Source: Prometheus web/api/v1/api.go parseTime, parseDuration, parseLimitParam; strconv's
 * ParseFloat for what counts as a number; RFC 3339 with up to nine fraction digits.
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/diagnosis.h"

/* Unix seconds with a fraction, or RFC 3339; rounded to milliseconds.  The two magic texts for
 * the least and greatest time give INT64_MIN / INT64_MAX.  ERR_INVALID and
 *     cannot parse "x" to a valid timestamp */
int param_time(const char *text, int64_t *ret_ms, struct diagnosis *why);

/* RFC 3339 alone; fractions past milliseconds are cut. */
bool param_rfc3339(const char *text, int64_t *ret_ms);

/* Seconds with a fraction, or 5m, 1h30m.  ERR_INVALID and
 *     cannot parse "x" to a valid duration */
int param_duration(const char *text, int64_t *ret_ms, struct diagnosis *why);

/* A count; NULL or "" and "0" mean none (0). */
int param_limit(const char *text, size_t *ret_limit, struct diagnosis *why);

bool param_is_true(const char *text); /* "1", "t", "true"; NULL is false */
