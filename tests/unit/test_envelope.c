/*
 * test_envelope.c - every kind of message there and back, and every limit in both directions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "proto/wire/columns.h"
#include "proto/wire/envelope.h"
#include "tests/unit/wire_messages.h"

#define ARENA_BYTES ((size_t)64 << 20)

/* Encodes, decodes from a copy that is freed at once, and encodes what came out: the same bytes
 * twice mean that nothing got lost on the way. */
static void round_trip(const struct envelope *envelope, struct arena *arena,
                       struct envelope *ret_got)
{
    struct buf once = {0}, twice = {0};

    assert_int_equal(envelope_encode(envelope, arena, &once), 0);
    uint8_t *copy = malloc(once.size + 1);
    assert_non_null(copy);
    if (once.size > 0)
        memcpy(copy, once.data, once.size);
    assert_int_equal(envelope_decode((struct bytes){copy, once.size}, arena, ret_got), 0);
    memset(copy, 0xEE, once.size + 1);
    free(copy);
    assert_int_equal(ret_got->kind, envelope->kind);
    assert_int_equal(envelope_encode(ret_got, arena, &twice), 0);
    assert_int_equal(once.size, twice.size);
    assert_memory_equal(once.data, twice.data, once.size);
    buf_done(&once);
    buf_done(&twice);
}

static void every_kind_survives(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGE_COUNT; i++) {
        struct arena arena;
        struct envelope got;
        arena_init(&arena, ARENA_BYTES);
        struct envelope envelope = sample_message(i, &arena);
        print_message("%s\n", message_names[i]);
        round_trip(&envelope, &arena, &got);
        arena_reset(&arena);
    }
}

static void a_hello_arrives_field_by_field(void **state)
{
    struct arena arena;
    struct envelope got;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    struct envelope envelope = sample_message(MESSAGE_HELLO, &arena);
    round_trip(&envelope, &arena, &got);
    const struct hello *a = &envelope.hello, *b = &got.hello;
    assert_int_equal(b->protocol, WIRE_PROTOCOL);
    assert_same_bytes(a->software, b->software);
    assert_same_bytes(a->boot_id, b->boot_id);
    assert_same_bytes(a->job, b->job);
    assert_same_bytes(a->instance, b->instance);
    assert_same_bytes(a->token, b->token);
    assert_int_equal(b->label_count, 2);
    assert_same_bytes(a->labels[1].value, b->labels[1].value);
    assert_int_equal(b->sent_ms, a->sent_ms);
    assert_int_equal(b->interval_ms, 5000);
    assert_int_equal(b->stream_count, 2);
    assert_memory_equal(a->streams, b->streams, 2 * sizeof *a->streams);
    arena_reset(&arena);
}

static void batches_arrive_with_lines_and_hashes(void **state)
{
    struct arena arena;
    struct envelope got;
    struct plain_batch first, second;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    struct envelope envelope = sample_message(MESSAGE_BATCHES, &arena);
    round_trip(&envelope, &arena, &got);
    assert_int_equal(got.batches.count, 2);
    assert_int_equal(batch_plain(&got.batches.items[0], NULL, &arena, &first), 0);
    struct plain_batch expected = sample_batch();
    assert_same_batch(&expected, &first);
    assert_int_equal(got.batches.items[1].samples.coding, COLUMNS_BASED);
    assert_int_equal(batch_plain(&got.batches.items[1], &first.samples, &arena, &second), 0);
    assert_int_equal(second.tick_ms, expected.tick_ms + 5000);
    arena_reset(&arena);
}

