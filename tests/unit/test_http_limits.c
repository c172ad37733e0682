/* test_http_limits.c - what answers hold, until they are sent or their clients are gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka wants the above first
#include <cmocka.h>

#include "collector/http/server.h"
#include "tests/unit/http_kit.h"

#define MIB         ((size_t)1 << 20)
#define ANSWER      "12582912" /* bytes: more than sockets take of what nobody reads */
#define WHOLE       "250000"   /* sent as one, and more than such a socket takes */
#define ANSWER_SIZE ((size_t)12 * MIB)

/* ---- handlers -------------------------------------------------------------------------- */

static atomic_int streams_closed;

#define LINE "abcdefghijklmnopqrstuvwxyz......" /* 32 bytes, again and again */

/* So many bytes. */
static void handle_bytes(struct http_request *request, struct http_response *response)
{
    size_t size = strtoull(http_parameter(request, "bytes"), NULL, 10);
    response->content_type = "text/plain";
    for (; size > strlen(LINE); size -= strlen(LINE))
        buf_put_text(&response->body, LINE);
    buf_put(&response->body, LINE, size);
}

static int next_piece(struct http_stream *stream, struct buf *out)
{
    (void)stream;
    for (size_t size = 0; size < HTTP_PIECE_BYTES; size += strlen(LINE))
        buf_put_text(out, LINE);
    return 0;
}

static void close_stream(struct http_stream *stream)
{
    (void)stream;
    streams_closed++;
}

static void handle_endless(struct http_request *request, struct http_response *response)
{
    static struct http_stream stream = {next_piece, close_stream};
    (void)request;
    response->content_type = "text/plain";
    response->stream = &stream;
}

static const struct http_route routes[] = {
    {HTTP_GET, "/bytes", ROLE_NONE, .slow = true, .handler = handle_bytes},
    {HTTP_GET, "/brief", ROLE_NONE, .brief = true, .handler = handle_bytes},
    {HTTP_GET, "/loop", ROLE_NONE, .handler = handle_bytes},
    {HTTP_GET, "/endless", ROLE_NONE, .slow = true, .handler = handle_endless},
};

/* ---- a server and its clients ---------------------------------------------------------- */

struct fixture {
    struct arena_total total;
    struct http_kit http;
};

static void start(struct fixture *fixture, size_t all, size_t one, int64_t send_timeout_ms)
{
    streams_closed = 0;
    fixture->total = (struct arena_total){.limit_bytes = all};
    http_kit_start(&fixture->http,
                   (struct http_options){.query_memory = &fixture->total,
                                         .query_memory_bytes_max = one,
                                         .send_timeout_ms = send_timeout_ms},
                   routes, sizeof routes / sizeof *routes, NULL);
}

static void stop(struct fixture *fixture)
{
    http_kit_stop(&fixture->http);
    assert_int_equal(fixture->total.held_bytes, 0);
}

/* Asks, and reads nothing; little waits on the way to who is `narrow`. */
static int ask(const struct fixture *fixture, const char *target, const char *headers, bool narrow)
{
    char request[256];
    int fd = http_kit_dial(&fixture->http, narrow);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", target,
                        headers);
    http_kit_send(fd, request, (size_t)size);
    return fd;
}

static void expect(const struct fixture *fixture, const char *target, const char *status,
                   const char *content)
{
    struct buf answer = http_kit_read(ask(fixture, target, "", false), 0, 0);
    const char *text = (const char *)answer.data;
    if (strncmp(text + strlen("HTTP/1.1 "), status, 3) != 0 || strstr(text, content) == NULL)
        fail_msg("%s: wanted %s and \"%s\", got %.600s", target, status, content, text);
    buf_done(&answer);
}

static size_t body_size(const struct buf *answer)
{
    const char *begin = strstr((const char *)answer->data, "\r\n\r\n");
    assert_non_null(begin);
    return answer->size - (size_t)(begin + 4 - (const char *)answer->data);
}

static void wait_for_held(const struct fixture *fixture, size_t least, size_t most)
{
    for (int i = 0; i < 20000; i++, usleep(1000)) {
        size_t held = fixture->total.held_bytes;
        if (held >= least && held <= most)
            return;
    }
    fail_msg("held %zu, not %zu to %zu", (size_t)fixture->total.held_bytes, least, most);
}

