/*
 * test_transport.c - what the transport says on a real CURVE connection, and what it keeps
 * count of.  The collector here is a ROUTER in the same loop that answers by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "probe/definition.h"
#include "probe/flights.h"
#include "probe/pace.h"
#include "probe/transport.h"
#include "proto/base/error.h"
#include "proto/wire/plain.h"
#include "proto/wire/zmq_watch.h"

static void only_tcp_with_host_and_port_is_an_endpoint(void **state)
{
    static const struct {
        const char *endpoint;
        bool is_good;
    } cases[] = {
        {"tcp://127.0.0.1:9471", true},
        {"tcp://[::1]:9471", true},
        {"tcp://collector.local:1", true},
        {"tcp://host", false},
        {"tcp://:9471", false},
        {"tcp://host:0", false},
        {"tcp://host:65536", false},
        {"tcp://host:94x1", false},
        {"host:9471", false},
        {"ipc:///tmp/x", false},
        {"tcp://host:", false},
        {"tcp://a:1,tcp://[::1]:2", true},
        {"tcp://a:1, tcp://b:2 , tcp://192.0.2.7:3", true},
        {"tcp://a:1,", false},
        {"tcp://a:1,b:2", false},
        {"tcp://a:1,,tcp://b:2", false},
        {"tcp://a:1,tcp://a:2,tcp://a:3,tcp://a:4,tcp://a:5,tcp://a:6,tcp://a:7,tcp://a:8",
         true},
        {"tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp://a:1,tcp:/"
         "/a:9",
         false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(link_check_endpoint(cases[i].endpoint, NULL) == 0, cases[i].is_good);
}

static void flights_land_when_an_ack_covers_them_whole(void **state)
{
    struct flights flights = {0};
    struct number_range range = {7, 9};
    struct stream_state ack = {.epoch = 1, .low_water = 3, .ranges = &range, .range_count = 1};
    (void)state;
    flights_add(&flights,
                (struct flight){.epoch = 1, .numbers = {1, 2}, .bytes = 10, .sent = 3});
    flights_add(&flights, (struct flight){.epoch = 1, .numbers = {3, 4}, .bytes = 10});
    flights_add(&flights, (struct flight){.epoch = 2, .numbers = {1, 1}, .bytes = 10});
    flights_add(
        &flights,
        (struct flight){.epoch = 1, .numbers = {9, 9}, .bytes = 5, .sent = 7, .is_live = true});
    struct landing landing = flights_land(&flights, &ack);
    assert_int_equal(landing.batches, 3);
    assert_int_equal(landing.live_count, 1);
    assert_int_equal(landing.live[0], 9);
    assert_int_equal(landing.bytes, 15);
    assert_int_equal(landing.sent, 7);
    assert_int_equal(flights.count, 2);
    assert_int_equal(flights.bytes, 20);
    assert_non_null(flights_find(&flights, 1, 4));
    struct flight cancelled;
    assert_true(flights_cancel(&flights, 1, 3, &cancelled));
    assert_int_equal(cancelled.numbers.last, 4);
    assert_false(flights_cancel(&flights, 1, 3, &cancelled));
    assert_int_equal(flights.bytes, 10);
}

#define MS ((mono_ns)1000000)

/* A line that carries so many bytes a second, both ways taking `trip` beside: messages of
 * `size` are sent as the budget allows.  Returns how long the last one waited. */
static mono_ns run_line(struct pace *pace, double bytes_per_second, mono_ns trip, uint64_t size,
                        size_t messages)
{
    mono_ns sent[256], lands[256], now = MS, line_free = 0;
    size_t first = 0, next = 0;
    mono_ns waited = 0;
    while (first < messages) {
        while (next < messages && (next - first) * size < pace->bytes) {
            mono_ns start = line_free > now ? line_free : now;
            line_free = start + (mono_ns)((double)size * 1e9 / bytes_per_second);
            sent[next % 256] = now;
            lands[next % 256] = line_free + trip;
            next++;
        }
        now = lands[first % 256];
        waited = now - sent[first % 256];
        pace_landed(pace, size, (next - first) * size, sent[first % 256], now);
        first++;
    }
    return waited;
}

