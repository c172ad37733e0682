/*
 * socket_line.c - one line of /proc/net/{tcp,udp}{,6} (socket_line.h).
 */
#include "probe/source/socket_line.h"

bool socket_line_parse(struct span line, struct socket_line *ret_line)
{
    struct span word;
    struct socket_line parsed;
    uint64_t state;

    if (!scan_word(&line, &word) || word.end[-1] != ':') /* number */
        return false;
    if (!scan_word(&line, &word) || !scan_word(&line, &word)) /* addresses */
        return false;
    if (!scan_hex(&line, &state) || state > 0xff || !scan_hex(&line, &parsed.sent_bytes) ||
        !scan_text(&line, ":") || !scan_hex(&line, &parsed.queued_bytes))
        return false;
    parsed.state = (unsigned)state;
    *ret_line = parsed;
    return true;
}
