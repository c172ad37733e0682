/*
 * load_make.c - values that nobody measured, like those that somebody would.
 *
 * Every value is a function of (seed, probe, series, tick) alone: counters are a straight line
 * with a jitter smaller than their step, so they never go back; gauges wander around a base. So
 * any tick can be had again (to resend it) without having kept it.
 *
 * Of 20 families 13 stand still, 4 are counters, 3 are gauges, as in a recording of a
 * node_exporter on a busy machine.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "tests/bench/kit/random.h"
#include "tests/bench/swarm/load_parts.h"

#define ARENA_BYTES ((size_t)1 << 30)

enum value_kind { STILL, EVENTS, HUNDREDTHS, PAGES, DECIMALS };

struct family {
    const char *name;
    enum metric_type type;
    enum value_kind kind;
    const char *label;
};

static const struct family families[] = {
    {"node_cpu_seconds_total", METRIC_COUNTER, HUNDREDTHS, "cpu"},
    {"node_cpu_guest_seconds_total", METRIC_COUNTER, STILL, "cpu"},
    {"node_network_receive_bytes_total", METRIC_COUNTER, EVENTS, "device"},
    {"node_network_receive_errs_total", METRIC_COUNTER, STILL, "device"},
    {"node_network_receive_drop_total", METRIC_COUNTER, STILL, "device"},
    {"node_network_mtu_bytes", METRIC_GAUGE, STILL, "device"},
    {"node_network_up", METRIC_GAUGE, STILL, "device"},
    {"node_disk_reads_completed_total", METRIC_COUNTER, EVENTS, "device"},
    {"node_disk_reads_merged_total", METRIC_COUNTER, STILL, "device"},
    {"node_disk_io_time_seconds_total", METRIC_COUNTER, HUNDREDTHS, "device"},
    {"node_disk_io_now", METRIC_GAUGE, STILL, "device"},
    {"node_filesystem_avail_bytes", METRIC_GAUGE, PAGES, "mountpoint"},
    {"node_filesystem_size_bytes", METRIC_GAUGE, STILL, "mountpoint"},
    {"node_filesystem_files", METRIC_GAUGE, STILL, "mountpoint"},
    {"node_filesystem_readonly", METRIC_GAUGE, STILL, "mountpoint"},
    {"node_hwmon_temp_celsius", METRIC_GAUGE, DECIMALS, "sensor"},
    {"node_hwmon_temp_crit_celsius", METRIC_GAUGE, STILL, "sensor"},
    {"namedprocess_namegroup_memory_bytes", METRIC_GAUGE, PAGES, "groupname"},
    {"namedprocess_namegroup_num_procs", METRIC_GAUGE, STILL, "groupname"},
    {"namedprocess_namegroup_num_threads", METRIC_GAUGE, STILL, "groupname"},
};
#define FAMILIES (sizeof families / sizeof families[0])

static uint64_t mix_of(uint64_t a, uint64_t b)
{
    return random_mix(a ^ random_mix(b));
}

int64_t load_made_tick_ms(const struct load *load, size_t probe, size_t tick)
{
    const struct load_options *options = &load->options;
    int64_t phase_ms = (int64_t)(mix_of(options->seed, probe) % (uint64_t)options->interval_ms);
    return options->start_ms + (int64_t)tick * options->interval_ms + phase_ms;
}

double load_made_value(const struct load *load, size_t probe, size_t ref, size_t tick)
{
    uint64_t self = mix_of(mix_of(load->options.seed, probe + 1), ref);
    uint64_t rate = 1 + self % 200;
    uint64_t now = random_mix(self ^ (tick + 1));
    switch (families[ref % FAMILIES].kind) {
    case STILL:
        return self % 4 == 0 ? 0 : (double)(self % 1000000);
    case EVENTS:
        return (double)((self >> 20) % 1000000000 + tick * rate + now % (rate + 1));
    case HUNDREDTHS:
        return (double)((self >> 20) % 100000000 + tick * rate + now % (rate + 1)) / 100;
    case PAGES:
        return 4096.0 * (double)((self >> 20) % 1000000 + now % 64);
    case DECIMALS:
        return (double)((self >> 20) % 9000 + now % 250) / 100;
    }
    return 0;
}

static int make_definitions(struct load *load)
{
    size_t series = load->options.series;
    load->definitions = arena_alloc(&load->arena, series, sizeof *load->definitions);
    if (load->definitions == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < series; i++) {
        const struct family *family = &families[i % FAMILIES];
        struct label *label = arena_alloc(&load->arena, 1, sizeof *label);
        char *value = arena_alloc(&load->arena, 1, 24);
        if (label == NULL || value == NULL)
            return ERR_NOMEM;
        (void)snprintf(value, 24, "%s%zu", family->label, i / FAMILIES);
        *label = (struct label){bytes_of(family->label), bytes_of(value)};
        load->definitions[i] = (struct definition){.name = bytes_of(family->name),
                                                   .labels = label,
                                                   .label_count = 1,
                                                   .type = family->type};
    }
    return 0;
}

int load_make(const struct load_options *options, struct load **ret_load, struct diagnosis *why)
{
    struct load *load = calloc(1, sizeof *load);
    if (load == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    arena_init(&load->arena, ARENA_BYTES);
    load->is_made = true;
    load->options = *options;
    load->probes = calloc(options->probes, sizeof *load->probes);
    if (load->probes == NULL || make_definitions(load) != 0) {
        load_free(load);
        return diagnose(why, ERR_NOMEM, "out of memory");
    }
    load->probe_count = options->probes;
    for (size_t i = 0; i < options->probes; i++)
        (void)snprintf(load->probes[i].instance, LOAD_INSTANCE_BYTES, "swarm-%04zu", i);
    *ret_load = load;
    return 0;
}
