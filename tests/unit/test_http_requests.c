/* test_http_requests.c - requests of many parameters, and such as are too large: what their clients are
 * told, and what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
// cmocka wants the above first
#include <cmocka.h>

#include "tests/unit/http_kit.h"

#define KIB           ((size_t)1 << 10)
#define MIB           ((size_t)1 << 20)
#define URL_BYTES     (64 * KIB)
#define ANSWER_WAIT_S 20

/* How many there are, and the last of them. */
static void handle_count(struct http_request *request, struct http_response *response)
{
    size_t count = request->parameter_count;
    const struct http_parameter *last = count > 0 ? &request->parameters[count - 1] : NULL;
    response->content_type = "text/plain";
    buf_printf(&response->body, "count=%zu last=%s:%s body=%zu", count,
               last != NULL ? last->name : "", last != NULL ? last->value : "",
               request->body.size);
}

static const struct http_route routes[] = {
    {HTTP_GET | HTTP_POST, "/count", ROLE_NONE, .handler = handle_count},
    {HTTP_GET | HTTP_POST, "/slow", ROLE_NONE, .slow = true, .handler = handle_count},
};

static void start(struct http_kit *kit, struct http_options options)
{
    http_kit_start(kit, options, routes, sizeof routes / sizeof *routes, NULL);
}

/* Who is never answered is not waited for. */
static int dial(const struct http_kit *kit)
{
    const struct timeval patience = {.tv_sec = ANSWER_WAIT_S};
    int fd = http_kit_dial(kit, false);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return fd;
}

static struct buf ask(const struct http_kit *kit, const struct buf *request)
{
    assert_true(buf_ok(request));
    int fd = dial(kit);
    http_kit_send(fd, request->data, request->size);
    return http_kit_read(fd, 0, 0);
}

/* 0: no answer, or not the whole of one. */
static int status_of(const struct buf *answer)
{
    const char *text = (const char *)answer->data;
    const char *length = strstr(text, "Content-Length: ");
    const char *body = strstr(text, "\r\n\r\n");
    if (strncmp(text, "HTTP/1.1 ", 9) != 0 || length == NULL || body == NULL)
        return 0;
    return strlen(body + 4) == strtoul(length + 16, NULL, 10) ? atoi(text + 9) : 0;
}

static void expect(const struct http_kit *kit, struct buf *request, int status, const char *content)
{
    struct buf answer = ask(kit, request);
    if (status_of(&answer) != status || strstr((const char *)answer.data, content) == NULL)
        fail_msg("%.60s...: wanted %d and \"%s\", got %.600s", request->data, status, content,
                 answer.data);
    buf_done(&answer);
    buf_done(request);
}

#define END " HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"

/* A request with a URL of so many bytes, made of so often the same and what fills it. */
static struct buf get(const char *parameter, size_t size)
{
    struct buf request = {0};
    buf_put_text(&request, "GET /count?");
    size_t begin = request.size - strlen("/count?");
    while (request.size - begin + strlen(parameter) < size)
        buf_put_text(&request, parameter);
    while (request.size - begin < size)
        buf_put_char(&request, 'z');
    buf_put_text(&request, END);
    return request;
}

static struct buf post(const char *path, const char *parameter, size_t size)
{
    struct buf request = {0};
    buf_printf(&request,
               "POST %s HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: %zu\r\n"
               "Content-Type: application/x-www-form-urlencoded\r\n\r\n",
               path, size);
    for (size_t at = 0; at < size; at += strlen(parameter))
        buf_put(&request, parameter,
                size - at < strlen(parameter) ? size - at : strlen(parameter));
    return request;
}

/* ---- facts ----------------------------------------------------------------------------- */

static void a_url_may_have_any_number_of_parameters(void **state)
{
    static struct http_kit kit; /* what fails leaves its threads behind */
    (void)state;
    start(&kit, (struct http_options){0});
    for (size_t count = 800; count <= 1200; count += 20) {
        struct buf request = {0};
        char wanted[64];
        buf_put_text(&request, "GET /count?");
        for (size_t i = 0; i < count; i++)
            buf_printf(&request, "%smatch[]=a%zu", i > 0 ? "&" : "", i);
        buf_put_text(&request, END);
        (void)snprintf(wanted, sizeof wanted, "count=%zu last=match[]:a%zu body=0", count,
                       count - 1);
        expect(&kit, &request, 200, wanted);
    }
    struct buf request = get("a&", URL_BYTES); /* without "/count?" they are this many */
    expect(&kit, &request, 200, "count=32765 last=z: body=0");
    http_kit_stop(&kit);
}

static void a_form_may_have_any_number_of_parameters(void **state)
{
    static struct http_kit kit;
    (void)state;
    start(&kit, (struct http_options){0});
    struct buf request = post("/count?url=1", "match[]=up&", 110000);
    expect(&kit, &request, 200, "count=10001 last=url:1 body=110000");
    request = post("/slow", "a&", MIB);
    expect(&kit, &request, 200, "count=524288 last=a: body=1048576");
    http_kit_stop(&kit);
}

