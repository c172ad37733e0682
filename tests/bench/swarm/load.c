#include "tests/bench/swarm/load.h"

#include <stdlib.h>

#include "proto/base/must.h"
#include "tests/bench/swarm/load_parts.h"

void load_free(struct load *load)
{
    if (load == NULL)
        return;
    for (size_t i = 0; load->probes != NULL && i < load->probe_count; i++) {
        free(load->probes[i].definitions);
        free(load->probes[i].refs);
        free(load->probes[i].values);
        free(load->probes[i].tick_ms);
        free(load->probes[i].tick_first);
    }
    free(load->probes);
    arena_reset(&load->arena);
    free(load);
}

size_t load_probe_count(const struct load *load)
{
    return load->probe_count;
}

const char *load_instance(const struct load *load, size_t probe)
{
    return load->probes[probe].instance;
}

size_t load_tick_count(const struct load *load, size_t probe)
{
    return load->is_made ? load->options.ticks : load->probes[probe].tick_count;
}

const struct definition *load_definitions(const struct load *load, size_t probe,
                                          size_t *ret_count)
{
    *ret_count = load->is_made ? load->options.series : load->probes[probe].definition_count;
    return load->is_made ? load->definitions : load->probes[probe].definitions;
}

static size_t tick_end(const struct load_probe *probe, size_t tick)
{
    return tick + 1 < probe->tick_count ? probe->tick_first[tick + 1] : probe->sample_count;
}

size_t load_tick_samples(const struct load *load, size_t probe, size_t tick)
{
    if (load->is_made)
        return load->options.series;
    return tick_end(&load->probes[probe], tick) - load->probes[probe].tick_first[tick];
}

size_t load_samples_max(const struct load *load, size_t probe)
{
    return load->is_made ? load->options.series : load->probes[probe].samples_max;
}

int64_t load_tick_ms(const struct load *load, size_t probe, size_t tick)
{
    return load->is_made ? load_made_tick_ms(load, probe, tick)
                         : load->probes[probe].tick_ms[tick];
}

/* By refs.  A series that came late stands among the others in a scrape; else they are in order
 * already, and this is one pass. */
static void sort_columns(uint64_t *refs, double *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        uint64_t ref = refs[i];
        double value = values[i];
        size_t at = i;
        for (; at > 0 && refs[at - 1] > ref; at--) {
            refs[at] = refs[at - 1];
            values[at] = values[at - 1];
        }
        refs[at] = ref;
        values[at] = value;
    }
}

int64_t load_columns(const struct load *load, size_t probe, size_t tick, uint64_t *refs,
                     double *values)
{
    const struct load_probe *read = &load->probes[probe];
    size_t count = load_tick_samples(load, probe, tick);

    must(tick < load_tick_count(load, probe));
    for (size_t i = 0; i < count; i++) {
        refs[i] = load->is_made ? i : read->refs[read->tick_first[tick] + i];
        values[i] = load->is_made ? load_made_value(load, probe, i, tick)
                                  : read->values[read->tick_first[tick] + i];
    }
    sort_columns(refs, values, count);
    return load_tick_ms(load, probe, tick);
}
