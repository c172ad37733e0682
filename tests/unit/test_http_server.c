/* test_http_server.c - the HTTP server over real sockets on loopback. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka wants the above first
#include <cmocka.h>

#include "collector/http/server.h"
#include "collector/http/users.h"
#include "proto/base/error.h"
#include "tests/unit/http_kit.h"

/* What the handlers of this test share. */
struct stage {
    _Atomic pthread_t loop; /* its thread */
    atomic_int slow_running;
    atomic_bool slow_saw_hangup;
    atomic_bool release;
    struct http_pending *kept;
    atomic_int streams_closed;
};

static void handle_echo(struct http_request *request, struct http_response *response)
{
    response->content_type = "text/plain";
    for (size_t i = 0; i < request->parameter_count; i++)
        buf_printf(&response->body, "%s=%s;", request->parameters[i].name,
                   request->parameters[i].value);
    buf_printf(&response->body, "rest=%s;body=%zu;user=%s", request->rest, request->body.size,
               request->user);
}

static void handle_large(struct http_request *request, struct http_response *response)
{
    (void)request;
    response->content_type = "text/plain";
    for (int i = 0; i < 10000; i++)
        buf_put_text(&response->body, "0123456789");
}

static void handle_slow(struct http_request *request, struct http_response *response)
{
    struct stage *stage = request->context;
    stage->slow_running++;
    while (!stage->release && !__atomic_load_n(&request->cancelled, __ATOMIC_RELAXED))
        usleep(1000);
    stage->slow_saw_hangup = __atomic_load_n(&request->cancelled, __ATOMIC_RELAXED);
    buf_put_text(&response->body, "slow");
    stage->slow_running--;
}

/* On a thread that is not the loop's. */
static void handle_brief(struct http_request *request, struct http_response *response)
{
    const struct stage *stage = request->context;
    bool is_apart = !pthread_equal(pthread_self(), stage->loop);
    buf_put_text(&response->body, is_apart ? "brief" : "on the loop");
}

/* At once where it is not told to wait. */
static void handle_at_once(struct http_request *request, struct http_response *response)
{
    if (request->at_once && http_parameter(request, "wait") != NULL)
        response->put_off = true;
    else
        handle_brief(request, response);
}

/* Does not look whether anybody still waits. */
static void handle_stubborn(struct http_request *request, struct http_response *response)
{
    struct stage *stage = request->context;
    stage->slow_running++;
    while (!stage->release)
        usleep(1000);
    buf_put_text(&response->body, "stubborn");
}

static void *finish_later(void *pending)
{
    http_finish(pending);
    return NULL;
}

static void handle_later(struct http_request *request, struct http_response *response,
                         struct http_pending *pending)
{
    buf_printf(&response->body, "stored %zu", request->body.size);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, finish_later, pending), 0);
    pthread_detach(thread);
}

/* Three pieces, and then the end or an error. */
struct counted_stream {
    struct http_stream stream;
    struct stage *stage;
    int next;
    bool breaks;
};

static int next_piece(struct http_stream *stream, struct buf *out)
{
    struct counted_stream *self = (struct counted_stream *)(void *)stream;
    if (self->next == 3)
        return self->breaks ? ERR_IO : 0;
    buf_printf(out, "<%d>", self->next++);
    for (size_t i = 0; i < 100000; i++)
        buf_put_char(out, '.');
    return 0;
}

static void close_stream(struct http_stream *stream)
{
    struct counted_stream *self = (struct counted_stream *)(void *)stream;
    self->stage->streams_closed++;
    free(self);
}

static void handle_stream(struct http_request *request, struct http_response *response)
{
    struct counted_stream *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->stream = (struct http_stream){next_piece, close_stream};
    self->stage = request->context;
    self->breaks = http_parameter(request, "breaks") != NULL;
    response->content_type = "text/plain";
    response->stream = &self->stream;
}

static const struct http_route routes[] = {
    {HTTP_GET, "/stream", ROLE_NONE, .slow = true, .handler = handle_stream},
    {HTTP_GET | HTTP_POST, "/echo", ROLE_VIEWER, .handler = handle_echo, .body_limit = 1000},
    {HTTP_GET, "/below/*", ROLE_VIEWER, .handler = handle_echo},
    {HTTP_GET, "/large", ROLE_NONE, .handler = handle_large},
    {HTTP_GET, "/slow", ROLE_NONE, .slow = true, .handler = handle_slow},
    {HTTP_GET, "/brief", ROLE_NONE, .brief = true, .handler = handle_brief},
    {HTTP_GET, "/once", ROLE_NONE, .slow = true, .at_once = true, .handler = handle_at_once},
    {HTTP_GET, "/stubborn", ROLE_NONE, .slow = true, .handler = handle_stubborn},
    {HTTP_GET, "/-/healthy", ROLE_NONE, .handler = handle_echo},
    {HTTP_POST, "/alert", ROLE_OPERATOR, .writers_too = true, .handler = handle_echo},
    {HTTP_POST, "/later", ROLE_WRITER, .later = handle_later},
    {HTTP_POST, "/change", ROLE_OPERATOR, .handler = handle_echo},
};

