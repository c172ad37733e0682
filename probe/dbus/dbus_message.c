/*
 * dbus_message.c - the bytes of D-Bus (dbus_message.h).
 */
#include "probe/dbus/dbus_message.h"

#include <string.h>

#include "proto/base/error.h"

/* Header fields, "Header Fields" of the specification. */
enum field {
    FIELD_PATH = 1,
    FIELD_INTERFACE = 2,
    FIELD_MEMBER = 3,
    FIELD_ERROR_NAME = 4,
    FIELD_REPLY_SERIAL = 5,
    FIELD_DESTINATION = 6,
    FIELD_SIGNATURE = 8,
};

/* Nothing is to be started for the sake of being asked. */
#define FLAG_NO_AUTO_START 2
#define BODY_SIZE_AT       4
#define FIELDS_SIZE_AT     12

static size_t aligned(size_t at, size_t to)
{
    return (at + to - 1) / to * to;
}

static void put_padding(struct buf *out, size_t to)
{
    while (out->size % to != 0 && buf_ok(out))
        buf_put_u8(out, 0);
}

static void put_text(struct buf *out, struct bytes text)
{
    put_padding(out, 4);
    buf_put_u32(out, (uint32_t)text.size);
    buf_put(out, text.data, text.size);
    buf_put_u8(out, 0);
}

static void put_field(struct buf *out, enum field field, char type, struct bytes text)
{
    put_padding(out, 8);
    buf_put_u8(out, (uint8_t)field);
    buf_put_u8(out, 1);
    buf_put_u8(out, (uint8_t)type);
    buf_put_u8(out, 0);
    if (type != 'g') {
        put_text(out, text);
        return;
    }
    buf_put_u8(out, (uint8_t)text.size);
    buf_put(out, text.data, text.size);
    buf_put_u8(out, 0);
}

static void set_u32(struct buf *out, size_t at, size_t value)
{
    for (size_t i = 0; i < 4 && buf_ok(out); i++)
        out->data[at + i] = (uint8_t)(value >> (8 * i));
}

void dbus_write_call(const struct dbus_call *call, uint32_t serial, struct buf *out)
{
    size_t count = call->arguments[0] == NULL ? 0 : call->arguments[1] == NULL ? 1 : 2;

    buf_put_u8(out, 'l');
    buf_put_u8(out, DBUS_CALL);
    buf_put_u8(out, FLAG_NO_AUTO_START);
    buf_put_u8(out, 1);
    buf_put_u32(out, 0); /* the body's size, below */
    buf_put_u32(out, serial);
    buf_put_u32(out, 0); /* the fields' size, below */
    put_field(out, FIELD_PATH, 'o', call->path);
    put_field(out, FIELD_INTERFACE, 's', bytes_of(call->interface));
    put_field(out, FIELD_MEMBER, 's', bytes_of(call->member));
    if (call->destination != NULL)
        put_field(out, FIELD_DESTINATION, 's', bytes_of(call->destination));
    if (count > 0)
        put_field(out, FIELD_SIGNATURE, 'g', bytes_of(count == 1 ? "s" : "ss"));
    set_u32(out, FIELDS_SIZE_AT, out->size - DBUS_HEADER_BYTES);
    put_padding(out, 8);
    size_t body_at = out->size;
    for (size_t i = 0; i < count; i++)
        put_text(out, bytes_of(call->arguments[i]));
    set_u32(out, BODY_SIZE_AT, out->size - body_at);
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
           (uint32_t)at[3] << 24;
}

int dbus_message_size(const uint8_t *header, size_t *ret_size)
{
    if (header[0] != 'l' || header[3] != 1)
        return ERR_MALFORMED;
    size_t body = get_u32(header + BODY_SIZE_AT), fields = get_u32(header + FIELDS_SIZE_AT);
    if (body > DBUS_MESSAGE_BYTES_MAX || fields > DBUS_MESSAGE_BYTES_MAX)
        return ERR_LIMIT;
    size_t size = aligned(DBUS_HEADER_BYTES + fields, 8) + body;
    if (size > DBUS_MESSAGE_BYTES_MAX)
        return ERR_LIMIT;
    *ret_size = size;
    return 0;
}

