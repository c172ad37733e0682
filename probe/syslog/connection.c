/*
 * connection.c - see connection.h.
 */
#include "probe/syslog/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/syslog/framing.h"
#include "proto/base/error.h"

#define BUFFER_BYTES (SYSLOG_MESSAGE_BYTES_MAX + SYSLOG_PREFIX_BYTES)
#define TURN_READS   16

struct syslog_connection {
    int fd;
    uint8_t address[16];
    size_t skip;    /* bytes to come that are not wanted */
    bool skip_line; /* up to the next newline nothing is */
    bool is_over;   /* the peer is gone */
    bool has_room;  /* receive() said so last */
    size_t used;
    uint8_t buffer[BUFFER_BYTES];
};

int syslog_connection_new(int fd, const uint8_t address[16],
                          struct syslog_connection **ret_connection)
{
    struct syslog_connection *connection = malloc(sizeof *connection);
    if (connection == NULL)
        return ERR_NOMEM;
    memset(connection, 0, offsetof(struct syslog_connection, buffer));
    connection->fd = fd;
    memcpy(connection->address, address, sizeof connection->address);
    *ret_connection = connection;
    return 0;
}

void syslog_connection_free(struct syslog_connection *connection)
{
    if (connection == NULL)
        return;
    (void)close(connection->fd);
    free(connection);
}

/* What of `data` belongs to a message whose beginning was enough. */
static size_t skipped(struct syslog_connection *connection, struct bytes data)
{
    if (connection->skip > 0) {
        size_t size = connection->skip < data.size ? connection->skip : data.size;
        connection->skip -= size;
        return size;
    }
    if (!connection->skip_line || data.size == 0)
        return 0;
    const uint8_t *newline = memchr(data.data, '\n', data.size);
    connection->skip_line = newline == NULL;
    return newline == NULL ? data.size : (size_t)(newline - data.data) + 1;
}

/* Hands over what is whole in the buffer; the rest moves to its beginning. */
static void hand_over(struct syslog_connection *connection, syslog_receive *receive,
                      void *context)
{
    size_t at = 0;
    connection->has_room = true;
    while (connection->has_room) {
        struct bytes data = {connection->buffer + at, connection->used - at};
        struct syslog_frame frame;
        size_t skip = skipped(connection, data);
        if (skip > 0) {
            at += skip;
            continue;
        }
        if (syslog_frame_next(data, connection->is_over, &frame) != 0)
            break;
        if (frame.message.size > 0 &&
            !receive(context, connection->address, frame.message, frame.is_cut)) {
            connection->has_room = false;
            break;
        }
        at += frame.taken;
        connection->skip = frame.skip;
        connection->skip_line = frame.skip_line;
    }
    memmove(connection->buffer, connection->buffer + at, connection->used - at);
    connection->used -= at;
}

enum syslog_read syslog_connection_read(struct syslog_connection *connection,
                                        syslog_receive *receive, void *context)
{
    for (int i = 0; i < TURN_READS; i++) {
        hand_over(connection, receive, context);
        if (!connection->has_room)
            return SYSLOG_READ_MORE;
        if (connection->is_over)
            return SYSLOG_READ_END;
        ssize_t got;
        do
            got = read(connection->fd, connection->buffer + connection->used,
                       BUFFER_BYTES - connection->used);
        while (got < 0 && errno == EINTR);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return SYSLOG_READ_ALL;
        connection->is_over = got <= 0;
        connection->used += got > 0 ? (size_t)got : 0;
    }
    return SYSLOG_READ_MORE;
}
