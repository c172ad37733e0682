/*
 * test_access.c - access logs of web servers and proxies become requests, bytes and durations.
 *
 * What can go wrong, each a case here: a field is taken for another; a line of another format
 * counts; a quoted quote, a list of upstreams or padding shifts the fields; hosts and methods
 * that clients make up become series; columns are those of another part of the file; a chunk
 * that the tick refused counts twice.
 */
#include "tests/unit/log_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/log/access.h"
#include "proto/base/error.h"

#define AGENT  "\"-\" \"Mozilla/5.0 (X11) \\\"q\\\" [x]\""
#define COMMON "192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "

struct line_case {
    const char *because, *format, *line;
    const char *vhost, *method;
    uint32_t status;
    uint64_t sent, received;
    double seconds, upstream;
    int64_t ts_s;
    const char *result;
};

static const struct line_case lines[] = {
    {"common", "common", COMMON "\"GET /a.gif HTTP/1.0\" 200 2326", "", "GET", 200, 2326, 0, -1,
     -1, 971211336, ""},
    {"a quote that is kept does not end a field", "combined",
     COMMON "\"GET /\\\"x HTTP/1.1\" 404 - " AGENT, "", "GET", 404, 0, 0, -1, -1, 971211336,
     ""},
    {"what follows a format is passed over", "combined",
     COMMON "\"POST / HTTP/1.1\" 502 150 " AGENT " 0.5 more", "", "POST", 502, 150, 0, -1, -1,
     971211336, ""},
    {"a host before it", "vhost_combined",
     "www.example.org:443 " COMMON "\"GET / HTTP/1.1\" 200 1 " AGENT, "www.example.org", "GET",
     200, 1, 0, -1, -1, 971211336, ""},
    {"times of nginx", "nginx_timed", COMMON "\"GET / HTTP/1.1\" 200 1 " AGENT " 1.250 0.004",
     "", "GET", 200, 1, 0, 1.25, 0.004, 971211336, ""},
    {"several upstreams are asked in turn", "nginx_timed",
     COMMON "\"GET / HTTP/1.1\" 504 1 " AGENT " 61.001 60.000, 0.500 : -, 0.250", "", "GET",
     504, 1, 0, 61.001, 60.75, 971211336, ""},
    {"no upstream was asked", "nginx_timed",
     COMMON "\"GET / HTTP/1.1\" 304 0 " AGENT " 0.000 -", "", "GET", 304, 0, 0, 0, -1,
     971211336, ""},
    {"no request at all", "combined", COMMON "\"\\x16\\x03\\x01\" 400 150 " AGENT, "", "", 400,
     150, 0, -1, -1, 971211336, ""},
    {"nginx's own words, with a list before another field",
     "$host [$time_iso8601] $status ${request_length} $upstream_response_time \"$request\"",
     "a.example [2000-10-10T13:55:36-07:00] 201 77 0.1, 0.2 \"PUT /x HTTP/2.0\"", "a.example",
     "PUT", 201, 0, 77, -1, 0.3, 971211336, ""},
    {"nginx's as JSON", "{\"t\":$msec,\"h\":\"$host\",\"s\":$status,\"r\":$request_time}",
     "{\"t\":971211336.512,\"h\":\"b\",\"s\":200,\"r\":0.010}", "b", "", 200, 0, 0, 0.01, -1,
     971211336, ""},
    {"Apache's words", "%v %h %t \\\"%r\\\" %>s %O %{ms}T %I",
     "c.example 192.0.2.1 [10/Oct/2000:20:55:36 +0000] \"HEAD / HTTP/1.1\" 200 99 1500 12",
     "c.example", "HEAD", 200, 99, 12, 1.5, -1, 971211336, ""},
    {"Apache's microseconds", "%h %>s %D", "192.0.2.1 200 2500", "", "", 200, 0, 0, 0.0025, -1,
     0, ""},
    {"squid pads its numbers", "squid",
     "971211336.512     72 192.0.2.1 TCP_MISS/200 1013 GET http://example.org/ - "
     "HIER_DIRECT/192.0.2.9 text/html",
     "", "GET", 200, 1013, 0, 0.072, -1, 971211336, "TCP_MISS"},
    {"squid without an answer", "squid",
     "971211336.512      0 192.0.2.1 NONE/000 0 NONE error:transaction-end - HIER_NONE/- -", "",
     "NONE", 0, 0, 0, 0, -1, 971211336, "NONE"},
};

