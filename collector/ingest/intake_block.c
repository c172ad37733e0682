/*
 * intake_block.c - batches side by side, taken out series by series.
 *
 * A group of a backlog holds the same series again and again.  In the order of its batches each
 * sample would mean another series to find, another step in the WAL, another line of memory in
 * the head; in the order of its series that is paid once for all of a group's ticks.
 *
 *     tick 1   a b c d          a a a  b b b  c c c  d d d
 *     tick 2   a b c d    -->   1 2 3  1 2 3  1 2 3  1 2 3
 *     tick 3   a b c d
 */
#include "collector/ingest/state.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

bool intake_block_fits(const struct intake_block *block, const struct sample_columns *samples)
{
    const struct sample_columns *first = &block->columns[0].samples;
    return block->count == 0 ||
           (block->count < INTAKE_BLOCK_BATCHES && samples->count == first->count &&
            (samples->count == 0 ||
             memcmp(samples->refs, first->refs, samples->count * sizeof *first->refs) == 0));
}

int intake_block_add(struct intake_block *block, struct intake_write *write,
                     const struct sample_columns *samples, int64_t tick_ms)
{
    must(block->count < INTAKE_BLOCK_BATCHES);
    int error = intake_hold_samples(write, (block->count + 1) * samples->count);
    if (error == 0)
        block->columns[block->count++] = (struct intake_column){*samples, tick_ms};
    return error;
}

void intake_block_flush(struct ingest *ingest, struct intake_block *block,
                        struct intake_write *write)
{
    if (block->count == 0)
        return;
    const struct stream *stream = write->stream;
    const struct sample_columns *first = &block->columns[0].samples;
    struct store_sample *to = write->samples + write->sample_count;
    for (size_t i = 0; i < first->count; i++) {
        must(first->refs[i] < stream->definition_count);
        struct series *series = stream->series[first->refs[i]];
        if (series == NULL) {
            ingest->counters.samples_refused += block->count;
            continue;
        }
        for (size_t k = 0; k < block->count; k++)
            *to++ = (struct store_sample){series, block->columns[k].tick_ms,
                                          block->columns[k].samples.values[i]};
    }
    write->sample_count = (size_t)(to - write->samples);
    must(write->sample_count <= write->sample_capacity);
    block->count = 0;
}
