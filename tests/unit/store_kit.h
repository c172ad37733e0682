/*
 * store_kit.h - what tests of the store share: a folder, a clock, series, and a naive model.
 *
 * The model is the specification in ten lines: a table of (series, time) -> value where the
 * last write wins.  Whatever the store does inside, a query must answer what the model holds.
 */
#pragma once

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/store/store.h"
#include "proto/base/clock.h"

#define KIT_START_MS INT64_C(1700006400000) /* a span boundary */

struct kit {
    char directory[64];
    struct store *store;
    struct store_options options;
    struct clock clock;
    _Atomic int64_t now_ms;     /* the store's threads look at it */
    struct series *series[256]; /* m{n="i"}, resolved on first use */
    pthread_mutex_t gate;       /* held through each commit */
};

/* A fresh folder under /tmp and an open store with 2 h spans. */
void kit_start(struct kit *kit);
void kit_open(struct kit *kit);
void kit_close(struct kit *kit);
void kit_stop(struct kit *kit);        /* closes and removes the folder */
void kit_stop_closed(struct kit *kit); /* removes the folder of a closed store */

const struct labels *kit_labels(const char *name, const char *value); /* caller frees */
struct series *kit_series(struct kit *kit, unsigned n);
int kit_write(struct kit *kit, unsigned n, int64_t ts_ms, double value);
/* Deletes of m{n="i"}, or of all m. */
int kit_delete(struct kit *kit, unsigned n, int64_t from_ms, int64_t until_ms);
/* The store goes on with what a kill at this moment would have left of its folder.  A test with
 * a `step` of its own calls kit_gate() from it. */
void kit_gate(struct kit *kit, const char *point);
void kit_crash(struct kit *kit);
int kit_put(struct kit *kit, const char *key, const char *value); /* NULL deletes */

struct model_sample {
    unsigned series;
    int64_t ts_ms;
    double value;
};
struct model {
    struct model_sample *items;
    size_t count, capacity;
};
void model_done(struct model *model);
void model_write(struct model *model, unsigned series, int64_t ts_ms, double value);
/* Of one series, or of all. */
#define MODEL_ALL UINT_MAX
void model_delete(struct model *model, unsigned series, int64_t from_ms, int64_t until_ms);

/* Samples each 15 s in [from, until), to the store and to the model; the value tells which time
 * they were written, NAN is noise, which takes room.  And a delete of both.  On any thread: what
 * fails ends the program. */
#define KIT_STEP_MS 15000
void kit_run(struct kit *kit, struct model *model, unsigned n, int64_t from_ms,
             int64_t until_ms, double value);
void kit_delete_both(struct kit *kit, struct model *model, unsigned n, int64_t from_ms,
                     int64_t until_ms);

/* Everything of m{} in the interval must be what the model holds there, bit for bit. */
void kit_expect(struct kit *kit, const struct model *model, int64_t from_ms, int64_t until_ms);
/* The same as a bool, for processes that cannot use assertions. */
bool kit_agrees(struct kit *kit, const struct model *model, int64_t from_ms, int64_t until_ms,
                char *why, size_t why_bytes);
/* Samples of m{} in the interval, those in records of roll-ups included; *ret_records: how many
 * of those there are. */
uint64_t kit_samples(struct kit *kit, int64_t from_ms, int64_t until_ms, uint64_t *ret_records);
/* Faults and strays that verification finds in the folder of a closed store, told on stderr. */
uint64_t kit_faults(struct kit *kit);
/* The series that a selector of one matcher finds, in `arena`; their number. */
size_t kit_select(struct kit *kit, int matcher_kind, const char *name, const char *value,
                  int64_t from_ms, int64_t until_ms, struct arena *arena,
                  struct series_samples **ret_series);
/* How many they are. */
size_t kit_count(struct kit *kit, int matcher_kind, const char *name, const char *value,
                 int64_t from_ms, int64_t until_ms);
