/*
 * socket_diag.c - every TCP socket, by netlink (socket_diag.h).
 *
 * The socket is made anew for each walk: a walk that was broken off leaves nothing behind.
 */
#include "probe/source/socket_diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "proto/base/error.h"

#define NETLINK_TCPDIAG 4 /* its name was changed twice, the number never */
/* The kernel fills what it is given, and never more than 8 KiB if that is less. */
#define ANSWER_BYTES ((size_t)8 << 10)
#define PATIENCE_S   2

static int diag_open(int *ret_fd)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_TCPDIAG);
    if (fd < 0)
        return errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT ? ERR_NOTFOUND
                                                                 : procfile_error(errno);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    *ret_fd = fd;
    return 0;
}

static int diag_ask(int fd, uint32_t states)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req request;
    } message;
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    memset(&message, 0, sizeof message);
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = TCPDIAG_GETSOCK;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.request.idiag_family = AF_INET; /* not looked at in a dump */
    message.request.idiag_states = states;
    ssize_t sent;
    do
        sent = sendto(fd, &message, sizeof message, 0, (const struct sockaddr *)&kernel,
                      sizeof kernel);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == ECONNREFUSED)
        return ERR_NOTFOUND; /* a network namespace of a kernel that answers in its first only
                              */
    return sent == (ssize_t)sizeof message ? 0 : procfile_error(errno);
}

/* The body of an error message: a negative errno. */
static int error_of(const char *body, size_t size)
{
    int number;
    if (size < sizeof number)
        return ERR_MALFORMED;
    memcpy(&number, body, sizeof number);
    if (number == -EINVAL || number == -EOPNOTSUPP || number == -EPROTONOSUPPORT)
        return ERR_NOTFOUND;
    return number == 0 ? ERR_MALFORMED : procfile_error(-number);
}

static void give_row(const char *body,
                     void (*each)(void *context, const struct socket_diag_row *row),
                     void *context)
{
    struct inet_diag_msg message;
    memcpy(&message, body, sizeof message);
    const struct socket_diag_row row = {
        .state = message.idiag_state,
        .receive_queue = message.idiag_rqueue,
        .send_queue = message.idiag_wqueue,
        .port = ntohs(message.id.idiag_sport),
        .user = message.idiag_uid,
        .inode = message.idiag_inode,
    };
    each(context, &row);
}

/* Goes through one datagram of messages.  1: the dump is complete. */
static int read_messages(const char *data, size_t size,
                         void (*each)(void *context, const struct socket_diag_row *row),
                         void *context)
{
    while (size >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr header;
        memcpy(&header, data, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > size)
            return ERR_MALFORMED;
        const char *body = data + NLMSG_HDRLEN;
        size_t body_size = header.nlmsg_len - sizeof header;
        if (header.nlmsg_type == NLMSG_DONE)
            return 1;
        if (header.nlmsg_type == NLMSG_ERROR)
            return error_of(body, body_size);
        if (header.nlmsg_type == TCPDIAG_GETSOCK && body_size >= sizeof(struct inet_diag_msg))
            give_row(body, each, context);
        size_t step = NLMSG_ALIGN(header.nlmsg_len);
        if (step >= size)
            break;
        data += step;
        size -= step;
    }
    return 0;
}

int socket_diag_tcp(struct readbuf *buf, uint32_t states,
                    void (*each)(void *context, const struct socket_diag_row *row),
                    void *context)
{
    int fd = -1;
    int error = readbuf_reserve(buf, ANSWER_BYTES);
    if (error == 0)
        error = diag_open(&fd);
    if (error != 0)
        return error;
    error = diag_ask(fd, states);
    while (error == 0) {
        ssize_t got = recv(fd, buf->data, ANSWER_BYTES, MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            error = errno == EAGAIN ? ERR_TIMEOUT : procfile_error(errno);
        else if (got == 0 || (size_t)got > ANSWER_BYTES)
            error = ERR_MALFORMED;
        else
            error = read_messages(buf->data, (size_t)got, each, context);
    }
    close(fd);
    return error == 1 ? 0 : error;
}
