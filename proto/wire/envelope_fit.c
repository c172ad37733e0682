/*
 * envelope_fit.c - what a message may hold, checked before sending and after receiving alike.
 *
 * The constants and their reasons are in envelope.h and plain.h; proto/README.md lists them.
 */
#include "proto/base/error.h"
#include "proto/base/utf8.h"
#include "proto/wire/envelope_parts.h"

#define BOOT_ID_BYTES_MAX ((size_t)64)

/* Text of at most `limit` bytes. */
static int text_fit(struct bytes text, size_t limit)
{
    if (text.size > limit)
        return ERR_LIMIT;
    return utf8_is_valid(text) ? 0 : ERR_MALFORMED;
}

static int label_fit(const struct label *label)
{
    if (label->name.size == 0)
        return ERR_MALFORMED;
    int error = text_fit(label->name, NAME_BYTES_MAX);
    return error != 0 ? error : text_fit(label->value, LABEL_VALUE_BYTES_MAX);
}

int labels_fit(const struct label *labels, size_t count, size_t limit)
{
    if (count > limit)
        return ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        int error = label_fit(&labels[i]);
        if (error != 0)
            return error;
        if (i > 0 && bytes_compare(labels[i - 1].name, labels[i].name) >= 0)
            return ERR_MALFORMED;
    }
    return 0;
}

static int state_fit(const struct stream_state *state)
{
    uint64_t last = state->low_water;

    if (state->range_count > STREAM_RANGES_MAX || state->definition_count > REFS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < state->range_count; i++) {
        const struct number_range *range = &state->ranges[i];
        /* At least one number is missing before each range, or it would belong to the last. */
        if (range->first <= last || range->first - last < 2 || range->last < range->first)
            return ERR_MALFORMED;
        last = range->last;
    }
    return 0;
}

static int hello_fit(const struct envelope *envelope)
{
    const struct hello *hello = &envelope->hello;

    if (hello->boot_id.size > BOOT_ID_BYTES_MAX || hello->token.size > TOKEN_BYTES_MAX ||
        hello->stream_count > STREAMS_OFFERED_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < hello->stream_count; i++) {
        if (hello->streams[i].definition_count > REFS_MAX)
            return ERR_LIMIT;
    }
    int error = text_fit(hello->software, NAME_BYTES_MAX);
    if (error == 0)
        error = text_fit(hello->job, LABEL_VALUE_BYTES_MAX);
    if (error == 0)
        error = text_fit(hello->instance, LABEL_VALUE_BYTES_MAX);
    if (error == 0)
        error = labels_fit(hello->labels, hello->label_count, SERIES_LABELS_MAX);
    return error;
}

static int resume_fit(const struct envelope *envelope)
{
    const struct resume *resume = &envelope->resume;
    int error = resume->stream_count > STREAMS_OFFERED_MAX ? ERR_LIMIT : 0;

    for (size_t i = 0; i < resume->stream_count && error == 0; i++)
        error = state_fit(&resume->streams[i]);
    if (error == 0)
        error = text_fit(resume->job, LABEL_VALUE_BYTES_MAX);
    if (error == 0)
        error = text_fit(resume->instance, LABEL_VALUE_BYTES_MAX);
    if (error == 0)
        error = labels_fit(resume->labels, resume->label_count, SERIES_LABELS_MAX);
    return error;
}

static int definition_fit(const struct definition *definition)
{
    if (definition->name.size == 0)
        return ERR_MALFORMED;
    int error = text_fit(definition->name, NAME_BYTES_MAX);
    if (error == 0)
        error = labels_fit(definition->labels, definition->label_count, SERIES_LABELS_MAX);
    for (size_t i = 0; i < definition->label_count && error == 0; i++) {
        if (bytes_equal(definition->labels[i].name, bytes_of("__name__")))
            error = ERR_MALFORMED;
    }
    if (error == 0)
        error = text_fit(definition->unit, NAME_BYTES_MAX);
    if (error == 0)
        error = text_fit(definition->help, HELP_BYTES_MAX);
    return error;
}

static int definitions_fit(const struct envelope *envelope)
{
    const struct definitions *definitions = &envelope->definitions;

    if (definitions->count > DEFINITIONS_MAX || definitions->first_ref > REFS_MAX ||
        definitions->count > REFS_MAX - definitions->first_ref)
        return ERR_LIMIT;
    for (size_t i = 0; i < definitions->count; i++) {
        int error = definition_fit(&definitions->items[i]);
        if (error != 0)
            return error;
    }
    return 0;
}

