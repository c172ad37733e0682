/*
 * dbus.h - asking a D-Bus service over a Unix socket: connect, call, answer.
 *
 *     dbus_put(&bus, &call, &serial)         as many as wanted, in memory
 *     dbus_answer(&bus, deadline, &answer)   sends them, waits for an answer; as often as put
 *
 * Many calls put at once cost one wait, not one each: what counts on a host that is short of
 * CPU. What else the bus sends meanwhile (signals) is passed over.  After any error but
 * ERR_REFUSED the connection is of no more use: close it, and connect anew next time.
 *
 * Our own, because libdbus is 600 KiB more in a static program, and brings libsystemd and NSS
 * with it; what is needed of D-Bus here is one kind of message out and two in.
 *
 * Not thread-safe: one thread at a time, which waits; so not the loop's.
 */
#pragma once

#include "probe/dbus/dbus_message.h"
#include "proto/base/clock.h"
#include "proto/base/diagnosis.h"

/* Zeroed is closed. */
struct dbus {
    int fd;
    bool is_open;
    uint32_t serial;
    struct buf out;  /* calls not sent yet */
    struct buf call; /* the one being written */
    struct buf in;
};

/* Connects to the socket at `path` and says who we are (EXTERNAL: the kernel tells our user).
 * `is_bus`: a message bus, which wants a Hello; false: the service itself is at the other end.
 * ERR_NOTFOUND (no such socket), ERR_REFUSED, ERR_TIMEOUT, ERR_MALFORMED (no D-Bus), ERR_LIMIT
 * (path too long), ERR_IO, ERR_NOMEM. */
int dbus_open(struct dbus *bus, const char *path, bool is_bus, mono_ns deadline,
              struct diagnosis *why);

/* Adds a call to those that the next dbus_answer() sends; answers bear its serial. */
void dbus_put(struct dbus *bus, const struct dbus_call *call, uint32_t *ret_serial);

/* The next answer, of whichever call: a reply or an error, by `kind`.  It points into the
 * connection and is valid until the next answer.  ERR_TIMEOUT, ERR_MALFORMED, ERR_LIMIT (too
 * long), ERR_IO (the other end went away), ERR_NOMEM. */
int dbus_answer(struct dbus *bus, mono_ns deadline, struct dbus_message *ret_answer);

/* One call and its answer; no other may be under way.  ERR_REFUSED: answered by an error, whose
 * name is in ret_answer->error; else as dbus_answer(), with words. */
int dbus_ask(struct dbus *bus, const struct dbus_call *call, mono_ns deadline,
             struct dbus_message *ret_answer, struct diagnosis *why);

/* Gives memory back that an unusually long answer took. */
void dbus_trim(struct dbus *bus);

/* Closed is allowed. */
void dbus_close(struct dbus *bus);
