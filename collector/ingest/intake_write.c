/*
 * intake_write.c - the store write that gathers a stream's batches while the last one flies.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/ingest/state.h"
#include "proto/base/error.h"

/* Of all streams together: some commits of the writer's.  Coded, it is a twentieth. */
#define HELD_BYTES_MAX ((size_t)8 << 20)

/* Rows of one batch, and then some. */
#define FIRST_COUNT 8

static void *grown(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    size_t wanted = *capacity == 0 ? FIRST_COUNT : *capacity * 2;
    void *larger = realloc(array, wanted * size);
    if (larger != NULL)
        *capacity = wanted;
    return larger;
}

/* Counts the room for samples a write has now. */
static void note_held(struct intake_write *write)
{
    const size_t bytes = write->sample_capacity * sizeof *write->samples;
    write->ingest->held_bytes += bytes - write->held_bytes;
    write->held_bytes = bytes;
}

bool intake_is_full(const struct ingest *ingest)
{
    return ingest->held_bytes >= HELD_BYTES_MAX && ingest->flying_count > 0;
}

/* A stream's gathering write, made if there is none.  Its numbers start where the flying one
 * will end: if that fails, both go. */
struct intake_write *intake_write_of(struct ingest *ingest, struct session *session,
                                     struct stream *stream)
{
    if (stream->gathering != NULL)
        return stream->gathering;
    const struct intake_write *flying = stream->flying;
    const struct range_set *stored = flying != NULL ? &flying->stored_after : &stream->stored;
    struct intake_write *write = calloc(1, sizeof *write);
    if (write == NULL)
        return NULL;
    if (range_set_copy(stored, &write->stored_after) != 0) {
        free(write);
        return NULL;
    }
    write->ingest = ingest;
    write->session = session;
    write->stream = stream;
    write->last_tick_ms = flying != NULL ? flying->last_tick_ms : stream->last_tick_ms;
    arena_init(&write->arena, ARENA_BYTES);
    stream->gathering = write;
    return write;
}

void intake_write_free(struct intake_write *write)
{
    if (write == NULL)
        return;
    write->ingest->held_bytes -= write->held_bytes;
    arena_reset(&write->arena);
    range_set_done(&write->stored_after);
    free(write->samples);
    free(write->logs);
    free(write->puts);
    free(write);
}

int intake_hold_samples(struct intake_write *write, size_t more)
{
    if (more <= write->sample_capacity - write->sample_count)
        return 0;
    size_t wanted = write->sample_count + more;
    if (wanted < write->sample_capacity * 2)
        wanted = write->sample_capacity * 2;
    struct store_sample *larger = malloc(wanted * sizeof *larger);
    if (larger == NULL)
        return ERR_NOMEM;
    if (write->sample_count > 0)
        memcpy(larger, write->samples, write->sample_count * sizeof *larger);
    free(write->samples);
    write->samples = larger;
    write->sample_capacity = wanted;
    note_held(write);
    return 0;
}

int intake_add_sample(struct intake_write *write, struct series *series, int64_t ts_ms,
                      double value)
{
    struct store_sample *samples =
        grown(write->samples, write->sample_count, &write->sample_capacity, sizeof *samples);
    if (samples == NULL)
        return ERR_NOMEM;
    write->samples = samples;
    note_held(write);
    samples[write->sample_count++] = (struct store_sample){series, ts_ms, value};
    return 0;
}

static int copy_bytes(struct arena *arena, struct bytes bytes, struct bytes *ret_copy)
{
    uint8_t *copy = arena_alloc(arena, bytes.size == 0 ? 1 : bytes.size, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    *ret_copy = (struct bytes){copy, bytes.size};
    return 0;
}

int intake_add_log(struct intake_write *write, const struct log_chunk *chunk)
{
    struct store_log_chunk *logs =
        grown(write->logs, write->log_count, &write->log_capacity, sizeof *logs);
    if (logs == NULL)
        return ERR_NOMEM;
    write->logs = logs;
    struct store_log_chunk *copy = &logs[write->log_count];
    copy->stream_id = write->session->entry->log_stream_id;
    copy->chunk = *chunk;
    struct log_line *lines = arena_alloc(&write->arena, chunk->count, sizeof *lines);
    int error = lines == NULL ? ERR_NOMEM
                              : copy_bytes(&write->arena, chunk->path, &copy->chunk.path);
    for (size_t i = 0; error == 0 && i < chunk->count; i++) {
        lines[i] = chunk->lines[i];
        error = copy_bytes(&write->arena, chunk->lines[i].text, &lines[i].text);
    }
    copy->chunk.lines = lines;
    if (error == 0)
        write->log_count++;
    return error;
}

int intake_add_put(struct intake_write *write, struct bytes key, struct bytes value)
{
    struct store_put *puts =
        grown(write->puts, write->put_count, &write->put_capacity, sizeof *puts);
    if (puts == NULL)
        return ERR_NOMEM;
    write->puts = puts;
    struct store_put *put = &puts[write->put_count];
    *put = (struct store_put){{NULL, 0}, {NULL, 0}};
    int error = copy_bytes(&write->arena, key, &put->key);
    if (error == 0 && value.data != NULL)
        error = copy_bytes(&write->arena, value, &put->value);
    if (error == 0)
        write->put_count++;
    return error;
}

int intake_add_hashes(struct intake_write *write, uint64_t block, struct bytes key,
                      struct bytes value)
{
    if (write->hash_put != 0 && write->hash_block == block)
        return copy_bytes(&write->arena, value, &write->puts[write->hash_put - 1].value);
    int error = intake_add_put(write, key, value);
    if (error == 0) {
        write->hash_put = write->put_count;
        write->hash_block = block;
    }
    return error;
}
