/*
 * test_source_ask.c - services asked in their own language: what recorded answers mean, what
 * is no answer, and which targets are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/source/ask_dialects.h"
#include "probe/source/json_walk.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

struct heard {
    struct emitter *out;
};

static int hear(void *context, const struct exposition_sample *sample, struct diagnosis *why)
{
    struct heard *heard = context;
    char name[256], help[1024];
    (void)why;
    (void)snprintf(name, sizeof name, "%.*s", (int)sample->name.size,
                   (const char *)sample->name.data);
    (void)snprintf(help, sizeof help, "%.*s", (int)sample->family->help.size,
                   (const char *)sample->family->help.data);
    const struct metric metric = {name, sample->family->type, help, NULL};
    emit(heard->out, emitter_series(heard->out, &metric, sample->labels, sample->label_count),
         sample->value);
    return 0;
}

/* Parses an answer; the login's password is "p" where the dialect was asked with one. */
static int parse(const struct ask_dialect *dialect, struct bytes answer, size_t page,
                 bool has_login, struct emitter *recorder, struct diagnosis *why)
{
    struct heard heard = {recorder};
    const struct ask_login login = {NULL, has_login ? "p" : NULL};
    struct ask_out out = {
        .take = hear, .context = &heard, .why = why, .now_ms = INT64_C(1700000000000)};
    return dialect->parse(answer, page, &login, &out, why);
}

/* What real servers have said, as the fuzzer has it: one byte, then the answer. */
static const struct recorded_case {
    const char *file;
    const struct ask_dialect *dialect;
    struct {
        const char *series;
        double value;
    } expected[10];
} recorded_cases[] = {
    {"nginx",
     &ask_dialect_nginx,
     {{"nginx_connections_active", 1}, {"nginx_connections_waiting", 0}}},
    {"squid_counters",
     &ask_dialect_squid,
     {{"squid_client_http_hits_total", 0}, {"squid_swap_files_cleaned_total", 0}}},
    {"squid_info",
     &ask_dialect_squid,
     {{"squid_info_Maximum_number_of_file_descriptors", 1024},
      {"squid_info_Available_number_of_file_descriptors", 1016},
      {"squid_info_Hits_as_pct_of_all_requests_60min", 0},
      {"squid_info_StoreEntries", 52},
      {"squid_info_on_disk_objects", 0}}},
    {"squid_service_times",
     &ask_dialect_squid,
     {{"squid_HTTP_Requests_All_95", 0}, {"squid_HTTP_Requests_All_5", 0}}},
    {"memcached",
     &ask_dialect_memcached,
     {{"memcached_limit_bytes", 67108864},
      {"memcached_max_connections", 1024},
      {"memcached_commands_total{command=\"set\",status=\"hit\"}", 2},
      {"memcached_malloced_bytes", 2097152},
      {"memcached_slab_chunk_size_bytes{slab=\"15\"}", 2320},
      {"memcached_slab_mem_requested_bytes{slab=\"1\"}", 65},
      {"memcached_slab_lru_hits_total{lru=\"hot\",slab=\"1\"}", 2},
      {"memcached_slab_commands_total{command=\"get\",slab=\"15\",status=\"hit\"}", 1},
      {"memcached_slab_commands_total{command=\"set\",slab=\"15\",status=\"hit\"}", 1},
      {"memcached_version{version=\"1.6.18\"}", 1}}},
    {"redis",
     &ask_dialect_redis,
     {{"redis_rdb_last_bgsave_status", 1},
      {"redis_config_maxclients", 10000},
      {"redis_slowlog_length", 0},
      {"redis_errors_total{err=\"NOAUTH\"}", 6},
      {"redis_memory_max_bytes", 0}}},
    {"redis_replica",
     &ask_dialect_redis,
     {{"redis_master_link_up{master_host=\"10.0.0.5\",master_port=\"6379\"}", 0},
      {"redis_slave_info{master_host=\"10.0.0.5\",master_port=\"6379\",read_only=\"1\"}", 1},
      {"redis_connected_slave_lag_seconds{slave_ip=\"10.0.0.7\",slave_port=\"6380\",slave_"
       "state=\"online\"}",
       1},
      {"redis_db_keys{db=\"db0\"}", 5},
      {"redis_db_avg_ttl_seconds{db=\"db0\"}", 1.5}}},
    {"jvm",
     &ask_dialect_jvm,
     {{"jvm_memory_used_bytes{area=\"heap\"}", 31457280},
      {"jvm_memory_bytes_used{area=\"heap\"}", 31457280},
      {"jvm_memory_max_bytes{area=\"nonheap\"}", -1},
      {"jvm_memory_pool_used_bytes{pool=\"CodeHeap 'non-nmethods'\"}", 6},
      {"jvm_memory_pool_collection_used_bytes{pool=\"G1 Old Gen\"}", 5},
      {"jvm_gc_collection_seconds_sum{gc=\"G1 Young Generation\"}", 1.5},
      {"jvm_threads_deadlocked", 2},
      {"process_start_time_seconds", 1700000000},
      {"jvm_runtime_info{runtime=\"OpenJDK 64-Bit Server "
       "VM\",vendor=\"Debian\",version=\"17.0.9+9\"}",
       1}}},
};