/* Many similar lines travel as one compressed block, with NULs and order intact. */
static void repeated_lines_are_compressed(void **state)
{
    static struct log_line lines[2000];
    struct arena arena;
    struct envelope got;
    struct buf encoded = {0};
    (void)state;

    for (size_t i = 0; i < 2000; i++)
        lines[i] = (struct log_line){i * 50, 1700000000000 + (int64_t)i, 4, 0,
                                     TEXT("2026-01-01 INFO \0 com.example.Declaration ok")};
    const struct log_chunk chunk = {7, TEXT("/var/log/app.log"), lines, 2000};
    const struct coded_batch batch = {.number = 1, .logs = &chunk, .log_count = 1};
    const struct envelope envelope = {.kind = ENVELOPE_BATCHES,
                                      .batches = {.items = &batch, .count = 1}};
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(envelope_encode(&envelope, &arena, &encoded), 0);
    assert_true(encoded.size < 2000 * 12);
    round_trip(&envelope, &arena, &got);
    assert_same_chunk(&chunk, &got.batches.items[0].logs[0]);
    buf_done(&encoded);
    arena_reset(&arena);
}

/* Series of one metric differ in little; and what was said of them is what is heard. */
static void similar_definitions_are_compressed(void **state)
{
    static char names[200][16];
    static struct label labels[200];
    static struct definition items[200];
    struct arena arena;
    struct envelope got;
    struct buf whole = {0}, packed = {0};
    (void)state;

    for (size_t i = 0; i < 200; i++) {
        (void)snprintf(names[i], sizeof names[i], "eth%zu", i);
        labels[i] = (struct label){TEXT("device"), bytes_of(names[i])};
        items[i] = (struct definition){TEXT("node_network_receive_bytes_total"), &labels[i], 1,
                                       METRIC_COUNTER, TEXT("bytes"),
                                       TEXT("Bytes received by the interface.")};
    }
    arena_init(&arena, ARENA_BYTES);
    struct envelope envelope = {.kind = ENVELOPE_DEFINITIONS,
                                .definitions = {1, 0, items, 200, false}};
    assert_int_equal(envelope_encode(&envelope, &arena, &whole), 0);
    envelope.definitions.packed = true;
    assert_int_equal(envelope_encode(&envelope, &arena, &packed), 0);
    assert_true(packed.size < whole.size / 8);
    round_trip(&envelope, &arena, &got);
    assert_true(got.definitions.packed);
    assert_int_equal(got.definitions.count, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_same_bytes(items[i].name, got.definitions.items[i].name);
        assert_same_bytes(items[i].help, got.definitions.items[i].help);
        assert_int_equal(got.definitions.items[i].label_count, 1);
        assert_same_bytes(labels[i].value, got.definitions.items[i].labels[0].value);
    }
    buf_done(&whole);
    buf_done(&packed);
    arena_reset(&arena);
}

/* Somebody says less than there is, to be let in, or more, to have it held. */
static void packed_definitions_are_as_long_as_was_said(void **state)
{
    static const struct {
        int wrong_by; /* times 128 */
        int error;
    } cases[] = {{0, 0}, {-1, ERR_LIMIT}, {1, ERR_MALFORMED}};
    struct arena arena;
    struct envelope got;
    struct buf message = {0};
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    const struct envelope envelope = sample_message(MESSAGE_DEFINITIONS_PACKED, &arena);
    assert_int_equal(envelope_encode(&envelope, &arena, &message), 0);
    uint8_t *size = message.data + message.size - 2; /* the last field, in two bytes */
    assert_int_equal(size[-1], 0x28);
    const uint8_t high = size[1];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size[1] = (uint8_t)(high + cases[i].wrong_by);
        assert_int_equal(envelope_decode(buf_bytes(&message), &arena, &got), cases[i].error);
    }
    buf_done(&message);
    arena_reset(&arena);
}

