/*
 * test_points.c - points are written alike, alone and by many.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collector/http/points.h"
#include "collector/series/crew.h"

#define SERIES 37
#define LENGTH 400

static int64_t times_ms[LENGTH];
static double values[SERIES][LENGTH];
static struct series_samples series[SERIES];

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH; i++)
        times_ms[i] = INT64_C(1700000000000) + (int64_t)i * 15250;
    for (size_t n = 0; n < SERIES; n++) {
        for (size_t i = 0; i < LENGTH; i++)
            values[n][i] = i % 50 == 49 ? (double)NAN : (double)(n * i) / 7;
        series[n] = (struct series_samples){
            .times_ms = times_ms, .values = values[n], .count = n == 5 ? 0 : LENGTH - n};
    }
    return 0;
}

static void helpers_write_the_same(void **state)
{
    struct crew *crew = NULL;
    struct buf texts[POINTS_BATCH] = {{0}};
    (void)state;
    assert_int_equal(crew_open("helpers", 3, &crew), 0);
    assert_true(points_make(series, SERIES, crew, texts));
    for (size_t n = 0; n < SERIES; n++) {
        struct buf alone = {0};
        struct json_writer json = json_write_to(&alone);
        points_write(&json, &series[n]);
        assert_int_equal(texts[n].size, alone.size);
        assert_memory_equal(texts[n].data, alone.data, alone.size);
        buf_done(&alone);
        buf_done(&texts[n]);
    }
    crew_close(crew);
}

static void nobody_is_asked_for_a_few(void **state)
{
    struct crew *crew = NULL;
    struct buf texts[POINTS_BATCH] = {{0}};
    (void)state;
    assert_int_equal(crew_open("helpers", 1, &crew), 0);
    assert_false(points_make(series, 3, crew, texts));
    assert_false(points_make(series, 1, crew, texts));
    assert_false(points_make(series, SERIES, NULL, texts));
    assert_int_equal(texts[0].size, 0);
    crew_close(crew);
}

static void a_point_is_seconds_and_a_text(void **state)
{
    struct buf out = {0};
    struct json_writer json = json_write_to(&out);
    (void)state;
    json_write_array(&json);
    points_write_one(&json, 1500, 0.25);
    points_write_one(&json, -2000, (double)INFINITY);
    points_write(&json, &(struct series_samples){.count = 0});
    json_write_end(&json);
    assert_string_equal(buf_text(&out), "[[1.500,\"0.25\"],[-2,\"+Inf\"],[]]");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(helpers_write_the_same),
        cmocka_unit_test(nobody_is_asked_for_a_few),
        cmocka_unit_test(a_point_is_seconds_and_a_text),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
