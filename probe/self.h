/*
 * self.h - what the probe tells about itself: fengsui_probe_*, and node_exporter's
 * node_scrape_collector_* of every source, because dashboards ask for them.
 *
 * It is a source like any other; its state is filled in with where to look before it is
 * started.
 */
#pragma once

#include "probe/policy.h"
#include "probe/scheduler.h"
#include "probe/spool.h"
#include "probe/transport.h"

#define SELF_SERIES_MAX 48

struct self_sources; /* handles of the sources' own series */

struct self_state {
    /* set by the owner, before start; transport may be NULL */
    const struct scheduler *scheduler;
    const struct emitter *emitter;
    const struct spool *spool;
    struct transport *const *transport;
    const struct tick_clock *ticks;
    int64_t started_ms;
    const uint64_t *ticks_lost; /* batches the spool could not take */
    struct policy *const *policy;

    /* private */
    series_handle handles[SELF_SERIES_MAX];
    series_handle build;
    struct self_sources *sources;
    size_t source_count;
    uint64_t told_version, told_changes; /* whose refusals `refused` are */
    size_t told_count;
    series_handle refused[POLICY_REFUSALS_MAX];
};

extern const struct source source_self;
