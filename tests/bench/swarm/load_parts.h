/*
 * load_parts.h - between load.c and the two kinds of load only.
 */
#pragma once

#include "proto/base/arena.h"
#include "tests/bench/swarm/load.h"

#define LOAD_INSTANCE_BYTES 128

/* A probe read from frames: samples in the order of ticks. */
struct load_probe {
    char instance[LOAD_INSTANCE_BYTES];
    struct definition *definitions;
    size_t definition_count, definition_capacity;
    uint32_t *refs;
    double *values;
    size_t sample_count, sample_capacity;
    int64_t *tick_ms;
    size_t *tick_first; /* index of its first sample */
    size_t tick_count, tick_capacity;
    size_t samples_max;
};

struct load {
    struct arena arena; /* texts and labels */
    struct load_probe *probes;
    size_t probe_count, probe_capacity;
    /* made up: */
    bool is_made;
    struct load_options options;
    struct definition *definitions; /* the same for every probe */
};

/* load_make.c */
int64_t load_made_tick_ms(const struct load *load, size_t probe, size_t tick);
double load_made_value(const struct load *load, size_t probe, size_t ref, size_t tick);
