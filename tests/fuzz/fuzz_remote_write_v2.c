/*
 * fuzz_remote_write_v2.c - the remote write 2.0 parser on any bytes.
 *
 * Properties: every text lies inside the message; sample ranges follow each other without a hole;
 * the label runs fill their buffer, and each is a 1.0 message's labels.
 */
#include <stdlib.h>

#include "collector/http/remote_parse.h"
#include "collector/http/remote_type.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_inside(struct bytes part, const uint8_t *data, size_t size)
{
    must(part.size == 0 || (part.data >= data && part.data + part.size <= data + size));
}

static void check(const struct remote_message *message, const uint8_t *data, size_t size)
{
    struct label labels[SERIES_LABELS_MAX];
    size_t samples = 0, runs = 0, count = 0;
    for (size_t i = 0; i < message->series_count; i++) {
        const struct remote_series *series = &message->series[i];
        must(series->first_sample == samples);
        samples += series->sample_count;
        runs += series->label_run.size;
        must_be_inside(series->label_run, message->label_runs.data, message->label_runs.size);
        must(remote_labels(series, labels, SERIES_LABELS_MAX, &count) == 0);
        must(!series->is_unfit || count == 0);
    }
    must(samples == message->sample_count && runs == message->label_runs.size);
    for (size_t i = 0; i < message->metadata_count; i++) {
        must_be_inside(message->metadata[i].name, data, size);
        must_be_inside(message->metadata[i].metadata.help, data, size);
        must_be_inside(message->metadata[i].metadata.unit, data, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remote_message message = {0};
    char header[128];
    size_t header_size = size < sizeof header - 1 ? size : sizeof header - 1;
    if (header_size > 0)
        memcpy(header, data, header_size);
    header[header_size] = '\0';
    (void)remote_type_of(header);
    for (int i = 0; i < 2; i++) /* the second time into what the first left */
        if (remote_parse_v2((struct bytes){data, size}, &message) == 0)
            check(&message, data, size);
    remote_message_done(&message);
    return 0;
}
