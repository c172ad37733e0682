/*
 * remote_parse_v2.c - io.prometheus.write.v2.Request; the message is schema/remote_v2.proto.
 *
 *     Request:     22 len text (a symbol) | ... | 2a len series | ...
 *     TimeSeries:  0a len refs (packed)   | 12 len sample | 22 len exemplar | 2a len metadata
 *
 * Two passes, because protobuf lets fields come in any order: first the table, then the series.
 *
 * The one surprise: refs may be packed or not, and in pieces; a reader of protobuf takes both.
 */
#include <stdlib.h>

#include "collector/http/remote_wire.h"
#include "proto/base/error.h"

#define LABEL_REFS_MAX (2 * SERIES_LABELS_MAX)

/* What a TimeSeries says of its labels. */
struct refs {
    uint32_t at[LABEL_REFS_MAX];
    size_t count; /* of those there are, not of those kept */
};

struct told {
    uint64_t type, help, unit; /* help and unit are refs */
    bool is_there;
};

/* ---- the table --------------------------------------------------------------------------- */

static int add_symbol(struct remote_message *message, struct bytes text)
{
    int error = remote_make_room((void **)&message->symbols, message->symbol_count,
                                 &message->symbol_capacity, sizeof *message->symbols,
                                 REMOTE_SYMBOLS_MAX);
    if (error == 0)
        message->symbols[message->symbol_count++] = text;
    return error;
}

static int clear_told(struct remote_message *message)
{
    if (message->told_capacity < message->symbol_count) {
        uint8_t *grown = realloc(message->is_told, message->symbol_capacity);
        if (grown == NULL)
            return ERR_NOMEM;
        message->is_told = grown;
        message->told_capacity = message->symbol_capacity;
    }
    if (message->symbol_count > 0)
        memset(message->is_told, 0, message->symbol_count);
    return 0;
}

/* Calls `each` for every field of the number; the others are skipped. */
static int each_field(struct remote_message *message, struct bytes bytes, uint64_t wanted,
                      int (*each)(struct remote_message *message, struct bytes field))
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    int error = 0;
    while (error == 0 && at < end) {
        uint64_t key = 0;
        struct bytes field;
        if (!remote_read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if (key == wanted) {
            if (!remote_read_sized(&at, end, &field))
                return ERR_MALFORMED;
            error = each(message, field);
        } else if (!remote_skip_field(&at, end, key)) {
            return ERR_MALFORMED;
        }
    }
    return error;
}

/* ---- a series ---------------------------------------------------------------------------- */

static int add_ref(const struct remote_message *message, struct refs *refs, uint64_t ref)
{
    if (ref >= message->symbol_count)
        return ERR_MALFORMED;
    if (refs->count < LABEL_REFS_MAX)
        refs->at[refs->count] = (uint32_t)ref;
    refs->count++;
    return 0;
}

static int add_packed_refs(const struct remote_message *message, struct refs *refs,
                           struct bytes packed)
{
    const uint8_t *at = packed.data;
    const uint8_t *end = at + packed.size;
    int error = 0;
    while (error == 0 && at < end) {
        uint64_t ref = 0;
        error = remote_read_varint(&at, end, &ref) ? add_ref(message, refs, ref)
                                                   : ERR_MALFORMED;
    }
    return error;
}

static int parse_told(const struct remote_message *message, struct bytes bytes,
                      struct told *told)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    told->is_there = true;
    while (at < end) {
        uint64_t key = 0;
        bool is_read = remote_read_varint(&at, end, &key);
        if (is_read && key == FIELD(1, WIRE_VARINT))
            is_read = remote_read_varint(&at, end, &told->type);
        else if (is_read && key == FIELD(3, WIRE_VARINT))
            is_read = remote_read_varint(&at, end, &told->help);
        else if (is_read && key == FIELD(4, WIRE_VARINT))
            is_read = remote_read_varint(&at, end, &told->unit);
        else if (is_read)
            is_read = remote_skip_field(&at, end, key);
        if (!is_read)
            return ERR_MALFORMED;
    }
    return told->help < message->symbol_count && told->unit < message->symbol_count
               ? 0
               : ERR_MALFORMED;
}

static int parse_fields(struct remote_message *message, struct bytes bytes, struct refs *refs,
                        struct told *told)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    int error = 0;
    while (error == 0 && at < end) {
        uint64_t key = 0;
        uint64_t ref = 0;
        struct bytes field;
        if (!remote_read_varint(&at, end, &key))
            return ERR_MALFORMED;
        if (key == FIELD(1, WIRE_VARINT)) {
            error = remote_read_varint(&at, end, &ref) ? add_ref(message, refs, ref)
                                                       : ERR_MALFORMED;
        } else if ((key & 7) != WIRE_SIZED) {
            error = remote_skip_field(&at, end, key) ? 0 : ERR_MALFORMED;
        } else if (!remote_read_sized(&at, end, &field)) {
            error = ERR_MALFORMED;
        } else if (key == FIELD(1, WIRE_SIZED)) {
            error = add_packed_refs(message, refs, field);
        } else if (key == FIELD(2, WIRE_SIZED)) {
            error = remote_add_sample(message, field);
        } else if (key == FIELD(3, WIRE_SIZED)) {
            message->histograms++;
        } else if (key == FIELD(4, WIRE_SIZED)) {
            message->exemplars++;
        } else if (key == FIELD(5, WIRE_SIZED)) {
            error = parse_told(message, field, told);
        }
    }
    return error;
}

