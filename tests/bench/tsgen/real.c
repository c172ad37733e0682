#include <math.h>
#include <stdlib.h>

#include "proto/base/error.h"
#include "tests/bench/tsgen/recording.h"
#include "tests/bench/tsgen/tsgen.h"

#define MS_A_SCRAPE 1000 /* recordings are made once a second */

static void put_scrape(struct output *output, const struct recording *recording, size_t scrape,
                       struct buf *const *labels, size_t hosts, int64_t ts_ms, uint32_t step)
{
    for (size_t h = 0; h < hosts; h++) {
        size_t shard = h % output->shard_count;
        for (size_t i = 0; i < recording->set.count; i++) {
            double value = recording->set.items[i].values[scrape];
            if (isnan(value))
                continue;
            if (output->format == OUTPUT_JSON)
                output_line(output, shard, &labels[h][i], &value, &ts_ms, 1);
            else
                output_sample(output, shard, &labels[h][i], value, ts_ms);
            output_flush_full(output, shard, step);
        }
    }
    output_flush(output, step);
}

static struct buf *label_host(const struct output *output, const struct recording *recording,
                              const struct tsgen_options *options, size_t host)
{
    char instance[INSTANCE_BYTES];
    struct buf *labels = calloc(recording->set.count, sizeof *labels);
    instance_of(host, options->instance, instance);
    for (size_t i = 0; labels != NULL && i < recording->set.count; i++)
        (void)output_labels(output, &recording->set.items[i], instance, &labels[i]);
    return labels;
}

static int put_all(const struct tsgen_options *options, struct output *output,
                   const struct recording *recording, size_t *ret_steps, int64_t *ret_start_ms)
{
    int64_t step_ms = options->step_ms;
    int64_t first_ms = (recording->scrape_ms[0] + step_ms / 2) / step_ms * step_ms;
    int64_t shift_ms = options->start_ms < 0 ? 0 : options->start_ms - first_ms;
    size_t every = step_ms > MS_A_SCRAPE ? (size_t)(step_ms / MS_A_SCRAPE) : 1;
    struct buf **labels = calloc(options->hosts, sizeof(struct buf *));
    int error = labels == NULL ? ERR_NOMEM : 0;
    size_t steps = 0;

    for (size_t h = 0; error == 0 && h < options->hosts; h++) {
        labels[h] = label_host(output, recording, options, h);
        error = labels[h] == NULL ? ERR_NOMEM : 0;
    }
    for (size_t k = 0; error == 0 && k < recording->scrape_count; k += every) {
        int64_t ts_ms = recording->scrape_ms[k];
        if (!options->keeps_milliseconds) /* Prometheus aligns scrapes likewise */
            ts_ms = (ts_ms + 500) / 1000 * 1000;
        put_scrape(output, recording, k, labels, options->hosts, ts_ms + shift_ms,
                   (uint32_t)steps++);
    }
    for (size_t h = 0; labels != NULL && h < options->hosts; h++) {
        for (size_t i = 0; labels[h] != NULL && i < recording->set.count; i++)
            buf_done(&labels[h][i]);
        free(labels[h]);
    }
    free((void *)labels);
    *ret_steps = steps;
    *ret_start_ms = first_ms + shift_ms;
    return error;
}

int real_make(const struct tsgen_options *options, struct diagnosis *why)
{
    struct recording recording;
    struct output output;
    struct output_facts facts = {
        .kind = "real", .hosts = options->hosts, .step_ms = options->step_ms};

    if (options->recording == NULL)
        return diagnose(why, ERR_INVALID, "real needs -r");
    int error = recording_read(options->recording, &recording, why);
    if (error != 0)
        return error;
    facts.series_a_host = recording.set.count;
    error = output_open(&output, options->format, options->prefix, options->shards,
                        options->samples_a_request, why);
    if (error == 0)
        error = put_all(options, &output, &recording, &facts.steps, &facts.start_ms);
    int closed = output_finish(&output, &facts, why);
    recording_done(&recording);
    return error == 0 ? closed : diagnose(why, error, "%s", error_text(error));
}
