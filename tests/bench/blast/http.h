/*
 * http.h - as much of an HTTP/1.1 client as a benchmark needs: POST, and the whole answer.
 *
 * Written out because a library's own work would be counted as the sender's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

/* A connection to an IPv4 address; -1 on failure. */
int http_dial(const char *host, uint16_t port);

/* Sends head and body; 0, or -1. */
int http_send(int fd, struct bytes head, struct bytes body);

/* Reads one answer to its end.  Returns its code, or -1 if the connection ends before; the
 * start of its body, as text, goes to `text`. */
int http_answer(int fd, char *text, size_t text_size);
