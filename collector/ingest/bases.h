/*
 * bases.h - the batches a stream took last, as what later ones are coded against.
 *
 * Most values of a batch are those of the one before, and its refs are, too.  So the newest is
 * kept whole, an older one as what differs from the next newer:
 *
 *     newest   values
 *     older    a bit for each sample: differs | values of those that do
 *     ...
 *     refs     runs, once for batches in a row that have the same
 *
 * A batch with other refs than the one after it is kept whole, too.  Batches of a host with so
 * many series that a tick has several are kept by their part (plain.h): each has its last ones.
 *
 * Owner: the ingest thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/wire/plain.h"

#define BASES_KEPT 4

struct base_refs;

/* All zeros: none. */
struct bases {
    struct kept_base {
        uint64_t number;        /* 0: none, nor behind it */
        struct base_refs *refs; /* shared */
        double *values;         /* NULL: ... */
        uint8_t *differing;     /* ... what differs from the next newer */
    } items[BASES_KEPT];        /* newest first */
    size_t part;                /* plain.h */
    struct bases *next;         /* of another part; owned by the first */
};

void bases_done(struct bases *bases);

/* Keeps a copy of a batch's columns, refs ascending, instead of the oldest of its part; one
 * that is kept already stays as it is.  Without memory it is not kept. */
void bases_keep(struct bases *bases, uint64_t number, const struct sample_columns *samples);

/* The columns of a batch, partly in the arena, valid until the next bases_keep(); false if it
 * is not kept, or the arena is full. */
bool bases_find(const struct bases *bases, uint64_t number, struct arena *arena,
                struct sample_columns *ret_samples);

/* Memory that all of them take, without malloc's own. */
size_t bases_bytes(const struct bases *bases);
