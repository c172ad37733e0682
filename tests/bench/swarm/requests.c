#include "tests/bench/swarm/requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/file.h"
#include "tests/bench/kit/frames.h"
#include "tests/bench/kit/request.h"

#define SAMPLES_A_REQUEST 2000

struct shard {
    struct frames_writer file;
    struct buf raw;
    uint32_t samples;
};

struct work {
    const struct load *load;
    struct shard shards[REQUESTS_SHARDS];
    size_t shard_count;
    size_t ticks_a_request;
    struct buf packed;
    struct buf **labels; /* by probe, then ref */
    uint64_t *refs;
    double *values;
};

static int compare_labels(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    return bytes_compare(x->name, y->name);
}

static int code_labels(const struct load *load, size_t probe, struct buf **ret_labels)
{
    struct label labels[SERIES_LABELS_MAX + 3];
    size_t count;
    const struct definition *definitions = load_definitions(load, probe, &count);
    struct buf *coded = calloc(count + 1, sizeof *coded);

    if (coded == NULL)
        return ERR_NOMEM;
    *ret_labels = coded;
    for (size_t i = 0; i < count; i++) {
        const struct definition *definition = &definitions[i];
        size_t n = definition->label_count;
        memcpy(labels, definition->labels, n * sizeof *labels);
        labels[n++] = (struct label){bytes_of("__name__"), definition->name};
        labels[n++] =
            (struct label){bytes_of("instance"), bytes_of(load_instance(load, probe))};
        labels[n++] = (struct label){bytes_of("job"), bytes_of("node")};
        qsort(labels, n, sizeof *labels, compare_labels);
        request_put_labels(&coded[i], labels, n);
        if (!buf_ok(&coded[i]))
            return ERR_NOMEM;
    }
    return 0;
}

static int flush(struct work *work, struct shard *shard, size_t tick)
{
    if (shard->samples == 0)
        return 0;
    if (!buf_ok(&shard->raw) || request_compress(buf_bytes(&shard->raw), &work->packed) != 0)
        return ERR_NOMEM;
    frames_put(&shard->file, (uint32_t)tick, shard->samples, buf_bytes(&work->packed));
    shard->samples = 0;
    buf_clear(&shard->raw);
    return 0;
}

static int put_tick(struct work *work, size_t probe, size_t tick)
{
    struct shard *shard = &work->shards[probe % work->shard_count];
    size_t count = load_tick_samples(work->load, probe, tick);
    int64_t ts_ms = load_columns(work->load, probe, tick, work->refs, work->values);
    int error = 0;

    for (size_t i = 0; error == 0 && i < count; i++) {
        request_put_sample(&shard->raw, buf_bytes(&work->labels[probe][work->refs[i]]),
                           work->values[i], ts_ms);
        if (++shard->samples == SAMPLES_A_REQUEST)
            error = flush(work, shard, tick);
    }
    return error;
}

static int put_all(struct work *work)
{
    size_t probes = load_probe_count(work->load);
    size_t ticks = 0;
    int error = 0;

    for (size_t i = 0; i < probes; i++)
        if (load_tick_count(work->load, i) > ticks)
            ticks = load_tick_count(work->load, i);
    for (size_t tick = 0; error == 0 && tick < ticks; tick++) {
        for (size_t i = 0; error == 0 && i < probes; i++)
            if (tick < load_tick_count(work->load, i))
                error = put_tick(work, i, tick);
        if ((tick + 1) % work->ticks_a_request != 0 && tick + 1 < ticks)
            continue;
        for (size_t i = 0; error == 0 && i < work->shard_count; i++)
            error = flush(work, &work->shards[i], tick);
    }
    return error;
}

static int prepare(struct work *work)
{
    size_t probes = load_probe_count(work->load);
    size_t samples_max = 1;
    int error = 0;

    work->labels = calloc(probes, sizeof(struct buf *));
    if (work->labels == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < probes; i++) {
        size_t samples = load_samples_max(work->load, i);
        samples_max = samples > samples_max ? samples : samples_max;
        error = code_labels(work->load, i, &work->labels[i]);
    }
    work->refs = calloc(samples_max, sizeof *work->refs);
    work->values = calloc(samples_max, sizeof *work->values);
    return error != 0 || work->refs == NULL || work->values == NULL ? ERR_NOMEM : 0;
}

static int open_shards(struct work *work, const char *directory, struct diagnosis *why)
{
    char path[4096];
    size_t probes = load_probe_count(work->load);
    size_t wanted = probes < REQUESTS_SHARDS ? probes : REQUESTS_SHARDS;
    int error = file_make_directories(directory, why);

    while (error == 0 && work->shard_count < wanted) {
        (void)snprintf(path, sizeof path, "%s/requests.%zu", directory, work->shard_count);
        error = frames_create(path, &work->shards[work->shard_count].file, why);
        if (error == 0)
            work->shard_count++;
    }
    return error;
}

int requests_write(const struct load *load, const char *directory, size_t ticks_a_request,
                   struct requests_result *ret_result, struct diagnosis *why)
{
    struct work work = {.load = load, .ticks_a_request = ticks_a_request};
    struct requests_result result = {0};

    int error = open_shards(&work, directory, why);
    if (error == 0)
        error = prepare(&work);
    if (error == 0)
        error = put_all(&work);
    for (size_t i = 0; i < work.shard_count; i++) {
        struct shard *shard = &work.shards[i];
        int closed = frames_finish(&shard->file, why);
        error = error == 0 ? closed : error;
        result.requests += shard->file.frames;
        result.samples += shard->file.samples;
        result.body_bytes += shard->file.body_bytes;
        buf_done(&shard->raw);
    }
    result.shards = work.shard_count;
    for (size_t i = 0; work.labels != NULL && i < load_probe_count(load); i++) {
        size_t count;
        (void)load_definitions(load, i, &count);
        for (size_t ref = 0; work.labels[i] != NULL && ref < count; ref++)
            buf_done(&work.labels[i][ref]);
        free(work.labels[i]);
    }
    free((void *)work.labels);
    free(work.refs);
    free(work.values);
    buf_done(&work.packed);
    if (error != 0)
        return diagnose(why, error, "%s: %s", directory, error_text(error));
    *ret_result = result;
    return 0;
}