struct dbus_reader dbus_reader_of(struct bytes body)
{
    return (struct dbus_reader){body.data, body.size, 0, false};
}

/* `size` bytes at a multiple of `to`; NULL once anything is missing. */
static const uint8_t *take(struct dbus_reader *reader, size_t size, size_t to)
{
    size_t at = aligned(reader->at, to);
    if (reader->failed || at > reader->size || size > reader->size - at) {
        reader->failed = true;
        return NULL;
    }
    reader->at = at + size;
    return reader->start + at;
}

uint32_t dbus_u32(struct dbus_reader *reader)
{
    const uint8_t *at = take(reader, 4, 4);
    return at == NULL ? 0 : get_u32(at);
}

uint64_t dbus_u64(struct dbus_reader *reader)
{
    const uint8_t *at = take(reader, 8, 8);
    return at == NULL ? 0 : (uint64_t)get_u32(at + 4) << 32 | get_u32(at);
}

static struct bytes take_text(struct dbus_reader *reader, size_t size)
{
    const uint8_t *at = take(reader, size, 1);
    const uint8_t *end = take(reader, 1, 1);
    if (at == NULL || end == NULL || *end != 0) {
        reader->failed = true;
        return (struct bytes){0};
    }
    return (struct bytes){at, size};
}

struct bytes dbus_text(struct dbus_reader *reader)
{
    return take_text(reader, dbus_u32(reader));
}

struct bytes dbus_signature(struct dbus_reader *reader)
{
    const uint8_t *size = take(reader, 1, 1);
    return size == NULL ? (struct bytes){0} : take_text(reader, *size);
}

size_t dbus_array(struct dbus_reader *reader)
{
    size_t size = dbus_u32(reader);
    (void)take(reader, 0, 8); /* the padding before the first item does not count */
    if (reader->failed || size > reader->size - reader->at) {
        reader->failed = true;
        return 0;
    }
    return reader->at + size;
}

bool dbus_array_next(struct dbus_reader *reader, size_t end)
{
    if (reader->failed || reader->at >= end)
        return false;
    return take(reader, 0, 8) != NULL && reader->at < end;
}

/* One field of the header: a code, and a variant of one of the types such fields have. */
static void read_field(struct dbus_reader *reader, struct dbus_message *message)
{
    const uint8_t *code = take(reader, 1, 1);
    struct bytes type = dbus_signature(reader), text = {0};
    uint32_t number = 0;

    if (code == NULL || type.size != 1) {
        reader->failed = true;
        return;
    }
    if (type.data[0] == 's' || type.data[0] == 'o')
        text = dbus_text(reader);
    else if (type.data[0] == 'g')
        text = dbus_signature(reader);
    else if (type.data[0] == 'u')
        number = dbus_u32(reader);
    else
        reader->failed = true;
    if (*code == FIELD_ERROR_NAME)
        message->error = text;
    else if (*code == FIELD_SIGNATURE)
        message->signature = text;
    else if (*code == FIELD_REPLY_SERIAL)
        message->reply_serial = number;
}

int dbus_message_read(struct bytes message, struct dbus_message *ret_message)
{
    struct dbus_message read = {0};
    size_t size;

    if (message.size < DBUS_HEADER_BYTES || dbus_message_size(message.data, &size) != 0 ||
        size != message.size)
        return ERR_MALFORMED;
    if (message.data[1] < DBUS_CALL || message.data[1] > DBUS_SIGNAL)
        return ERR_MALFORMED;
    read.kind = (enum dbus_kind)message.data[1];
    size_t end = DBUS_HEADER_BYTES + get_u32(message.data + FIELDS_SIZE_AT);
    struct dbus_reader reader = {message.data, end, DBUS_HEADER_BYTES, false};
    while (dbus_array_next(&reader, end))
        read_field(&reader, &read);
    if (reader.failed)
        return ERR_MALFORMED;
    size_t body = get_u32(message.data + BODY_SIZE_AT);
    read.body = (struct bytes){message.data + (size - body), body};
    *ret_message = read;
    return 0;
}
