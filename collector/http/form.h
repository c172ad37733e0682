/*
 * form.h - parameters of a request: name=value&name=value, percent-decoded.
 *
 * Source: WHATWG URL standard, application/x-www-form-urlencoded.  A '+' is a space; a broken
 * percent sequence stays as it is, as every server has it; a value that decodes to NUL bytes is
 * refused, because values are handed out as C strings.
 *
 * Limits: none of their number but the arena's: a parameter takes its text and 16 bytes.  One owner;
 * no thread.
 */
#pragma once

#include <stddef.h>

#include "collector/http/server.h"
#include "proto/base/arena.h"
#include "proto/base/bytes.h"

struct form {
    struct arena *arena; /* owns texts and table */
    struct http_parameter *items;
    size_t count;
};

/* Nothing is allocated until something is added. */
void form_init(struct form *form, struct arena *arena);

/* Adds all pairs of an encoded text, which is not kept.  ERR_MALFORMED for NUL bytes, ERR_LIMIT where
 * the arena has no room: the form is as it was. */
int form_add_encoded(struct form *form, struct bytes text);