static void the_largest_batch_fits_an_envelope(void **state)
{
    struct log_line *lines = calloc(BATCH_LOG_LINES_MAX, sizeof *lines);
    uint8_t *noise = malloc(BATCH_PLAIN_BYTES_MAX);
    uint64_t seed = 1;
    struct arena arena;
    struct coded_batch coded;
    struct buf out = {0};
    (void)state;

    assert_true(lines != NULL && noise != NULL);
    for (size_t i = 0; i < BATCH_PLAIN_BYTES_MAX; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        noise[i] = (uint8_t)(seed >> 56);
    }
    for (size_t i = 0; i < BATCH_LOG_LINES_MAX; i++)
        lines[i] = (struct log_line){
            (UINT64_C(1) << 62) + i, (int64_t)(i % 64), 4, UINT32_MAX, {noise + i * 20, 18}};
    const struct log_chunk chunk = {7, TEXT("/l"), lines, BATCH_LOG_LINES_MAX};
    const struct plain_batch plain = {.logs = &chunk, .log_count = 1};
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(batch_code(&plain, 1, NULL, 0, &arena, &coded), 0);
    const struct envelope envelope = {.kind = ENVELOPE_BATCHES,
                                      .batches = {.items = &coded, .count = 1}};
    assert_int_equal(envelope_encode(&envelope, &arena, &out), 0);
    assert_true(out.size <= ENVELOPE_BYTES_MAX);
    arena_reset(&arena);
    buf_done(&out);
    free(lines);
    free(noise);
}

static void a_message_from_the_future_is_skipped(void **state)
{
    /* field 99, two bytes; field 100, a varint */
    static const uint8_t unknown[] = {0x9A, 0x06, 0x02, 0x08, 0x01, 0xA0, 0x06, 0x05};
    struct arena arena;
    struct envelope got = {.kind = ENVELOPE_GAP};
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(envelope_decode((struct bytes){unknown, sizeof unknown}, &arena, &got), 0);
    assert_int_equal(got.kind, ENVELOPE_UNKNOWN);
    assert_int_equal(envelope_decode((struct bytes){NULL, 0}, &arena, &got), 0);
    assert_int_equal(got.kind, ENVELOPE_UNKNOWN);
    arena_reset(&arena);
}

static void unknown_fields_are_skipped_and_unknown_numbers_are_unknown(void **state)
{
    /* ping {nonce 5, field 50 = 1} beside an unknown field of the envelope */
    static const uint8_t ping[] = {0x42, 0x05, 0x08, 0x05, 0x90, 0x03, 0x01, 0x9A, 0x06, 0x00};
    /* refusal {reason 77} */
    static const uint8_t refusal[] = {0x5A, 0x02, 0x08, 77};
    /* resume {standing 9} */
    static const uint8_t resume[] = {0x12, 0x02, 0x08, 9};
    struct arena arena;
    struct envelope got;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(envelope_decode((struct bytes){ping, sizeof ping}, &arena, &got), 0);
    assert_int_equal(got.kind, ENVELOPE_PING);
    assert_int_equal(got.ping.nonce, 5);
    assert_int_equal(envelope_decode((struct bytes){refusal, sizeof refusal}, &arena, &got), 0);
    assert_int_equal(got.refusal.reason, REFUSAL_UNSPECIFIED);
    assert_int_equal(envelope_decode((struct bytes){resume, sizeof resume}, &arena, &got), 0);
    assert_int_equal(got.resume.standing, STANDING_UNKNOWN);
    arena_reset(&arena);
}

static void two_kinds_in_one_envelope_are_malformed(void **state)
{
    static const uint8_t both[] = {0x42, 0x00, 0x4A, 0x00}; /* ping and pong */
    struct arena arena;
    struct envelope got;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(envelope_decode((struct bytes){both, sizeof both}, &arena, &got),
                     ERR_MALFORMED);
    arena_reset(&arena);
}

#define HELLO(...)                                                                             \
    {                                                                                          \
        .kind = ENVELOPE_HELLO, .hello = { __VA_ARGS__ }                                       \
    }
#define DEFINITIONS(...)                                                                       \
    {                                                                                          \
        .kind = ENVELOPE_DEFINITIONS, .definitions = { __VA_ARGS__ }                           \
    }
#define BATCHES(...)                                                                           \
    {                                                                                          \
        .kind = ENVELOPE_BATCHES, .batches = { __VA_ARGS__ }                                   \
    }
#define ACK(...)                                                                               \
    {                                                                                          \
        .kind = ENVELOPE_ACK, .ack = {.stream = {__VA_ARGS__} }                                \
    }

static uint8_t long_text[POLICY_BYTES_MAX + 1];

