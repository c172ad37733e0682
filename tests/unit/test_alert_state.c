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

#define MIN 60000

static void every_arrow_is_as_drawn(void **state)
{
    static const struct {
        const char *because;
        struct alert_life before;
        bool holds;
        int64_t for_ms, keep_ms, ts_ms;
        enum alert_state after;
        bool changed;
        enum alert_telling telling;
    } cases[] = {
        {"nothing holds", {0}, false, 0, 0, 5, ALERT_INACTIVE, false, TELL_NOTHING},
        {"for 0 fires at once", {0}, true, 0, 0, 5, ALERT_FIRING, true, TELL_FIRING},
        {"for makes it wait", {0}, true, MIN, 0, 5, ALERT_PENDING, true, TELL_NOTHING},
        {"not yet", {ALERT_PENDING, 10, 0, 0, 0}, true, MIN, 0, MIN + 9, ALERT_PENDING, false,
         TELL_NOTHING},
        {"exactly now", {ALERT_PENDING, 10, 0, 0, 0}, true, MIN, 0, MIN + 10, ALERT_FIRING,
         true, TELL_FIRING},
        {"pending just goes", {ALERT_PENDING, 10, 0, 0, 0}, false, MIN, MIN, 20, ALERT_INACTIVE,
         true, TELL_NOTHING},
        {"firing stays", {ALERT_FIRING, 10, 20, 0, 20}, true, 0, 0, 30, ALERT_FIRING, false,
         TELL_NOTHING},
        {"firing ends", {ALERT_FIRING, 10, 20, 0, 20}, false, 0, 0, 30, ALERT_INACTIVE, true,
         TELL_RESOLVED},
        {"it is kept", {ALERT_FIRING, 10, 20, 0, 20}, false, 0, MIN, 30, ALERT_FIRING, true,
         TELL_NOTHING},
        {"still kept", {ALERT_FIRING, 10, 20, 30, 20}, false, 0, MIN, 29 + MIN, ALERT_FIRING,
         false, TELL_NOTHING},
        {"kept long enough", {ALERT_FIRING, 10, 20, 30, 20}, false, 0, MIN, 30 + MIN,
         ALERT_INACTIVE, true, TELL_RESOLVED},
        {"it holds again", {ALERT_FIRING, 10, 20, 30, 20}, true, 0, MIN, 40, ALERT_FIRING, true,
         TELL_NOTHING},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alert_step step = alert_next(cases[i].before, cases[i].holds, cases[i].for_ms,
                                            cases[i].keep_ms, cases[i].ts_ms);
        print_message("%s\n", cases[i].because);
        assert_int_equal(step.life.state, cases[i].after);
        assert_int_equal(step.changed, cases[i].changed);
        assert_int_equal(step.telling, cases[i].telling);
    }
}

static void for_2m_keep_3m_fires_at_2m_and_is_gone_at_9m(void **state)
{
    struct alert_life life = {0};
    enum alert_state seen[11];
    (void)state;
    for (int minute = 0; minute <= 10; minute++) {
        bool holds = minute <= 5;
        life = alert_next(life, holds, 2 * MIN, 3 * MIN, 1000 + minute * MIN).life;
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
    struct alert_row row = {.life = {ALERT_FIRING, 1, 2, 3, 4}, .value = 5.5,
                            .instance = {(const uint8_t *)"web01", 5}}, back;
    struct arena arena;
    struct buf out = {0};
    (void)state;

    arena_init(&arena, 1 << 20);
    assert_int_equal(labels_build(&pair, 1, &arena, &row.labels), 0);
    row.annotations = row.labels;
    alert_row_write(&row, &out);
    assert_int_equal(alert_row_read(buf_bytes(&out), &arena, &back), 0);
    assert_memory_equal(&back.life, &row.life, sizeof row.life);
    assert_true(labels_equal(back.labels, row.labels));
    assert_true(bytes_equal(back.instance, row.instance));
    for (size_t size = 0; size < out.size; size++)
        assert_int_equal(alert_row_read((struct bytes){out.data, size}, &arena, &back),
                         ERR_CORRUPT);
    buf_done(&out);
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_arrow_is_as_drawn),
        cmocka_unit_test(for_2m_keep_3m_fires_at_2m_and_is_gone_at_9m),
        cmocka_unit_test(a_row_reads_back_and_a_cut_one_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