static void what_real_servers_say_has_the_exporters_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof recorded_cases / sizeof *recorded_cases; i++) {
        const struct recorded_case *c = &recorded_cases[i];
        struct emitter *recorder = recorder_new();
        struct diagnosis why = {0};
        char path[512], *text;
        size_t size;
        (void)snprintf(path, sizeof path, CORPUS "/source_ask/%s", c->file);
        assert_int_equal(file_read_whole(path, 65536, &text, &size, &why), 0);
        struct bytes answer = {(const uint8_t *)text + 1, size - 1};
        bool has_login = (text[0] & 1) != 0;
        if (c->dialect->whole != NULL) {
            assert_int_equal(c->dialect->whole(answer, has_login), 1);
            for (size_t cut = 0; cut + 16 < answer.size; cut += 13)
                assert_int_equal(c->dialect->whole((struct bytes){answer.data, cut}, has_login),
                                 0);
        }
        recorder_tick(recorder);
        int error = parse(c->dialect, answer, text[0] >> 1 & 7, has_login, recorder, &why);
        if (error != 0)
            fail_msg("%s: %s", c->file, why.text);
        for (size_t k = 0; k < 10 && c->expected[k].series != NULL; k++) {
            double value = recorder_value(recorder, c->expected[k].series);
            if (!(fabs(value - c->expected[k].value) < 1e-9))
                fail_msg("%s: %s is %g, not %g", c->file, c->expected[k].series, value,
                         c->expected[k].value);
        }
        free(text);
        recorder_free(recorder);
    }
}

static const struct bad_case {
    const char *because;
    const struct ask_dialect *dialect;
    const char *answer;
    bool has_login;
    int error;
    const char *says;
} bad_cases[] = {
    {"another page of nginx", &ask_dialect_nginx, "<html>Welcome to nginx!</html>", false,
     ERR_MALFORMED, "stub_status"},
    {"a page cut off", &ask_dialect_nginx,
     "Active connections: 2\nserver accepts handled requests\n 1 1", false, ERR_MALFORMED,
     "stub_status"},
    {"another page below a proxy", &ask_dialect_squid, "<html>", false, ERR_MALFORMED,
     "cache manager"},
    {"a password is wanted", &ask_dialect_redis,
     "-NOAUTH Authentication required.\r\n-NOAUTH x\r\n-NOAUTH x\r\n", false, ERR_REFUSED,
     "NOAUTH Authentication required."},
    {"a wrong password", &ask_dialect_redis,
     "-WRONGPASS invalid\r\n-NOAUTH x\r\n-NOAUTH x\r\n-NOAUTH x\r\n", true, ERR_REFUSED,
     "AUTH: the server says: WRONGPASS"},
    {"a server in trouble", &ask_dialect_memcached, "SERVER_ERROR out of memory\r\nEND\r\n",
     false, ERR_REFUSED, "out of memory"},
    {"memcached wants a password", &ask_dialect_memcached,
     "CLIENT_ERROR unauthenticated\r\nCLIENT_ERROR unauthenticated\r\n", false, ERR_REFUSED,
     "unauthenticated"},
    {"an answer cut off", &ask_dialect_memcached, "STAT uptime 5\r\nEND\r\nSTAT maxco", false,
     ERR_MALFORMED, "cut off"},
    {"no JSON", &ask_dialect_jvm, "<html>", false, ERR_MALFORMED, "no JSON"},
    {"the agent's policy", &ask_dialect_jvm, "{\"error\":\"not \\u00fcberall\",\"status\":403}",
     false, ERR_REFUSED,
     "not \xc3\xbc"
     "berall"},
    {"JSON of something else", &ask_dialect_jvm, "[1, 2, {\"value\": {\"a\": 1}}]", false,
     ERR_MALFORMED, "no bean"},
    {"nested without end", &ask_dialect_jvm, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", false, ERR_LIMIT,
     "no JSON"},
};