static const struct label unsorted[] = {{TEXT("b"), TEXT("")}, {TEXT("a"), TEXT("")}};
static const struct label doubled[] = {{TEXT("a"), TEXT("")}, {TEXT("a"), TEXT("")}};
static const struct label nameless[] = {{TEXT(""), TEXT("x")}};
static const struct label latin[] = {{TEXT("a"), TEXT("\xE9")}};
static const struct label named[] = {{TEXT("__name__"), TEXT("up")}};
static const struct definition no_name = {.name = TEXT("")};
static const struct definition bad_utf8 = {.name = TEXT("a\xC0\x80")};
static const struct definition has_name = {TEXT("up"), named, 1, METRIC_GAUGE, {0}, {0}};
static const struct definition long_name = {.name = {long_text, NAME_BYTES_MAX + 1}};
static const struct definition long_help = {.name = TEXT("a"),
                                            .help = {long_text, HELP_BYTES_MAX + 1}};
static const struct number_range touching_low[] = {{6, 7}};
static const struct number_range touching[] = {{8, 9}, {10, 11}};
static const struct number_range reversed[] = {{9, 8}};
static const struct coded_batch unnumbered = {.number = 0};
static const struct coded_batch descending[] = {{.number = 2}, {.number = 2}};
static const struct coded_batch many = {.number = 1,
                                        .samples = {.count = BATCH_SAMPLES_MAX + 1}};
static const struct coded_batch strange = {.number = 1, .samples = {.compression = 2}};
static const uint64_t ended_back[] = {4, 4}, ended_large[] = {REFS_MAX};
static const struct coded_batch back = {.number = 1, .ended = ended_back, .ended_count = 2};
static const struct coded_batch large = {.number = 1, .ended = ended_large, .ended_count = 1};
static const struct {
    const char *because;
    struct envelope envelope;
    int error;
} unfit[] = {
    {"labels out of order", HELLO(.labels = unsorted, .label_count = 2), ERR_MALFORMED},
    {"a label twice", HELLO(.labels = doubled, .label_count = 2), ERR_MALFORMED},
    {"a label without name", HELLO(.labels = nameless, .label_count = 1), ERR_MALFORMED},
    {"a label that is no UTF-8", HELLO(.labels = latin, .label_count = 1), ERR_MALFORMED},
    {"too many labels", HELLO(.label_count = SERIES_LABELS_MAX + 1), ERR_LIMIT},
    {"too many streams", HELLO(.stream_count = STREAMS_OFFERED_MAX + 1), ERR_LIMIT},
    {"a long token", HELLO(.token = {long_text, TOKEN_BYTES_MAX + 1}), ERR_LIMIT},
    {"no metric name", DEFINITIONS(.items = &no_name, .count = 1), ERR_MALFORMED},
    {"overlong UTF-8", DEFINITIONS(.items = &bad_utf8, .count = 1), ERR_MALFORMED},
    {"__name__ as label", DEFINITIONS(.items = &has_name, .count = 1), ERR_MALFORMED},
    {"a long name", DEFINITIONS(.items = &long_name, .count = 1), ERR_LIMIT},
    {"a long help", DEFINITIONS(.items = &long_help, .count = 1), ERR_LIMIT},
    {"many definitions", DEFINITIONS(.count = DEFINITIONS_MAX + 1), ERR_LIMIT},
    {"refs past the limit", DEFINITIONS(.first_ref = REFS_MAX, .count = 1), ERR_LIMIT},
    {"a range at low water", ACK(.low_water = 5, .ranges = touching_low, .range_count = 1),
     ERR_MALFORMED},
    {"touching ranges", ACK(.low_water = 5, .ranges = touching, .range_count = 2),
     ERR_MALFORMED},
    {"a reversed range", ACK(.low_water = 5, .ranges = reversed, .range_count = 1),
     ERR_MALFORMED},
    {"too many ranges", ACK(.range_count = STREAM_RANGES_MAX + 1), ERR_LIMIT},
    {"batch 0", BATCHES(.items = &unnumbered, .count = 1), ERR_MALFORMED},
    {"a number twice", BATCHES(.items = descending, .count = 2), ERR_MALFORMED},
    {"many batches", BATCHES(.count = GROUP_BATCHES_MAX + 1), ERR_LIMIT},
    {"many samples", BATCHES(.items = &many, .count = 1), ERR_LIMIT},
    {"strange compression", BATCHES(.items = &strange, .count = 1), ERR_MALFORMED},
    {"ended refs in no order", BATCHES(.items = &back, .count = 1), ERR_MALFORMED},
    {"an ended ref too large", BATCHES(.items = &large, .count = 1), ERR_LIMIT},
    {"a gap of nothing", {.kind = ENVELOPE_GAP, .gap = {.numbers = {0, 0}}}, ERR_MALFORMED},
    {"a gap backwards", {.kind = ENVELOPE_GAP, .gap = {.numbers = {2, 1}}}, ERR_MALFORMED},
    {"a long policy",
     {.kind = ENVELOPE_POLICY, .policy = {.document = {long_text, POLICY_BYTES_MAX + 1}}},
     ERR_LIMIT},
};

