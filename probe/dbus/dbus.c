/*
 * dbus.c - one D-Bus connection (dbus.h).
 *
 * Beginning of a connection, specification 0.38, "Authentication Protocol":
 *
 *     us    NUL "AUTH EXTERNAL " user id in decimal, each digit as two hexadecimal ones CRLF
 *           "BEGIN" CRLF
 *     them  "OK " their id CRLF              (or "REJECTED ..." CRLF, and the end)
 *
 * and messages from here on.  BEGIN goes out before the answer, as sd-bus does it: systemd's
 * own socket overlooks a message that follows BEGIN closely (seen with 252).
 */
#include "probe/dbus/dbus.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/error.h"

#define LINE_BYTES_MAX 512
#define BYTES_KEPT     ((size_t)256 << 10)
/* Signals that may come before an answer.  We ask for none; a bus that sends more than this is
 * up to something. */
#define PASSED_OVER_MAX 1000

/* Waits until the socket is ready.  ERR_TIMEOUT, ERR_IO. */
static int await(const struct dbus *bus, short events, mono_ns deadline)
{
    for (;;) {
        mono_ns now = clock_mono(&clock_system);
        struct pollfd poll_fd = {.fd = bus->fd, .events = events};
        if (now >= deadline)
            return ERR_TIMEOUT;
        mono_ns left_ms = (deadline - now) / NS_PER_MS + 1;
        int ready = poll(&poll_fd, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return ERR_IO;
    }
}

static int send_all(const struct dbus *bus, struct bytes bytes, mono_ns deadline)
{
    for (size_t sent = 0; sent < bytes.size;) {
        ssize_t size =
            send(bus->fd, bytes.data + sent, bytes.size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size > 0) {
            sent += (size_t)size;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return ERR_IO;
        int error = await(bus, POLLOUT, deadline);
        if (error != 0)
            return error;
    }
    return 0;
}

static int receive(const struct dbus *bus, uint8_t *to, size_t wanted, mono_ns deadline)
{
    for (size_t got = 0; got < wanted;) {
        ssize_t size = recv(bus->fd, to + got, wanted - got, MSG_DONTWAIT);
        if (size > 0) {
            got += (size_t)size;
            continue;
        }
        if (size == 0 || (errno != EAGAIN && errno != EINTR))
            return ERR_IO;
        int error = await(bus, POLLIN, deadline);
        if (error != 0)
            return error;
    }
    return 0;
}

/* Looks before it takes: what follows the line is a message. */
static int receive_line(const struct dbus *bus, char line[LINE_BYTES_MAX], mono_ns deadline)
{
    for (;;) {
        ssize_t size = recv(bus->fd, line, LINE_BYTES_MAX - 1, MSG_DONTWAIT | MSG_PEEK);
        char *end = size > 0 ? memmem(line, (size_t)size, "\r\n", 2) : NULL;
        if (end != NULL) {
            int error = receive(bus, (uint8_t *)line, (size_t)(end + 2 - line), deadline);
            *end = '\0';
            return error;
        }
        if (size == LINE_BYTES_MAX - 1)
            return ERR_MALFORMED;
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            return ERR_IO;
        int error = await(bus, POLLIN, deadline);
        if (error != 0)
            return error;
        if (size > 0) /* part of a line is no event to wait for */
            (void)poll(NULL, 0, 1);
    }
}

static int authenticate(const struct dbus *bus, mono_ns deadline, struct diagnosis *why)
{
    static const char end[] = "\r\nBEGIN\r\n";
    char user[16], text[64] = "\0AUTH EXTERNAL ", line[LINE_BYTES_MAX];
    size_t size = 1 + strlen(text + 1);

    (void)snprintf(user, sizeof user, "%u", (unsigned)geteuid());
    for (const char *digit = user; *digit != '\0'; digit++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%02x", (unsigned)*digit);
    memcpy(text + size, end, strlen(end));
    size += strlen(end);
    int error = send_all(bus, (struct bytes){(uint8_t *)text, size}, deadline);
    if (error == 0)
        error = receive_line(bus, line, deadline);
    if (error != 0)
        return diagnose(why, error, "no answer to AUTH: %s", error_text(error));
    if (strncmp(line, "OK", 2) == 0)
        return 0;
    return strncmp(line, "REJECTED", 8) == 0
               ? diagnose(why, ERR_REFUSED, "the bus does not let user id %s in", user)
               : diagnose(why, ERR_MALFORMED, "is no D-Bus socket");
}

static int connect_socket(struct dbus *bus, const char *path, mono_ns deadline,
                          struct diagnosis *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return diagnose(why, ERR_LIMIT, "%s: longer than a socket's path may be", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    bus->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bus->fd < 0)
        return diagnose(why, ERR_IO, "no socket: %s", strerror(errno));
    bus->is_open = true;
    /* A full backlog (EAGAIN) has no event to wait for; the next round tries again. */
    while (connect(bus->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (errno == EINTR && clock_mono(&clock_system) < deadline)
            continue;
        int error = errno == ENOENT || errno == ECONNREFUSED ? ERR_NOTFOUND
                    : errno == EACCES || errno == EPERM      ? ERR_REFUSED
                    : errno == EAGAIN                        ? ERR_TIMEOUT
                                                             : ERR_IO;
        return diagnose(why, error, "%s: %s", path, strerror(errno));
    }
    return 0;
}

int dbus_open(struct dbus *bus, const char *path, bool is_bus, mono_ns deadline,
              struct diagnosis *why)
{
    static const struct dbus_call hello = {
        .destination = "org.freedesktop.DBus",
        .path = {(const uint8_t *)"/org/freedesktop/DBus", 21},
        .interface = "org.freedesktop.DBus",
        .member = "Hello",
    };
    struct diagnosis reason = {0};
    struct dbus_message answer;

    dbus_close(bus);
    bus->in.limit = DBUS_MESSAGE_BYTES_MAX;
    int error = connect_socket(bus, path, deadline, why);
    if (error == 0)
        error = authenticate(bus, deadline, &reason);
    if (error == 0 && is_bus)
        error = dbus_ask(bus, &hello, deadline, &answer, &reason);
    if (error != 0) {
        dbus_close(bus);
        return diagnose(why, error, "%s: %s", path,
                        reason.text[0] != '\0' ? reason.text : error_text(error));
    }
    return 0;
}

/* The next message, whole. */
static int receive_message(struct dbus *bus, mono_ns deadline, struct dbus_message *ret_message)
{
    size_t size;
    buf_clear(&bus->in);
    uint8_t *to = buf_reserve(&bus->in, DBUS_HEADER_BYTES);
    int error = to == NULL ? ERR_NOMEM : receive(bus, to, DBUS_HEADER_BYTES, deadline);
    if (error == 0)
        error = dbus_message_size(to, &size);
    if (error != 0)
        return error;
    bus->in.size = DBUS_HEADER_BYTES;
    to = buf_reserve(&bus->in, size - DBUS_HEADER_BYTES);
    if (to == NULL)
        return ERR_NOMEM;
    error = receive(bus, to, size - DBUS_HEADER_BYTES, deadline);
    if (error != 0)
        return error;
    bus->in.size = size;
    return dbus_message_read(buf_bytes(&bus->in), ret_message);
}

void dbus_put(struct dbus *bus, const struct dbus_call *call, uint32_t *ret_serial)
{
    *ret_serial = ++bus->serial == 0 ? ++bus->serial : bus->serial;
    buf_clear(&bus->call);
    dbus_write_call(call, *ret_serial, &bus->call); /* aligned by its own start */
    buf_put(&bus->out, bus->call.data, bus->call.size);
    bus->out.failed = bus->out.failed || !buf_ok(&bus->call);
}

int dbus_answer(struct dbus *bus, mono_ns deadline, struct dbus_message *ret_answer)
{
    struct dbus_message message;

    int error = !buf_ok(&bus->out) ? ERR_NOMEM : send_all(bus, buf_bytes(&bus->out), deadline);
    buf_clear(&bus->out);
    for (int i = 0; error == 0 && i <= PASSED_OVER_MAX; i++) {
        error = receive_message(bus, deadline, &message);
        if (error != 0 || (message.kind != DBUS_REPLY && message.kind != DBUS_ERROR))
            continue;
        *ret_answer = message;
        return 0;
    }
    return error == 0 ? ERR_MALFORMED : error;
}

int dbus_ask(struct dbus *bus, const struct dbus_call *call, mono_ns deadline,
             struct dbus_message *ret_answer, struct diagnosis *why)
{
    struct dbus_message answer;
    uint32_t serial;

    dbus_put(bus, call, &serial);
    int error = dbus_answer(bus, deadline, &answer);
    if (error == 0 && answer.reply_serial != serial)
        error = ERR_MALFORMED;
    if (error != 0)
        return diagnose(why, error, "%s: %s", call->member,
                        error == ERR_IO ? "the bus closed the connection" : error_text(error));
    *ret_answer = answer;
    if (answer.kind == DBUS_REPLY)
        return 0;
    return diagnose(why, ERR_REFUSED, "%s: %.*s", call->member, (int)answer.error.size,
                    (const char *)answer.error.data);
}

void dbus_trim(struct dbus *bus)
{
    if (bus->in.capacity > BYTES_KEPT)
        buf_done(&bus->in);
    bus->in.limit = DBUS_MESSAGE_BYTES_MAX;
}

void dbus_close(struct dbus *bus)
{
    if (bus->is_open)
        (void)close(bus->fd);
    buf_done(&bus->in);
    buf_done(&bus->out);
    buf_done(&bus->call);
    *bus = (struct dbus){0};
}