/* ---- a plain client -------------------------------------------------------------------- */

struct fixture {
    struct stage stage;
    struct http_kit http;
};

static void start(struct fixture *fixture, const char *users_path)
{
    memset(&fixture->stage, 0, sizeof fixture->stage);
    http_kit_start(&fixture->http, (struct http_options){.users_path = users_path}, routes,
                   sizeof routes / sizeof *routes, &fixture->stage);
    fixture->stage.loop = fixture->http.thread;
}

/* Sends a request that ends its connection; the whole answer, malloc'd. */
static char *talk(const struct fixture *fixture, const char *request)
{
    int fd = http_kit_dial(&fixture->http, false);
    http_kit_send(fd, request, strlen(request));
    struct buf answer = http_kit_read(fd, 0, 0);
    char *text = strdup((const char *)answer.data);
    buf_done(&answer);
    return text;
}

#define END "Host: here\r\nConnection: close\r\n\r\n"

static void expect(const struct fixture *fixture, const char *request, const char *status,
                   const char *content)
{
    char *answer = talk(fixture, request);
    if (strncmp(answer + strlen("HTTP/1.1 "), status, strlen(status)) != 0 ||
        strstr(answer, content) == NULL)
        fail_msg("asked:\n%s\nwanted %s and \"%s\", got:\n%s", request, status, content, answer);
    free(answer);
}

static void routes_answer_and_others_are_told(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect(&fixture, "GET /echo?a=1&b=x%20y+z HTTP/1.1\r\n" END, "200", "a=1;b=x y z;rest=;");
    expect(&fixture, "GET /below/a/b HTTP/1.1\r\n" END, "200", "rest=a/b;");
    expect(&fixture, "GET /nowhere HTTP/1.1\r\n" END, "404", "\r\n\r\n404 page not found\n");
    expect(&fixture, "PUT /echo HTTP/1.1\r\n" END, "405", "Method Not Allowed");
    expect(&fixture, "PUT /echo HTTP/1.1\r\n" END, "405", "\r\nAllow: GET, OPTIONS, POST\r\n");
    expect(&fixture, "DELETE /change HTTP/1.1\r\n" END, "405", "\r\nAllow: OPTIONS, POST\r\n");
    expect(&fixture, "HEAD /echo HTTP/1.1\r\n" END, "200", "Content-Length: 18\r\n");
    expect(&fixture, "OPTIONS /echo HTTP/1.1\r\n" END, "200", "\r\nAllow: GET, OPTIONS, POST\r\n");
    expect(&fixture, "OPTIONS /none HTTP/1.1\r\n" END, "404", "page not found");
    expect(&fixture, "OPTIONS /api/anything HTTP/1.1\r\n" END, "204",
           "\r\nAllow: GET, POST, OPTIONS\r\n");
    http_kit_stop(&fixture.http);
}

static void a_request_of_two_lengths_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect(&fixture, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n" END "abc",
           "400", "more than one length");
    expect(&fixture,
           "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" END
           "0\r\n\r\n",
           "400", "more than one length");
    http_kit_stop(&fixture.http);
}

static void form_parameters_come_before_those_of_the_url(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect(&fixture,
           "POST /echo?q=url&only=1 HTTP/1.1\r\nContent-Length: 6\r\n"
           "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n" END "q=form",
           "200", "q=form;q=url;only=1;");
    expect(&fixture,
           "POST /echo?q=url HTTP/1.1\r\nContent-Length: 6\r\nContent-Type: text/plain\r\n" END
           "q=form",
           "200", "\r\n\r\nq=url;rest=;body=6");
    http_kit_stop(&fixture.http);
}

static void a_body_past_the_limit_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect(&fixture, "POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n" END, "413", "too large");
    http_kit_stop(&fixture.http);
}

