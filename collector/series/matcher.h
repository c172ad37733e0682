/*
 * matcher.h - which series a selector means: label = != =~ !~ value.
 *
 * Regular expressions have RE2's meaning, anchored at both ends, dot matches newline; compiled
 * by PCRE2 with JIT and a match limit (a pattern can fail, never hang).  Literal alternations,
 * prefixes, and literals with gaps (suffixes among them) are recognised: no expression is run.
 * A compiled matcher is immutable; any thread may use it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "collector/series/labels.h"
#include "proto/base/diagnosis.h"

enum matcher_kind { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX, MATCH_NOT_REGEX };

struct regex;
struct regex_glob;

struct matcher {
    enum matcher_kind kind;
    struct bytes name;
    struct bytes value; /* literal, or the pattern */
    /* set for regular expressions */
    struct regex *regex;           /* NULL where literals or glob say it all */
    const struct regex_glob *glob; /* literals with gaps, ".*-17"; NULL: it is no such thing */
    const struct bytes *literals;  /* sorted; the whole language, if it is a finite set */
    size_t literal_count;
    struct bytes prefix; /* every match starts with it; may be empty */
};

/* Compiles; copies name and value.  ERR_INVALID with the reason in `why` (bad pattern, or one
 * that RE2 and PCRE2 read differently and that cannot be translated), ERR_NOMEM. */
int matcher_new(enum matcher_kind kind, struct bytes name, struct bytes value,
                struct matcher **ret_matcher, struct diagnosis *why);
void matcher_free(struct matcher *matcher);

/* Does a value ("" where the label is missing) satisfy it?  *ret_error is set to ERR_LIMIT when
 * a pattern hit its match limit (the value then does not match); may be NULL. */
bool matcher_matches(const struct matcher *matcher, struct bytes value, int *ret_error);
/* Has its pattern met a value for which it is costly (a tenth of a millisecond and more)?  Whoever
 * tries many values then bounds the time. */
bool matcher_is_slow(const struct matcher *matcher);
bool matcher_matches_empty(const struct matcher *matcher);
/* What the first try of each pattern would begin with, milliseconds for a long one: for who is going to
 * try them under a lock.  Any thread. */
void matchers_prepare(struct matcher *const *matchers, size_t count);
/* All of them against one set of labels. */
bool matchers_match(struct matcher *const *matchers, size_t count, const struct labels *labels);
/* The same matchers in the same order? */
bool matchers_equal(struct matcher *const *a, size_t a_count, struct matcher *const *b,
                    size_t b_count);

/* The regular expression alone, for label_replace and log search. */
int regex_new(struct bytes pattern, bool anchored, struct regex **ret_regex,
              struct diagnosis *why);
void regex_free(struct regex *regex);
bool regex_is_slow(const struct regex *regex); /* see matcher_is_slow() */
bool regex_matches(const struct regex *regex, struct bytes text, int *ret_error);
/* Go's Regexp.Expand: fills `out` with `replacement` ($1, ${1}, ${name}, $$) for an anchored
 * match of `text`; returns false if there is no match. */
bool regex_expand(const struct regex *regex, struct bytes text, struct bytes replacement,
                  struct buf *out, int *ret_error);