static void fields_are_what_the_server_meant(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const struct line_case *one = &lines[i];
        struct access_format format;
        struct access_hit hit;
        struct diagnosis why = {0};
        if (access_format_read(one->format, &format, &why) != 0)
            fail_msg("%s: %s", one->because, why.text);
        if (access_format_line(&format, bytes_of(one->line), &hit) != ACCESS_HIT)
            fail_msg("%s: not read", one->because);
        if (!bytes_equal(hit.vhost, bytes_of(one->vhost)) ||
            !bytes_equal(hit.method, bytes_of(one->method)) ||
            !bytes_equal(hit.result, bytes_of(one->result)) || hit.status != one->status ||
            hit.sent_bytes != one->sent || hit.received_bytes != one->received ||
            hit.ts_ms / 1000 != one->ts_s || hit.seconds < one->seconds - 1e-9 ||
            hit.seconds > one->seconds + 1e-9 || hit.upstream_seconds < one->upstream - 1e-9 ||
            hit.upstream_seconds > one->upstream + 1e-9)
            fail_msg("%s: status %u, %llu and %llu bytes, %g s, %g s, at %lld", one->because,
                     hit.status, (unsigned long long)hit.sent_bytes,
                     (unsigned long long)hit.received_bytes, hit.seconds, hit.upstream_seconds,
                     (long long)hit.ts_ms);
    }
}

static void lines_of_another_format_are_bad(void **state)
{
    static const char *const bad[][2] = {
        {"combined", COMMON "\"GET / HTTP/1.0\" 200 1"},
        {"combined", COMMON "\"GET / HTTP/1.0\" two 1 " AGENT},
        {"combined", COMMON "\"GET / HTTP/1.0\" 20 1 " AGENT},
        {"combined", COMMON "\"GET / HTTP/1.0\" 200 1a " AGENT},
        {"common", "192.0.2.7 - - [10/Foo/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 1"},
        {"common", "192.0.2.7 - - [10/Oct/2000:25:55:36 -0700] \"GET / HTTP/1.0\" 200 1"},
        {"common", "2000/10/10 13:55:36 [error] 7#7: *1 open() failed"},
        {"squid", "971211336.512 72 192.0.2.1 TCP_MISS 1013 GET http://example.org/ - - -"},
        {"iis", "2000-10-10 20:55:36 192.0.2.1 GET / 200"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct access_format format;
        struct access_hit hit;
        assert_int_equal(access_format_read(bad[i][0], &format, NULL), 0);
        if (access_format_line(&format, bytes_of(bad[i][1]), &hit) != ACCESS_BAD)
            fail_msg("taken: %s", bad[i][1]);
    }
}

static void formats_that_cannot_be_read_say_why(void **state)
{
    static const char *const bad[] = {"combind", "$host$status", "$host only", "%h %{x",
                                      "$",       "%h %>s %"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct access_format format;
        struct diagnosis why = {0};
        if (access_format_read(bad[i], &format, &why) != ERR_INVALID || why.text[0] == '\0')
            fail_msg("taken: %s", bad[i]);
    }
}

#define REQUESTS "logwatch_http_requests_total"

/* The value of metric{...}, labels as the world writes them: FOLDER/a.log stands for itself. */
static double value(const struct world *world, const char *format, const char *metric)
{
    char name[512], path[128];
    (void)world_path(world, "a.log", path);
    const char *at = strstr(format, "FILE");
    assert_non_null(at);
    (void)snprintf(name, sizeof name, "%s{%.*s%s%s}", metric, (int)(at - format), format, path,
                   at + 4);
    for (size_t i = 0; i < world->out->series_count; i++)
        if (strcmp(world->out->series[i].name, name) == 0)
            return world->out->series[i].value;
    return -2;
}

static size_t count_series(const struct world *world, const char *start)
{
    size_t count = 0;
    for (size_t i = 0; i < world->out->series_count; i++)
        count += strncmp(world->out->series[i].name, start, strlen(start)) == 0;
    return count;
}

static void requests_are_counted_by_host_method_and_status(void **state)
{
    (void)state;
    struct world world;
    world_make(&world,
               "a.log\n    format: '$host \"$request\" $status $bytes_sent $request_time'"
               "\n    send: errors");
    world_append(&world, "a.log",
                 "A.example:8080 \"GET / HTTP/1.1\" 200 10 0.004\n"
                 "a.example \"GET / HTTP/1.1\" 200 20 0.3\n"
                 "a.example \"GET /b HTTP/1.1\" 503 5 61\n"
                 "b.example \"BREW / HTTP/1.1\" 418 1 -\n"
                 "no access line\n");
    world_start(&world);
    world_ticks(&world, 2);
    assert_true(value(&world, "code=200,file=FILE,method=GET,vhost=a.example", REQUESTS) == 2);
    assert_true(value(&world, "code=503,file=FILE,method=GET,vhost=a.example", REQUESTS) == 1);
    assert_true(value(&world, "code=418,file=FILE,method=other,vhost=b.example", REQUESTS) ==
                1);
    assert_true(
        value(&world, "file=FILE,vhost=a.example", "logwatch_http_response_bytes_total") == 35);
    const char *bucket = "logwatch_http_request_duration_seconds_bucket";
    assert_true(value(&world, "file=FILE,le=0.005,vhost=a.example", bucket) == 1);
    assert_true(value(&world, "file=FILE,le=0.5,vhost=a.example", bucket) == 2);
    assert_true(value(&world, "file=FILE,le=60,vhost=a.example", bucket) == 2);
    assert_true(value(&world, "file=FILE,le=+Inf,vhost=a.example", bucket) == 3);
    assert_true(value(&world, "file=FILE,vhost=a.example",
                      "logwatch_http_request_duration_seconds_sum") > 61.3);
    assert_true(value(&world, "file=FILE", "logwatch_http_unparsed_lines_total") == 1);
    assert_true(world_value(&world, "logwatch_lines_total", ",severity=error") == 1);
    assert_true(world_value(&world, "logwatch_lines_total", ",severity=warning") == 1);
    world_assert_stored(&world, "a.example \"GET /b HTTP/1.1\" 503 5 61\n");
    world_done(&world);
}

static void what_clients_make_up_stays_bounded(void **state)
{
    (void)state;
    struct world world;
    char line[128];
    world_make(&world, "a.log\n    format: '$host \"$request\" $status'\n    send: none");
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(line, sizeof line, "h%d.example \"GET / HTTP/1.1\" %d\n", i,
                       100 + i % 900);
        world_append(&world, "a.log", line);
    }
    world_append(&world, "a.log", "<script> \"GET / HTTP/1.1\" 200\n");
    world_append(&world, "a.log", "13800138000 \"GET / HTTP/1.1\" 200\n");
    world_start(&world);
    world_ticks(&world, 3);
    assert_true(count_series(&world, "logwatch_http_response_bytes_total") ==
                ACCESS_VHOSTS_MAX + 1);
    assert_true(count_series(&world, REQUESTS) <= ACCESS_CELLS_MAX + ACCESS_VHOSTS_MAX + 1);
    double sum = 0;
    for (size_t i = 0; i < world.out->series_count; i++)
        if (strncmp(world.out->series[i].name, REQUESTS, strlen(REQUESTS)) == 0)
            sum += world.out->series[i].value;
    assert_true(sum == 3002);
    assert_true(value(&world, "code=other,file=FILE,method=other,vhost=other", REQUESTS) >
                1000);
    assert_true(world_value(&world, "logwatch_lines_total", ",severity=error") > 0);
    world_assert_stored(&world, "");
    world_done(&world);
}