static void many_parameters_count_as_the_querys(void **state)
{
    static struct http_kit kit;
    static struct arena_total total = {.limit_bytes = 64 * MIB};
    (void)state;
    start(&kit, (struct http_options){.query_memory = &total, .query_memory_bytes_max = 16 * MIB});
    struct buf request = post("/slow", "a&", MIB);
    expect(&kit, &request, 200, "count=524288");
    assert_true(arena_total_hold(&total, 60 * MIB));
    request = post("/slow", "a&", MIB);
    expect(&kit, &request, 503, "there is no memory left for the parameters; try again");
    request = post("/slow", "a=b", 3);
    expect(&kit, &request, 200, "count=1 last=a:b");
    arena_total_release(&total, 60 * MIB);
    http_kit_stop(&kit);
    assert_int_equal(total.held_bytes, 0);
}

/* Whatever size a request has, somebody hears of it. */
static void what_is_too_large_is_told(void **state)
{
    static struct http_kit kit;
    static const char *const lines[] = {"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", "X:\r\n"};
    (void)state;
    start(&kit, (struct http_options){0});
    int last = 0;
    for (size_t size = URL_BYTES; size < 96 * KIB; size += size < 76 * KIB ? 4 * KIB : 48) {
        static const int in_order[] = {200, 431, 414};
        struct buf request = get("name=value&", size);
        struct buf answer = ask(&kit, &request);
        int status = status_of(&answer);
        while (last < 3 && in_order[last] != status)
            last++;
        if (last == 3)
            fail_msg("a URL of %zu bytes: %.300s", size, answer.data);
        buf_done(&answer);
        buf_done(&request);
    }
    assert_int_equal(last, 2);
    for (size_t i = 0; i < 2; i++) {
        for (size_t count = 1000; count < 2600 - 1300 * i; count += 7) {
            struct buf request = {0};
            buf_put_text(&request, "GET /count HTTP/1.1\r\nHost: here\r\nConnection: close\r\n");
            for (size_t k = 0; k < count; k++)
                buf_put_text(&request, lines[i]);
            buf_put_text(&request, "\r\n");
            struct buf answer = ask(&kit, &request);
            last = status_of(&answer);
            if (last != 200 && last != 431)
                fail_msg("%zu headers: %.300s", count, answer.data);
            buf_done(&answer);
            buf_done(&request);
        }
        assert_int_equal(last, 431);
    }
    http_kit_stop(&kit);
}

/* Much more than sockets have room for: it is sent to its end before the answer is read. */
static void who_sends_too_much_hears_of_it(void **state)
{
    static struct http_kit kit;
    (void)state;
    start(&kit, (struct http_options){0});
    struct buf request = get("name=value&", 6 * MIB);
    expect(&kit, &request, 414, "");
    request = post("/count", "a=b&", 6 * MIB);
    expect(&kit, &request, 413, "the body is too large");
    buf_put_text(&request, "POST /count HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < 6; i++) {
        buf_put_text(&request, "100000\r\n");
        for (size_t k = 0; k < MIB; k++)
            buf_put_char(&request, 'a');
        buf_put_text(&request, "\r\n");
    }
    buf_put_text(&request, "0\r\n\r\n");
    expect(&kit, &request, 413, "the body is too large");
    http_kit_stop(&kit);
}

static size_t resident_bytes(void)
{
    char text[128] = "";
    size_t all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    assert_int_equal(sscanf(text, "%zu %zu", &all, &resident), 2);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void an_idle_connection_holds_little(void **state)
{
    enum { CONNECTIONS = 300 };
    static struct http_kit kit;
    static int fds[CONNECTIONS];
    static const char request[] = "GET /count?a=b HTTP/1.1\r\nHost: here\r\n\r\n";
    (void)state;
    start(&kit, (struct http_options){0});
    size_t before = resident_bytes();
    for (int i = 0; i < CONNECTIONS; i++) {
        char answer[512];
        fds[i] = dial(&kit);
        http_kit_send(fds[i], request, strlen(request));
        assert_true(recv(fds[i], answer, sizeof answer, 0) > 0);
    }
    size_t each = (resident_bytes() - before) / CONNECTIONS;
    if (each > 100 * KIB)
        fail_msg("%zu bytes each", each);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
    http_kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_may_have_any_number_of_parameters),
        cmocka_unit_test(a_form_may_have_any_number_of_parameters),
        cmocka_unit_test(many_parameters_count_as_the_querys),
        cmocka_unit_test(what_is_too_large_is_told),
        cmocka_unit_test(who_sends_too_much_hears_of_it),
        cmocka_unit_test(an_idle_connection_holds_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
