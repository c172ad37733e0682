/*
 * form.h - parameters of a request: name=value&name=value, percent-decoded.
 *
 * Source: WHATWG URL standard, application/x-www-form-urlencoded.  A '+' is a space; a broken
 * percent sequence stays as it is, as every server has it; a value that decodes to NUL bytes is
 * refused, because values are handed out as C strings.
 *
 * Limits: FORM_PARAMETERS_MAX parameters in all.  One owner; no thread.
 */
#pragma once

#include <stddef.h>

#include "collector/http/server.h"
#include "proto/base/arena.h"
#include "proto/base/bytes.h"

#define FORM_PARAMETERS_MAX ((size_t)4096)

struct form {
    struct arena *arena; /* owns the texts */
    struct http_parameter *items;
    size_t count, capacity;
};

/* Nothing is allocated until something is added. */
void form_init(struct form *form, struct arena *arena);
/* Frees the table; texts go with the arena. */
void form_done(struct form *form);

/* Adds one parameter whose texts live at least as long as the form. */
int form_add(struct form *form, const char *name, const char *value);
/* Adds all pairs of an encoded text.  ERR_MALFORMED for NUL bytes, ERR_LIMIT, ERR_NOMEM. */
int form_add_encoded(struct form *form, struct bytes text);