static void what_is_no_answer_says_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof *bad_cases; i++) {
        const struct bad_case *c = &bad_cases[i];
        struct emitter *recorder = recorder_new();
        struct diagnosis why = {0};
        int error = parse(c->dialect, bytes_of(c->answer), 0, c->has_login, recorder, &why);
        if (error != c->error || strstr(why.text, c->says) == NULL)
            fail_msg("%s: %s, \"%s\"", c->because, error_text(error), why.text);
        recorder_free(recorder);
    }
}

static void a_line_protocol_that_is_another_one_ends_at_once(void **state)
{
    (void)state;
    assert_int_equal(ask_dialect_redis.whole(bytes_of("HTTP/1.1 400 Bad\r\n"), false),
                     ERR_MALFORMED);
    assert_int_equal(ask_dialect_memcached.whole(bytes_of("-ERR unknown\r\n"), false),
                     ERR_MALFORMED);
    assert_int_equal(ask_dialect_redis.whole(bytes_of("$99999999999\r\n"), false),
                     ERR_MALFORMED);
    assert_int_equal(ask_dialect_redis.whole(bytes_of("*-1\r\n$-1\r\n:1\r\n"), false), 1);
}

/* `yaml` is the inside of a target's map; `secret` a file of the tree, or NULL. */
static int start(const struct fake_tree *tree, const char *name, const char *inside,
                 const char *secret, struct diagnosis *why)
{
    char yaml[512];
    struct running_source running;
    struct emitter *recorder = recorder_new();
    if (secret != NULL)
        (void)snprintf(yaml, sizeof yaml, "{%s, password_file: '%s/%s'}", inside, tree->root,
                       secret);
    else
        (void)snprintf(yaml, sizeof yaml, "{%s}", inside);
    int error =
        running_source_start(&running, source_find(name), tree->root, yaml, recorder, why);
    if (error == 0)
        assert_true(recorder_series(recorder) >= 5);
    running_source_stop(&running);
    recorder_free(recorder);
    return error;
}

static void targets_that_cannot_be_asked_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *source, *inside, *secret, *says;
    } cases[] = {
        {"redis", "url: 'http://127.0.0.1:6379'", NULL, "expected redis://HOST:PORT"},
        {"redis", "url: 'redis://user:secret@127.0.0.1'", NULL, "password_file"},
        {"redis", "url: 'redis://127.0.0.1/5'", NULL, "a path says nothing to redis"},
        {"redis", "url: 'redis://127.0.0.1', user: a", NULL, "needs a password_file"},
        {"redis", "url: 'redis://127.0.0.1'", "loose", "chmod 600"},
        {"redis", "url: 'redis://127.0.0.1'", "lines", "one line"},
        {"nginx", "url: 'https://127.0.0.1/'", NULL, "expected http://"},
        {"nginx", "url: 'http://127.0.0.1:0/'", NULL, "bad port"},
        {"jvm", "url: 'http://127.0.0.1', job: a, labels: {job: b}", NULL, "labels.job"},
        {"squid", "job: squid", NULL, "url"},
        {"redis", "url: 'unix:redis.sock'", NULL, "expected unix:/PATH"},
        {"nginx", "url: 'unix:/run/n.sock:/stub status'", NULL, "a character that no path"},
        {"memcached",
         "url: 'unix:/a23456789/b23456789/c23456789/d23456789/e23456789/f23456789/g23456789/"
         "h23456789/i23456789/j23456789/k2345678'",
         NULL, "at most 107 bytes"},
    };
    struct fake_tree tree;
    char path[128];
    (void)state;
    fake_tree_make(&tree);
    fake_tree_write(&tree, "loose", "secret\n");
    fake_tree_write(&tree, "lines", "secret\nmore\n");
    fake_tree_write(&tree, "good", "secret\n");
    (void)snprintf(path, sizeof path, "%s/loose", tree.root);
    assert_int_equal(chmod(path, 0640), 0);
    (void)snprintf(path, sizeof path, "%s/lines", tree.root);
    assert_int_equal(chmod(path, 0600), 0);
    (void)snprintf(path, sizeof path, "%s/good", tree.root);
    assert_int_equal(chmod(path, 0600), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct diagnosis why = {0};
        int error = start(&tree, cases[i].source, cases[i].inside, cases[i].secret, &why);
        if (error == 0 || strstr(why.text, cases[i].says) == NULL)
            fail_msg("%s: %s: \"%s\"", cases[i].source, cases[i].inside, why.text);
    }
    struct diagnosis why = {0};
    assert_int_equal(start(&tree, "redis", "url: 'unix:/run/redis:6379.sock'", NULL, &why), 0);
    assert_int_equal(start(&tree, "nginx", "url: 'unix:/run/nginx.sock:/status'", NULL, &why),
                     0);
    assert_int_equal(start(&tree, "redis", "url: 'redis://[::1]', user: u", "good", &why), 0);
    assert_int_equal(start(&tree, "squid", "url: 'cache_object://127.0.0.1:3128'", NULL, &why),
                     0);
    assert_int_equal(
        start(&tree, "memcached", "url: 'memcached://127.0.0.1', user: u", "good", &why), 0);
    fake_tree_done(&tree);
}

