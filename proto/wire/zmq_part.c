/* zmq_part.c - see zmq_part.h. */
#include "proto/wire/zmq_part.h"

#include <errno.h>
#include <stdbool.h>

static bool is_interrupted(int result)
{
    return result < 0 && zmq_errno() == EINTR;
}

int zmq_part_receive(void *socket, zmq_msg_t *message)
{
    int size;
    do
        size = zmq_msg_recv(message, socket, ZMQ_DONTWAIT);
    while (is_interrupted(size));
    return size;
}

int zmq_part_receive_into(void *socket, void *to, size_t room)
{
    int size;
    do
        size = zmq_recv(socket, to, room, ZMQ_DONTWAIT);
    while (is_interrupted(size));
    return size;
}

int zmq_part_send(void *socket, const void *data, size_t size, int flags)
{
    int sent;
    do
        sent = zmq_send(socket, data, size, flags);
    while (is_interrupted(sent));
    return sent;
}
