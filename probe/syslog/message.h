/*
 * message.h - one message: priority and text (RFC 5424 section 6, RFC 3164 section 4).
 *
 * What is before the time goes: "<165>1 2026-11-28T13:00:05Z host app - ID - \xef\xbb\xbfText"
 * becomes "2026-11-28T13:00:05Z host app - ID - Text".  Devices follow neither standard
 * closely, so nothing is required: without a priority the whole is text, and its severity is
 * guessed as that of any log line.  Any thread.
 */
#pragma once

#include <stdint.h>

#include "proto/base/bytes.h"

struct syslog_message {
    uint32_t severity; /* as struct log_line's: 0 unknown, else 1 emerg .. 8 debug */
    struct bytes text; /* in place; undecoded */
    struct bytes rest; /* RFC 5424: what follows a byte order mark, the text's second part */
};

struct syslog_message syslog_message_read(struct bytes raw);
