/*
 * fuzz_dbus.c - what comes over a bus: headers, bodies, lists.
 *
 * Whatever the bytes, reads stay inside them and lists end.  A message that is taken apart says
 * the same size before and after.
 */
#include <string.h>

#include "probe/dbus/dbus_message.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_list(struct bytes body)
{
    struct dbus_reader reader = dbus_reader_of(body);
    size_t rows = 0;
    size_t end = dbus_array(&reader);
    while (dbus_array_next(&reader, end)) {
        size_t before = reader.at;
        struct bytes name = dbus_text(&reader);
        must(name.size <= body.size);
        (void)dbus_u32(&reader);
        (void)dbus_text(&reader);
        must(reader.failed || reader.at > before);
        must(++rows <= body.size);
    }
    must(reader.at <= body.size);
}

static void read_variant(struct bytes body)
{
    struct dbus_reader reader = dbus_reader_of(body);
    struct bytes type = dbus_signature(&reader);
    must(type.size <= 255);
    (void)dbus_u64(&reader);
    (void)dbus_u32(&reader);
    must(reader.at <= body.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dbus_message message;
    size_t said;

    if (size < DBUS_HEADER_BYTES)
        return 0;
    int sized = dbus_message_size(data, &said);
    int read = dbus_message_read((struct bytes){data, size}, &message);
    if (read == 0) {
        must(sized == 0 && said == size);
        must(message.body.size <= size - DBUS_HEADER_BYTES);
        read_list(message.body);
        read_variant(message.body);
    }
    read_list((struct bytes){data, size});
    read_variant((struct bytes){data, size});
    return 0;
}
