/* test_zap.c - every question is answered, and by one whole answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/ingest/zap.h"
#include "proto/wire/zmq_part.h"
#include "tests/unit/signal_storm.h"

#define SIGNALS   1000
#define QUESTIONS 20000

static bool is_not_seven(void *context, const uint8_t key[CURVE_KEY_BYTES])
{
    (void)context;
    return key[0] != 7;
}

static void ask(void *client, const char *id, const char *mechanism,
                const uint8_t key[CURVE_KEY_BYTES])
{
    const char *const texts[] = {"", "1.0", id, "global", "127.0.0.1", "", mechanism};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_true(zmq_part_send(client, texts[i], strlen(texts[i]), ZMQ_SNDMORE) >= 0);
    assert_int_equal(zmq_part_send(client, key, CURVE_KEY_BYTES, 0), CURVE_KEY_BYTES);
}

static void expect(void *client, const char *id, const char *status, size_t user_bytes)
{
    static const int more[] = {1, 1, 1, 1, 1, 1, 0};
    for (size_t i = 0; i < 7; i++) {
        const char *wanted = i == 1 ? "1.0" : i == 2 ? id : i == 3 ? status : NULL;
        zmq_msg_t message;
        (void)zmq_msg_init(&message);
        const int size = zmq_part_receive(client, &message);
        if (size < 0)
            fail_msg("%s: no part %zu", id, i);
        if (wanted != NULL && (strlen(wanted) != (size_t)size ||
                               memcmp(zmq_msg_data(&message), wanted, strlen(wanted)) != 0))
            fail_msg("%s: part %zu is %.*s", id, i, size, (const char *)zmq_msg_data(&message));
        if (i == 5)
            assert_int_equal(size, user_bytes);
        assert_int_equal(zmq_msg_more(&message), more[i]);
        (void)zmq_msg_close(&message);
    }
}

static void all_are_answered_amid_signals(void **state)
{
    (void)state;
    uint8_t key[CURVE_KEY_BYTES] = {0};
    void *context = zmq_ctx_new();
    void *server = zmq_socket(context, ZMQ_REP);
    void *client = zmq_socket(context, ZMQ_DEALER);
    assert_int_equal(zmq_bind(server, "inproc://zap"), 0);
    assert_int_equal(zmq_connect(client, "inproc://zap"), 0);
    signal_storm_begin();
    for (int n = 0; n < QUESTIONS || signal_storm_heard() < SIGNALS; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", n);
        key[0] = (uint8_t)(n % 11);
        ask(client, id, n % 13 == 0 ? "PLAIN" : "CURVE", key);
        zap_answer(server, is_not_seven, NULL);
        if (n % 13 == 0 || key[0] == 7)
            expect(client, id, "400", 0);
        else
            expect(client, id, "200", ZAP_USER_BYTES - 1);
    }
    signal_storm_end();
    (void)zmq_close(client);
    (void)zmq_close(server);
    (void)zmq_ctx_term(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_answered_amid_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