static void a_fast_line_gets_the_whole_window_in_a_few_round_trips(void **state)
{
    struct pace pace = {0};
    (void)state;
    pace_begin(&pace);
    assert_int_equal(pace.bytes, PACE_FIRST_BYTES);
    (void)run_line(&pace, 1e8, 500 * MS, 12 << 10, 70); /* far, but not thin */
    assert_true(pace.bytes >= 768 << 10);
}

static void a_thin_line_keeps_little_under_way(void **state)
{
    struct pace pace = {0};
    (void)state;
    pace_begin(&pace);
    mono_ns waited = run_line(&pace, 8000, 100 * MS, 12 << 10, 40);
    assert_true(pace.bytes <= 2 * PACE_FIRST_BYTES);
    assert_true(waited <= 6000 * MS);
    pace_begin(&pace); /* the line is no faster for a new connection */
    assert_true(pace.bytes <= PACE_FIRST_BYTES);
}

static void a_budget_that_is_not_used_does_not_grow(void **state)
{
    struct pace pace = {0};
    (void)state;
    pace_begin(&pace);
    for (mono_ns at = 1000 * MS; at < 3600000 * MS; at += 1000 * MS)
        pace_landed(&pace, 2000, 2000, at, at + 100 * MS);
    assert_int_equal(pace.bytes, PACE_FIRST_BYTES);
    pace_landed(&pace, 100000, 100000, 3600000 * MS, 3600100 * MS);
    assert_int_equal(pace.bytes, PACE_FIRST_BYTES + 100000);
}

static void an_old_flight_slows_nothing_twice(void **state)
{
    struct pace pace = {0};
    (void)state;
    pace_begin(&pace);
    pace_landed(&pace, 100, 100, 1 * MS, 2 * MS);
    pace_landed(&pace, 100, 100, 3 * MS, 3000 * MS);
    uint64_t slowed = pace.bytes;
    assert_true(slowed < PACE_FIRST_BYTES);
    pace_landed(&pace, 100, 100, 4 * MS, 3001 * MS);
    assert_int_equal(pace.bytes, slowed);
    for (mono_ns at = 4000 * MS; at < 100000 * MS; at += 3000 * MS)
        pace_landed(&pace, 100, 100, at, at + 2900 * MS);
    assert_int_equal(pace.bytes, PACE_LEAST_BYTES);
}

/* A collector that answers by hand, and a probe's transport with a spool. */
struct scene {
    uv_loop_t loop;
    char directory[40];
    struct spool *spool;
    struct transport *transport;
    struct curve_pair key;
    uint8_t boot_id[SPOOL_BOOT_ID_BYTES]; /* the transport keeps a view of it */
    void *context, *router;
    struct zmq_watch watch;
    char public_text[CURVE_TEXT_BYTES];
    uv_timer_t deadline;

    /* what was heard */
    unsigned hellos, groups, batches, based, definitions, packed;
    bool definitions_came_first;
    uint64_t first_in_order[16];
    size_t order_count;

    /* how to answer */
    enum standing standing;
    uint64_t accepts;
    uint64_t first_ref; /* of what put_batch() puts */
    uint64_t window;
    uint64_t stop_after; /* batches */
    uint64_t stored;     /* low water */
    bool is_mute;        /* batches are heard, and not acknowledged */

    mono_ns ahead; /* of the transport's clock */
    struct clock clock;
};

static int64_t scene_unix_ms(void *context)
{
    (void)context;
    return clock_unix_ms(&clock_system);
}

static mono_ns scene_mono(void *context)
{
    return clock_mono(&clock_system) + ((const struct scene *)context)->ahead;
}