static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static uint8_t *put_text(uint8_t *to, unsigned number, struct bytes text)
{
    *to++ = (uint8_t)FIELD(number, WIRE_SIZED);
    uint64_t size = text.size;
    for (; size >= 0x80; size >>= 7)
        *to++ = (uint8_t)(size | 0x80);
    *to++ = (uint8_t)size;
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    return to + text.size;
}

/* The labels as 1.0 writes them; whether they are within the wire's limits. */
static bool put_run(struct remote_message *message, const struct refs *refs)
{
    struct buf *runs = &message->label_runs;
    if (refs->count > LABEL_REFS_MAX)
        return false;
    for (size_t i = 0; i + 1 < refs->count; i += 2) {
        struct bytes name = message->symbols[refs->at[i]];
        struct bytes value = message->symbols[refs->at[i + 1]];
        if (name.size > NAME_BYTES_MAX || value.size > LABEL_VALUE_BYTES_MAX)
            return false;
        size_t inner = 2 + varint_size(name.size) + name.size + varint_size(value.size) +
                       value.size;
        uint8_t *to = buf_reserve(runs, 1 + varint_size(inner) + inner);
        if (to == NULL)
            return true; /* the caller looks at the buffer */
        uint8_t *start = to;
        *to++ = (uint8_t)FIELD(1, WIRE_SIZED);
        size_t left = inner;
        for (; left >= 0x80; left >>= 7)
            *to++ = (uint8_t)(left | 0x80);
        *to++ = (uint8_t)left;
        to = put_text(put_text(to, 1, name), 2, value);
        runs->size += (size_t)(to - start);
    }
    return true;
}

static bool ends_with(struct bytes text, const char *suffix)
{
    size_t size = strlen(suffix);
    return text.size > size && memcmp(text.data + text.size - size, suffix, size) == 0;
}

/* A series of a histogram or a summary bears the family's metadata. */
static struct bytes family_of(struct bytes name, enum metric_type type)
{
    static const char *const suffixes[] = {"_bucket", "_count", "_sum"};
    if (type != METRIC_HISTOGRAM && type != METRIC_SUMMARY)
        return name;
    for (size_t i = type == METRIC_SUMMARY; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (ends_with(name, suffixes[i])) {
            name.size -= strlen(suffixes[i]);
            return name;
        }
    }
    return name;
}

/* Once a name in a message: the series of a name say all the same. */
static int add_told(struct remote_message *message, const struct refs *refs,
                    const struct told *told)
{
    if (!told->is_there || (told->type == 0 && told->help == 0 && told->unit == 0) ||
        message->metadata_count == REMOTE_METADATA_MAX)
        return 0;
    for (size_t i = 0; i + 1 < refs->count && i < LABEL_REFS_MAX; i += 2) {
        struct bytes name = message->symbols[refs->at[i]];
        uint32_t value = refs->at[i + 1];
        if (!bytes_equal(name, bytes_of(LABEL_NAME)) || message->is_told[value] != 0)
            continue;
        message->is_told[value] = 1;
        enum metric_type type = remote_metric_type(told->type);
        const struct remote_metadata item = {
            .name = family_of(message->symbols[value], type),
            .metadata = {type, message->symbols[told->unit], message->symbols[told->help]}};
        return remote_add_metadata(message, &item);
    }
    return 0;
}

static int add_series(struct remote_message *message, struct bytes bytes)
{
    struct refs refs = {.count = 0};
    struct told told = {0};
    int error = remote_add_series(message, bytes);
    if (error == 0)
        error = parse_fields(message, bytes, &refs, &told);
    if (error != 0)
        return error;
    if (refs.count % 2 != 0)
        return ERR_MALFORMED;
    struct remote_series *series = &message->series[message->series_count];
    size_t before = message->label_runs.size;
    series->is_unfit = !put_run(message, &refs);
    if (series->is_unfit)
        message->label_runs.size = before;
    if (!buf_ok(&message->label_runs))
        return before + ((size_t)1 << 20) > REMOTE_LABEL_RUNS_BYTES_MAX ? ERR_LIMIT : ERR_NOMEM;
    series->label_run.size = message->label_runs.size - before;
    series->sample_count = (uint32_t)message->sample_count - series->first_sample;
    error = add_told(message, &refs, &told);
    if (error == 0)
        message->series_count++;
    return error;
}

/* The runs lie one behind the other; only now does their buffer move no more. */
static void point_at_runs(struct remote_message *message)
{
    const uint8_t *at = message->label_runs.data;
    for (size_t i = 0; i < message->series_count; i++) {
        struct bytes *run = &message->series[i].label_run;
        if (run->size > 0) {
            run->data = at;
            at += run->size;
        }
        message->series[i].message = *run;
    }
}

int remote_parse_v2(struct bytes bytes, struct remote_message *message)
{
    remote_message_clear(message);
    message->label_runs.limit = REMOTE_LABEL_RUNS_BYTES_MAX;
    int error = each_field(message, bytes, FIELD(4, WIRE_SIZED), add_symbol);
    if (error == 0)
        error = clear_told(message);
    if (error == 0)
        error = each_field(message, bytes, FIELD(5, WIRE_SIZED), add_series);
    if (error == 0 && message->series_count > 0 &&
        (message->symbol_count == 0 || message->symbols[0].size != 0))
        error = ERR_MALFORMED;
    if (error == 0)
        point_at_runs(message);
    return error;
}
