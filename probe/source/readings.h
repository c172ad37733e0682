/*
 * readings.h - what was read in a tick, each reading with its whole name, to be emitted later.
 *
 *     gather:   readings_begin(&list);
 *               readings_add(&list, &metric, value, labels, count);      any number of times
 *     collect:  readings_emit(&list, out);
 *
 * A blocking source reads on a worker and may not touch the emitter there (source.h): the
 * readings carry its names and values over.  Other sources whose series come and go as they
 * like use it, too: what was in the list before and is not now ends.
 *
 * The bytes of a reading lie in one buffer that is used again, so that the steady state
 * allocates nothing.
 *
 * A list holds a series once: of two readings with the same name and labels the first stays.
 */
#pragma once

#include "probe/source/field_set.h"
#include "proto/base/buf.h"

/* Zeroed is empty. */
struct readings {
    struct buf rows;
    size_t count;
    struct field_set known;
};

/* Forgets the readings, not what has been emitted. */
void readings_begin(struct readings *list);

/* Adds one.  `labels` ascending by name; everything is copied.  Without memory the reading is
 * left out, and readings_emit() says so. */
void readings_add(struct readings *list, const struct metric *metric, double value,
                  const struct label *labels, size_t count);

/* With one label, and with two, names ascending. */
void readings_add_one(struct readings *list, const struct metric *metric, double value,
                      const char *name, struct bytes label);
void readings_add_two(struct readings *list, const struct metric *metric, double value,
                      const char *name_a, struct bytes label_a, const char *name_b,
                      struct bytes label_b);

/* Emits all, registers what is new, ends what is no longer there.  The readings stay and may be
 * emitted again at the next tick.  ERR_NOMEM: some are missing; nothing is ended then. */
int readings_emit(struct readings *list, struct emitter *out);

/* One as it was added; texts point into the list and are valid until it is changed. */
struct reading {
    uint64_t hash; /* of name and labels */
    double value;
    struct metric metric;
    struct label labels[SERIES_LABELS_MAX];
    size_t label_count;
};

/* Where a walk is: zeroed is before the first. */
struct readings_cursor {
    size_t index, offset;
};

/* The next one; false past the last. */
bool readings_next(const struct readings *list, struct readings_cursor *cursor,
                   struct reading *ret_reading);

void readings_done(struct readings *list);
