/*
 * deletes.h - what has been deleted and is not all gone from the disk yet.
 *
 * A delete is a row in the live environment: matchers, an interval, and how far the store had
 * come when it was committed.  It covers what was committed before it and nothing that comes
 * after, in each of the places where a sample can be:
 *
 *     history file       its generation is below the delete's
 *     chunk of the head  its seal number is up to the delete's
 *     open tail          cut by the writer thread before it next appends to, seals or saves the
 *                        tail of the series (head_fence()); until then by readers
 *     WAL, tails row     its commit is up to the delete's: left out when the head is rebuilt
 *
 *   store_delete() ── a commit of its own ──> readers leave it out from now on
 *                                             flush and merge leave it out of what they write
 *                     keeper, beside the commits: rewrites the files that hold some of it
 *                     nothing left in history, head, checkpoint and WAL ──> the row goes
 *
 * So deleting costs one small commit, however much it covers, and space comes back afterwards.
 * Matchers are kept, not the series they mean: what a series is called never changes, and a
 * series that comes later has only samples that come later.
 *
 *   live `deletes`   number u64 BE -> seal | varint commit, generation, seal number |
 *                    zigzag from, until, made (ms) | n x (u8 kind, sized name, sized value)
 *
 * Threads     Rows and list are changed on the writer thread; any thread takes a view of them.
 *             What is marked "keeper" belongs to the keeper thread.
 * Locks       Its mutex is taken alone.
 */
#pragma once

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/matcher.h"
#include "collector/store/ages.h"
#include "collector/store/pieces.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/clock.h"

struct live;
struct store;
struct store_selection;

#define DELETES_MAX          1024 /* not yet gone, at once */
#define DELETE_MATCHERS_MAX  64
#define DELETE_ROW_BYTES_MAX ((size_t)64 << 10)

struct deletion {
    _Atomic uint32_t references;
    /* fixed once committed */
    uint64_t number; /* its key; ascending */
    uint64_t commit, generation, seal;
    int64_t from_ms, until_ms; /* closed */
    int64_t made_ms;
    uint32_t fence; /* counts the deletes since the opening; 0: it is older */
    struct matcher **matchers;
    size_t count;
    /* keeper */
    bool is_past_checkpoint; /* a pass begun after it has ended: no WAL, no tail holds any */
    bool is_past_history;    /* no file holds any */
};

struct deletes {
    pthread_mutex_t lock;
    pthread_cond_t landed; /* none is in flight any more */
    /* under the lock; changed by the writer thread */
    struct deletion **items; /* ascending number */
    size_t count, capacity;
    unsigned in_flight; /* has its place in the order of things, is not durable yet */
    uint64_t last_number;
    uint32_t fence;
    mono_ns last_made, first_made; /* of those that are new since the keeper's last round */
    /* any thread */
    _Atomic size_t held; /* count, for who is in a hurry */
    _Atomic uint64_t made;
    struct ages ages; /* fixed after the opening: what is older of some series counts as deleted */
    _Atomic bool may_end; /* a pass was made since the keeper looked what is left */
};

void deletes_init(struct deletes *deletes);
void deletes_done(struct deletes *deletes);
/* Reads the rows, while the store is opened; moves seal numbers and generations past theirs. */
int deletes_load(struct store *store);

/* The deletes that touch an interval, each referenced. */
struct deletes_view {
    struct deletion **items;
    size_t count;
    const struct ages *ages; /* which may hide some of the interval, too; NULL: they do not */
    int64_t now_ms;
};
int deletes_view(struct deletes *deletes, int64_t from_ms, int64_t until_ms,
                 struct deletes_view *ret_view);
/* The same for who writes a history file, after taking its generation: with every delete that
 * has a higher seal number or generation than its input and a lower generation than the file.
 * Waits for one that is being committed; not on the writer thread. */
int deletes_view_landed(struct deletes *deletes, int64_t from_ms, int64_t until_ms,
                        struct deletes_view *ret_view);
void deletes_view_done(struct deletes_view *view); /* twice is allowed */

/* What the view covers of a series, in `arena`; no items: nothing. `tails` is left false.
 * ERR_LIMIT: the arena is full. */
int deletes_holes(const struct deletes_view *view, const struct labels *labels,
                  struct arena *arena, struct holes *ret_holes);

bool deletion_matches(const struct deletion *deletion, const struct labels *labels);
/* The newest sample a series still has, if `last_ms` was it: an upper bound, INT64_MIN for
 * none. */
int64_t deletion_last_ms(int64_t from_ms, int64_t until_ms, int64_t last_ms);

/* ---- rows (delete_row.c) ---------------------------------------------------------------- */

#define DELETE_KEY_BYTES 8

int deletion_new(struct matcher *const *matchers, size_t count, int64_t from_ms,
                 int64_t until_ms, struct deletion **ret_deletion);
void deletion_release(struct deletion *deletion); /* NULL is allowed */
void delete_row_write(const struct deletion *deletion, struct buf *out);
/* Any bytes are safe.  ERR_MALFORMED, ERR_NOMEM. */
int delete_row_read(struct bytes payload, struct deletion **ret_deletion);

/* ---- making them go (delete_apply.c); keeper thread -------------------------------------- */

/* The number of the last delete that is durable, and: a checkpoint pass begun after that is
 * through. */
uint64_t deletes_last(struct deletes *deletes);
void deletes_note_pass(struct store *store, uint64_t through);
bool deletes_want_pass(struct store *store);
/* Is there something for deletes_apply() to do? */
bool deletes_are_due(struct store *store);
/* Rewrites files, for at most some seconds, if it is time (`now`: it is); then takes out the
 * deletes of which nothing is left.  *ret_more: there are files left to rewrite. */
int deletes_apply(struct store *store, bool now, bool *ret_more);