static void named_hosts_alone_count_by_name_and_numbers_are_masked(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "*.log\n    format: '$host $status'\n    send: none\n"
                       "    vhosts: [A.example, 13800138000]");
    world_append(&world, "a.log", "b.example 200\na.example 200\n13800138000 200\n");
    world_start(&world);
    world_ticks(&world, 2);
    assert_true(value(&world, "code=200,file=FILE,vhost=a.example", REQUESTS) == 1);
    assert_true(value(&world, "code=200,file=FILE,vhost=other", REQUESTS) == 1);
    assert_true(count_series(&world, REQUESTS) == 3);
    for (size_t i = 0; i < world.out->series_count; i++)
        assert_null(strstr(world.out->series[i].name, "13800138000"));
    world_done(&world);
}

#define HEAD_ONE                                                                               \
    "#Software: IIS\r\n#Fields: date time cs-method sc-status cs-host time-taken\r\n"
#define HEAD_TWO "#Fields: date time s-sitename sc-status sc-bytes cs-method\r\n"

static void columns_are_those_above_the_line(void **state)
{
    (void)state;
    struct world world;
    const char *last = "logwatch_http_last_request_timestamp_seconds";
    world_make(&world, "a.log\n    format: iis\n    send: none");
    world_append(&world, "a.log",
                 HEAD_ONE "2000-10-10 20:55:36 GET 200 w1 15\r\n" HEAD_TWO
                          "2000-10-10 20:55:37 W3SVC1 500 77 POST\r\n");
    world_start(&world);
    world_ticks(&world, 6);
    assert_true(value(&world, "code=200,file=FILE,method=GET,vhost=w1", REQUESTS) == 1);
    assert_true(value(&world, "code=500,file=FILE,method=POST,vhost=w3svc1", REQUESTS) == 1);
    assert_true(value(&world, "file=FILE", last) == 971211337);
    /* After a restart in the middle of the file the columns are found again; */
    world_kill(&world);
    world_append(&world, "a.log", "2000-10-10 20:55:38 W3SVC1 404 1 GET\r\n");
    world.out->series_count = 0;
    world_start(&world);
    world_ticks(&world, 2);
    assert_true(value(&world, "code=404,file=FILE,method=GET,vhost=w3svc1", REQUESTS) == 1);
    assert_true(value(&world, "file=FILE", "logwatch_http_unparsed_lines_total") == 0);
    /* and the next file has its own. */
    world_move(&world, "a.log", "a.log.1");
    world_append(&world, "a.log", HEAD_ONE "2000-10-10 20:55:39 GET 204 w2 15\r\n");
    world_append(&world, "a.log.1", "2000-10-10 20:55:38 W3SVC1 405 1 GET\r\n");
    world_ticks(&world, 2);
    assert_true(value(&world, "code=405,file=FILE,method=GET,vhost=w3svc1", REQUESTS) == 1);
    assert_true(value(&world, "code=204,file=FILE,method=GET,vhost=w2", REQUESTS) == 1);
    assert_true(value(&world, "file=FILE", "logwatch_http_unparsed_lines_total") == 0);
    world_done(&world);
}

