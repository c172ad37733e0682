/*
 * test_log_templates.c - kinds of lines are told apart, new ones told, and nothing grows.
 *
 * What can go wrong, each a case here: lines of one kind fall apart, or kinds fall together;
 * messages' codes are taken for numbers; free text fills the memory; what was known before a
 * restart is new again; a personal number is told as part of a template.
 */
#include "tests/unit/log_world.h"

#include <stdio.h>
#include <string.h>

#include "probe/log/templates.h"

static uint64_t lines_of(struct templates *templates, const char *line)
{
    const struct template *new_one;
    templates_take(templates, bytes_of(line), 1000, &new_one);
    templates_commit(templates);
    return templates->count;
}

static void variable_parts_do_not_make_templates(void **state)
{
    static const char *const lines[][2] = {
        {"2026-03-01 12:00:01,123 INFO [http-8080-1] Login of user 17 from 192.0.2.7:4711",
         "2026-03-02 00:10:59,001 INFO [http-8080-22] Login of user 20031 from 10.1.2.3:1"},
        {"kernel: eth0: link down", "kernel: eth1: link down"},
        {"Session opened for user alice by (uid=0)", "Session opened for user bob by (uid=0)"},
        {"Errors in file /u01/trace/orcl_ora_1234.trc:",
         "Errors in file /u01/trace/orcl_ora_99.trc:"},
    };
    (void)state;
    struct templates *templates;
    assert_int_equal(templates_new(100, &templates), 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t k = 0; k < 2; k++)
            assert_int_equal(lines_of(templates, lines[i][k]), i + 1);
    for (size_t i = 0; i < templates->count; i++)
        assert_int_equal(templates->items[i].lines, 2);
    templates_free(templates);
}

static void kinds_are_told_apart(void **state)
{
    static const char *const lines[] = {
        "ORA-00600: internal error code",
        "ORA-07445: internal error code",
        "WARN pool is exhausted",
        "WARN pool is exhausted for now",
        "disk full",
    };
    (void)state;
    struct templates *templates;
    assert_int_equal(templates_new(100, &templates), 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(lines_of(templates, lines[i]), i + 1);
    /* Of an event the first line tells the kind. */
    assert_int_equal(lines_of(templates, "disk full\n  at some.java.Class"), 5);
    assert_int_equal(lines_of(templates, ""), 5);
    templates_free(templates);
}

/* What has become general takes only what agrees with what is left of it. */
static void a_general_template_does_not_take_all(void **state)
{
    (void)state;
    struct templates *templates;
    assert_int_equal(templates_new(100, &templates), 0);
    assert_int_equal(
        lines_of(templates, "job nightly took one from queue alpha to store red x"), 1);
    assert_int_equal(lines_of(templates, "job nightly took two off list beta for shop red x"),
                     1);
    assert_int_equal(lines_of(templates, "job nightly took six via pipe gamma into hall red x"),
                     1);
    assert_int_equal(lines_of(templates, "job nightly died: no more room on disk of some host"),
                     2);
    templates_free(templates);
}

static void free_text_fills_nothing(void **state)
{
    (void)state;
    struct templates *templates;
    const struct template *new_one;
    char line[64];
    size_t told = 0;
    assert_int_equal(templates_new(4, &templates), 0);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(line, sizeof line, "%c%c%c says %c%c", 'a' + i % 26, 'a' + i / 26 % 26,
                       'a' + i / 676, 'a' + i % 26, 'a' + i / 26 % 26);
        templates_take(templates, bytes_of(line), 1000 + i, &new_one);
        told += new_one != NULL;
    }
    templates_commit(templates);
    assert_int_equal(templates->count, 4);
    assert_int_equal(told, 4);
    assert_int_equal(templates->other, 996);
    /* A day later one that was not seen makes room, and is one of the others from then on. */
    templates_take(templates, bytes_of("something new"), 2 * TEMPLATES_STALE_MS, &new_one);
    assert_non_null(new_one);
    templates_commit(templates);
    assert_int_equal(templates->other, 997);
    templates_take(templates, bytes_of("another one, too"), 2 * TEMPLATES_STALE_MS + 1,
                   &new_one);
    assert_null(new_one);
    templates_free(templates);
}

static void what_is_told_is_variable_and_masked(void **state)
{
    (void)state;
    struct templates *templates;
    const struct template *new_one;
    assert_int_equal(templates_new(4, &templates), 0);
    struct bytes line = bytes_of("ORA-00060 at 12:00: 缴费人 user=zhang id4711 \n second");
    templates_take(templates, line, 1, &new_one);
    assert_non_null(new_one);
    templates_tell(templates, new_one, line);
    assert_string_equal(templates->told[0].text,
                        "ORA-00060 at <*>:<*>: 缴费人 user=zhang <*> ");
    templates_free(templates);
}

static void new_is_new_to_the_log_and_not_to_the_run(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log\n    templates: 10");
    world_append(&world, "a.log", "one kind 1\nanother sort\none kind 2\n");
    world_start(&world);
    world_ticks(&world, 2);
    assert_true(world_value(&world, "logwatch_templates_new_total", "") == 2);
    assert_true(world_value(&world, "logwatch_templates", "") == 2);
    assert_int_equal(world.out->events, 2);
    world_kill(&world);
    world_append(&world, "a.log", "one kind 3\nanother sort\nnever before seen\n");
    world_start(&world);
    world_ticks(&world, 2);
    assert_true(world_value(&world, "logwatch_templates_new_total", "") == 1);
    assert_true(world_value(&world, "logwatch_templates", "") == 3);
    assert_int_equal(world.out->events, 3);
    /* What the tick refuses counts once. */
    for (int i = 0; i < 2000; i++)
        world_append(&world, "a.log", "one kind 4\n");
    world.out->room = 5000;
    world_ticks(&world, 20);
    double lines = 0;
    for (size_t i = 0; i < world.out->series_count; i++)
        if (strncmp(world.out->series[i].name, "logwatch_template_lines_total", 29) == 0)
            lines += world.out->series[i].value;
    assert_true(lines == 2003);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variable_parts_do_not_make_templates),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(a_general_template_does_not_take_all),
        cmocka_unit_test(free_text_fills_nothing),
        cmocka_unit_test(what_is_told_is_variable_and_masked),
        cmocka_unit_test(new_is_new_to_the_log_and_not_to_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