static void a_large_answer_is_compressed_for_those_who_can_read_it(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect(&fixture, "GET /large HTTP/1.1\r\nAccept-Encoding: gzip\r\n" END, "200",
           "Content-Encoding: gzip");
    expect(&fixture, "GET /large HTTP/1.1\r\n" END, "200", "Content-Length: 100000\r\n");
    http_kit_stop(&fixture.http);
}

static void wait_until(const atomic_int *value, int wanted)
{
    for (int i = 0; i < 5000 && *value != wanted; i++)
        usleep(1000);
    assert_int_equal(*value, wanted);
}

static void a_stream_arrives_whole_or_is_seen_to_break(void **state)
{
    static const struct {
        const char *query;
        bool is_whole;
    } cases[] = {{"", true}, {"?breaks=1", false}};
    struct fixture fixture;
    (void)state;
    start(&fixture, NULL);
    for (size_t i = 0; i < 2; i++) {
        char request[128];
        (void)snprintf(request, sizeof request,
                       "GET /stream%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                       cases[i].query);
        char *answer = talk(&fixture, request);
        size_t size = strlen(answer);
        assert_non_null(strstr(answer, "HTTP/1.1 200 OK"));
        assert_non_null(strstr(answer, "Transfer-Encoding: chunked"));
        assert_non_null(strstr(answer, "<0>"));
        bool is_ended = size > 5 && strcmp(answer + size - 5, "0\r\n\r\n") == 0;
        assert_int_equal(is_ended, cases[i].is_whole);
        assert_int_equal(is_ended, is_ended && strstr(answer, "<2>") != NULL);
        free(answer);
    }
    http_kit_stop(&fixture.http);
    assert_int_equal(fixture.stage.streams_closed, 2);
}

static void a_slow_route_holds_nobody_up(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    int fd = http_kit_dial(&fixture.http, false);
    const char *request = "GET /slow HTTP/1.1\r\n" END;
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    wait_until(&fixture.stage.slow_running, 1);
    expect(&fixture, "GET /echo HTTP/1.1\r\n" END, "200", "rest=");
    fixture.stage.release = true;
    char answer[4096] = "";
    assert_true(read(fd, answer, sizeof answer - 1) > 0);
    assert_non_null(strstr(answer, "\r\n\r\nslow"));
    close(fd);
    http_kit_stop(&fixture.http);
}

/* As many as may wait, and some more: these are told at once, while what is not slow is answered, on the
 * loop or beside it; and afterwards nothing is left of it. */
static void what_is_at_hand_wakes_no_thread(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect(&fixture, "GET /once HTTP/1.1\r\n" END, "200", "on the loop");
    expect(&fixture, "GET /once?wait HTTP/1.1\r\n" END, "200", "brief");
    int fd = http_kit_dial(&fixture.http, false);
    http_kit_send(fd, "GET /slow HTTP/1.1\r\n" END, strlen("GET /slow HTTP/1.1\r\n" END));
    wait_until(&fixture.stage.slow_running, 1);
    /* Beside a query the loop has others to serve. */
    expect(&fixture, "GET /once HTTP/1.1\r\n" END, "200", "brief");
    fixture.stage.release = true;
    struct buf answer = http_kit_read(fd, 0, 0);
    buf_done(&answer);
    expect(&fixture, "GET /once HTTP/1.1\r\n" END, "200", "on the loop");
    http_kit_stop(&fixture.http);
}

static void a_full_queue_refuses_and_recovers(void **state)
{
    enum { ASKED = QUERY_QUEUE_MAX + 64, THREADS_MAX = 20 };
    static int fds[ASKED];
    const char *request = "GET /slow HTTP/1.1\r\n" END;
    struct fixture fixture;
    struct rlimit files;
    int served = 0;
    int refused = 0;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < 4 * ASKED)
        skip(); /* both ends are in this process, and the server takes half of what there is */
    files.rlim_cur = 4 * ASKED;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    start(&fixture, NULL);
    for (int i = 0; i < ASKED; i++) {
        fds[i] = http_kit_dial(&fixture.http, false);
        assert_int_equal(write(fds[i], request, strlen(request)), strlen(request));
    }
    char answer[4096] = "";
    assert_true(read(fds[ASKED - 1], answer, sizeof answer - 1) > 0); /* before any is released */
    assert_non_null(strstr(answer, "HTTP/1.1 503"));
    assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
    assert_non_null(strstr(answer, "too many requests are waiting"));
    expect(&fixture, "GET /echo HTTP/1.1\r\n" END, "200", "rest=");
    expect(&fixture, "GET /brief HTTP/1.1\r\n" END, "200", "brief");
    fixture.stage.release = true;
    for (int i = 0; i + 1 < ASKED; i++) {
        memset(answer, 0, sizeof answer);
        assert_true(read(fds[i], answer, sizeof answer - 1) > 0);
        served += strstr(answer, "HTTP/1.1 200") != NULL;
        refused += strstr(answer, "HTTP/1.1 503") != NULL;
        close(fds[i]);
    }
    close(fds[ASKED - 1]);
    assert_int_equal(served + refused + 1, ASKED);
    assert_in_range(served, QUERY_QUEUE_MAX, QUERY_QUEUE_MAX + THREADS_MAX);
    expect(&fixture, request, "200", "slow");
    http_kit_stop(&fixture.http);
}