static void columns_are_found_in_what_was_compressed(void **state)
{
    (void)state;
    struct world world;
    char path[128], command[200];
    world_make(&world, "a.log\n    format: iis\n    send: none");
    world_append(&world, "a.log", HEAD_ONE "2000-10-10 20:55:36 GET 200 w1 15\r\n");
    world_start(&world);
    world_ticks(&world, 6);
    world_kill(&world);
    world_append(&world, "a.log", "2000-10-10 20:55:37 GET 404 w1 15\r\n");
    world_move(&world, "a.log", "a.log.1");
    (void)snprintf(command, sizeof command, "gzip %s", world_path(&world, "a.log.1", path));
    assert_int_equal(system(command), 0);
    world_append(&world, "a.log", HEAD_TWO);
    world.out->series_count = 0;
    world_start(&world);
    world_ticks(&world, 6);
    assert_true(value(&world, "code=404,file=FILE,method=GET,vhost=w1", REQUESTS) == 1);
    assert_true(value(&world, "file=FILE", "logwatch_http_unparsed_lines_total") == 0);
    world_done(&world);
}

static void httperr_tells_reasons(void **state)
{
    (void)state;
    struct world world;
    const char *results = "logwatch_http_results_total";
    world_make(&world, "a.log\n    format: httperr");
    world_append(
        &world, "a.log",
        "#Software: Microsoft HTTP API 2.0\r\n#Version: 1.0\r\n#Date: 2026-03-01 00:00:00\r\n"
        "#Fields: date time c-ip c-port s-ip s-port cs-version cs-method cs-uri sc-status "
        "s-siteid s-reason s-queuename\r\n"
        "2026-03-01 00:00:01 192.0.2.9 5123 192.0.2.1 80 - - - - - Timer_ConnectionIdle -\r\n"
        "2026-03-01 00:00:02 192.0.2.9 5124 192.0.2.1 80 HTTP/1.1 GET /x 503 1 AppOffline "
        "DefaultAppPool\r\n");
    world_start(&world);
    world_ticks(&world, 2);
    assert_true(value(&world, "file=FILE,result=Timer_ConnectionIdle", results) == 1);
    assert_true(value(&world, "file=FILE,result=AppOffline", results) == 1);
    assert_true(value(&world, "code=503,file=FILE,method=GET,vhost=1", REQUESTS) == 1);
    world_done(&world);
}

static void what_the_tick_refused_counts_once(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log\n    format: '$host $status'");
    world_start(&world);
    for (int i = 0; i < 2000; i++)
        world_append(&world, "a.log", "a.example 200\n");
    world.out->room = 5000;
    for (int i = 0; i < 20; i++) {
        world_ticks(&world, 1);
        assert_true(value(&world, "code=200,file=FILE,vhost=a.example", REQUESTS) ==
                    world_value(&world, "logwatch_lines_total", ",severity=info"));
    }
    assert_true(value(&world, "code=200,file=FILE,vhost=a.example", REQUESTS) == 2000);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_what_the_server_meant),
        cmocka_unit_test(lines_of_another_format_are_bad),
        cmocka_unit_test(formats_that_cannot_be_read_say_why),
        cmocka_unit_test(requests_are_counted_by_host_method_and_status),
        cmocka_unit_test(what_clients_make_up_stays_bounded),
        cmocka_unit_test(named_hosts_alone_count_by_name_and_numbers_are_masked),
        cmocka_unit_test(columns_are_those_above_the_line),
        cmocka_unit_test(columns_are_found_in_what_was_compressed),
        cmocka_unit_test(httperr_tells_reasons),
        cmocka_unit_test(what_the_tick_refused_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