static void unfit_messages_are_refused_by_the_encoder(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        struct arena arena;
        struct buf out = {0};
        print_message("%s\n", unfit[i].because);
        arena_init(&arena, ARENA_BYTES);
        assert_int_equal(envelope_encode(&unfit[i].envelope, &arena, &out), unfit[i].error);
        assert_int_equal(out.size, 0);
        arena_reset(&arena);
        buf_done(&out);
    }
}

static void unfit_messages_are_refused_by_the_decoder(void **state)
{
    static const struct {
        const char *because;
        const char *bytes;
        size_t size;
        int error;
    } cases[] = {
        {"a length past the end", "\x42\x05\x08", 3, ERR_MALFORMED},
        {"label without name", "\x0A\x06\x32\x04\x0A\x00\x12\x00", 8, ERR_MALFORMED},
        {"labels in no order",
         "\x0A\x0A\x32\x03\x0A\x01"
         "b"
         "\x32\x03\x0A\x01"
         "a",
         12, ERR_MALFORMED},
        {"a definition that is no UTF-8", "\x1A\x05\x1A\x03\x0A\x01\xFF", 7, ERR_MALFORMED},
        {"definitions in both forms", "\x1A\x08\x1A\x03\x0A\x01\x61\x22\x01\x61", 10,
         ERR_MALFORMED},
        {"packed definitions that are no frame", "\x1A\x05\x22\x01\x61\x28\x01", 7,
         ERR_MALFORMED},
        {"packed definitions of a terabyte",
         "\x1A\x0A\x22\x01\x61\x28\x80\x80\x80\x80\x80\x20", 12, ERR_LIMIT},
        {"a gap without numbers", "\x2A\x00", 2, ERR_MALFORMED},
        {"an ack without stream", "\x32\x00", 2, ERR_MALFORMED},
        {"a batch without samples", "\x22\x04\x12\x02\x08\x01", 6, ERR_MALFORMED},
        {"a coding from nowhere", "\x22\x08\x12\x06\x08\x01\x2A\x02\x08\x07", 10,
         ERR_MALFORMED},
        {"a hundred thousand samples", "\x22\x0A\x12\x08\x08\x01\x2A\x04\x10\xA0\x8D\x06", 12,
         ERR_LIMIT},
        {"ended refs twice the same", "\x22\x0A\x12\x08\x08\x01\x2A\x00\x4A\x02\x01\x00", 12,
         ERR_MALFORMED},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        struct envelope got = {.kind = ENVELOPE_POLICY};
        print_message("%s\n", cases[i].because);
        arena_init(&arena, ARENA_BYTES);
        const struct bytes message = {(const uint8_t *)cases[i].bytes, cases[i].size};
        assert_int_equal(envelope_decode(message, &arena, &got), cases[i].error);
        assert_int_equal(got.kind, ENVELOPE_POLICY);
        arena_reset(&arena);
    }
}

