/*
 * templates.h - which kinds of lines a log has: lines that differ in their variable parts alone
 * are one template.
 *
 * The method is Drain's (He, Zhu, Zheng, Lyu: "Drain: An Online Log Parsing Approach with Fixed
 * Depth Tree", ICWS 2017): lines of as many tokens and the same first ones are compared, token
 * by token, with the templates among them; the most similar takes the line if it is similar
 * enough, and what differs becomes a wildcard.  The tree's fixed depth is flattened into a hash
 * of what leads to a leaf.  Words with a digit in them are variable from the start, but for
 * messages' codes (ORA-00600); of a line the first TEMPLATE_TOKENS_MAX tokens of its first
 * physical line are looked at.
 *
 * Bounded: tokens are kept as hashes, templates are at most as many as the settings allow.  A
 * new one beyond that takes the place of one that was not seen for TEMPLATES_STALE_MS, and at
 * most once in TEMPLATES_EVERY_MS; otherwise its line counts as `other`.
 *
 * A template's id is made from the line that it began with.  Ids are remembered (as a note of
 * the spool, by who uses this), so that what is new is new to the log, not to this run.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"

#define TEMPLATES_MAX       256 /* of one log; each has a series */
#define TEMPLATE_TOKENS_MAX 32
#define TEMPLATE_TEXT_BYTES 512
#define TEMPLATES_STALE_MS  ((int64_t)86400 * 1000)
#define TEMPLATES_EVERY_MS  60000
#define TEMPLATES_KNOWN_MAX 480 /* ids in a note of 4 KiB */
#define TEMPLATES_TOLD_MAX  8   /* new ones between two looks that are told as text */

/* Tokens of a line: hashes of what is constant in them. */
struct template_tokens {
    size_t count;
    uint32_t hashes[TEMPLATE_TOKENS_MAX];
};

struct template
{
    uint64_t id; /* 0: free */
    uint64_t lines;
    uint64_t pending; /* not committed */
    int64_t seen_ms;
    uint64_t leaf; /* what leads to it: how many tokens, and the first */
    uint16_t count;
    uint32_t hashes[TEMPLATE_TOKENS_MAX]; /* 0: wildcard */
};

/* A new one, as it may leave the host. */
struct template_told {
    uint64_t id;
    char text[TEMPLATE_TEXT_BYTES];
};

struct templates {
    size_t most;
    size_t count;
    struct template *items;
    uint64_t other, pending_other; /* lines of none */
    uint64_t new_count;            /* that no run before knew */
    int64_t evicted_ms;
    uint64_t known[TEMPLATES_KNOWN_MAX]; /* ids, a ring */
    size_t known_count, known_next;
    bool is_changed; /* the note is not written yet */
    struct template_told told[TEMPLATES_TOLD_MAX];
    size_t told_count;
};

/* `most`: 1..TEMPLATES_MAX.  ERR_NOMEM. */
int templates_new(size_t most, struct templates **ret_templates);
void templates_free(struct templates *templates); /* NULL is allowed */

/* Takes a line as pending.  *ret_template: that which has begun with it, to be told by
 * templates_tell(); NULL: none. */
void templates_take(struct templates *templates, struct bytes line, int64_t now_ms,
                    const struct template **ret_new);

/* Remembers the text of a new template: that of the line, masked already, with what is variable
 * as <*>. */
void templates_tell(struct templates *templates, const struct template *new_one,
                    struct bytes masked);

void templates_commit(struct templates *templates);
void templates_rollback(struct templates *templates);

/* The ids as a note's value, and back; bytes that are none are no ids. */
void templates_note_write(const struct templates *templates, struct buf *out);
void templates_note_read(struct templates *templates, struct bytes value);

/* A line's tokens; for tests. */
void template_tokens_of(struct bytes line, struct template_tokens *ret_tokens);
