/*
 * job_row.c - see job_row.h.
 */
#include "collector/jobs/job_row.h"

#include <string.h>

#include "proto/base/error.h"

#define JOB_ROW_VERSION 1
#define FLAG_PAUSED     1u
#define FLAG_HEARD      2u

/* ---- writing ----------------------------------------------------------------------------- */

static void put_run(const struct job_run *run, struct buf *out)
{
    buf_put_zigzag(out, run->started_ms);
    buf_put_zigzag(out, run->ended_ms);
    buf_put_zigzag(out, run->due_ms);
    buf_put_zigzag(out, run->duration_ms);
    buf_put_zigzag(out, run->size);
    buf_put_zigzag(out, run->exit_code);
    buf_put_u8(out, (uint8_t)run->outcome);
    buf_put_sized(out, bytes_of(run->rid));
    buf_put_sized(out, bytes_of(run->message));
}

void job_row_write(const struct job_state *state, const struct labels *labels, struct buf *out)
{
    uint64_t mask = 0;
    buf_put_u8(out, JOB_ROW_VERSION);
    buf_put_u8(out, (uint8_t)((state->is_paused ? FLAG_PAUSED : 0u) |
                              (state->was_heard ? FLAG_HEARD : 0u)));
    buf_put_zigzag(out, state->paused_until_ms);
    buf_put_zigzag(out, state->served_ms);
    buf_put_u64(out, state->schedule_hash);
    for (int i = 0; i < JOB_PROBLEMS; i++)
        mask |= state->problems[i].since_ms != 0 ? UINT64_C(1) << i : 0;
    buf_put_varint(out, mask);
    for (int i = 0; i < JOB_PROBLEMS; i++) {
        if (state->problems[i].since_ms == 0)
            continue;
        buf_put_zigzag(out, state->problems[i].since_ms);
        buf_put_sized(out, bytes_of(state->problems[i].summary));
    }
    labels_write(labels, out);
    buf_put_zigzag(out, state->last_ok_ms);
    buf_put_varint(out, state->run_total);
    buf_put_varint(out, state->failure_total);
    buf_put_varint(out, state->missed_total);
    buf_put_varint(out, state->run_count);
    for (size_t i = 0; i < state->run_count; i++)
        put_run(&state->runs[i], out);
}

/* ---- reading ----------------------------------------------------------------------------- */

static void take_text(struct reader *reader, char *text, size_t capacity)
{
    struct bytes bytes = reader_sized(reader);
    if (bytes.size >= capacity ||
        (bytes.size > 0 && memchr(bytes.data, '\0', bytes.size) != NULL)) {
        reader->failed = true;
        return;
    }
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
}

static void take_problems(struct reader *reader, struct job_state *state)
{
    uint64_t mask = reader_varint(reader);
    for (int i = 0; i < JOB_PROBLEMS; i++) {
        if ((mask >> i & 1) == 0)
            continue;
        state->problems[i].since_ms = reader_zigzag(reader);
        take_text(reader, state->problems[i].summary, JOB_SUMMARY_BYTES);
    }
    if (mask >> JOB_PROBLEMS != 0)
        reader->failed = true;
}

static void take_run(struct reader *reader, struct job_run *run)
{
    uint8_t outcome;
    run->started_ms = reader_zigzag(reader);
    run->ended_ms = reader_zigzag(reader);
    run->due_ms = reader_zigzag(reader);
    run->duration_ms = reader_zigzag(reader);
    run->size = reader_zigzag(reader);
    run->exit_code = reader_zigzag(reader);
    outcome = reader_u8(reader);
    if (outcome > JOB_ABANDONED)
        reader->failed = true;
    else
        run->outcome = (enum job_outcome)outcome;
    take_text(reader, run->rid, JOB_RID_BYTES);
    take_text(reader, run->message, JOB_MESSAGE_BYTES);
}

static void take_end(struct reader *reader, struct job_state *state)
{
    uint64_t count;
    state->last_ok_ms = reader_zigzag(reader);
    state->run_total = reader_varint(reader);
    state->failure_total = reader_varint(reader);
    state->missed_total = reader_varint(reader);
    count = reader_varint(reader);
    if (count > JOB_RUNS)
        reader->failed = true;
    for (uint64_t i = 0; i < count && !reader->failed; i++)
        take_run(reader, &state->runs[state->run_count++]);
    if (reader_left(reader) != 0)
        reader->failed = true;
}

int job_row_read(struct bytes row, struct job_state *ret_state,
                 const struct labels **ret_labels)
{
    struct reader reader = reader_of(row);
    struct job_state state;
    const struct labels *labels;
    uint8_t flags;
    int error;

    memset(&state, 0, sizeof state);
    if (reader_u8(&reader) != JOB_ROW_VERSION)
        return ERR_CORRUPT;
    flags = reader_u8(&reader);
    state.is_paused = (flags & FLAG_PAUSED) != 0;
    state.was_heard = (flags & FLAG_HEARD) != 0;
    state.paused_until_ms = reader_zigzag(&reader);
    state.served_ms = reader_zigzag(&reader);
    state.schedule_hash = reader_u64(&reader);
    take_problems(&reader, &state);
    if (reader.failed)
        return ERR_CORRUPT;
    error = labels_read(&reader, NULL, &labels);
    if (error != 0)
        return error == ERR_NOMEM ? error : ERR_CORRUPT;
    take_end(&reader, &state);
    if (reader.failed || labels->count >= SERIES_LABELS_MAX) { /* alertname must fit */
        labels_free(labels);
        return ERR_CORRUPT;
    }
    *ret_state = state;
    *ret_labels = labels;
    return 0;
}
