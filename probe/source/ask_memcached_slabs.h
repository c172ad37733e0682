/*
 * ask_memcached_slabs.h - what memcached says of each slab class, and of the items in it.
 *
 * A class is a size of chunks; items lie in the smallest that takes them, and each class evicts
 * by itself: one may throw away what is new while another is half empty.
 */
#pragma once

#include "probe/source/ask.h"

/* The class whose "set" is being added up; zeroed before an answer. */
struct memcached_slab {
    bool is_begun;
    uint64_t class;
    double set, cas; /* "cmd_set" counts cas operations, too */
    bool has_set;
    unsigned cas_fields;
};

/* Is the field of a slab class ("1:chunk_size", "items:1:age")?  Then what has a name goes out.
 * Those of a class come together. */
bool memcached_slab_take(struct memcached_slab *slab, struct span field, double value,
                         struct ask_out *out);