/* Two bytes of input buy a label structure in memory; the ceiling is what ends that. */
static void a_hostile_message_costs_at_most_the_ceiling(void **state)
{
    const size_t inner = 1 << 20;
    struct buf message = {0};
    struct arena arena;
    struct envelope got = {.kind = ENVELOPE_POLICY};
    (void)state;

    buf_put_u8(&message, 0x0A); /* hello */
    buf_put_varint(&message, inner);
    for (size_t i = 0; i < inner / 2; i++)
        buf_put(&message, "\x32\x00", 2);
    arena_init(&arena, (size_t)8 << 20);
    assert_int_equal(envelope_decode(buf_bytes(&message), &arena, &got), ERR_NOMEM);
    assert_int_equal(got.kind, ENVELOPE_POLICY);
    assert_true(arena.held_bytes <= (size_t)8 << 20);
    arena_reset(&arena);

    uint8_t *huge = calloc(1, ENVELOPE_BYTES_MAX + 1);
    assert_non_null(huge);
    assert_int_equal(
        envelope_decode((struct bytes){huge, ENVELOPE_BYTES_MAX + 1}, &arena, &got),
        ERR_LIMIT);
    assert_int_equal(arena.held_bytes, 0);
    free(huge);
    buf_done(&message);
}

static void no_prefix_of_a_message_crashes_the_decoder(void **state)
{
    struct arena arena;
    struct buf whole = {0};
    (void)state;

    for (size_t i = 0; i < MESSAGE_COUNT; i++) {
        arena_init(&arena, ARENA_BYTES);
        struct envelope envelope = sample_message(i, &arena);
        buf_clear(&whole);
        assert_int_equal(envelope_encode(&envelope, &arena, &whole), 0);
        arena_reset(&arena);
        for (size_t size = 0; size < whole.size; size++) {
            struct envelope got;
            uint8_t *copy = malloc(size + 1);
            assert_non_null(copy);
            memcpy(copy, whole.data, size);
            (void)envelope_decode((struct bytes){copy, size}, &arena, &got);
            free(copy);
            arena_reset(&arena);
        }
    }
    buf_done(&whole);
}

/* One arena of every size from nothing upwards: each makes another allocation fail. */
static void running_out_of_memory_anywhere_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < MESSAGE_COUNT; i++) {
        struct arena source, arena;
        struct buf out = {0};
        arena_init(&source, ARENA_BYTES);
        struct envelope envelope = sample_message(i, &source);
        for (size_t limit = 0;; limit += 16) {
            struct envelope got = {.kind = ENVELOPE_UNKNOWN};
            arena_init(&arena, limit);
            buf_clear(&out);
            int error = envelope_encode(&envelope, &arena, &out);
            arena_reset(&arena);
            if (error == 0)
                error = envelope_decode(buf_bytes(&out), &arena, &got);
            arena_reset(&arena);
            if (error == 0)
                break;
            assert_int_equal(error, ERR_NOMEM);
            assert_int_equal(got.kind, ENVELOPE_UNKNOWN);
        }
        buf_done(&out);
        arena_reset(&source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_survives),
        cmocka_unit_test(a_hello_arrives_field_by_field),
        cmocka_unit_test(batches_arrive_with_lines_and_hashes),
        cmocka_unit_test(repeated_lines_are_compressed),
        cmocka_unit_test(similar_definitions_are_compressed),
        cmocka_unit_test(packed_definitions_are_as_long_as_was_said),
        cmocka_unit_test(the_largest_batch_fits_an_envelope),
        cmocka_unit_test(a_message_from_the_future_is_skipped),
        cmocka_unit_test(unknown_fields_are_skipped_and_unknown_numbers_are_unknown),
        cmocka_unit_test(two_kinds_in_one_envelope_are_malformed),
        cmocka_unit_test(unfit_messages_are_refused_by_the_encoder),
        cmocka_unit_test(unfit_messages_are_refused_by_the_decoder),
        cmocka_unit_test(a_hostile_message_costs_at_most_the_ceiling),
        cmocka_unit_test(no_prefix_of_a_message_crashes_the_decoder),
        cmocka_unit_test(running_out_of_memory_anywhere_is_survived),
    };
    memset(long_text, 'a', sizeof long_text);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
