/*
 * test_emitter.c - what sources emit comes out as one batch, once, in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "probe/definition.h"
#include "probe/emitter_tick.h"
#include "proto/base/error.h"

static const struct metric load = {"load", METRIC_GAUGE, "Load.", NULL};
static const struct metric bytes_total = {"bytes_total", METRIC_COUNTER, "Bytes.", "bytes"};

static struct emitter *open_emitter(void)
{
    struct emitter *out;
    assert_int_equal(emitter_open(NULL, &out), 0);
    emitter_begin(out, 1000);
    return out;
}

static struct plain_batch seal(struct emitter *out)
{
    struct plain_batch batch;
    assert_int_equal(emitter_seal(out, &batch), 0);
    return batch;
}

static struct label label_of(const char *name, const char *value)
{
    return (struct label){bytes_of(name), bytes_of(value)};
}

static void equal_series_have_one_handle_whatever_the_labels_order(void **state)
{
    struct emitter *out = open_emitter();
    struct label ab[] = {label_of("a", "1"), label_of("b", "2")};
    struct label ba[] = {label_of("b", "2"), label_of("a", "1")};
    struct label empty[] = {label_of("a", "1"), label_of("b", "2"), label_of("c", "")};
    (void)state;
    series_handle first = emitter_series(out, &bytes_total, ab, 2);
    assert_int_equal(first, 0);
    assert_int_equal(emitter_series(out, &bytes_total, ba, 2), first);
    assert_int_equal(emitter_series(out, &bytes_total, empty, 3), first);
    assert_int_equal(emitter_series(out, &bytes_total, ab, 1), 1);
    assert_int_equal(emitter_series(out, &load, ab, 2), 2);
    emitter_close(out);
}

static void what_cannot_be_registered_is_counted_and_emitting_to_it_does_nothing(void **state)
{
    struct emitter *out = open_emitter();
    struct label twice[] = {label_of("a", "1"), label_of("a", "2")};
    struct label many[SERIES_LABELS_MAX + 1];
    (void)state;
    for (size_t i = 0; i <= SERIES_LABELS_MAX; i++)
        many[i] = label_of("x", "y");
    assert_true(emitter_series(out, &load, twice, 2) == SERIES_NONE);
    assert_true(emitter_series(out, &load, many, SERIES_LABELS_MAX + 1) == SERIES_NONE);
    emit(out, SERIES_NONE, 1);
    emitter_end(out, SERIES_NONE);
    assert_int_equal(emitter_counts(out)->refused_limit, 2);
    assert_true(emitter_is_empty(out));
    emitter_close(out);
}

static void bytes_that_are_no_utf8_are_replaced_in_labels(void **state)
{
    struct emitter *out = open_emitter();
    struct label bad = label_of("name", "a\xff"
                                        "b");
    struct label good = label_of("name", "a\xef\xbf\xbd"
                                         "b");
    (void)state;
    series_handle handle = emitter_series(out, &load, &bad, 1);
    assert_true(handle != SERIES_NONE);
    assert_int_equal(emitter_series(out, &load, &good, 1), handle);
    emitter_close(out);
}

static void refs_come_out_ascending_and_the_last_value_stands(void **state)
{
    struct emitter *out = open_emitter();
    (void)state;
    for (int i = 0; i < 300; i++) {
        char text[12];
        (void)snprintf(text, sizeof text, "%d", i);
        struct label label = label_of("i", text);
        assert_int_equal(emitter_series(out, &load, &label, 1), i);
    }
    emit(out, 299, 1);
    emit(out, 64, 2);
    emit(out, 63, 3);
    emit(out, 64, 4);
    struct plain_batch batch = seal(out);
    assert_int_equal(batch.samples.count, 3);
    assert_int_equal(batch.samples.refs[0], 63);
    assert_int_equal(batch.samples.refs[1], 64);
    assert_true(batch.samples.values[1] == 4);
    assert_int_equal(batch.samples.refs[2], 299);
    assert_int_equal(batch.definition_count, 300);
    emitter_kept(out);
    assert_int_equal(seal(out).samples.count, 0);
    emitter_close(out);
}

static void an_ended_series_is_told_once_and_a_value_revives_it(void **state)
{
    struct emitter *out = open_emitter();
    series_handle a = emitter_series(out, &load, NULL, 0);
    (void)state;
    emit(out, a, 1);
    emitter_end(out, a);
    struct plain_batch batch = seal(out);
    assert_int_equal(batch.samples.count, 0);
    assert_int_equal(batch.ended_count, 1);
    emitter_kept(out);
    emitter_end(out, a);
    emit(out, a, 2);
    batch = seal(out);
    assert_int_equal(batch.ended_count, 0);
    assert_int_equal(batch.samples.count, 1);
    emitter_close(out);
}

static void a_late_source_gets_its_own_time_and_the_others_keep_theirs(void **state)
{
    struct emitter *out = open_emitter();
    struct label one = label_of("i", "1"), two = label_of("i", "2");
    series_handle a = emitter_series(out, &load, NULL, 0);
    series_handle b = emitter_series(out, &load, &one, 1);
    series_handle c = emitter_series(out, &load, &two, 1);
    (void)state;
    emit(out, a, 1);
    size_t mark = emitter_mark(out);
    emit(out, c, 3);
    emit(out, b, 2);
    assert_int_equal(emitter_stamp_late(out, mark, 1700), 0);
    struct plain_batch batch = seal(out);
    assert_int_equal(batch.samples.count, 1);
    assert_int_equal(batch.late_count, 1);
    assert_int_equal(batch.late[0].ts_ms, 1700);
    assert_int_equal(batch.late[0].samples.count, 2);
    assert_int_equal(batch.late[0].samples.refs[0], b);
    assert_true(batch.late[0].samples.values[1] == 3);
    emitter_close(out);
}

static void times_of_their_own_leave_room_for_sources_that_are_late(void **state)
{
    struct emitter *out = open_emitter();
    struct label one = label_of("i", "1");
    series_handle a = emitter_series(out, &load, NULL, 0);
    series_handle b = emitter_series(out, &load, &one, 1);
    double value = 7;
    int64_t ts_ms = 1;
    (void)state;
    while (emitter_at(out, ts_ms, &a, &value, 1) == 0)
        ts_ms++;
    size_t mark = emitter_mark(out);
    emit(out, b, 2);
    assert_int_equal(emitter_stamp_late(out, mark, 1700), 0);
    struct plain_batch batch = seal(out);
    assert_int_equal(batch.late_count, ts_ms);
    assert_int_equal(batch.late[ts_ms - 1].ts_ms, 1700);
    assert_int_equal(batch.late[ts_ms - 1].samples.refs[0], b);
    emitter_close(out);
}

static void lines_records_notes_and_endings_wait_when_the_spool_is_full(void **state)
{
    struct emitter *out = open_emitter();
    struct log_line line = {.offset = 7, .ts_ms = 1, .text = bytes_of("hello")};
    struct log_chunk chunk = {.file_id = 9, .path = bytes_of("/a"), .lines = &line, .count = 1};
    series_handle a = emitter_series(out, &load, NULL, 0);
    (void)state;
    emitter_end(out, a);
    assert_int_equal(emitter_record(out, RECORD_EVENT, bytes_of("event")), 0);
    assert_int_equal(emitter_log(out, &chunk), 0);
    assert_int_equal(emitter_note(out, bytes_of("log/a"), bytes_of("12")), 0);
    series_handle b = emitter_series(out, &bytes_total, NULL, 0);
    emit(out, b, 5);
    (void)seal(out);
    emitter_not_kept(out);
    emitter_begin(out, 2000);
    struct plain_batch batch = seal(out);
    assert_int_equal(batch.tick_ms, 2000);
    assert_int_equal(batch.samples.count, 0);
    assert_int_equal(batch.ended_count, 1);
    assert_int_equal(batch.record_count, 1);
    assert_int_equal(batch.records[0].ts_ms, 1000);
    assert_memory_equal(batch.records[0].data.data, "event", 5);
    assert_int_equal(batch.log_count, 1);
    assert_memory_equal(batch.logs[0].lines[0].text.data, "hello", 5);
    assert_memory_equal(batch.logs[0].path.data, "/a", 2);
    assert_true(emitter_changed_notes(out).size > 0);
    emitter_kept(out);
    assert_true(emitter_is_empty(out));
    emitter_close(out);
}

static void lines_that_find_no_room_are_told_to_wait(void **state)
{
    struct emitter *out = open_emitter();
    static char text[LOG_LINE_BYTES_MAX];
    struct log_line line = {.text = {(const uint8_t *)text, sizeof text}};
    struct log_chunk chunk = {.file_id = 1, .path = bytes_of("/a"), .lines = &line, .count = 1};
    int error = 0;
    size_t taken = 0;
    (void)state;
    while ((error = emitter_log(out, &chunk)) == 0)
        taken++;
    assert_int_equal(error, ERR_AGAIN);
    assert_in_range(taken, 3, 4);
    assert_int_equal(seal(out).log_count, taken);
    emitter_kept(out);
    assert_int_equal(emitter_log(out, &chunk), 0);
    emitter_close(out);
}

static void restored_definitions_keep_their_refs(void **state)
{
    struct emitter *before = open_emitter();
    struct label label = label_of("i", "1");
    uint64_t first, count;
    (void)state;
    (void)emitter_series(before, &load, NULL, 0);
    (void)emitter_series(before, &load, &label, 1);
    struct bytes coded = emitter_new_definitions(before, &first, &count);
    assert_int_equal(first, 0);
    assert_int_equal(count, 2);

    struct emitter *after = open_emitter();
    struct reader reader = reader_of(coded);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *from = reader.at;
        assert_true(definition_skip(&reader));
        struct bytes item = {from, (size_t)(reader.at - from)};
        assert_int_equal(emitter_restore(after, item), 0);
    }
    assert_int_equal(emitter_series(after, &load, &label, 1), 1);
    assert_int_equal(emitter_series(after, &bytes_total, NULL, 0), 2);
    (void)emitter_new_definitions(after, &first, &count);
    assert_int_equal(first, 2);
    assert_int_equal(count, 1);
    emitter_close(before);
    emitter_close(after);
}

/* Random operations against the obvious model. */
static void random_ticks_agree_with_a_plain_array(void **state)
{
    enum { SERIES = 500 };
    struct emitter *out = open_emitter();
    (void)state;
    srand(11);
    for (int i = 0; i < SERIES; i++) {
        char text[12];
        (void)snprintf(text, sizeof text, "%d", i);
        struct label label = label_of("i", text);
        (void)emitter_series(out, &load, &label, 1);
    }
    for (int tick = 0; tick < 200; tick++) {
        double values[SERIES];
        int kinds[SERIES] = {0}; /* 1 emitted, 2 ended */
        emitter_begin(out, tick);
        for (int i = rand() % 1000; i > 0; i--) {
            int ref = rand() % SERIES;
            if (rand() % 4 == 0) {
                emitter_end(out, (series_handle)ref);
                kinds[ref] = 2;
            } else {
                values[ref] = rand();
                emit(out, (series_handle)ref, values[ref]);
                kinds[ref] = 1;
            }
        }
        struct plain_batch batch = seal(out);
        size_t sample = 0, ended = 0;
        for (int ref = 0; ref < SERIES; ref++) {
            if (kinds[ref] == 1) {
                assert_true(sample < batch.samples.count);
                assert_int_equal(batch.samples.refs[sample], ref);
                assert_true(batch.samples.values[sample++] == values[ref]);
            } else if (kinds[ref] == 2) {
                assert_true(ended < batch.ended_count);
                assert_int_equal(batch.ended[ended++], ref);
            }
        }
        assert_int_equal(sample, batch.samples.count);
        assert_int_equal(ended, batch.ended_count);
        emitter_kept(out);
    }
    emitter_close(out);
}