static bool begins(const struct buf *out, const char *text)
{
    return out->size >= strlen(text) && memcmp(out->data, text, strlen(text)) == 0;
}

static void a_login_goes_out_as_the_service_wants_it(void **state)
{
    const struct ask_login named = {"u", "pass"}, unnamed = {NULL, "pass"};
    struct buf out = {0};
    (void)state;
    ask_dialect_redis.request(&out, &named);
    assert_true(begins(&out, "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$4\r\npass\r\n*2\r\n"));
    buf_clear(&out);
    ask_dialect_redis.request(&out, &unnamed);
    assert_true(begins(&out, "*2\r\n$4\r\nAUTH\r\n$4\r\npass\r\n*2\r\n"));
    buf_clear(&out);
    ask_dialect_memcached.request(&out, &named);
    assert_true(begins(&out, "set login 0 0 6\r\nu pass\r\nstats\r\n"));
    buf_done(&out);
}

static int count_scalar(void *context, const struct json_walk *walk)
{
    size_t *count = context;
    (void)walk;
    return ++*count == 4 ? ERR_REFUSED : 0;
}

static void json_is_walked_from_left_to_right(void **state)
{
    static const struct {
        const char *text;
        int error;
        size_t scalars;
    } cases[] = {
        {"1", 0, 1},
        {" {} ", 0, 0},
        {"{\"a\":[],\"b\":[true,null]}", 0, 2},
        {"[1,2,3,4,5]", ERR_REFUSED, 4},
        {"[1,]", ERR_MALFORMED, 1},
        {"{\"a\" 1}", ERR_MALFORMED, 0},
        {"[1 2]", ERR_MALFORMED, 1},
        {"[\"a\nb\"]", ERR_MALFORMED, 0},
        {"[\"\\x\"]", ERR_MALFORMED, 0},
        {"[1}", ERR_MALFORMED, 1},
        {"1 2", ERR_MALFORMED, 1},
        {"", ERR_MALFORMED, 0},
        {"[\"\\ud83d\\ude00\", \"\\ud83d\"]", 0, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_walk walk;
        size_t count = 0;
        int error = json_walk(&walk, span_text(cases[i].text), count_scalar, &count);
        if (error != cases[i].error || count != cases[i].scalars)
            fail_msg("%s: %d, %zu", cases[i].text, error, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_real_servers_say_has_the_exporters_names),
        cmocka_unit_test(what_is_no_answer_says_why),
        cmocka_unit_test(a_line_protocol_that_is_another_one_ends_at_once),
        cmocka_unit_test(targets_that_cannot_be_asked_are_refused_with_a_reason),
        cmocka_unit_test(a_login_goes_out_as_the_service_wants_it),
        cmocka_unit_test(json_is_walked_from_left_to_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
