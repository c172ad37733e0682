/*
 * values.h - values out of the server's JSON, as texts for a table.
 *
 * Texts come from a ring of buffers, so a dozen may be in use at once; one thread.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_TEXT_BYTES 512

struct values {
    char ring[16][VALUE_TEXT_BYTES];
    size_t next;
};

/* A member as text: texts as they are, numbers shortly, "" where there is none. */
const char *value_text(struct values *values, const json_t *object, const char *key);
int64_t value_integer(const json_t *object, const char *key);
/* {"a":"b"} as a=b c=d. */
const char *value_labels(struct values *values, const json_t *object);
/* name{a="b"} of a metric object. */
const char *value_metric(struct values *values, const json_t *metric);
/* Local time; "-" for 0. */
const char *value_time(struct values *values, int64_t ts_ms);
/* An instant of the API ("2026-11-28T03:00:00.000Z") in local time; "-" for null. */
const char *value_instant(struct values *values, const json_t *object, const char *key);
/* 1.5 MiB */
const char *value_bytes(struct values *values, double bytes);
