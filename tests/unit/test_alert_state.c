/*
 * test_alert_state.c - the arrows of an alert's life, one row each, and its stored row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/rules/alert_state.h"
#include "proto/base/error.h"

#define MIN   60000
#define STALE (10 * MIN)

static void every_arrow_is_as_drawn(void **state)
{
    static const struct {
        const char *because;
        struct alert_life before;
        enum alert_sight sight;
        int64_t for_ms, keep_ms, ts_ms;
        enum alert_state after;
        bool changed;
        enum alert_telling telling;
    } cases[] = {
        {"nothing holds", {0}, SIGHT_ABSENT, 0, 0, 5, ALERT_INACTIVE, false, TELL_NOTHING},
        {"for 0 fires at once", {0}, SIGHT_HOLDS, 0, 0, 5, ALERT_FIRING, true, TELL_FIRING},
        {"for makes it wait", {0}, SIGHT_HOLDS, MIN, 0, 5, ALERT_PENDING, true, TELL_NOTHING},
        {"not yet", {ALERT_PENDING, 10, 0, 0, 0, 0}, SIGHT_HOLDS, MIN, 0, MIN + 9, ALERT_PENDING, false,
         TELL_NOTHING},
        {"exactly now", {ALERT_PENDING, 10, 0, 0, 0, 0}, SIGHT_HOLDS, MIN, 0, MIN + 10, ALERT_FIRING,
         true, TELL_FIRING},
        {"pending just goes", {ALERT_PENDING, 10, 0, 0, 0, 0}, SIGHT_ABSENT, MIN, MIN, 20, ALERT_INACTIVE,
         true, TELL_NOTHING},
        {"firing stays", {ALERT_FIRING, 10, 20, 0, 20, 0}, SIGHT_HOLDS, 0, 0, 30, ALERT_FIRING, false,
         TELL_NOTHING},
        {"firing ends", {ALERT_FIRING, 10, 20, 0, 20, 0}, SIGHT_ABSENT, 0, 0, 30, ALERT_INACTIVE, true,
         TELL_RESOLVED},
        {"it is kept", {ALERT_FIRING, 10, 20, 0, 20, 0}, SIGHT_ABSENT, 0, MIN, 30, ALERT_FIRING, true,
         TELL_NOTHING},
        {"still kept", {ALERT_FIRING, 10, 20, 30, 20, 0}, SIGHT_ABSENT, 0, MIN, 29 + MIN, ALERT_FIRING,
         false, TELL_NOTHING},
        {"kept long enough", {ALERT_FIRING, 10, 20, 30, 20, 0}, SIGHT_ABSENT, 0, MIN, 30 + MIN,
         ALERT_INACTIVE, true, TELL_RESOLVED},
        {"it holds again", {ALERT_FIRING, 10, 20, 30, 20, 0}, SIGHT_HOLDS, 0, MIN, 40, ALERT_FIRING, true,
         TELL_NOTHING},
        {"pending waits for data", {ALERT_PENDING, 10, 0, 0, 0, 0}, SIGHT_NO_DATA, MIN, 0, 20,
         ALERT_PENDING, true, TELL_NOTHING},
        {"it does not fire meanwhile", {ALERT_PENDING, 10, 0, 0, 0, 20}, SIGHT_NO_DATA, MIN, 0,
         MIN + 30, ALERT_PENDING, false, TELL_NOTHING},
        {"it fires when they are back", {ALERT_PENDING, 10, 0, 0, 0, 20}, SIGHT_HOLDS, MIN, 0,
         MIN + 30, ALERT_FIRING, true, TELL_FIRING},
        {"it waits no longer than that", {ALERT_PENDING, 10, 0, 0, 0, 20}, SIGHT_NO_DATA,
         60 * MIN, 0, 20 + PENDING_STALE_MS, ALERT_INACTIVE, true, TELL_NOTHING},
        {"pending knows no recovery", {ALERT_PENDING, 10, 0, 0, 0, 0}, SIGHT_BETWEEN, MIN, 0, 20,
         ALERT_INACTIVE, true, TELL_NOTHING},
        {"no data is not recovery", {ALERT_FIRING, 10, 20, 0, 20, 0}, SIGHT_NO_DATA, 0, 0, 30,
         ALERT_FIRING, true, TELL_FIRING},
        {"it is told once", {ALERT_FIRING, 10, 20, 0, 20, 30}, SIGHT_NO_DATA, 0, 0, 29 + STALE,
         ALERT_FIRING, false, TELL_NOTHING},
        {"its time is over", {ALERT_FIRING, 10, 20, 0, 20, 30}, SIGHT_NO_DATA, 0, 0, 30 + STALE,
         ALERT_INACTIVE, true, TELL_RESOLVED},
        {"data are back, it holds", {ALERT_FIRING, 10, 20, 0, 20, 30}, SIGHT_HOLDS, 0, 0, 40,
         ALERT_FIRING, true, TELL_FIRING},
        {"data are back, it is over", {ALERT_FIRING, 10, 20, 0, 20, 30}, SIGHT_ABSENT, 0, 0, 40,
         ALERT_INACTIVE, true, TELL_RESOLVED},
        {"what had ended is kept as ever", {ALERT_FIRING, 10, 20, 30, 20, 0}, SIGHT_NO_DATA, 0,
         MIN, 30 + MIN, ALERT_INACTIVE, true, TELL_RESOLVED},
        {"not recovered", {ALERT_FIRING, 10, 20, 0, 20, 0}, SIGHT_BETWEEN, 0, 0, 30,
         ALERT_FIRING, false, TELL_NOTHING},
        {"nor kept", {ALERT_FIRING, 10, 20, 25, 20, 0}, SIGHT_BETWEEN, 0, MIN, 30, ALERT_FIRING,
         true, TELL_NOTHING},
        {"nothing begins between", {0}, SIGHT_BETWEEN, 0, 0, 30, ALERT_INACTIVE, false,
         TELL_NOTHING},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct alert_terms terms = {cases[i].for_ms, cases[i].keep_ms, STALE};
        struct alert_step step =
            alert_next(cases[i].before, cases[i].sight, &terms, cases[i].ts_ms);
        print_message("%s\n", cases[i].because);
        assert_int_equal(step.life.state, cases[i].after);
        assert_int_equal(step.changed, cases[i].changed);
        assert_int_equal(step.telling, cases[i].telling);
    }
}

static void for_2m_keep_3m_fires_at_2m_and_is_gone_at_9m(void **state)
{
    const struct alert_terms terms = {2 * MIN, 3 * MIN, STALE};
    struct alert_life life = {0};
    enum alert_state seen[11];
    (void)state;
    for (int minute = 0; minute <= 10; minute++) {
        enum alert_sight sight = minute <= 5 ? SIGHT_HOLDS : SIGHT_ABSENT;
        life = alert_next(life, sight, &terms, 1000 + minute * MIN).life;
        seen[minute] = life.state;
    }
    assert_int_equal(seen[1], ALERT_PENDING);
    assert_int_equal(seen[2], ALERT_FIRING);
    assert_int_equal(seen[8], ALERT_FIRING);
    assert_int_equal(seen[9], ALERT_INACTIVE);
}

static void a_row_reads_back_and_a_cut_one_does_not(void **state)
{
    const struct label pair = {{(const uint8_t *)"alertname", 9}, {(const uint8_t *)"A", 1}};
    struct alert_row row = {.life = {ALERT_FIRING, 1, 2, 3, 4, 5}, .value = 5.5,
                            .instance = {(const uint8_t *)"web01", 5}}, back;
    struct arena arena;
    struct buf out = {0};
    (void)state;

    arena_init(&arena, 1 << 20);
    assert_int_equal(labels_build(&pair, 1, &arena, &row.labels), 0);
    row.annotations = row.labels;
    flap_change(&row.flap, &(struct flap_terms){4, MIN}, 7);
    alert_row_write(&row, &out);
    assert_int_equal(alert_row_read(buf_bytes(&out), &arena, &back), 0);
    assert_memory_equal(&back.life, &row.life, sizeof row.life);
    assert_true(labels_equal(back.labels, row.labels));
    assert_true(bytes_equal(back.instance, row.instance));
    assert_memory_equal(&back.flap, &row.flap, sizeof row.flap);
    for (size_t size = 0; size < out.size; size++)
        assert_int_equal(alert_row_read((struct bytes){out.data, size}, &arena, &back),
                         ERR_CORRUPT);
    buf_done(&out);
    arena_reset(&arena);
}

static void only_silence_ends_an_alert_without_data(void **state)
{
    const struct alert_terms terms = {0, 0, STALE};
    const struct alert_life stale = {ALERT_FIRING, 10, 20, 0, 20, 30};
    (void)state;
    assert_true(alert_next(stale, SIGHT_NO_DATA, &terms, 30 + STALE).without_data);
    assert_false(alert_next(stale, SIGHT_ABSENT, &terms, 30 + STALE).without_data);
}

static void a_row_of_version_1_has_no_more_to_say(void **state)
{
    const struct labels *none;
    struct alert_row back;
    struct arena arena;
    struct buf out = {0};
    (void)state;

    arena_init(&arena, 1 << 20);
    assert_int_equal(labels_build(NULL, 0, &arena, &none), 0);
    buf_put_u8(&out, 1);
    buf_put_u8(&out, ALERT_FIRING);
    for (int i = 1; i <= 4; i++)
        buf_put_zigzag(&out, i);
    buf_put_u64(&out, 0);
    labels_write(none, &out);
    labels_write(none, &out);
    buf_put_sized(&out, bytes_of("web01"));
    assert_int_equal(alert_row_read(buf_bytes(&out), &arena, &back), 0);
    assert_int_equal(back.life.sent_ms, 4);
    assert_int_equal(back.life.stale_since_ms, 0);
    assert_int_equal(back.flap.count, 0);
    buf_done(&out);
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_arrow_is_as_drawn),
        cmocka_unit_test(for_2m_keep_3m_fires_at_2m_and_is_gone_at_9m),
        cmocka_unit_test(only_silence_ends_an_alert_without_data),
        cmocka_unit_test(a_row_of_version_1_has_no_more_to_say),
        cmocka_unit_test(a_row_reads_back_and_a_cut_one_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
