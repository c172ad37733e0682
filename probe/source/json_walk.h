/*
 * json_walk.h - JSON (RFC 8259) from left to right, in place: what stands where.
 *
 *     {"value": {"used": 17, "tags": ["a"]}}      value/used = 17
 *                                                 value/tags/0 = "a"
 *
 * A call for each scalar, with the path that leads to it; nothing is allocated, nesting and
 * texts are bounded.  Fuzzed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe/source/scan.h"

#define JSON_DEPTH_MAX  16
#define JSON_TEXT_BYTES 256 /* of a key or text, unescaped; longer ones are cut */

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT };

struct json_step {
    char text[JSON_TEXT_BYTES]; /* a key, or "" in an array */
    size_t size;
    size_t index; /* in its array or object, from 0 */
};

struct json_walk {
    struct json_step path[JSON_DEPTH_MAX];
    size_t depth; /* steps that lead to the scalar */
    enum json_kind kind;
    double number;
    char text[JSON_TEXT_BYTES];
    size_t size;
    /* private */
    struct span rest;
    char closing[JSON_DEPTH_MAX]; /* ] or } of what is open */
};

/* Is the step at `depth` this key? */
bool json_step_is(const struct json_walk *walk, size_t depth, const char *key);

/* Reads all of `text`; `scalar` sees the walk at each one and may stop it with an error.
 * ERR_MALFORMED; ERR_LIMIT (nested too deeply). */
int json_walk(struct json_walk *walk, struct span text,
              int (*scalar)(void *context, const struct json_walk *walk), void *context);
