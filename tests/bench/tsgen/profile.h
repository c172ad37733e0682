/*
 * profile.h - how series behave, learnt from a recording: one line a series, tab-separated.
 *
 *     key  counter  decimals  unit  distinct  first  lowest  highest  n  c1,c2,...
 *
 * c are changes over one step, in units of the series, taken at every recorded second; for
 * gauges with at most PROFILE_VALUES_MAX different values they are the values themselves; a
 * series that never changed has n = 0.
 */
#pragma once

#include "tests/bench/tsgen/recording.h"

#define PROFILE_VALUES_MAX 8

struct behaviour {
    double first, lowest, highest;
    size_t change_count;
    double *changes;
};

struct profile {
    struct series_set set;
    struct behaviour *behaviours; /* by index in set */
    size_t change_count;          /* of every series that changes */
};

/* Is this a gauge that moves between a few values? */
bool profile_has_values(const struct series *series);

/* Prints the profile of a recording for steps of `step` scrapes to stdout.  Series that came or
 * went meanwhile are left out.  ERR_INVALID if the recording is too short. */
int profile_print(struct recording *recording, size_t step, struct diagnosis *why);

int profile_read(const char *path, struct profile *ret_profile, struct diagnosis *why);
void profile_done(struct profile *profile);
