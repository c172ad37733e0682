/*
 * prefilter.h - which of many patterns may match a line, found in one pass over it.
 *
 * Most patterns of logs hold words that every match must have (ORA-00600, OutOfMemoryError). Of
 * each pattern one such word for each of its alternatives is taken; two of its bytes are looked
 * up for every place of the line, and only where they stand the word is compared.  A pattern
 * without such words may always match.
 *
 * Never wrong in one direction: what matches may match.  Words are read off the expression
 * cautiously: where its syntax is not understood, it has none.
 *
 * No state but the filter's; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

#define PREFILTER_PATTERNS_MAX 64
#define PREFILTER_WORDS_MAX    16 /* of one pattern */
#define PREFILTER_WORD_BYTES   32

struct prefilter;

/* ERR_NOMEM. */
int prefilter_new(struct prefilter **ret_filter);
void prefilter_free(struct prefilter *filter); /* NULL is allowed */

/* The pattern that has this number (0..PREFILTER_PATTERNS_MAX - 1).  ERR_NOMEM: it may always
 * match. */
int prefilter_add(struct prefilter *filter, size_t number, const char *expression);

/* A bit for each pattern that may match.  NULL: all may. */
uint64_t prefilter_look(const struct prefilter *filter, struct bytes line);

/* The words of an expression, one of which is in every match; 0: it has none. */
size_t prefilter_words(const char *expression,
                       char words[PREFILTER_WORDS_MAX][PREFILTER_WORD_BYTES + 1]);
