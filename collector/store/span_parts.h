/*
 * span_parts.h - what a span and the set of spans are made of.  For span_set.c, span_open.c
 * and span_read.c.
 */
#pragma once

#include "collector/store/span_set.h"

#define HISTORY "history" /* in DATA */

struct span {
    /* fixed */
    struct span_set *set;
    struct span_info info;
    char name[SPAN_NAME_BYTES];
    _Atomic bool is_sole; /* info.is_sole, as it is by now */
    _Atomic uint64_t ages; /* of its series (ages.h); 0: not looked for yet */
    _Atomic uint64_t rules; /* that mean some of its series (held.c); 0: not looked for yet */
    /* under the set's lock */
    unsigned references; /* the set's own included */
    bool doomed;         /* unlinked when the last reference goes */
    /* under its own lock */
    pthread_mutex_t lock;
    MDB_env *env; /* NULL: not mapped */
    MDB_dbi tables[SPAN_TABLES];
    unsigned readers;
    bool verify;    /* its hash is to be tried before it is used */
    bool is_walked; /* its trees have been */
    bool was_aside; /* a copy of it is in quarantine */
    bool quarantined;
};

struct span_set {
    struct store *store;
    struct group_cache *groups; /* unpacked, of all files */
    struct kept_runs *runs;     /* decoded, over several files */
    struct value_lists *lists;  /* of labels, of all files */
    char *directory;
    pthread_mutex_t lock;
    struct span **items; /* ascending generation */
    size_t count, capacity;
    uint64_t generation;
    unsigned damaged_rows; /* registrations that cannot be read; fixed after loading */
    unsigned pins;
    char (*kept)[SPAN_NAME_BYTES]; /* taken out while pinned: unlinked with the last pin */
    size_t kept_count, kept_capacity;
};
