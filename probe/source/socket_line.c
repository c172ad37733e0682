/*
 * socket_line.c - one line of /proc/net/{tcp,udp}{,6} (socket_line.h).
 */
#include "probe/source/socket_line.h"

#include <string.h>

bool socket_line_parse(struct span line, struct socket_line *ret_line)
{
    struct span word;
    struct socket_line parsed;
    uint64_t state;

    if (!scan_word(&line, &word) || word.end[-1] != ':') /* number */
        return false;
    if (!scan_word(&line, &parsed.local) || !scan_word(&line, &parsed.remote))
        return false;
    if (!scan_hex(&line, &state) || state > 0xff || !scan_hex(&line, &parsed.sent_bytes) ||
        !scan_text(&line, ":") || !scan_hex(&line, &parsed.queued_bytes))
        return false;
    parsed.state = (unsigned)state;
    parsed.rest = line;
    *ret_line = parsed;
    return true;
}

/* 0100007F:1538 */
static bool port_of(struct span address, uint16_t *ret_port)
{
    uint64_t port;
    const char *colon = memchr(address.at, ':', span_size(address));
    if (colon == NULL)
        return false;
    struct span text = {colon + 1, address.end};
    if (!scan_hex(&text, &port) || span_size(text) != 0 || port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

bool socket_line_owner(const struct socket_line *line, struct socket_owner *ret_owner)
{
    struct span rest = line->rest, word;
    struct socket_owner owner;
    uint64_t user, timeout;
    if (!port_of(line->local, &owner.port) || !port_of(line->remote, &owner.remote_port) ||
        !scan_word(&rest, &word) || !scan_word(&rest, &word) || /* timer, retransmissions */
        !scan_u64(&rest, &user) || user > UINT32_MAX || !scan_u64(&rest, &timeout) ||
        !scan_u64(&rest, &owner.inode))
        return false;
    owner.user = (uint32_t)user;
    *ret_owner = owner;
    return true;
}
