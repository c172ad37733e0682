/*
 * zmq_part.h - one part of a message, to or from a ZeroMQ socket, amid signals.
 *
 * Any call may be interrupted (EINTR) before it has done anything.  Who gives up then in the middle of a
 * message leaves the rest of it in the socket, where it is taken for the next one; or what is sent next
 * becomes a part of what was begun.  So these ask again.
 *
 * Thread: the socket's.
 */
#pragma once

#include <stddef.h>
#include <zmq.h>

/* The next part there is, without waiting, into an initialized message; negative: none (zmq_errno()). */
int zmq_part_receive(void *socket, zmq_msg_t *message);
/* The same into so much room, what is more is cut off; returns its whole size. */
int zmq_part_receive_into(void *socket, void *to, size_t room);
/* Sends a part; ZMQ_SNDMORE, ZMQ_DONTWAIT.  Negative: not sent (zmq_errno()). */
int zmq_part_send(void *socket, const void *data, size_t size, int flags);
