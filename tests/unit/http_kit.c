/* http_kit.c - see http_kit.h. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka wants the above first
#include <cmocka.h>

#include "tests/unit/http_kit.h"

#define READ_BYTES ((size_t)64 << 10)

static void on_stop(uv_async_t *stop)
{
    struct http_kit *kit = stop->data;
    http_server_close(kit->server);
    uv_close((uv_handle_t *)stop, NULL);
}

static void *run_loop(void *context)
{
    uv_run(&((struct http_kit *)context)->loop, UV_RUN_DEFAULT);
    return NULL;
}

void http_kit_start(struct http_kit *kit, struct http_options options,
                    const struct http_route *routes, size_t route_count, void *context)
{
    struct diagnosis why = {0};
    options.listen = "127.0.0.1:0";
    memset(kit, 0, sizeof *kit);
    assert_int_equal(uv_loop_init(&kit->loop), 0);
    uv_async_init(&kit->loop, &kit->stop, on_stop);
    kit->stop.data = kit;
    if (http_server_open(&kit->loop, &options, routes, route_count, context, &kit->server, &why) !=
        0)
        fail_msg("%s", why.text);
    kit->port = http_server_port(kit->server);
    assert_int_equal(pthread_create(&kit->thread, NULL, run_loop, kit), 0);
}

void http_kit_stop(struct http_kit *kit)
{
    uv_async_send(&kit->stop);
    pthread_join(kit->thread, NULL);
    assert_int_equal(uv_loop_close(&kit->loop), 0);
}

int http_kit_dial(const struct http_kit *kit, bool is_narrow)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)kit->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int small = 8192;
    int segment = 1000; /* as on a network: the server's socket takes the less */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (is_narrow)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    if (is_narrow)
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void http_kit_send(int fd, const void *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (size_t)n;
    }
}

struct buf http_kit_read(int fd, size_t pause_every, useconds_t pause_us)
{
    struct buf answer = {0};
    size_t paused = 0;
    ssize_t n = 0;
    while ((n = read(fd, buf_reserve(&answer, READ_BYTES), READ_BYTES)) > 0) {
        answer.size += (size_t)n;
        if (pause_every > 0 && answer.size / pause_every > paused) {
            paused = answer.size / pause_every;
            usleep(pause_us);
        }
    }
    close(fd);
    (void)buf_text(&answer);
    return answer;
}