/* Takes the samples out of what the batch may still hold. */
static int columns_fit(const struct coded_columns *columns, uint64_t *left)
{
    if (columns->coding != COLUMNS_PLAIN && columns->coding != COLUMNS_BASED)
        return ERR_MALFORMED;
    if (columns->compression > 1)
        return ERR_MALFORMED;
    if (columns->count > *left)
        return ERR_LIMIT;
    *left -= columns->count;
    return 0;
}

static int logs_fit(const struct coded_batch *batch)
{
    size_t lines = 0;

    if (batch->log_count > BATCH_LOG_CHUNKS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < batch->log_count; i++) {
        const struct log_chunk *chunk = &batch->logs[i];
        if (chunk->path.size > LOG_PATH_BYTES_MAX || chunk->count > BATCH_LOG_LINES_MAX - lines)
            return ERR_LIMIT;
        lines += chunk->count;
        for (size_t n = 0; n < chunk->count; n++) {
            if (chunk->lines[n].text.size > LOG_LINE_BYTES_MAX)
                return ERR_LIMIT;
            if (n > 0 && chunk->lines[n].offset <= chunk->lines[n - 1].offset)
                return ERR_MALFORMED;
        }
    }
    return 0;
}

static int extras_fit(const struct coded_batch *batch)
{
    if (batch->record_count > BATCH_RECORDS_MAX || batch->ended_count > BATCH_SAMPLES_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < batch->record_count; i++) {
        if (batch->records[i].data.size > RECORD_BYTES_MAX)
            return ERR_LIMIT;
    }
    for (size_t i = 0; i < batch->ended_count; i++) {
        if (batch->ended[i] >= REFS_MAX)
            return ERR_LIMIT;
        if (i > 0 && batch->ended[i] <= batch->ended[i - 1])
            return ERR_MALFORMED;
    }
    return 0;
}

static int batch_fit(const struct coded_batch *batch)
{
    uint64_t left = BATCH_SAMPLES_MAX;

    if (batch->late_count > BATCH_LATE_MAX || batch->definition_count > REFS_MAX)
        return ERR_LIMIT;
    int error = columns_fit(&batch->samples, &left);
    for (size_t i = 0; i < batch->late_count && error == 0; i++)
        error = columns_fit(&batch->late[i].samples, &left);
    if (error == 0)
        error = logs_fit(batch);
    return error != 0 ? error : extras_fit(batch);
}

static int batches_fit(const struct envelope *envelope)
{
    const struct batch_group *group = &envelope->batches;

    if (group->count > GROUP_BATCHES_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < group->count; i++) {
        if (group->items[i].number == 0 ||
            (i > 0 && group->items[i].number <= group->items[i - 1].number))
            return ERR_MALFORMED;
        int error = batch_fit(&group->items[i]);
        if (error != 0)
            return error;
    }
    return 0;
}

static int gap_fit(const struct envelope *envelope)
{
    const struct gap *gap = &envelope->gap;

    if (gap->numbers.first == 0 || gap->numbers.last < gap->numbers.first)
        return ERR_MALFORMED;
    return text_fit(gap->reason, NAME_BYTES_MAX);
}

static int ack_fit(const struct envelope *envelope)
{
    return state_fit(&envelope->ack.stream);
}

static int policy_fit(const struct envelope *envelope)
{
    return text_fit(envelope->policy.document, POLICY_BYTES_MAX);
}

static int refusal_fit(const struct envelope *envelope)
{
    return text_fit(envelope->refusal.text, NAME_BYTES_MAX);
}

static int need_key_fit(const struct envelope *envelope)
{
    return envelope->need_key.definition_count > REFS_MAX ? ERR_LIMIT : 0;
}

int envelope_fit(const struct envelope *envelope)
{
    static int (*const fits[])(const struct envelope *) = {
        [ENVELOPE_HELLO] = hello_fit,
        [ENVELOPE_RESUME] = resume_fit,
        [ENVELOPE_DEFINITIONS] = definitions_fit,
        [ENVELOPE_BATCHES] = batches_fit,
        [ENVELOPE_GAP] = gap_fit,
        [ENVELOPE_ACK] = ack_fit,
        [ENVELOPE_POLICY] = policy_fit,
        [ENVELOPE_NEED_KEY] = need_key_fit,
        [ENVELOPE_REFUSAL] = refusal_fit,
    };
    return fits[envelope->kind] == NULL ? 0 : fits[envelope->kind](envelope);
}
