/*
 * load.h - what a swarm of probes has to say: series and their values, tick by tick.
 *
 * Two kinds behind one face: made up (deterministic by seed, any tick at once, no memory), or
 * read from frame files of remote-write bodies, so that the same samples reach a store by its
 * own wire and, from the same files, any other store by remote write.
 *
 * Made-up values are like a node_exporter's: 65 % of the series never change, counters step by
 * small integers or hundredths, gauges move and have decimals or pages.
 *
 * After it was made a load is only read.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/diagnosis.h"
#include "proto/wire/envelope.h"

struct load;

struct load_options {
    size_t probes, series, ticks;
    int64_t interval_ms;
    int64_t start_ms; /* of the first tick; each probe has a phase of its own on top */
    uint64_t seed;
};

/* ERR_NOMEM. */
int load_make(const struct load_options *options, struct load **ret_load,
              struct diagnosis *why);

/* One probe for each value of the label `instance`; samples of one instance and time are a
 * tick. Ticks must ascend.  Takes 12 bytes of memory a sample.  ERR_IO, ERR_MALFORMED,
 * ERR_NOMEM. */
int load_read(char *const *paths, size_t count, struct load **ret_load, struct diagnosis *why);

/* NULL is allowed. */
void load_free(struct load *load);

size_t load_probe_count(const struct load *load);
const char *load_instance(const struct load *load, size_t probe);
size_t load_tick_count(const struct load *load, size_t probe);

/* The series of a probe by ref, without job and instance; lives as long as the load. */
const struct definition *load_definitions(const struct load *load, size_t probe,
                                          size_t *ret_count);

/* Samples in one tick, and in the fullest tick of the probe. */
size_t load_tick_samples(const struct load *load, size_t probe, size_t tick);
size_t load_samples_max(const struct load *load, size_t probe);

/* Writes the columns of a tick (refs ascending) and returns its time, Unix ms. */
int64_t load_columns(const struct load *load, size_t probe, size_t tick, uint64_t *refs,
                     double *values);
/* The time alone. */
int64_t load_tick_ms(const struct load *load, size_t probe, size_t tick);
