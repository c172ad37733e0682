/* test_zmq_part.c - messages of several parts stay whole, however often their thread is interrupted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "proto/wire/zmq_part.h"
#include "tests/unit/signal_storm.h"

#define SIGNALS  1000
#define MESSAGES 30000
#define PARTS    5

static void parts_stay_together_amid_signals(void **state)
{
    (void)state;
    void *context = zmq_ctx_new();
    void *from = zmq_socket(context, ZMQ_PAIR);
    void *to = zmq_socket(context, ZMQ_PAIR);
    const int no_limit = 0; /* a send that finds no room tells so at once */
    assert_int_equal(zmq_setsockopt(from, ZMQ_SNDHWM, &no_limit, sizeof no_limit), 0);
    assert_int_equal(zmq_setsockopt(to, ZMQ_RCVHWM, &no_limit, sizeof no_limit), 0);
    assert_int_equal(zmq_bind(to, "inproc://parts"), 0);
    assert_int_equal(zmq_connect(from, "inproc://parts"), 0);
    signal_storm_begin();
    for (int n = 0; n < MESSAGES || signal_storm_heard() < SIGNALS; n++) {
        for (int part = 0; part < PARTS; part++)
            assert_int_equal(
                zmq_part_send(from, &n, sizeof n,
                              (part + 1 < PARTS ? ZMQ_SNDMORE : 0) | ZMQ_DONTWAIT),
                sizeof n);
        for (int part = 0; part < PARTS; part++) {
            zmq_msg_t message;
            int number = -1;
            (void)zmq_msg_init(&message);
            if (part == 0) {
                assert_int_equal(zmq_part_receive_into(to, &number, sizeof number), sizeof number);
            } else {
                assert_int_equal(zmq_part_receive(to, &message), sizeof number);
                memcpy(&number, zmq_msg_data(&message), sizeof number);
                assert_int_equal(zmq_msg_more(&message), part + 1 < PARTS);
            }
            assert_int_equal(number, n);
            (void)zmq_msg_close(&message);
        }
    }
    signal_storm_end();
    (void)zmq_close(from);
    (void)zmq_close(to);
    (void)zmq_ctx_term(context);
}

static void who_has_nothing_is_not_waited_for(void **state)
{
    (void)state;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PAIR);
    zmq_msg_t message;
    char byte;
    assert_int_equal(zmq_bind(socket, "inproc://nobody"), 0);
    (void)zmq_msg_init(&message);
    assert_true(zmq_part_receive(socket, &message) < 0 && zmq_errno() == EAGAIN);
    assert_true(zmq_part_receive_into(socket, &byte, 1) < 0 && zmq_errno() == EAGAIN);
    assert_true(zmq_part_send(socket, "x", 1, ZMQ_DONTWAIT) < 0 && zmq_errno() == EAGAIN);
    (void)zmq_msg_close(&message);
    (void)zmq_close(socket);
    (void)zmq_ctx_term(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_stay_together_amid_signals),
        cmocka_unit_test(who_has_nothing_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
