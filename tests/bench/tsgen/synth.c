/*
 * synth.c - many hosts from one recording.
 *
 * A host replays the changes of the profile from a random place for a while, then from another,
 * scaled by how busy it is (0.33 to 3 times the recorded host) and by series, at the recorded
 * decimals and units.  Series that never changed stand still.  Gauges are turned back at the
 * edges of a range three times the recorded one.
 */
#include <math.h>
#include <stdlib.h>

#include "proto/base/error.h"
#include "tests/bench/kit/random.h"
#include "tests/bench/tsgen/profile.h"
#include "tests/bench/tsgen/tsgen.h"

#define BLOCK_STEPS_MIN  20
#define BLOCK_STEPS_SPAN 60

struct host {
    uint64_t random;
    int64_t phase_ms;
    size_t offset;     /* into the changes */
    size_t steps_left; /* of this block */
    struct buf *labels;
    double *units, *scales;
};

struct synth {
    const struct tsgen_options *options;
    struct profile profile;
    struct output output;
    struct host *hosts;
    double *values; /* json: chunk values a series */
    int64_t *times;
};

static int host_start(struct synth *synth, struct host *host, size_t index)
{
    const struct profile *profile = &synth->profile;
    size_t count = profile->set.count;
    char instance[INSTANCE_BYTES];

    instance_of(index, synth->options->instance, instance);
    host->random = synth->options->seed * 1000003 + index * 7919 + 12345;
    host->phase_ms = (int64_t)(random_unit(&host->random) * (double)synth->options->step_ms);
    double busy = exp((random_unit(&host->random) - 0.5) * 2.2);
    host->labels = calloc(count, sizeof *host->labels);
    host->units = calloc(count, sizeof *host->units);
    host->scales = calloc(count, sizeof *host->scales);
    if (host->labels == NULL || host->units == NULL || host->scales == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct series *series = &profile->set.items[i];
        const struct behaviour *behaviour = &profile->behaviours[i];
        int error = output_labels(&synth->output, series, instance, &host->labels[i]);
        if (error != 0)
            return error;
        host->scales[i] = busy * exp((random_unit(&host->random) - 0.5) * 0.8);
        host->units[i] = series_to_units(series, behaviour->first);
        if (series->is_counter && behaviour->change_count > 0) {
            /* Hosts have been up for different times. */
            host->units[i] *= 1 + random_unit(&host->random) * 500;
            if (series->decimals >= 0)
                host->units[i] = floor(host->units[i]);
        }
    }
    return 0;
}

static void host_step(struct synth *synth, struct host *host)
{
    size_t changes = synth->profile.change_count;
    host->offset += (size_t)(synth->options->step_ms / 1000);
    if (host->steps_left > 0)
        host->steps_left--;
    if (changes > 0 && (host->steps_left == 0 || host->offset >= changes)) {
        host->offset = random_next(&host->random) % changes;
        host->steps_left = BLOCK_STEPS_MIN + random_next(&host->random) % BLOCK_STEPS_SPAN;
    }
}

/* Keeps a gauge near where it was recorded. */
static double turn_back(const struct series *series, const struct behaviour *behaviour,
                        double units, double change)
{
    double span = behaviour->highest - behaviour->lowest;
    double lowest = behaviour->lowest - span;
    if (behaviour->lowest >= 0 && lowest < 0)
        lowest = 0;
    lowest = series_to_units(series, lowest);
    double highest = series_to_units(series, behaviour->highest + span);
    if (units < lowest || units > highest)
        units = fmin(fmax(units - 2 * change, lowest), highest);
    return series->decimals >= 0 ? nearbyint(units) : units;
}

static void series_step(struct synth *synth, struct host *host, size_t index)
{
    const struct series *series = &synth->profile.set.items[index];
    const struct behaviour *behaviour = &synth->profile.behaviours[index];
    if (behaviour->change_count == 0)
        return;
    double change = behaviour->changes[host->offset];
    if (profile_has_values(series)) {
        host->units[index] = change;
        return;
    }
    if (fpclassify(change) == FP_ZERO)
        return;
    change *= host->scales[index];
    if (fabs(change) > 20)
        change *= 0.9 + 0.2 * random_unit(&host->random);
    if (series->decimals >= 0)
        change = floor(change + random_unit(&host->random));
    host->units[index] += change;
    if (!series->is_counter)
        host->units[index] = turn_back(series, behaviour, host->units[index], change);
}

