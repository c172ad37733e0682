/*
 * export.c - see export.h.
 *
 *     NAME --'='--> TEXT --'\n'--> NAME
 *     NAME --'\n'--> SIZE --8 bytes--> BINARY --size bytes--> CLOSE --'\n'--> NAME
 *     NAME --'\n', no name--> the entry is whole
 */
#include "probe/journal/export.h"

#include <string.h>

enum { NAME, TEXT, SIZE, BINARY, CLOSE };

static const char *const names[JOURNAL_FIELDS] = {
    [JOURNAL_CURSOR] = "__CURSOR",
    [JOURNAL_REALTIME] = "__REALTIME_TIMESTAMP",
    [JOURNAL_PRIORITY] = "PRIORITY",
    [JOURNAL_UNIT] = "_SYSTEMD_UNIT",
    [JOURNAL_IDENTIFIER] = "SYSLOG_IDENTIFIER",
    [JOURNAL_TRANSPORT] = "_TRANSPORT",
    [JOURNAL_MESSAGE] = "MESSAGE",
};

static void begin_entry(struct journal_export *parser)
{
    memset(parser->sizes, 0, sizeof parser->sizes);
    parser->is_cut = parser->has_entry = false;
    parser->is_fresh = true;
}

void journal_export_init(struct journal_export *parser)
{
    parser->state = NAME;
    parser->name_size = 0;
    begin_entry(parser);
}

static void find_field(struct journal_export *parser)
{
    parser->field = -1;
    for (int i = 0; i < JOURNAL_FIELDS; i++)
        if (parser->name_size == strlen(names[i]) &&
            memcmp(parser->name, names[i], parser->name_size) == 0)
            parser->field = i;
    if (parser->field >= 0)
        parser->sizes[parser->field] = 0; /* of a field that comes twice the last one counts */
    parser->name_size = 0;
    parser->is_fresh = false;
}

/* Part of the value of the field under way. */
static void keep(struct journal_export *parser, const uint8_t *data, size_t size)
{
    if (parser->field < 0 || size == 0)
        return;
    bool is_message = parser->field == JOURNAL_MESSAGE;
    uint8_t *to = is_message ? parser->message : parser->values[parser->field];
    size_t room = is_message ? JOURNAL_MESSAGE_BYTES : JOURNAL_FIELD_BYTES;
    size_t *have = &parser->sizes[parser->field];
    size_t taken = size < room - *have ? size : room - *have;
    memcpy(to + *have, data, taken);
    *have += taken;
    parser->is_cut |= is_message && taken < size;
}

/* One byte of a name, or its end. */
static void take_name(struct journal_export *parser, uint8_t byte)
{
    if (byte == '\n' && parser->name_size == 0) {
        parser->has_entry = !parser->is_fresh;
    } else if (byte == '=' || byte == '\n') {
        find_field(parser);
        parser->state = byte == '=' ? TEXT : SIZE;
        parser->size = 0;
        parser->size_bytes = 0;
    } else if (parser->name_size < sizeof parser->name) {
        parser->name[parser->name_size++] = (char)byte; /* longer ones are none of ours */
    }
}

static size_t take_text(struct journal_export *parser, const uint8_t *data, size_t size)
{
    const uint8_t *newline = memchr(data, '\n', size);
    size_t text = newline == NULL ? size : (size_t)(newline - data);
    keep(parser, data, text);
    if (newline == NULL)
        return size;
    parser->state = NAME;
    return text + 1;
}

static void take_size(struct journal_export *parser, uint8_t byte)
{
    parser->size |= (uint64_t)byte << 8 * parser->size_bytes;
    if (++parser->size_bytes < sizeof parser->size)
        return;
    parser->left = parser->size;
    parser->state = parser->left > 0 ? BINARY : CLOSE;
}

static size_t take_binary(struct journal_export *parser, const uint8_t *data, size_t size)
{
    size_t part = size < parser->left ? size : (size_t)parser->left;
    keep(parser, data, part);
    parser->left -= part;
    if (parser->left == 0)
        parser->state = CLOSE;
    return part;
}

size_t journal_export_take(struct journal_export *parser, struct bytes data, bool *ret_is_whole)
{
    size_t at = 0;
    if (parser->has_entry)
        begin_entry(parser);
    while (at < data.size && !parser->has_entry) {
        const uint8_t *from = data.data + at;
        switch (parser->state) {
        case NAME:
            take_name(parser, *from);
            at++;
            break;
        case TEXT:
            at += take_text(parser, from, data.size - at);
            break;
        case SIZE:
            take_size(parser, *from);
            at++;
            break;
        case BINARY:
            at += take_binary(parser, from, data.size - at);
            break;
        default:
            parser->state = NAME;
            at += *from == '\n'; /* it is always there */
            break;
        }
    }
    *ret_is_whole = parser->has_entry;
    return at;
}

struct bytes journal_export_field(const struct journal_export *parser, enum journal_field field)
{
    return (struct bytes){field == JOURNAL_MESSAGE ? parser->message : parser->values[field],
                          parser->sizes[field]};
}
