/*
 * definition.h - one series definition as bytes, for the spool's log of them and for its hash.
 *
 *     name (sized) | type u8 | unit (sized) | help (sized) |
 *     label count varint | label name (sized), label value (sized), ... ascending by name
 *
 * "Sized" is a varint length and the bytes (buf.h).  Writing makes a definition fit to be sent:
 * labels are sorted, labels without a value left out, bytes that are no UTF-8 replaced.  So
 * equal series have equal bytes, and the hash of the bytes can stand for the series.
 */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/wire/envelope.h"

/* Appends.  ERR_LIMIT: a name, a value or the number of labels is beyond envelope.h's limits,
 * or a label name comes twice; ERR_INVALID: no name; ERR_NOMEM. */
int definition_write(const struct definition *definition, struct buf *out);

/* Reads one; labels live in `arena`, texts point into the reader's bytes.  ERR_MALFORMED,
 * ERR_LIMIT, ERR_NOMEM. */
int definition_read(struct reader *reader, struct arena *arena,
                    struct definition *ret_definition);

/* Appends text with every byte that is no UTF-8 replaced by U+FFFD. */
void definition_put_utf8(struct buf *out, struct bytes text);

/* Steps over one; false if the bytes are no definition. */
bool definition_skip(struct reader *reader);
