/*
 * test_record.c - process tables, events and inventories survive, and keep to their limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "proto/wire/record.h"
#include "tests/unit/wire_samples.h"

#define ARENA_BYTES ((size_t)8 << 20)

static const struct label facts[] = {{TEXT("cpu_count"), TEXT("8")},
                                     {TEXT("os"), TEXT("\xE9\xBA\x92\xE9\xBA\x9F V10")}};
static const struct process_row rows[] = {
    {4711, TEXT("oracle"), TEXT("ora_pmon"), TEXT("db"), TEXT("ora_pmon_\0\xFF x"), 1.5,
     UINT64_C(1) << 40, 4096, 0.25, 1700000000000, TEXT("80 443")},
    {1, {0}, TEXT("init"), {0}, {0}, 0, 0, 0, 0, 0, {0}},
};

static void a_process_table_survives(void **state)
{
    const struct process_table table = {rows, 2, 512};
    struct process_table got;
    struct arena arena;
    struct buf out = {0};
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(record_encode_processes(&table, &arena, &out), 0);
    assert_int_equal(record_decode_processes(buf_bytes(&out), &arena, &got), 0);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.process_count, 512);
    assert_int_equal(got.rows[0].pid, 4711);
    assert_same_bytes(got.rows[0].user, rows[0].user);
    assert_same_bytes(got.rows[0].name, rows[0].name);
    assert_same_bytes(got.rows[0].group, rows[0].group);
    assert_same_bytes(got.rows[0].command_line, rows[0].command_line);
    assert_true(got.rows[0].cpu_seconds_per_second == 1.5);
    assert_true(got.rows[0].resident_bytes == UINT64_C(1) << 40);
    assert_true(got.rows[0].read_bytes_per_second == 4096);
    assert_true(got.rows[0].write_bytes_per_second == 0.25);
    assert_int_equal(got.rows[0].start_ms, 1700000000000);
    assert_same_bytes(got.rows[0].ports, rows[0].ports);
    assert_same_bytes(got.rows[1].name, rows[1].name);
    buf_done(&out);
    arena_reset(&arena);
}

static void an_event_survives(void **state)
{
    const struct wire_event event = {TEXT("clock_stepped"), TEXT("back 3 s"), facts, 2};
    struct wire_event got;
    struct arena arena;
    struct buf out = {0};
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(record_encode_event(&event, &arena, &out), 0);
    assert_int_equal(record_decode_event(buf_bytes(&out), &arena, &got), 0);
    assert_same_bytes(got.kind, event.kind);
    assert_same_bytes(got.text, event.text);
    assert_int_equal(got.label_count, 2);
    assert_same_bytes(got.labels[1].value, facts[1].value);
    buf_done(&out);
    arena_reset(&arena);
}

static void an_inventory_survives(void **state)
{
    const struct label *got;
    size_t count;
    struct arena arena;
    struct buf out = {0};
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(record_encode_inventory(facts, 2, &arena, &out), 0);
    assert_int_equal(record_decode_inventory(buf_bytes(&out), &arena, &got, &count), 0);
    assert_int_equal(count, 2);
    assert_same_bytes(got[0].name, facts[0].name);
    assert_same_bytes(got[1].value, facts[1].value);
    buf_done(&out);
    arena_reset(&arena);
}

static void limits_hold_in_both_directions(void **state)
{
    static uint8_t long_text[HELP_BYTES_MAX + 1];
    static const struct label unsorted[] = {{TEXT("b"), TEXT("")}, {TEXT("a"), TEXT("")}};
    const struct process_row long_row = {.command_line = {long_text, HELP_BYTES_MAX + 1}};
    const struct process_table many = {NULL, PROCESS_ROWS_MAX + 1, 0},
                               longer = {&long_row, 1, 1};
    const struct wire_event nameless = {.text = TEXT("x")};
    const struct wire_event latin = {.kind = TEXT("k"), .text = TEXT("\xE9")};
    struct arena arena;
    struct buf out = {0};
    struct wire_event got;
    struct process_table table;
    const struct label *labels;
    size_t count;
    (void)state;

    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(record_encode_processes(&many, &arena, &out), ERR_LIMIT);
    assert_int_equal(record_encode_processes(&longer, &arena, &out), ERR_LIMIT);
    assert_int_equal(record_encode_event(&nameless, &arena, &out), ERR_LIMIT);
    assert_int_equal(record_encode_event(&latin, &arena, &out), ERR_MALFORMED);
    assert_int_equal(record_encode_inventory(unsorted, 2, &arena, &out), ERR_MALFORMED);
    assert_int_equal(out.size, 0);
    const struct bytes no_kind = TEXT(""), bad_text = TEXT("\x0A\x01k\x12\x01\xE9");
    const struct bytes cut = TEXT("\x0A\x05k"),
                       negative = TEXT("\x0A\x0B\x50\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01");
    const struct bytes two = TEXT("\x0A\x03\x0A\x01"
                                  "b"
                                  "\x0A\x03\x0A\x01"
                                  "a");
    assert_int_equal(record_decode_event(no_kind, &arena, &got), ERR_LIMIT);
    assert_int_equal(record_decode_event(bad_text, &arena, &got), ERR_MALFORMED);
    assert_int_equal(record_decode_event(cut, &arena, &got), ERR_MALFORMED);
    assert_int_equal(record_decode_processes(negative, &arena, &table), ERR_LIMIT);
    assert_int_equal(record_decode_inventory(two, &arena, &labels, &count), ERR_MALFORMED);
    buf_done(&out);
    arena_reset(&arena);
}

static void running_out_of_memory_anywhere_is_survived(void **state)
{
    const struct process_table table = {rows, 2, 512};
    struct buf out = {0};
    int failures = 0;
    (void)state;

    for (size_t limit = 0;; limit += 16) {
        struct process_table got = {.process_count = 77};
        struct arena arena;
        arena_init(&arena, limit);
        buf_clear(&out);
        int error = record_encode_processes(&table, &arena, &out);
        if (error == 0)
            error = record_decode_processes(buf_bytes(&out), &arena, &got);
        arena_reset(&arena);
        if (error == 0)
            break;
        assert_int_equal(error, ERR_NOMEM);
        assert_int_equal(got.process_count, 77);
        failures++;
    }
    assert_true(failures > 10);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_table_survives),
        cmocka_unit_test(an_event_survives),
        cmocka_unit_test(an_inventory_survives),
        cmocka_unit_test(limits_hold_in_both_directions),
        cmocka_unit_test(running_out_of_memory_anywhere_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
