/*
 * framing.c - see framing.h.
 */
#include "probe/syslog/framing.h"

#include <string.h>

#include "proto/base/error.h"

#define COUNT_DIGITS_MAX 6

/* "LEN " with LEN's first digit not 0.  Returns its size; 0: it is no count; ERR_AGAIN. */
static int read_count(struct bytes data, size_t *ret_count)
{
    size_t at = 0, count = 0;
    while (at < data.size && at < COUNT_DIGITS_MAX && data.data[at] >= '0' &&
           data.data[at] <= '9')
        count = count * 10 + (size_t)(data.data[at++] - '0');
    if (at == 0 || data.data[0] == '0')
        return 0;
    if (at == data.size)
        return at < COUNT_DIGITS_MAX ? ERR_AGAIN : 0;
    *ret_count = count;
    return data.data[at] == ' ' ? (int)at + 1 : 0;
}

static int counted(struct bytes data, size_t prefix, size_t count, bool is_end,
                   struct syslog_frame *frame)
{
    size_t wanted = count < SYSLOG_MESSAGE_BYTES_MAX ? count : SYSLOG_MESSAGE_BYTES_MAX;
    size_t there = data.size - prefix;
    if (there < wanted && !is_end)
        return ERR_AGAIN;
    size_t size = there < wanted ? there : wanted;
    frame->message = (struct bytes){data.data + prefix, size};
    frame->taken = prefix + size;
    frame->is_cut = size < count;
    frame->skip = count - size;
    return 0;
}

int syslog_frame_next(struct bytes data, bool is_end, struct syslog_frame *ret_frame)
{
    size_t count = 0;
    *ret_frame = (struct syslog_frame){0};
    if (data.size == 0)
        return ERR_AGAIN;
    int prefix = read_count(data, &count);
    if (prefix == ERR_AGAIN && !is_end)
        return ERR_AGAIN;
    if (prefix > 0)
        return counted(data, (size_t)prefix, count, is_end, ret_frame);
    const uint8_t *newline = memchr(data.data, '\n', data.size);
    size_t size = newline == NULL ? data.size : (size_t)(newline - data.data);
    if (newline == NULL && !is_end && size < SYSLOG_MESSAGE_BYTES_MAX)
        return ERR_AGAIN;
    ret_frame->is_cut = size > SYSLOG_MESSAGE_BYTES_MAX || (newline == NULL && !is_end);
    ret_frame->skip_line = newline == NULL && !is_end;
    ret_frame->taken = size + (newline != NULL);
    if (size > SYSLOG_MESSAGE_BYTES_MAX)
        size = SYSLOG_MESSAGE_BYTES_MAX;
    ret_frame->message = (struct bytes){data.data, size};
    return 0;
}
