/*
 * regex_parser.h - what regex_parse.c and regex_class.c share: the place in the pattern.
 */
#pragma once

#include <stdint.h>

#include "collector/series/regex_syntax.h"

struct regex_flags {
    bool fold, multiline, dot_all, ungreedy;
};

struct regex_parser {
    struct bytes pattern; /* valid UTF-8 */
    const uint8_t *at, *end;
    struct arena *arena;
    uint8_t *literals; /* where the next literal byte goes */
    struct regex_flags flags;
    int depth;
    struct regex_syntax *syntax;
    struct diagnosis *why;
};

/* "error parsing regexp: reason: `text`"; returns ERR_INVALID. */
int regex_complain(struct regex_parser *parser, const char *reason, const uint8_t *from,
                   const uint8_t *until);
struct regex_node *regex_node_new(struct regex_parser *parser, enum regex_kind kind);
int regex_add_literal(struct regex_parser *parser, struct regex_node *concat, uint32_t code);
/* A node with PCRE2's text, which must live as long as the arena. */
int regex_add_text(struct regex_parser *parser, struct regex_node *concat, enum regex_kind kind,
                   struct bytes text);
int regex_parse_alternation(struct regex_parser *parser, struct regex_node **ret_node);
/* At '[' and at '\': read past the construct and add it. */
int regex_parse_class(struct regex_parser *parser, struct regex_node *concat);
int regex_parse_escape(struct regex_parser *parser, struct regex_node *concat);
/* Does PCRE2 know this script?  The name without "sc:". */
bool regex_knows_script(const char *name);
/* regex_property.c: "\pL", "\p{Greek}", "\P{^Greek}": appends PCRE2's spelling. */
int regex_read_property(struct regex_parser *parser, struct buf *out);
