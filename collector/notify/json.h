/*
 * json.h - the few pieces of JSON that alerts are written in.
 *
 * Strings are escaped as Go's encoding/json does it (also <, >, &, U+2028 and U+2029), so that a
 * body equals Alertmanager's byte for byte.  Bytes that are no UTF-8 become U+FFFD.
 * Any thread.
 */
#pragma once

#include <stdint.h>

#include "collector/series/labels.h"
#include "proto/base/buf.h"

/* A quoted string. */
void json_put_string(struct buf *out, struct bytes text);
void json_put_text(struct buf *out, const char *text);
/* {"a":"b",...} in label order; NULL is {}. */
void json_put_labels(struct buf *out, const struct labels *labels);

/* RFC 3339 with up to nine decimals and no trailing zeros, UTC: "2026-11-23T06:40:56.968Z".
 * 0 is Go's zero time, "0001-01-01T00:00:00Z". */
#define JSON_TIME_BYTES 40
const char *json_time(int64_t ts_ms, char text[JSON_TIME_BYTES]);

/* ,"key":"text" and ,"key":"2026-11-23T06:40:56Z" (null for 0): members after a first one. */
void json_put_text_member(struct buf *out, const char *key, const char *text);
void json_put_instant_member(struct buf *out, const char *key, int64_t ts_ms);