static void notes_replace_and_forget(void **state)
{
    struct notes notes;
    struct bytes key, value;
    (void)state;
    notes_init(&notes);
    assert_int_equal(notes_set(&notes, bytes_of("a"), bytes_of("1"), false), 0);
    assert_int_equal(notes_set(&notes, bytes_of("b"), bytes_of("2"), false), 0);
    assert_int_equal(notes_set(&notes, bytes_of("a"), bytes_of("333"), false), 0);
    assert_true(notes_at(&notes, 1, &key, &value));
    assert_memory_equal(value.data, "333", 3);
    assert_int_equal(notes_set(&notes, bytes_of("b"), (struct bytes){0}, false), 0);
    assert_true(notes_at(&notes, 0, &key, &value));
    assert_memory_equal(key.data, "a", 1);
    assert_false(notes_at(&notes, 1, &key, &value));
    assert_int_equal(notes_apply(&notes, bytes_of("\x7f")), ERR_MALFORMED);
    notes_done(&notes);
}

/* Three parts: the first with the lines, the second silent, the third with late and ended. */
static void more_series_than_a_batch_takes_go_in_parts(void **state)
{
    struct emitter *out = open_emitter();
    const size_t last = 2 * BATCH_SAMPLES_MAX + 10;
    char name[16];
    struct plain_batch batch;
    (void)state;

    for (size_t i = 0; i <= last; i++) {
        (void)snprintf(name, sizeof name, "%zu", i);
        const struct label label = label_of("n", name);
        assert_int_equal(emitter_series(out, &load, &label, 1), i);
    }
    emitter_definitions_kept(out);
    for (size_t i = 0; i < BATCH_SAMPLES_MAX; i++)
        emit(out, (series_handle)i, (double)i);
    assert_int_equal(emitter_note(out, bytes_of("key"), bytes_of("value")), 0);
    emitter_end(out, (series_handle)last);
    size_t mark = emitter_mark(out);
    emit(out, 7, 7);
    emit(out, (series_handle)(last - 1), 8);
    assert_int_equal(emitter_stamp_late(out, mark, 1500), 0);

    batch = seal(out);
    assert_int_equal(batch.tick_ms, 1000);
    assert_int_equal(batch.samples.count, BATCH_SAMPLES_MAX);
    assert_int_equal(batch.late_count, 0);
    assert_int_equal(batch.ended_count, 0);
    assert_true(emitter_changed_notes(out).size > 0);
    assert_int_equal(part_of(&batch.samples), 0);
    emitter_kept(out);
    assert_false(emitter_is_empty(out));
    batch = seal(out);
    assert_int_equal(batch.tick_ms, 1001);
    assert_int_equal(batch.samples.count, 0);
    assert_int_equal(batch.late_count, 1);
    assert_int_equal(batch.late[0].samples.count, 1);
    assert_int_equal(batch.late[0].samples.refs[0], last - 1);
    assert_int_equal(batch.ended_count, 1);
    assert_int_equal(batch.ended[0], last);
    assert_int_equal(emitter_changed_notes(out).size, 0);
    emitter_kept(out);
    assert_true(emitter_is_empty(out));

    /* A tick a millisecond later comes behind; and what is only in the last part is found. */
    emitter_begin(out, 1001);
    emit(out, (series_handle)last, 1);
    batch = seal(out);
    assert_int_equal(batch.tick_ms, 1002);
    assert_int_equal(batch.samples.refs[0], last);
    assert_int_equal(part_of(&batch.samples), 2);
    emitter_not_kept(out);
    assert_true(emitter_is_empty(out));
    emitter_close(out);
}