static void answer(struct scene *scene, zmq_msg_t *peer, const struct envelope *envelope)
{
    struct arena arena;
    struct buf out = {0};
    arena_init(&arena, 1 << 20);
    assert_int_equal(envelope_encode(envelope, &arena, &out), 0);
    assert_true(zmq_send(scene->router, zmq_msg_data(peer), zmq_msg_size(peer), ZMQ_SNDMORE) >
                0);
    assert_true(zmq_send(scene->router, out.data, out.size, 0) > 0);
    buf_done(&out);
    arena_reset(&arena);
}

static void hear_hello(struct scene *scene, zmq_msg_t *peer, const struct hello *hello)
{
    struct stream_state states[4];
    scene->hellos++;
    assert_in_range(hello->stream_count, 1, 4);
    for (size_t i = 0; i < hello->stream_count; i++)
        states[i] = (struct stream_state){.epoch = hello->streams[i].epoch,
                                          .low_water = scene->stored,
                                          .definition_count = scene->definitions};
    struct envelope resume = {.kind = ENVELOPE_RESUME,
                              .resume = {.standing = scene->standing,
                                         .accepts = scene->accepts,
                                         .window_bytes = scene->window,
                                         .streams = states,
                                         .stream_count = hello->stream_count,
                                         .job = hello->job,
                                         .instance = hello->instance}};
    answer(scene, peer, &resume);
}

static void hear_batches(struct scene *scene, zmq_msg_t *peer, const struct batch_group *group)
{
    struct number_range range;
    scene->groups++;
    for (size_t i = 0; i < group->count; i++) {
        const struct coded_batch *batch = &group->items[i];
        assert_true(batch->definition_count <= scene->definitions);
        scene->based += batch->samples.coding == COLUMNS_BASED;
        scene->batches++;
        if (scene->order_count < 16)
            scene->first_in_order[scene->order_count++] = batch->number;
    }
    if (scene->is_mute) {
        if (scene->batches >= scene->stop_after)
            uv_stop(&scene->loop);
        return;
    }
    range.first = group->items[0].number;
    range.last = group->items[group->count - 1].number;
    bool joins = range.first == scene->stored + 1;
    if (joins)
        scene->stored = range.last;
    struct envelope ack = {.kind = ENVELOPE_ACK,
                           .ack = {.stream = {.epoch = group->epoch,
                                              .low_water = scene->stored,
                                              .ranges = &range,
                                              .range_count = joins ? 0 : 1,
                                              .definition_count = scene->definitions},
                                   .window_bytes = scene->window}};
    answer(scene, peer, &ack);
    if (scene->batches >= scene->stop_after)
        uv_stop(&scene->loop);
}

static void hear(struct zmq_watch *watch)
{
    struct scene *scene = watch->data;
    struct arena arena;
    struct envelope envelope;
    zmq_msg_t peer, body;

    (void)zmq_msg_init(&peer);
    (void)zmq_msg_init(&body);
    assert_true(zmq_msg_recv(&peer, scene->router, ZMQ_DONTWAIT) >= 0);
    assert_true(zmq_msg_recv(&body, scene->router, ZMQ_DONTWAIT) >= 0);
    arena_init(&arena, 16 << 20);
    struct bytes message = {zmq_msg_data(&body), zmq_msg_size(&body)};
    assert_int_equal(envelope_decode(message, &arena, &envelope), 0);
    if (envelope.kind == ENVELOPE_HELLO)
        hear_hello(scene, &peer, &envelope.hello);
    else if (envelope.kind == ENVELOPE_DEFINITIONS) {
        scene->definitions =
            (unsigned)(envelope.definitions.first_ref + envelope.definitions.count);
        scene->packed += envelope.definitions.packed;
    } else if (envelope.kind == ENVELOPE_BATCHES)
        hear_batches(scene, &peer, &envelope.batches);
    arena_reset(&arena);
    (void)zmq_msg_close(&peer);
    (void)zmq_msg_close(&body);
}

static void too_long(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing came for too long");
}

