/* listen.c - see listen.h. */
#include "collector/http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/error.h"

#define BACKLOG 1024

static bool parse_port(const char *text, in_port_t *ret_port)
{
    char *end = NULL;
    long port = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || port > 65535)
        return false;
    *ret_port = htons((uint16_t)port);
    return true;
}

static bool parse_v4(const char *host, in_port_t port, struct listen_address *address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
    if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
        return false;
    memcpy(&address->address, &v4, sizeof v4);
    address->size = sizeof v4;
    address->is_loopback = (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
    return true;
}

static bool parse_v6(const char *host, in_port_t port, struct listen_address *address)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return false;
    memcpy(&address->address, &v6, sizeof v6);
    address->size = sizeof v6;
    address->is_loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    return true;
}

int listen_parse(const char *text, struct listen_address *ret_address, struct diagnosis *why)
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    in_port_t port = 0;
    size_t size = colon != NULL ? (size_t)(colon - text) : sizeof host;
    struct listen_address address = {0};
    bool is_fit = size < sizeof host && parse_port(colon + 1, &port);
    if (is_fit) {
        memcpy(host, text, size);
        host[size] = '\0';
        if (size == 0)
            is_fit = parse_v6("::", port, &address);
        else if (strcmp(host, "localhost") == 0)
            is_fit = parse_v4("127.0.0.1", port, &address);
        else if (host[0] == '[' && host[size - 1] == ']') {
            host[size - 1] = '\0';
            is_fit = parse_v6(host + 1, port, &address);
        } else {
            is_fit = parse_v4(host, port, &address);
        }
    }
    if (!is_fit)
        return diagnose(why, ERR_INVALID,
                        "\"%s\" is no ADDR:PORT (as 127.0.0.1:9470, [::1]:9470 or :9470)", text);
    *ret_address = address;
    return 0;
}

static int bind_and_listen(int fd, const struct listen_address *address)
{
    int on = 1;
    int off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->address.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, (const struct sockaddr *)&address->address, address->size) != 0)
        return -1;
    return listen(fd, BACKLOG);
}

int listen_open(const char *text, const struct listen_address *address, int *ret_socket,
                unsigned *ret_port, struct diagnosis *why)
{
    int fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind_and_listen(fd, address) != 0) {
        int error = diagnose(why, ERR_IO, "cannot listen on %s: %s", text, strerror(errno));
        if (fd >= 0)
            close(fd);
        return error;
    }
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    getsockname(fd, (struct sockaddr *)&bound, &size);
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &bound, sizeof v4);
    memcpy(&v6, &bound, sizeof v6);
    *ret_port = ntohs(bound.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
    *ret_socket = fd;
    return 0;
}
