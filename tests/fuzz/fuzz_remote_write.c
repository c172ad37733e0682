/*
 * fuzz_remote_write.c - the remote write parser on any bytes.
 *
 * Properties: every range lies inside the message, sample ranges follow each other without a
 * hole, a label run parses by itself to the same labels as the whole series.
 */
#include <stdlib.h>

#include "collector/http/remote_parse.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_inside(struct bytes part, const uint8_t *data, size_t size)
{
    must(part.size == 0 || (part.data >= data && part.data + part.size <= data + size));
}

static void check_series(const struct remote_series *series, const uint8_t *data, size_t size)
{
    struct label labels[SERIES_LABELS_MAX];
    struct label again[SERIES_LABELS_MAX];
    size_t count = 0;
    size_t again_count = 0;
    must_be_inside(series->message, data, size);
    must_be_inside(series->label_run, data, size);
    int error = remote_labels(series, labels, SERIES_LABELS_MAX, &count);
    if (error != 0 || series->label_run.size == 0)
        return;
    const struct remote_series run = {.message = series->label_run};
    must(remote_labels(&run, again, SERIES_LABELS_MAX, &again_count) == 0);
    must(count == again_count);
    for (size_t i = 0; i < count; i++) {
        must_be_inside(labels[i].name, data, size);
        must_be_inside(labels[i].value, data, size);
        must(bytes_equal(labels[i].name, again[i].name));
        must(bytes_equal(labels[i].value, again[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remote_message message = {0};
    if (remote_parse((struct bytes){data, size}, &message) == 0) {
        size_t samples = 0;
        for (size_t i = 0; i < message.series_count; i++) {
            must(message.series[i].first_sample == samples);
            samples += message.series[i].sample_count;
            check_series(&message.series[i], data, size);
        }
        must(samples == message.sample_count);
        for (size_t i = 0; i < message.metadata_count; i++) {
            must_be_inside(message.metadata[i].name, data, size);
            must_be_inside(message.metadata[i].metadata.help, data, size);
        }
    }
    remote_message_done(&message);
    return 0;
}