static void an_epoch_is_crowded_when_most_of_its_series_are_gone(void **state)
{
    struct emitter *out = open_emitter();
    char name[16];
    (void)state;

    emitter_set_owner(out, 1);
    for (uint32_t i = 0; i < EMITTER_CROWD_LEAST + 2; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        const struct label label = label_of("n", name);
        emit(out, emitter_series(out, &load, &label, 1), 1);
    }
    assert_false(emitter_is_crowded(out)); /* all of them are there */
    for (uint32_t i = 0; i < EMITTER_CROWD_LEAST / 2 + 1; i++)
        emitter_end(out, i);
    assert_false(emitter_is_crowded(out));
    emitter_end(out, EMITTER_CROWD_LEAST);
    assert_true(emitter_is_crowded(out));
    emitter_close(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_series_have_one_handle_whatever_the_labels_order),
        cmocka_unit_test(what_cannot_be_registered_is_counted_and_emitting_to_it_does_nothing),
        cmocka_unit_test(bytes_that_are_no_utf8_are_replaced_in_labels),
        cmocka_unit_test(refs_come_out_ascending_and_the_last_value_stands),
        cmocka_unit_test(an_ended_series_is_told_once_and_a_value_revives_it),
        cmocka_unit_test(a_late_source_gets_its_own_time_and_the_others_keep_theirs),
        cmocka_unit_test(times_of_their_own_leave_room_for_sources_that_are_late),
        cmocka_unit_test(lines_records_notes_and_endings_wait_when_the_spool_is_full),
        cmocka_unit_test(lines_that_find_no_room_are_told_to_wait),
        cmocka_unit_test(restored_definitions_keep_their_refs),
        cmocka_unit_test(random_ticks_agree_with_a_plain_array),
        cmocka_unit_test(notes_replace_and_forget),
        cmocka_unit_test(more_series_than_a_batch_takes_go_in_parts),
        cmocka_unit_test(an_epoch_is_crowded_when_most_of_its_series_are_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