/* A batch with `count` samples into the spool. */
static uint64_t put_batch(struct scene *scene, int64_t tick_ms, size_t count)
{
    uint64_t refs[256], number;
    double values[256];
    struct buf plain = {0};
    assert_in_range(count, 1, 256);
    for (size_t i = 0; i < count; i++) {
        refs[i] = scene->first_ref + i;
        values[i] = i % 7 == 0 ? (double)tick_ms : 1;
    }
    struct plain_batch batch = {.tick_ms = tick_ms,
                                .definition_count =
                                    scene->definitions > 256 ? scene->definitions : 256,
                                .samples = {refs, values, count}};
    assert_int_equal(plain_write(&batch, &plain), 0);
    assert_int_equal(spool_append(scene->spool, tick_ms, buf_bytes(&plain), (struct bytes){0},
                                  tick_ms, &number),
                     0);
    buf_done(&plain);
    return number;
}

static void define(struct scene *scene)
{
    struct buf items = {0};
    for (int i = 0; i < 256; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m%d", i);
        struct definition definition = {.name = bytes_of(name)};
        assert_int_equal(definition_write(&definition, &items), 0);
    }
    assert_int_equal(spool_add_definitions(scene->spool, 0, 256, buf_bytes(&items)), 0);
    buf_done(&items);
}

