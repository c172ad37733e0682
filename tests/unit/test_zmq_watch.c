/*
 * test_zmq_watch.c - no message is left waiting, and one busy peer starves nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <zmq.h>

#include "proto/base/error.h"
#include "proto/wire/zmq_watch.h"
#include "tests/unit/signal_storm.h"

#define MESSAGES        1000
#define MESSAGES_A_REST 7
#define SIGNALS         1000
#define ASKED           100000
#define PATIENCE_MS     20000

struct peer {
    struct zmq_watch watch;
    uv_timer_t patience;
    uv_timer_t ticker;
    void *context, *collector, *probe;
    int received;
    int ticks;
    int rest_count;
    bool rests;
    bool is_struck;
    bool out_of_patience;
};

static void setup_sockets(struct peer *peer)
{
    char endpoint[64];
    size_t size = sizeof endpoint;
    int high_water = 100 * MESSAGES; /* no send may have to wait */

    peer->context = zmq_ctx_new();
    peer->collector = zmq_socket(peer->context, ZMQ_PAIR);
    peer->probe = zmq_socket(peer->context, ZMQ_PAIR);
    assert_true(peer->collector != NULL && peer->probe != NULL);
    assert_int_equal(
        zmq_setsockopt(peer->collector, ZMQ_SNDHWM, &high_water, sizeof high_water), 0);
    assert_int_equal(
        zmq_setsockopt(peer->collector, ZMQ_RCVHWM, &high_water, sizeof high_water), 0);
    assert_int_equal(zmq_setsockopt(peer->probe, ZMQ_SNDHWM, &high_water, sizeof high_water),
                     0);
    assert_int_equal(zmq_bind(peer->collector, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(peer->collector, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    assert_int_equal(zmq_connect(peer->probe, endpoint), 0);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(zmq_send(peer->probe, &i, sizeof i, 0), sizeof i);
}

static void close_sockets(struct peer *peer)
{
    int no_linger = 0;
    (void)zmq_setsockopt(peer->collector, ZMQ_LINGER, &no_linger, sizeof no_linger);
    (void)zmq_setsockopt(peer->probe, ZMQ_LINGER, &no_linger, sizeof no_linger);
    (void)zmq_close(peer->collector);
    (void)zmq_close(peer->probe);
    (void)zmq_ctx_term(peer->context);
}

static void stop(struct peer *peer)
{
    zmq_watch_stop(&peer->watch);
    uv_close((uv_handle_t *)&peer->patience, NULL);
    uv_close((uv_handle_t *)&peer->ticker, NULL);
}

static void lose_patience(uv_timer_t *timer)
{
    struct peer *peer = timer->data;
    peer->out_of_patience = true;
    stop(peer);
}

static void tick(uv_timer_t *timer)
{
    struct peer *peer = timer->data;
    peer->ticks++;
}

/* Receives one and sends one: the send is what eats the next edge. */
static void receive_and_answer(struct zmq_watch *watch)
{
    struct peer *peer = watch->data;
    int number = -1;

    assert_int_equal(zmq_recv(watch->socket, &number, sizeof number, ZMQ_DONTWAIT),
                     sizeof number);
    assert_int_equal(number, peer->received);
    peer->received++;
    assert_int_equal(zmq_send(watch->socket, &number, sizeof number, ZMQ_DONTWAIT),
                     sizeof number);
    if (peer->received == MESSAGES)
        stop(peer);
}

/* A peer that never falls silent: every message is put back in the queue. */
static void receive_and_ask_again(struct zmq_watch *watch)
{
    struct peer *peer = watch->data;
    int number = -1;

    assert_int_equal(zmq_recv(watch->socket, &number, sizeof number, ZMQ_DONTWAIT),
                     sizeof number);
    assert_int_equal(zmq_send(peer->probe, &number, sizeof number, ZMQ_DONTWAIT),
                     sizeof number);
    peer->received++;
    /* However slow the machine: the timer went on while more than one turn's worth came in. */
    if (peer->ticks >= 20 && peer->received > ZMQ_WATCH_BUDGET)
        stop(peer);
}

static void go_on(uv_timer_t *timer)
{
    struct peer *peer = timer->data;
    peer->rests = false;
    zmq_watch_rest(&peer->watch, false);
}

/* Rests again and again, and goes on by a timer that fires once: nothing else wakes the loop. */
static void receive_and_rest(struct zmq_watch *watch)
{
    struct peer *peer = watch->data;
    assert_false(peer->rests);
    receive_and_answer(watch);
    if (peer->received % MESSAGES_A_REST != 0 || peer->received == MESSAGES)
        return;
    peer->rests = true;
    peer->rest_count++;
    zmq_watch_rest(watch, true);
    assert_int_equal(uv_timer_start(&peer->ticker, go_on, 1, 0), 0);
}

static void receive_amid_signals(struct zmq_watch *watch)
{
    struct peer *peer = watch->data;
    int number = -1;

    if (!peer->is_struck)
        signal_storm_begin(); /* while the socket is asked, again and again */
    peer->is_struck = true;
    if (zmq_recv(watch->socket, &number, sizeof number, ZMQ_DONTWAIT) < 0)
        return; /* interrupted, and asked again */
    while (zmq_send(peer->probe, &number, sizeof number, ZMQ_DONTWAIT) < 0)
        assert_int_equal(zmq_errno(), EINTR);
    peer->received++;
    if (signal_storm_heard() < SIGNALS || peer->received < ASKED)
        return;
    signal_storm_end();
    stop(peer);
}

static void run(struct peer *peer, zmq_watch_readable *readable)
{
    uv_loop_t loop;

    setup_sockets(peer);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_timer_init(&loop, &peer->patience), 0);
    assert_int_equal(uv_timer_init(&loop, &peer->ticker), 0);
    peer->patience.data = peer;
    peer->ticker.data = peer;
    peer->watch.data = peer;
    assert_int_equal(uv_timer_start(&peer->patience, lose_patience, PATIENCE_MS, 0), 0);
    assert_int_equal(uv_timer_start(&peer->ticker, tick, 1, 1), 0);
    assert_int_equal(zmq_watch_start(&peer->watch, &loop, peer->collector, readable), 0);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    close_sockets(peer);
    assert_false(peer->out_of_patience);
}

static void no_message_is_left_waiting_while_answers_are_sent(void **state)
{
    struct peer peer = {.received = 0};
    (void)state;

    run(&peer, receive_and_answer);
    assert_int_equal(peer.received, MESSAGES);
}

static void a_busy_peer_starves_no_timer(void **state)
{
    struct peer peer = {.received = 0};
    (void)state;

    run(&peer, receive_and_ask_again);
    assert_true(peer.ticks >= 20);
}

static void who_rests_is_left_alone_and_misses_nothing(void **state)
{
    struct peer peer = {.received = 0};
    (void)state;

    run(&peer, receive_and_rest);
    assert_int_equal(peer.received, MESSAGES);
    assert_int_equal(peer.rest_count, (MESSAGES - 1) / MESSAGES_A_REST);
}

static void a_signal_that_comes_while_the_socket_is_asked_ends_nothing(void **state)
{
    struct peer peer = {.received = 0};
    (void)state;

    run(&peer, receive_amid_signals);
    assert_true(peer.received >= ASKED);
}

static void what_is_no_socket_is_refused(void **state)
{
    uv_loop_t loop;
    struct zmq_watch watch = {.data = NULL};
    uint64_t nothing[128] = {0}; /* a socket begins with a tag, which this lacks */
    (void)state;

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(zmq_watch_start(&watch, &loop, nothing, receive_and_answer), ERR_IO);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_message_is_left_waiting_while_answers_are_sent),
        cmocka_unit_test(a_busy_peer_starves_no_timer),
        cmocka_unit_test(who_rests_is_left_alone_and_misses_nothing),
        cmocka_unit_test(a_signal_that_comes_while_the_socket_is_asked_ends_nothing),
        cmocka_unit_test(what_is_no_socket_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
