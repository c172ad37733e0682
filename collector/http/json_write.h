/*
 * json_write.h - JSON text, written forward into a buf.
 *
 *     struct json_writer json = json_write_to(out);
 *     json_write_object(&json);
 *     json_write_key(&json, "status");  json_write_text(&json, "success");
 *     json_write_end(&json);
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

struct json_writer {
    struct buf *out;
    unsigned depth;
    bool has_item[JSON_DEPTH_MAX + 1]; /* of the open object or array at each depth */
    bool is_array[JSON_DEPTH_MAX + 1];
    bool after_key;
};

struct json_writer json_write_to(struct buf *out);

void json_write_object(struct json_writer *json);
void json_write_array(struct json_writer *json);
void json_write_end(struct json_writer *json); /* closes the innermost object or array */
void json_write_key(struct json_writer *json, const char *key);
void json_write_key_bytes(struct json_writer *json, struct bytes key);

void json_write_string(struct json_writer *json, struct bytes text);
void json_write_text(struct json_writer *json, const char *text);
void json_write_integer(struct json_writer *json, int64_t value);
void json_write_boolean(struct json_writer *json, bool value);
void json_write_number(struct json_writer *json, double value); /* %.17g, shortest where exact; not NaN/Inf */
/* One value that is JSON already. */
void json_write_raw(struct json_writer *json, struct bytes text);

/* Unix seconds of the API: no fraction, or exactly three decimals (1435781451.007). */
void json_write_seconds(struct json_writer *json, int64_t ts_ms);
/* The same as a text without end; its length. */
#define JSON_SECONDS_BYTES 32
size_t json_seconds_text(int64_t ts_ms, char text[JSON_SECONDS_BYTES]);
/* RFC 3339 in UTC with milliseconds, as a string. */
void json_write_instant(struct json_writer *json, int64_t ts_ms);

/* A key with its value: "key":"text", "key":5, "key":"2026-11-28T03:00:00.000Z" (null for 0).
 */
void json_write_text_member(struct json_writer *json, const char *key, const char *text);
void json_write_integer_member(struct json_writer *json, const char *key, int64_t value);
void json_write_instant_member(struct json_writer *json, const char *key, int64_t ts_ms);
