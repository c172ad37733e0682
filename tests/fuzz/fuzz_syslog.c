/*
 * fuzz_syslog.c - any bytes as a stream of syslog and as one message: frames that cover the
 * bytes in order and end, and texts that lie within their message.
 *
 * First byte: whether the stream has ended.
 */
#include <stddef.h>
#include <stdint.h>

#include "probe/syslog/framing.h"
#include "probe/syslog/message.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct bytes part, struct bytes whole)
{
    must(part.size == 0 ||
         (part.data >= whole.data && part.data + part.size <= whole.data + whole.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct bytes left = {data + 1, size - 1};
    struct syslog_frame frame;
    while (syslog_frame_next(left, (data[0] & 1) != 0, &frame) == 0) {
        must(frame.taken > 0 && frame.taken <= left.size);
        must(frame.message.size <= SYSLOG_MESSAGE_BYTES_MAX);
        within(frame.message, left);
        struct syslog_message message = syslog_message_read(frame.message);
        must(message.severity <= 8);
        within(message.text, frame.message);
        within(message.rest, frame.message);
        left.data += frame.taken;
        left.size -= frame.taken;
    }
    must(left.size == 0 || (data[0] & 1) == 0);
    must(left.size < SYSLOG_MESSAGE_BYTES_MAX + SYSLOG_PREFIX_BYTES);
    return 0;
}