static void a_client_that_hangs_up_cancels_its_request(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    int fd = http_kit_dial(&fixture.http, false);
    const char *request = "GET /slow HTTP/1.1\r\n" END;
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    wait_until(&fixture.stage.slow_running, 1);
    close(fd);
    wait_until(&fixture.stage.slow_running, 0);
    assert_true(fixture.stage.slow_saw_hangup);
    expect(&fixture, "GET /echo HTTP/1.1\r\n" END, "200", "rest=");
    http_kit_stop(&fixture.http);
}

static void closing_cancels_what_runs_and_waits_for_it(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    int fd = http_kit_dial(&fixture.http, false);
    const char *request = "GET /slow HTTP/1.1\r\n" END;
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    wait_until(&fixture.stage.slow_running, 1);
    http_kit_stop(&fixture.http);
    assert_true(fixture.stage.slow_saw_hangup);
    close(fd);
}

static void a_later_route_answers_from_another_thread(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    for (int i = 0; i < 50; i++)
        expect(&fixture, "POST /later HTTP/1.1\r\nContent-Length: 4\r\n" END "data", "200",
               "stored 4");
    http_kit_stop(&fixture.http);
}

/* The first 503 on a connection that is kept alive; malloc'd. */
static char *ask_until_refused(int fd)
{
    static const char request[] = "GET /echo HTTP/1.1\r\nHost: here\r\n\r\n";
    static char answer[4096];
    for (int i = 0; i < 10000; i++, usleep(1000)) {
        assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
        ssize_t size = read(fd, answer, sizeof answer - 1);
        assert_true(size > 0);
        answer[size] = '\0';
        if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
            return strdup(answer);
    }
    fail_msg("it never began to stop");
    return NULL;
}

static void who_asks_while_it_stops_is_refused_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    static const char slow[] = "GET /stubborn HTTP/1.1\r\n" END;
    char answer[512] = "";
    int busy = http_kit_dial(&fixture.http, false);
    int kept = http_kit_dial(&fixture.http, false);
    assert_int_equal(write(busy, slow, sizeof slow - 1), sizeof slow - 1);
    wait_until(&fixture.stage.slow_running, 1);
    uv_async_send(&fixture.http.stop);
    char *refused = ask_until_refused(kept);
    assert_int_equal(strncmp(refused, "HTTP/1.1 503", 12), 0);
    assert_non_null(strstr(refused, "\r\nX-Prometheus-Stopping: true\r\n"));
    assert_string_equal(strstr(refused, "\r\n\r\n"), "\r\n\r\nService Unavailable");
    free(refused);
    /* Who comes anew is told, too; and that the process lives. */
    expect(&fixture, "GET /nowhere HTTP/1.1\r\n" END, "503", "X-Prometheus-Stopping: true");
    expect(&fixture, "GET /-/healthy HTTP/1.1\r\n" END, "200", "rest=");
    fixture.stage.release = true;
    pthread_join(fixture.http.thread, NULL);
    assert_true(read(busy, answer, sizeof answer - 1) > 0); /* what had begun is answered */
    assert_non_null(strstr(answer, "stubborn"));
    assert_int_equal(uv_loop_close(&fixture.http.loop), 0);
    close(busy);
    close(kept);
}

static void another_sites_page_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, NULL);
    expect(&fixture,
           "POST /change HTTP/1.1\r\nContent-Length: 0\r\nOrigin: http://evil.example\r\n" END,
           "403", "Forbidden");
    expect(&fixture, "POST /change HTTP/1.1\r\nContent-Length: 0\r\nOrigin: http://here\r\n" END,
           "200", "rest=");
    expect(&fixture, "POST /change HTTP/1.1\r\nContent-Length: 0\r\n" END, "200", "rest=");
    http_kit_stop(&fixture.http);
}

