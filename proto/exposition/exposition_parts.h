/*
 * exposition_parts.h - the parser's files as they see each other.  A line is read with a cursor
 * and changed in place: what was escaped becomes shorter where it stands.
 */
#pragma once

#include "proto/exposition/exposition.h"

/* Prometheus model/value/value.go */
#define EXPOSITION_NAN_BITS   UINT64_C(0x7ff8000000000001)
#define EXPOSITION_STALE_BITS UINT64_C(0x7ff0000000000002)

struct cursor {
    uint8_t *at, *end;
};

/* Fails with "SOURCE:LINE: " before the message. */
int exposition_fail(const struct exposition *parser, int error, struct diagnosis *why,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

#define EXCERPT_BYTES 48
/* The beginning of `text`, fit to be shown in a message. */
const char *exposition_excerpt(struct bytes text, char excerpt[EXCERPT_BYTES]);

/* Blanks and tabs of Prometheus text; OpenMetrics has none to skip. */
void exposition_skip_blanks(const struct exposition *parser, struct cursor *cursor);

/* What stands up to the next blank, tab or the end. */
struct bytes exposition_word(struct cursor *cursor);

/* Undoes \\ \n and, with quotes, \" in place; anything else after a backslash stays as it is.
 */
struct bytes exposition_unescape(struct bytes text, bool with_quotes);

/* Letters, '_', digits but first, and in metric names ':'. */
static inline bool exposition_is_name_byte(uint8_t c, bool is_first, bool with_colon)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (with_colon && c == ':') || (!is_first && c >= '0' && c <= '9');
}

/* A string in quotes, its escapes undone; the cursor is on the first quote.  UTF-8 without NUL.
 */
int exposition_quoted(const struct exposition *parser, struct cursor *cursor,
                      struct bytes *ret_text, struct diagnosis *why);

/* A name: the classic alphabet, or in quotes anything.  Empty if none stands here.  Says why
 * and returns an error if one begins and is broken. */
int exposition_name(const struct exposition *parser, struct cursor *cursor, bool with_colon,
                    struct bytes *ret_name, struct diagnosis *why);

/* exposition_sample.c: a whole line that is no comment. */
int exposition_read_sample(struct exposition *parser, struct cursor cursor,
                           struct exposition_sample *ret_sample, struct diagnosis *why);

/* exposition_sample.c: what follows "# STALE " or "# NAN ". */
int exposition_read_mark(struct exposition *parser, struct cursor cursor, bool is_stale,
                         struct exposition_sample *ret_sample, struct diagnosis *why);

/* exposition_meta.c: a line that begins with '#', from there.  EXPOSITION_METADATA,
 * EXPOSITION_SAMPLE for a mark, or EXPOSITION_MORE for a comment. */
int exposition_read_comment(struct exposition *parser, struct cursor cursor,
                            struct exposition_sample *ret_sample, struct diagnosis *why);
/* exposition_meta.c: the family, if `name` is one of its. */
const struct exposition_family *exposition_family_of(const struct exposition *parser,
                                                     struct bytes name);