/* `chunk` steps of one host; in json a series' samples stand together. */
static void put_host(struct synth *synth, size_t host_index, size_t first_step, size_t steps)
{
    const struct tsgen_options *options = synth->options;
    struct host *host = &synth->hosts[host_index];
    size_t shard = host_index % options->shards, count = synth->profile.set.count;
    bool is_json = options->format == OUTPUT_JSON;

    for (size_t c = 0; c < steps; c++) {
        size_t step = first_step + c;
        int64_t ts_ms = options->start_ms + host->phase_ms + (int64_t)step * options->step_ms;
        synth->times[c] = ts_ms;
        if (step > 0)
            host_step(synth, host);
        for (size_t i = 0; i < count; i++) {
            if (step > 0)
                series_step(synth, host, i);
            double value = series_from_units(&synth->profile.set.items[i], host->units[i]);
            synth->values[i * options->chunk + c] = value;
            if (is_json)
                continue;
            output_sample(&synth->output, shard, &host->labels[i], value, ts_ms);
            output_flush_full(&synth->output, shard, (uint32_t)step);
        }
    }
    for (size_t i = 0; is_json && i < count; i++) {
        output_line(&synth->output, shard, &host->labels[i], synth->values + i * options->chunk,
                    synth->times, steps);
        output_flush_full(&synth->output, shard, (uint32_t)first_step);
    }
}

static int put_all(struct synth *synth)
{
    const struct tsgen_options *options = synth->options;
    synth->values = calloc(synth->profile.set.count * options->chunk, sizeof *synth->values);
    synth->times = calloc(options->chunk, sizeof *synth->times);
    synth->hosts = calloc(options->hosts, sizeof *synth->hosts);
    if (synth->values == NULL || synth->times == NULL || synth->hosts == NULL)
        return ERR_NOMEM;
    for (size_t h = 0; h < options->hosts; h++) {
        int error = host_start(synth, &synth->hosts[h], h);
        if (error != 0)
            return error;
    }
    for (size_t step = 0; step < options->steps; step += options->chunk) {
        size_t left = options->steps - step;
        for (size_t h = 0; h < options->hosts; h++)
            put_host(synth, h, step, left < options->chunk ? left : options->chunk);
        output_flush(&synth->output, (uint32_t)step);
    }
    return 0;
}

int synth_make(const struct tsgen_options *given, struct diagnosis *why)
{
    struct tsgen_options options = *given;
    struct synth synth = {.options = &options};

    if (options.profile == NULL || options.start_ms < 0)
        return diagnose(why, ERR_INVALID, "synth needs -p and -s");
    if (options.format != OUTPUT_JSON)
        options.chunk = 1;
    int error = profile_read(options.profile, &synth.profile, why);
    if (error != 0)
        return error;
    error = output_open(&synth.output, options.format, options.prefix, options.shards,
                        options.samples_a_request, why);
    if (error == 0)
        error = put_all(&synth);
    struct output_facts facts = {"synth",       options.hosts,    synth.profile.set.count,
                                 options.steps, options.start_ms, options.step_ms};
    int closed = output_finish(&synth.output, &facts, why);
    error = error == 0 ? closed : diagnose(why, error, "%s", error_text(error));
    for (size_t h = 0; synth.hosts != NULL && h < options.hosts; h++) {
        struct host *host = &synth.hosts[h];
        for (size_t i = 0; host->labels != NULL && i < synth.profile.set.count; i++)
            buf_done(&host->labels[i]);
        free(host->labels);
        free(host->units);
        free(host->scales);
    }
    free(synth.hosts);
    free(synth.values);
    free(synth.times);
    profile_done(&synth.profile);
    return error;
}
