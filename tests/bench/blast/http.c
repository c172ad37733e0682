#include "tests/bench/blast/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEAD_BYTES_MAX 65536

int http_dial(const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int http_send(int fd, struct bytes head, struct bytes body)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)head.data, head.size},
                             {(void *)(uintptr_t)body.data, body.size}};
    struct iovec *at = parts;
    int count = 2;
    while (count > 0) {
        ssize_t sent = writev(fd, at, count);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -1;
        size_t left = (size_t)sent;
        while (count > 0 && left >= at->iov_len) {
            left -= at->iov_len;
            at++;
            count--;
        }
        if (count > 0) {
            at->iov_base = (char *)at->iov_base + left;
            at->iov_len -= left;
        }
    }
    return 0;
}

/* More bytes behind *size; 0, or -1 at the end of the connection or of the room. */
static int read_more(int fd, char *buffer, size_t capacity, size_t *size)
{
    ssize_t got;
    if (*size == capacity)
        return -1;
    do
        got = read(fd, buffer + *size, capacity - *size);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return -1;
    *size += (size_t)got;
    return 0;
}

static void read_head(const char *head, const char *end, long *ret_length, bool *ret_chunked)
{
    *ret_length = -1;
    *ret_chunked = false;
    for (const char *line = strstr(head, "\r\n"); line != NULL && line < end;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, "content-length:", 15) == 0)
            *ret_length = strtol(line + 17, NULL, 10);
        if (strncasecmp(line + 2, "transfer-encoding: chunked", 26) == 0)
            *ret_chunked = true;
    }
}

int http_answer(int fd, char *text, size_t text_size)
{
    static const char last_chunk[] = "0\r\n\r\n";
    char buffer[HEAD_BYTES_MAX + 1];
    size_t size = 0;
    long length;
    bool is_chunked;
    char *body = NULL;

    while (body == NULL) {
        if (read_more(fd, buffer, HEAD_BYTES_MAX, &size) != 0)
            return -1;
        buffer[size] = '\0';
        body = strstr(buffer, "\r\n\r\n");
    }
    if (strncmp(buffer, "HTTP/1.", 7) != 0 || size < 12)
        return -1;
    int code = (int)strtol(buffer + 9, NULL, 10);
    read_head(buffer, body, &length, &is_chunked);
    body += 4;
    (void)snprintf(text, text_size, "%s", body);
    size_t held = size - (size_t)(body - buffer);
    if (code == 204 || code == 304)
        return code;
    while (is_chunked && (held < 5 || memcmp(buffer + size - 5, last_chunk, 5) != 0)) {
        size_t before = size;
        if (read_more(fd, buffer, HEAD_BYTES_MAX, &size) != 0)
            return -1;
        held += size - before;
    }
    while (length >= 0 && held < (size_t)length) {
        size = 0; /* the rest is only counted */
        if (read_more(fd, buffer, HEAD_BYTES_MAX, &size) != 0)
            return -1;
        held += size;
    }
    return code;
}
