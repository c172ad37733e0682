/*
 * json_write.h - JSON text, written forward into a buf.
 *
 *     struct json json = json_to(out);
 *     json_object(&json);
 *     json_key(&json, "status");  json_text(&json, "success");
 *     json_end(&json);
 *
 * The writer keeps the commas; nesting past JSON_DEPTH_MAX is our bug.  Strings are escaped as
 * RFC 8259 says; bytes that are no UTF-8 become U+FFFD, so the output always parses.
 * One owner; no thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define JSON_DEPTH_MAX 32

struct json {
    struct buf *out;
    unsigned depth;
    bool has_item[JSON_DEPTH_MAX + 1]; /* of the open object or array at each depth */
    bool is_array[JSON_DEPTH_MAX + 1];
    bool after_key;
};

struct json json_to(struct buf *out);

void json_object(struct json *json);
void json_array(struct json *json);
void json_end(struct json *json); /* closes the innermost object or array */
void json_key(struct json *json, const char *key);
void json_key_bytes(struct json *json, struct bytes key);

void json_string(struct json *json, struct bytes text);
void json_text(struct json *json, const char *text);
void json_integer(struct json *json, int64_t value);
void json_boolean(struct json *json, bool value);
void json_number(struct json *json, double value); /* %.17g, shortest where exact; not NaN/Inf */
/* One value that is JSON already. */
void json_raw(struct json *json, struct bytes text);

/* Unix seconds of the API: no fraction, or exactly three decimals (1435781451.007). */
void json_seconds(struct json *json, int64_t ts_ms);
/* RFC 3339 in UTC with milliseconds, as a string. */
void json_instant(struct json *json, int64_t ts_ms);
