/*
 * tsgen.h - the options of tsgen, and its two ways to make samples.
 */
#pragma once

#include "tests/bench/tsgen/output.h"

struct tsgen_options {
    const char *profile, *recording, *prefix;
    const char *instance; /* what instances begin with */
    enum output_format format;
    size_t hosts, steps, shards, chunk;
    uint32_t samples_a_request;
    int64_t step_ms, start_ms; /* start -1: not given */
    uint64_t seed;
    bool keeps_milliseconds;
};

#define INSTANCE_BYTES 64
/* "host-0003:9100" */
void instance_of(size_t host, const char *prefix, char text[INSTANCE_BYTES]);

/* Hosts that behave like the profile: recorded changes in random blocks, scaled by host. */
int synth_make(const struct tsgen_options *options, struct diagnosis *why);

/* The recording itself, every step_ms of it. */
int real_make(const struct tsgen_options *options, struct diagnosis *why);
