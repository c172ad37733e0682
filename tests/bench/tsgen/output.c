#include "tests/bench/tsgen/output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "tests/bench/kit/request.h"
#include "tests/bench/kit/request_v2.h"

static const char *const format_names[] = {"rw", "text", "json", "rw2"};

int output_open(struct output *output, enum output_format format, const char *prefix,
                size_t shards, uint32_t samples_a_request, struct diagnosis *why)
{
    char path[4096];
    *output = (struct output){.format = format, .samples_a_request = samples_a_request};
    output->shards = calloc(shards, sizeof *output->shards);
    if (output->shards == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    for (; output->shard_count < shards; output->shard_count++) {
        (void)snprintf(path, sizeof path, "%s.%zu", prefix, output->shard_count);
        int error = frames_create(path, &output->shards[output->shard_count].file, why);
        if (error != 0)
            return error;
    }
    return 0;
}

static bool is_remote_write(const struct output *output)
{
    return output->format == OUTPUT_RW || output->format == OUTPUT_RW2;
}

static void put_escaped(struct buf *out, struct bytes value)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < value.size; i++) {
        char c = (char)value.data[i];
        if (c == '\\' || c == '"' || c == '\n')
            buf_put_char(out, '\\');
        buf_put_char(out, c == '\n' ? 'n' : c);
    }
    buf_put_char(out, '"');
}

static void put_text_labels(struct buf *out, struct bytes name, const struct label *labels,
                            size_t count)
{
    const char *separator = "{";
    buf_put(out, name.data, name.size);
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(labels[i].name, bytes_of("__name__")))
            continue;
        buf_put_text(out, separator);
        buf_put(out, labels[i].name.data, labels[i].name.size);
        buf_put_char(out, '=');
        put_escaped(out, labels[i].value);
        separator = ",";
    }
    buf_put_text(out, "} ");
}

static void put_json_labels(struct buf *out, const struct label *labels, size_t count)
{
    const char *separator = "{\"metric\":{";
    for (size_t i = 0; i < count; i++) {
        buf_put_text(out, separator);
        put_escaped(out, labels[i].name);
        buf_put_char(out, ':');
        put_escaped(out, labels[i].value);
        separator = ",";
    }
    buf_put_text(out, "},\"values\":[");
}

static int compare_labels(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    return bytes_compare(x->name, y->name);
}

int output_labels(const struct output *output, const struct series *series,
                  const char *instance, struct buf *ret_labels)
{
    struct label labels[SERIES_LABELS_MAX + 3];
    size_t count = series->label_count;
    memcpy(labels, series->labels, count * sizeof *labels);
    labels[count++] = (struct label){bytes_of("__name__"), series->name};
    labels[count++] = (struct label){bytes_of("instance"), bytes_of(instance)};
    labels[count++] = (struct label){bytes_of("job"), bytes_of("node")};
    qsort(labels, count, sizeof *labels, compare_labels);
    if (is_remote_write(output))
        request_put_labels(ret_labels, labels, count);
    else if (output->format == OUTPUT_TEXT)
        put_text_labels(ret_labels, series->name, labels, count);
    else
        put_json_labels(ret_labels, labels, count);
    return buf_ok(ret_labels) ? 0 : ERR_NOMEM;
}

/* The fewest digits that read back as the same number. */
static void put_value(struct buf *out, double value)
{
    char text[40];
    if (isnan(value) || isinf(value)) {
        buf_put_text(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_put_text(out, text);
}

void output_sample(struct output *output, size_t shard_index, const struct buf *labels,
                   double value, int64_t ts_ms)
{
    struct output_shard *shard = &output->shards[shard_index];
    shard->samples++;
    if (is_remote_write(output)) {
        request_put_sample(&shard->body, buf_bytes(labels), value, ts_ms);
        return;
    }
    buf_put(&shard->body, labels->data, labels->size);
    put_value(&shard->body, value);
    buf_printf(&shard->body, " %lld\n", (long long)ts_ms);
}

void output_line(struct output *output, size_t shard_index, const struct buf *labels,
                 const double *values, const int64_t *ts_ms, size_t count)
{
    struct output_shard *shard = &output->shards[shard_index];
    struct buf *body = &shard->body;
    const char *separator = "";
    buf_put(body, labels->data, labels->size);
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        buf_put_text(body, separator);
        put_value(body, values[i]);
        separator = ",";
        shard->samples++;
    }
    buf_put_text(body, "],\"timestamps\":[");
    separator = "";
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        buf_printf(body, "%s%lld", separator, (long long)ts_ms[i]);
        separator = ",";
    }
    buf_put_text(body, "]}\n");
}

static void flush(struct output *output, struct output_shard *shard, uint32_t step)
{
    struct bytes body = buf_bytes(&shard->body);
    if (shard->samples == 0)
        return;
    output->raw_bytes += body.size;
    output->failed = output->failed || !buf_ok(&shard->body);
    if (output->format == OUTPUT_RW2) {
        output->failed = request_to_v2(body, &output->second) != 0 || output->failed;
        body = buf_bytes(&output->second);
    }
    if (is_remote_write(output)) {
        output->failed = request_compress(body, &output->packed) != 0 || output->failed;
        body = buf_bytes(&output->packed);
    }
    frames_put(&shard->file, step, shard->samples, body);
    shard->samples = 0;
    buf_clear(&shard->body);
}

void output_flush_full(struct output *output, size_t shard, uint32_t step)
{
    if (output->shards[shard].samples >= output->samples_a_request)
        flush(output, &output->shards[shard], step);
}

void output_flush(struct output *output, uint32_t step)
{
    for (size_t i = 0; i < output->shard_count; i++)
        flush(output, &output->shards[i], step);
}

int output_finish(struct output *output, const struct output_facts *facts,
                  struct diagnosis *why)
{
    unsigned long long requests = 0, samples = 0, bytes = 0;
    int error = output->failed ? diagnose(why, ERR_NOMEM, "out of memory") : 0;

    for (size_t i = 0; i < output->shard_count; i++) {
        struct output_shard *shard = &output->shards[i];
        int closed = frames_finish(&shard->file, why);
        error = error == 0 ? closed : error;
        requests += shard->file.frames;
        samples += shard->file.samples;
        bytes += shard->file.body_bytes;
        buf_done(&shard->body);
    }
    buf_done(&output->packed);
    buf_done(&output->second);
    free(output->shards);
    if (error != 0)
        return error;
    (void)printf("{\"kind\":\"%s\",\"format\":\"%s\",\"hosts\":%zu,\"series_per_host\":%zu,"
                 "\"series\":%zu,\"start_ms\":%lld,\"step_ms\":%lld,\"steps\":%zu,"
                 "\"shards\":%zu,\"requests\":%llu,\"samples\":%llu,\"raw_bytes\":%llu,"
                 "\"wire_bytes\":%llu}\n",
                 facts->kind, format_names[output->format], facts->hosts, facts->series_a_host,
                 facts->hosts * facts->series_a_host, (long long)facts->start_ms,
                 (long long)facts->step_ms, facts->steps, output->shard_count, requests,
                 samples, (unsigned long long)output->raw_bytes, bytes);
    return 0;
}
