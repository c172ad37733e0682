/*
 * connection.h - one TCP connection: bytes that are not a whole message yet.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

struct syslog_connection;

/* Takes a message in; false: there is no room for another now. */
typedef bool syslog_receive(void *context, const uint8_t address[16], struct bytes raw,
                            bool is_cut);

/* Takes the descriptor over, which does not wait.  ERR_NOMEM: it is still the caller's. */
int syslog_connection_new(int fd, const uint8_t address[16],
                          struct syslog_connection **ret_connection);
void syslog_connection_free(struct syslog_connection *connection); /* NULL is allowed */

enum syslog_read {
    SYSLOG_READ_ALL,  /* nothing is there now */
    SYSLOG_READ_MORE, /* receive() had no room, or the turn is over: there may be more */
    SYSLOG_READ_END,  /* the peer is gone, and all it sent was received */
};

/* Reads one turn and hands over whole messages. */
enum syslog_read syslog_connection_read(struct syslog_connection *connection,
                                        syslog_receive *receive, void *context);
