/*
 * framing.h - messages in the bytes of a TCP connection (RFC 6587): octet counting ("LEN SP
 * MSG") or a newline behind each; each message may choose.  Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/bytes.h"

#define SYSLOG_MESSAGE_BYTES_MAX ((size_t)16 << 10)
#define SYSLOG_PREFIX_BYTES      ((size_t)8) /* "LEN SP" at most */

struct syslog_frame {
    struct bytes message; /* may be empty: nothing was said */
    size_t taken;         /* bytes of `data` behind which the next begins */
    bool is_cut;          /* longer than SYSLOG_MESSAGE_BYTES_MAX: its beginning */
    size_t skip;          /* of it, bytes to come that are not wanted ... */
    bool skip_line;       /* ... or up to the next newline */
};

/* The first message in `data`.  ERR_AGAIN: not whole yet (never with SYSLOG_MESSAGE_BYTES_MAX +
 * SYSLOG_PREFIX_BYTES bytes of data); `is_end`: nothing will come, and what is there is one. */
int syslog_frame_next(struct bytes data, bool is_end, struct syslog_frame *ret_frame);
