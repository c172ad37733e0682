/*
 * requests.h - a load as remote-write bodies in frame files, for every other store.
 */
#pragma once

#include "tests/bench/swarm/load.h"

#define REQUESTS_SHARDS 4

struct requests_result {
    size_t shards;
    uint64_t requests, samples, body_bytes;
};

/* Writes DIRECTORY/requests.0 .. .3 (fewer for fewer probes); a probe's samples are in one of
 * them, at most 2,000 in a request, of at most so many ticks.  ERR_IO, ERR_NOMEM. */
int requests_write(const struct load *load, const char *directory, size_t ticks_a_request,
                   struct requests_result *ret_result, struct diagnosis *why);
