/*
 * escape_name.h - names of any characters for readers of the classic alphabet, as Prometheus
 * escapes them (prometheus/common: model.EscapeName(), expfmt.Negotiate()).
 */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/bytes.h"

enum name_escaping {
    ESCAPE_UNDERSCORES, /* a.b becomes a_b; who asks for nothing gets this */
    ESCAPE_NOTHING,     /* allow-utf-8: the names as they are, quoted where they have to be */
    ESCAPE_DOTS,        /* a_dot_b, and __ for what has no place and for an underscore */
    ESCAPE_VALUES,      /* U__a_2e_b */
};

/* What an Accept header asks for ("" if it is absent): the last `escaping` among what it wants
 * more than the classic text format, and that format's own.  Words that nobody knows ask for
 * nothing. */
enum name_escaping escaping_of_accept(const char *accept);

/* The name as the reader has it: itself where it is classic or nothing is escaped.  ERR_LIMIT
 * or ERR_NOMEM from the arena. */
int escape_name(struct arena *arena, enum name_escaping escaping, struct bytes name,
                struct bytes *ret_name);