static bool is_slow_count(const struct fixture *fixture, int count)
{
    struct buf metrics = {0};
    char line[80];
    http_server_print_metrics(fixture->http.server, &metrics);
    (void)snprintf(line, sizeof line, "\nfengsui_collector_http_clients_slow_total %d\n", count);
    bool is_so = strstr(buf_text(&metrics), line) != NULL;
    buf_done(&metrics);
    return is_so;
}

/* ---- facts ----------------------------------------------------------------------------- */

static void an_answer_counts_until_it_is_taken(void **state)
{
    static struct fixture fixture; /* what fails leaves its threads behind */
    (void)state;
    start(&fixture, 256 * MIB, 64 * MIB, 0);
    int fd = ask(&fixture, "/bytes?bytes=" ANSWER, "", true);
    wait_for_held(&fixture, ANSWER_SIZE, 64 * MIB);
    expect(&fixture, "/bytes?bytes=10", "200", "abcdefghij");
    assert_true(fixture.total.held_bytes >= ANSWER_SIZE);
    struct buf answer = http_kit_read(fd, 0, 0);
    assert_int_equal(body_size(&answer), ANSWER_SIZE);
    for (size_t i = 0; i < ANSWER_SIZE; i += strlen(LINE))
        if (memcmp(answer.data + answer.size - ANSWER_SIZE + i, LINE, strlen(LINE)) != 0)
            fail_msg("byte %zu is another", i);
    buf_done(&answer);
    wait_for_held(&fixture, 0, 0);
    /* Whoever goes away has no claim either. */
    fd = ask(&fixture, "/bytes?bytes=" ANSWER, "", true);
    wait_for_held(&fixture, ANSWER_SIZE, 64 * MIB);
    close(fd);
    wait_for_held(&fixture, 0, 0);
    stop(&fixture);
}

static void a_packed_answer_counts_what_it_takes(void **state)
{
    static struct fixture fixture; /* what fails leaves its threads behind */
    (void)state;
    start(&fixture, 256 * MIB, 64 * MIB, 0);
    struct buf answer =
        http_kit_read(ask(&fixture, "/bytes?bytes=" ANSWER, "Accept-Encoding: gzip\r\n", false), 0, 0);
    assert_non_null(strstr((const char *)answer.data, "Content-Encoding: gzip"));
    assert_true(body_size(&answer) < ANSWER_SIZE / 10);
    buf_done(&answer);
    wait_for_held(&fixture, 0, 0);
    /* Where there is no room for packing, it goes as it is. */
    assert_true(arena_total_hold(&fixture.total, 240 * MIB));
    answer = http_kit_read(ask(&fixture, "/bytes?bytes=" ANSWER, "Accept-Encoding: gzip\r\n", false), 0, 0);
    assert_int_equal(body_size(&answer), ANSWER_SIZE);
    buf_done(&answer);
    arena_total_release(&fixture.total, 240 * MIB);
    stop(&fixture);
}

static void an_answer_past_what_it_may_hold_is_an_error(void **state)
{
    static struct fixture fixture; /* what fails leaves its threads behind */
    (void)state;
    start(&fixture, 64 * MIB, 4 * MIB, 0);
    expect(&fixture, "/bytes?bytes=3000000", "200", "abcdefghij");
    expect(&fixture, "/bytes?bytes=" ANSWER, "422",
           "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"the answer needs more "
           "memory than a query and its answer may hold\"}");
    wait_for_held(&fixture, 0, 0);
    /* All there is is taken: that is said, and who asks nothing of the store does not notice. */
    assert_true(arena_total_hold(&fixture.total, 64 * MIB));
    expect(&fixture, "/bytes?bytes=10", "422", "all queries together have no memory left; try again");
    expect(&fixture, "/brief?bytes=10", "200", "abcdefghij");
    expect(&fixture, "/loop?bytes=" ANSWER, "200", "abcdefghij");
    arena_total_release(&fixture.total, 64 * MIB);
    expect(&fixture, "/bytes?bytes=10", "200", "abcdefghij");
    stop(&fixture);
}

