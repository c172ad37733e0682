/*
 * pattern.h - regular expressions of the configuration (PCRE2), bounded.
 *
 * Used only when something new appears (a device, a mount, a process), so patterns are
 * interpreted, not compiled to machine code: that keeps some hundred KiB out of the probe.
 * A match that needs more than PATTERN_MATCH_LIMIT steps counts as no match.
 *
 * Syntax is Perl's; node_exporter's and process-exporter's expressions (RE2) mean the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

struct pattern;

/* ERR_INVALID with position and reason in `why`, ERR_NOMEM. */
int pattern_new(const char *expression, struct pattern **ret_pattern, struct diagnosis *why);

/* Is there a match anywhere in `text`?  NULL never matches. */
bool pattern_matches(struct pattern *pattern, struct bytes text);

/* The named group of the last successful match, in place in that match's text; empty when there
 * is no such group or it took no part. */
struct bytes pattern_capture(const struct pattern *pattern, struct bytes text,
                             const char *name);

/* Bytes first to end - 1 of a text. */
struct pattern_span {
    size_t first, end;
};

/* The first match that begins at `from` or behind it; what is before is looked at by
 * lookbehinds.  *ret_group is the named group's part of it, empty where it took no part, or the
 * whole where the expression has no such group.  ERR_NOTFOUND; ERR_LIMIT: more than
 * PATTERN_MATCH_LIMIT steps, so nobody knows. */
int pattern_search(struct pattern *pattern, struct bytes text, size_t from, const char *group,
                   struct pattern_span *ret_whole, struct pattern_span *ret_group);

/* NULL is allowed. */
void pattern_free(struct pattern *pattern);