static void scene_begin(struct scene *scene)
{
    char secret_text[CURVE_TEXT_BYTES], endpoint[64] = "";
    size_t endpoint_size = sizeof endpoint;
    int server = 1;

    *scene = (struct scene){.standing = STANDING_APPROVED, .window = 1 << 20};
    scene->clock = (struct clock){scene_unix_ms, scene_mono, scene};
    (void)strcpy(scene->directory, "/tmp/transport-XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    assert_int_equal(uv_loop_init(&scene->loop), 0);
    scene->context = zmq_ctx_new();
    scene->router = zmq_socket(scene->context, ZMQ_ROUTER);
    assert_int_equal(zmq_curve_keypair(scene->public_text, secret_text), 0);
    assert_int_equal(zmq_curve_keypair(scene->key.public_text, scene->key.secret_text), 0);
    assert_int_equal(zmq_setsockopt(scene->router, ZMQ_CURVE_SERVER, &server, sizeof server),
                     0);
    assert_int_equal(zmq_setsockopt(scene->router, ZMQ_CURVE_SECRETKEY, secret_text, 40), 0);
    assert_int_equal(zmq_bind(scene->router, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(scene->router, ZMQ_LAST_ENDPOINT, endpoint, &endpoint_size),
                     0);
    assert_int_equal(zmq_watch_start(&scene->watch, &scene->loop, scene->router, hear), 0);
    scene->watch.data = scene;

    struct spool_options spool = {.directory = scene->directory,
                                  .limit_bytes = SPOOL_LIMIT_LEAST,
                                  .age_limit_ms = SPOOL_AGE_DEFAULT_MS,
                                  .io = &file_io_system};
    assert_int_equal(spool_open(&spool, &scene->spool, NULL), 0);
    define(scene);
    struct transport_options options = {.endpoint = endpoint,
                                        .collector_key = scene->public_text,
                                        .key = &scene->key,
                                        .boot_id = {scene->boot_id, sizeof scene->boot_id},
                                        .job = "node",
                                        .instance = "here",
                                        .token = "",
                                        .interval_ms = 1000,
                                        .spool = scene->spool,
                                        .clock = &scene->clock};
    assert_int_equal(transport_open(&scene->loop, &options, &scene->transport, NULL), 0);
    assert_int_equal(uv_timer_init(&scene->loop, &scene->deadline), 0);
    assert_int_equal(uv_timer_start(&scene->deadline, too_long, 20000, 0), 0);
}

static void scene_run(struct scene *scene, uint64_t batches)
{
    scene->stop_after = batches;
    (void)uv_run(&scene->loop, UV_RUN_DEFAULT);
}

/* The probe has heard that so many batches are stored. */
static void scene_run_until_acknowledged(struct scene *scene, uint64_t batches)
{
    while (transport_counts(scene->transport)->batches_acknowledged < batches)
        (void)uv_run(&scene->loop, UV_RUN_ONCE);
}

static void scene_end(struct scene *scene)
{
    char command[64];
    transport_close(scene->transport);
    zmq_watch_stop(&scene->watch);
    uv_close((uv_handle_t *)&scene->deadline, NULL);
    (void)uv_run(&scene->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&scene->loop), 0);
    int linger = 0;
    (void)zmq_setsockopt(scene->router, ZMQ_LINGER, &linger, sizeof linger);
    (void)zmq_close(scene->router);
    (void)zmq_ctx_term(scene->context);
    spool_close(scene->spool);
    (void)snprintf(command, sizeof command, "rm -rf %s", scene->directory);
    assert_int_equal(system(command), 0);
}

static void the_newest_batch_goes_first_and_the_backlog_in_groups(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    for (int i = 1; i <= 10; i++)
        (void)put_batch(&scene, i * 1000, 200);
    scene_run(&scene, 10);
    assert_int_equal(scene.first_in_order[0], 10);
    for (uint64_t i = 1; i < 10; i++)
        assert_int_equal(scene.first_in_order[i], i);
    assert_true(scene.groups < 10);
    assert_true(scene.based >= 5);
    assert_int_equal(scene.definitions, 256);
    assert_int_equal(scene.packed, 0); /* nobody has said that they would be understood */
    scene_end(&scene);
}

static void definitions_are_packed_for_a_collector_that_opens_them(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    scene.accepts = ACCEPTS_PACKED_DEFINITIONS;
    (void)put_batch(&scene, 1000, 200);
    scene_run(&scene, 1);
    assert_int_equal(scene.definitions, 256);
    assert_int_equal(scene.packed, 1);
    scene_end(&scene);
}

static void live_batches_are_coded_against_an_acknowledged_one(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    (void)put_batch(&scene, 1000, 200);
    scene_run(&scene, 1);
    for (int i = 2; i <= 4; i++) {
        scene_run_until_acknowledged(&scene, (uint64_t)i - 1); /* before: there is no base */
        transport_batch(scene.transport, put_batch(&scene, i * 1000, 200));
        scene_run(&scene, (uint64_t)i);
    }
    assert_true(scene.based >= 2);
    assert_int_equal(scene.hellos, 1);
    assert_true(transport_counts(scene.transport)->is_approved);
    scene_end(&scene);
}

/* By a collector that keeps bases of each; one of old has every batch stand alone. */
static void each_part_of_a_tick_is_coded_against_its_last(void **state)
{
    struct scene scene;
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        scene_begin(&scene);
        scene.accepts = i == 0 ? ACCEPTS_PACKED_DEFINITIONS : ACCEPTS_PART_BASES;
        scene.definitions = 2 * BATCH_SAMPLES_MAX;
        (void)put_batch(&scene, 1000, 200);
        for (uint64_t number = 1; number <= 4; number++) {
            scene_run(&scene, number);
            scene_run_until_acknowledged(&scene, number);
            scene.first_ref = number % 2 * BATCH_SAMPLES_MAX;
            transport_batch(scene.transport, put_batch(&scene, 1000 + (int64_t)number, 200));
        }
        assert_int_equal(scene.based, i == 0 ? 0 : 2);
        scene_end(&scene);
    }
}

static void a_batch_larger_than_the_window_still_goes(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    scene.window = 10;
    for (int i = 1; i <= 5; i++)
        (void)put_batch(&scene, i * 1000, 200);
    scene_run(&scene, 5);
    assert_int_equal(scene.batches, 5);
    scene_end(&scene);
}

