/*
 * regex_syntax.h - RE2's pattern language as a tree, and what can be read off the tree.
 *
 *     pattern -> regex_syntax_parse() -> tree -> regex_syntax_emit()     PCRE2 text
 *                                             -> regex_syntax_literals() the finite language
 *                                             -> regex_syntax_prefix()   how matches begin
 *                                             -> regex_syntax_glob()     literals and gaps
 *
 * The tree holds no flags: (?i) is written on literals and classes, (?s) chooses the kind of
 * dot, (?m) the kind of anchor, (?U) was applied to the quantifiers.  So nothing PCRE2 reads depends
 * on PCRE2's own flag scoping, and a construct RE2 does not have never reaches PCRE2.
 * Syntax: Go's regexp/syntax with the Perl flags, https://pkg.go.dev/regexp/syntax
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

#define REGEX_PATTERN_BYTES_MAX ((size_t)256 << 10)
#define REGEX_DEPTH_MAX         200  /* nested groups */
#define REGEX_REPEAT_MAX        1000 /* Go's */
#define REGEX_GROUPS_MAX        200  /* capturing */
#define REGEX_LITERALS_MAX      ((size_t)20000)
#define REGEX_UNBOUNDED         (-1)

enum regex_kind {
    REGEX_LITERAL,   /* text */
    REGEX_CLASS,     /* text is PCRE2's: [...] or \d */
    REGEX_ASSERTION, /* text is PCRE2's: zero width */
    REGEX_BEGIN,     /* of the whole text */
    REGEX_END,
    REGEX_GROUP,  /* one child; capture > 0 if it captures */
    REGEX_REPEAT, /* one child */
    REGEX_CONCAT,
    REGEX_ALTERNATE,
};

struct regex_node {
    enum regex_kind kind;
    bool fold; /* literal, class: whatever the case */
    bool greedy;
    int min, max; /* repeat; max may be REGEX_UNBOUNDED */
    int capture;
    struct bytes text;
    struct regex_node *first, *last; /* children */
    struct regex_node *next;         /* sibling */
};

struct regex_syntax {
    struct regex_node *root;
    struct bytes names[REGEX_GROUPS_MAX + 1]; /* of capturing groups; empty: unnamed */
    int capture_count;
    bool open_quote; /* ends within \Q...\E */
};

/* Parses with "dot matches newline" on.  Everything lives in `arena`; the texts may point into
 * `pattern`.  ERR_INVALID with Go's wording in `why`, ERR_NOMEM. */
int regex_syntax_parse(struct bytes pattern, struct arena *arena,
                       struct regex_syntax *ret_syntax, struct diagnosis *why);

/* Go anchors by "^(?s:" and ")$" around the pattern, which an open quote would take for text:
 * ERR_INVALID for such a one. */
int regex_syntax_check_anchored(const struct regex_syntax *syntax, struct bytes pattern,
                                struct diagnosis *why);

void regex_syntax_emit(const struct regex_node *node, struct buf *out);

/* The strings an anchored match can be, sorted and unique, if they are finitely many and few;
 * *ret_count is 0 otherwise.  ERR_NOMEM. */
int regex_syntax_literals(const struct regex_node *root, struct arena *arena,
                          struct bytes **ret_literals, size_t *ret_count);

/* Appends what every anchored match begins with, perhaps nothing. */
void regex_syntax_prefix(const struct regex_node *root, struct buf *out);

#define REGEX_GAPS_MAX 4

/* Literals with nothing between them but "whatever" (.*) and "something" (.+):
 *
 *     literals[0] gap literals[1] gap ... literals[gap_count]     each may be empty */
struct regex_glob {
    struct bytes literals[REGEX_GAPS_MAX + 1];
    bool needs_one[REGEX_GAPS_MAX]; /* .+ */
    size_t gap_count;               /* 0: the pattern is no such thing */
};

/* Is the pattern a glob?  The literals are copied into `arena`.  ERR_NOMEM. */
int regex_syntax_glob(const struct regex_node *root, struct arena *arena,
                      struct regex_glob *ret_glob);