static void large_answers_that_nobody_takes_leave_room_for_others(void **state)
{
    static struct fixture fixture; /* what fails leaves its threads behind */
    int fds[2];
    (void)state;
    start(&fixture, 64 * MIB, 32 * MIB, 0);
    for (int i = 0; i < 2; i++) {
        char status[12];
        fds[i] = ask(&fixture, "/bytes?bytes=" ANSWER, "", true);
        assert_int_equal(recv(fds[i], status, sizeof status, MSG_WAITALL), sizeof status);
        assert_memory_equal(status, "HTTP/1.1 200", sizeof status);
    }
    assert_in_range(fixture.total.held_bytes, 2 * ANSWER_SIZE, 64 * MIB);
    expect(&fixture, "/bytes?bytes=" ANSWER, "503",
           "{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":\"too many large answers "
           "are being sent; try again\"}");
    struct buf packed =
        http_kit_read(ask(&fixture, "/bytes?bytes=10", "Accept-Encoding: gzip\r\n", false), 0, 0);
    assert_non_null(strstr((const char *)packed.data, "abcdefghij"));
    buf_done(&packed);
    expect(&fixture, "/brief?bytes=10", "200", "abcdefghij");
    close(fds[0]);
    close(fds[1]);
    wait_for_held(&fixture, 0, 0);
    expect(&fixture, "/bytes?bytes=" ANSWER, "200", "abcdefghij");
    stop(&fixture);
}

static void who_takes_too_slowly_is_let_go(void **state)
{
    static const char *const targets[] = {"/bytes?bytes=" ANSWER, "/loop?bytes=" ANSWER, "/endless"};
    static struct fixture fixture; /* what fails leaves its threads behind */
    char byte;
    (void)state;
    start(&fixture, 256 * MIB, 64 * MIB, 300);
    for (int i = 0; i < 3; i++) {
        int fd = ask(&fixture, targets[i], "", true);
        int k = 0;
        for (; k < 20000 && !is_slow_count(&fixture, i + 1); k++, usleep(1000)) {
            if (k % 16 == 0)
                assert_int_equal(read(fd, &byte, 1), 1); /* a byte now and then */
        }
        assert_in_range(k, 100, 19999);
        wait_for_held(&fixture, 0, 0);
        struct buf rest = http_kit_read(fd, 0, 0);
        assert_true(rest.size < ANSWER_SIZE);
        buf_done(&rest);
    }
    assert_int_equal(streams_closed, 1);
    stop(&fixture);
}

static void who_keeps_pace_gets_all(void **state)
{
    static struct fixture fixture; /* what fails leaves its threads behind */
    char some[8192];
    (void)state;
    start(&fixture, 256 * MIB, 64 * MIB, 200);
    /* Three times as long as the timeout, and faster than the least pace. */
    struct buf answer = http_kit_read(ask(&fixture, "/bytes?bytes=" ANSWER, "", false), MIB, 50000);
    assert_int_equal(body_size(&answer), ANSWER_SIZE);
    buf_done(&answer);
    /* Of a small one it is not seen how far it has come. */
    size_t taken = 0;
    int fd = ask(&fixture, "/bytes?bytes=" WHOLE, "", true);
    for (; taken < 6 * sizeof some; taken += sizeof some, usleep(200000))
        assert_int_equal(recv(fd, some, sizeof some, MSG_WAITALL), sizeof some);
    answer = http_kit_read(fd, 0, 0);
    assert_in_range(taken + answer.size, strtoul(WHOLE, NULL, 10), strtoul(WHOLE, NULL, 10) + 1000);
    buf_done(&answer);
    assert_true(is_slow_count(&fixture, 0));
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_counts_until_it_is_taken),
        cmocka_unit_test(a_packed_answer_counts_what_it_takes),
        cmocka_unit_test(an_answer_past_what_it_may_hold_is_an_error),
        cmocka_unit_test(large_answers_that_nobody_takes_leave_room_for_others),
        cmocka_unit_test(who_takes_too_slowly_is_let_go),
        cmocka_unit_test(who_keeps_pace_gets_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
