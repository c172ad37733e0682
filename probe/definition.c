#include "probe/definition.h"

#include "proto/base/error.h"

/* The length of the well-formed UTF-8 sequence at `at`, 0 if there is none (Unicode, table 3-7:
 * no overlong forms, no surrogates, nothing past U+10FFFF). */
static size_t sequence_size(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0];
    uint8_t least = 0x80, most = 0xbf;
    size_t size;

    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        size = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        size = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        size = 4;
    else
        return 0;
    if (lead == 0xe0)
        least = 0xa0;
    else if (lead == 0xed)
        most = 0x9f;
    else if (lead == 0xf0)
        least = 0x90;
    else if (lead == 0xf4)
        most = 0x8f;
    if (left < size || at[1] < least || at[1] > most)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

void definition_put_utf8(struct buf *out, struct bytes text)
{
    size_t good = 0; /* start of the run not yet written */
    size_t i = 0;
    while (i < text.size) {
        size_t size = sequence_size(text.data + i, text.size - i);
        if (size > 0) {
            i += size;
            continue;
        }
        buf_put(out, text.data + good, i - good);
        buf_put(out, "\xef\xbf\xbd", 3);
        good = ++i;
    }
    if (text.size > good)
        buf_put(out, text.data + good, text.size - good);
}

static size_t utf8_size(struct bytes text)
{
    size_t total = 0;
    for (size_t i = 0; i < text.size;) {
        size_t size = sequence_size(text.data + i, text.size - i);
        total += size > 0 ? size : 3;
        i += size > 0 ? size : 1;
    }
    return total;
}

static void put_sized_utf8(struct buf *out, struct bytes text)
{
    buf_put_varint(out, utf8_size(text));
    definition_put_utf8(out, text);
}

/* Sorts the labels that have a value into `order`.  A host's series have a handful of labels,
 * so insertion is the fast way. */
static int sort_labels(const struct definition *definition,
                       const struct label *order[SERIES_LABELS_MAX], size_t *ret_count)
{
    size_t count = 0;
    if (definition->label_count > SERIES_LABELS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < definition->label_count; i++) {
        const struct label *label = &definition->labels[i];
        size_t at = count;
        if (label->value.size == 0)
            continue;
        if (label->name.size == 0 || utf8_size(label->name) > NAME_BYTES_MAX ||
            utf8_size(label->value) > LABEL_VALUE_BYTES_MAX)
            return ERR_LIMIT;
        while (at > 0 && bytes_compare(order[at - 1]->name, label->name) > 0) {
            order[at] = order[at - 1];
            at--;
        }
        if (at > 0 && bytes_equal(order[at - 1]->name, label->name))
            return ERR_LIMIT;
        order[at] = label;
        count++;
    }
    *ret_count = count;
    return 0;
}

int definition_write(const struct definition *definition, struct buf *out)
{
    const struct label *order[SERIES_LABELS_MAX];
    size_t count;

    if (definition->name.size == 0)
        return ERR_INVALID;
    if (utf8_size(definition->name) > NAME_BYTES_MAX ||
        utf8_size(definition->unit) > NAME_BYTES_MAX ||
        utf8_size(definition->help) > HELP_BYTES_MAX)
        return ERR_LIMIT;
    int error = sort_labels(definition, order, &count);
    if (error != 0)
        return error;
    put_sized_utf8(out, definition->name);
    buf_put_u8(out, (uint8_t)definition->type);
    put_sized_utf8(out, definition->unit);
    put_sized_utf8(out, definition->help);
    buf_put_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        put_sized_utf8(out, order[i]->name);
        put_sized_utf8(out, order[i]->value);
    }
    return buf_ok(out) ? 0 : ERR_NOMEM;
}

int definition_read(struct reader *reader, struct arena *arena,
                    struct definition *ret_definition)
{
    struct definition definition = {0};

    definition.name = reader_sized(reader);
    uint8_t type = reader_u8(reader);
    definition.unit = reader_sized(reader);
    definition.help = reader_sized(reader);
    uint64_t count = reader_varint(reader);
    if (reader->failed || type > METRIC_UNTYPED || definition.name.size == 0)
        return ERR_MALFORMED;
    if (count > SERIES_LABELS_MAX || definition.name.size > NAME_BYTES_MAX ||
        definition.unit.size > NAME_BYTES_MAX || definition.help.size > HELP_BYTES_MAX)
        return ERR_LIMIT;
    struct label *labels = NULL;
    if (count > 0) {
        labels = arena_alloc(arena, count, sizeof *labels);
        if (labels == NULL)
            return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        labels[i].name = reader_sized(reader);
        labels[i].value = reader_sized(reader);
        if (labels[i].name.size > NAME_BYTES_MAX ||
            labels[i].value.size > LABEL_VALUE_BYTES_MAX)
            return ERR_LIMIT;
    }
    if (reader->failed)
        return ERR_MALFORMED;
    definition.type = (enum metric_type)type;
    definition.labels = labels;
    definition.label_count = count;
    *ret_definition = definition;
    return 0;
}

bool definition_skip(struct reader *reader)
{
    (void)reader_sized(reader);
    (void)reader_u8(reader);
    (void)reader_sized(reader);
    (void)reader_sized(reader);
    uint64_t count = reader_varint(reader);
    for (uint64_t i = 0; i < count && i <= SERIES_LABELS_MAX; i++) {
        (void)reader_sized(reader);
        (void)reader_sized(reader);
    }
    return !reader->failed && count <= SERIES_LABELS_MAX;
}