static void write_users(char path[64])
{
    char password[USERS_HASH_BYTES];
    char token[USERS_HASH_BYTES];
    assert_int_equal(users_hash_password("secret", password), 0);
    assert_int_equal(users_hash_token("tttttt", token), 0);
    snprintf(path, 64, "/tmp/test_http_server.XXXXXX");
    int fd = mkstemp(path);
    dprintf(fd,
            "users:\n  - {name: li, role: viewer, password_hash: \"%s\"}\n"
            "tokens:\n  - {name: sender, role: writer, token_hash: \"%s\"}\n",
            password, token);
    close(fd);
}

static void roles_decide_who_may_do_what(void **state)
{
    (void)state;
    char path[64];
    write_users(path);
    struct fixture fixture;
    start(&fixture, path);
    expect(&fixture, "GET /large HTTP/1.1\r\n" END, "200", "0123456789");
    expect(&fixture, "GET /echo HTTP/1.1\r\n" END, "401", "WWW-Authenticate: Basic");
    for (int i = 0; i < 2; i++) { /* hashed, then remembered; li:secret */
        expect(&fixture, "GET /echo HTTP/1.1\r\nAuthorization: Basic bGk6c2VjcmV0\r\n" END,
               "200", "user=li");
        expect(&fixture,
               "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n"
               "Authorization: Basic bGk6c2VjcmV0\r\n" END "abc",
               "200", "body=3;user=li");
    }
    /* li:wrong */
    expect(&fixture, "GET /echo HTTP/1.1\r\nAuthorization: Basic bGk6d3Jvbmc=\r\n" END, "401",
           "Unauthorized");
    expect(&fixture,
           "POST /change HTTP/1.1\r\nContent-Length: 0\r\n"
           "Authorization: Basic bGk6c2VjcmV0\r\n" END,
           "403", "Forbidden");
    expect(&fixture,
           "POST /later HTTP/1.1\r\nContent-Length: 1\r\nAuthorization: Bearer tttttt\r\n" END
           "x",
           "200", "stored 1");
    expect(&fixture,
           "POST /alert HTTP/1.1\r\nContent-Length: 0\r\nAuthorization: Bearer tttttt\r\n" END,
           "200", "user=sender");
    expect(&fixture,
           "POST /alert HTTP/1.1\r\nContent-Length: 0\r\n"
           "Authorization: Basic bGk6c2VjcmV0\r\n" END,
           "403", "Forbidden");
    expect(&fixture, "GET /echo HTTP/1.1\r\nAuthorization: Bearer tttttt\r\n" END, "403",
           "Forbidden");
    http_kit_stop(&fixture.http);
    unlink(path);
}

static void off_loopback_needs_users_and_tls(void **state)
{
    (void)state;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    struct http_server *server = NULL;
    struct diagnosis why = {0};
    struct http_options options = {.listen = "0.0.0.0:0"};
    assert_int_equal(http_server_open(&loop, &options, routes, 1, NULL, &server, &why),
                     ERR_REFUSED);
    assert_non_null(strstr(why.text, "behind_proxy"));
    options.behind_proxy = true;
    why.text[0] = '\0';
    assert_int_equal(http_server_open(&loop, &options, routes, 1, NULL, &server, &why), 0);
    http_server_close(server);
    options = (struct http_options){.listen = "nonsense"};
    assert_int_equal(http_server_open(&loop, &options, routes, 1, NULL, &server, &why),
                     ERR_INVALID);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_answer_and_others_are_told),
        cmocka_unit_test(a_request_of_two_lengths_is_refused),
        cmocka_unit_test(form_parameters_come_before_those_of_the_url),
        cmocka_unit_test(a_body_past_the_limit_is_refused),
        cmocka_unit_test(a_large_answer_is_compressed_for_those_who_can_read_it),
        cmocka_unit_test(a_stream_arrives_whole_or_is_seen_to_break),
        cmocka_unit_test(a_slow_route_holds_nobody_up),
        cmocka_unit_test(what_is_at_hand_wakes_no_thread),
        cmocka_unit_test(a_full_queue_refuses_and_recovers),
        cmocka_unit_test(a_client_that_hangs_up_cancels_its_request),
        cmocka_unit_test(closing_cancels_what_runs_and_waits_for_it),
        cmocka_unit_test(who_asks_while_it_stops_is_refused_at_once),
        cmocka_unit_test(a_later_route_answers_from_another_thread),
        cmocka_unit_test(another_sites_page_changes_nothing),
        cmocka_unit_test(roles_decide_who_may_do_what),
        cmocka_unit_test(off_loopback_needs_users_and_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