static void stop_waiting(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void a_pending_probe_sends_no_batches(void **state)
{
    struct scene scene;
    uv_timer_t wait;
    (void)state;
    scene_begin(&scene);
    scene.standing = STANDING_PENDING;
    (void)put_batch(&scene, 1000, 10);
    assert_int_equal(uv_timer_init(&scene.loop, &wait), 0);
    assert_int_equal(uv_timer_start(&wait, stop_waiting, 800, 0), 0);
    scene_run(&scene, UINT64_MAX);
    assert_int_equal(scene.hellos, 1);
    assert_int_equal(scene.batches, 0);
    assert_false(transport_counts(scene.transport)->is_approved);
    uv_close((uv_handle_t *)&wait, NULL);
    scene_end(&scene);
}

static void a_pending_probe_asks_again_within_seconds(void **state)
{
    struct scene scene;
    uv_timer_t wait;
    (void)state;
    scene_begin(&scene);
    scene.standing = STANDING_PENDING;
    (void)put_batch(&scene, 1000, 10);
    assert_int_equal(uv_timer_init(&scene.loop, &wait), 0);
    assert_int_equal(uv_timer_start(&wait, stop_waiting, 800, 0), 0);
    scene_run(&scene, UINT64_MAX);
    scene.standing = STANDING_APPROVED;
    uint64_t before_ms = uv_now(&scene.loop);
    scene_run(&scene, 1);
    assert_true(uv_now(&scene.loop) - before_ms < 8000);
    assert_int_equal(scene.hellos, 2);
    uv_close((uv_handle_t *)&wait, NULL);
    scene_end(&scene);
}

static void what_a_silent_collector_got_is_sent_again(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    scene.is_mute = true;
    (void)put_batch(&scene, 1000, 10);
    scene_run(&scene, 1);
    scene.is_mute = false;
    scene.ahead = (mono_ns)11 * 1000 * 1000 * 1000;
    scene_run(&scene, 2);
    assert_int_equal(scene.hellos, 2);
    assert_int_equal(scene.first_in_order[1], 1);
    scene_end(&scene);
}

static void a_long_pause_between_batches_is_no_silence(void **state)
{
    struct scene scene;
    uv_timer_t wait;
    (void)state;
    scene_begin(&scene);
    (void)put_batch(&scene, 1000, 10);
    scene_run(&scene, 1);
    assert_int_equal(uv_timer_init(&scene.loop, &wait), 0);
    assert_int_equal(uv_timer_start(&wait, stop_waiting, 200, 0), 0);
    scene_run(&scene, UINT64_MAX); /* the Ack has arrived */
    assert_int_equal(transport_counts(scene.transport)->batches_acknowledged, 1);
    scene.ahead = (mono_ns)60 * 1000 * 1000 * 1000;
    scene.is_mute = true;
    transport_batch(scene.transport, put_batch(&scene, 61000, 10));
    assert_int_equal(uv_timer_start(&wait, stop_waiting, 2500, 0), 0);
    scene_run(&scene, UINT64_MAX); /* the transport has looked, with a batch in flight */
    assert_int_equal(scene.hellos, 1);
    uv_close((uv_handle_t *)&wait, NULL);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_tcp_with_host_and_port_is_an_endpoint),
        cmocka_unit_test(flights_land_when_an_ack_covers_them_whole),
        cmocka_unit_test(a_fast_line_gets_the_whole_window_in_a_few_round_trips),
        cmocka_unit_test(a_thin_line_keeps_little_under_way),
        cmocka_unit_test(a_budget_that_is_not_used_does_not_grow),
        cmocka_unit_test(an_old_flight_slows_nothing_twice),
        cmocka_unit_test(the_newest_batch_goes_first_and_the_backlog_in_groups),
        cmocka_unit_test(definitions_are_packed_for_a_collector_that_opens_them),
        cmocka_unit_test(live_batches_are_coded_against_an_acknowledged_one),
        cmocka_unit_test(each_part_of_a_tick_is_coded_against_its_last),
        cmocka_unit_test(a_batch_larger_than_the_window_still_goes),
        cmocka_unit_test(a_pending_probe_sends_no_batches),
        cmocka_unit_test(a_pending_probe_asks_again_within_seconds),
        cmocka_unit_test(what_a_silent_collector_got_is_sent_again),
        cmocka_unit_test(a_long_pause_between_batches_is_no_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
