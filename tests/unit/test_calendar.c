/*
 * test_calendar.c - workdays, days off and 调休 by holiday files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/calendar/calendar.h"
#include "proto/base/civil.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

static const char spring[] =
    "{\"$schema\": \"x\", \"$id\": \"y\", \"year\": 2026, \"papers\": [\"https://a\"],\n"
    " \"days\": [\n"
    "  {\"name\": \"元旦\", \"date\": \"2026-01-01\", \"isOffDay\": true},\n"
    "  {\"name\": \"元旦\", \"date\": \"2026-01-02\", \"isOffDay\": true},\n"
    "  {\"name\": \"元旦\", \"date\": \"2026-01-04\", \"isOffDay\": false},\n"
    "  {\"name\": \"春节\", \"date\": \"2026-02-14\", \"isOffDay\": false},\n"
    "  {\"name\": \"春节\", \"date\": \"2026-02-16\", \"isOffDay\": true}]}";
static const char next[] =
    "{\"year\": 2027, \"days\": [\n"
    "  {\"name\": \"元旦\", \"date\": \"2026-12-26\", \"isOffDay\": false},\n"
    "  {\"name\": \"元旦\", \"date\": \"2026-12-31\", \"isOffDay\": true},\n"
    "  {\"name\": \"元旦\", \"date\": \"2026-01-04\", \"isOffDay\": true}]}";

static int64_t day_of(const char *date)
{
    int64_t day = 0;
    assert_true(civil_parse_date(&date, &day));
    return day;
}

static struct calendar *read_files(const char *const *texts, size_t count)
{
    struct calendar *calendar;
    struct diagnosis why = {0};
    assert_int_equal(calendar_new(&calendar), 0);
    for (size_t i = 0; i < count; i++)
        if (calendar_add(calendar, "h.json", bytes_of(texts[i]), NULL, &why) != 0)
            fail_msg("%s", why.text);
    return calendar;
}

static void a_day_is_worked_unless_a_file_says_otherwise(void **state)
{
    static const struct {
        const char *because, *date;
        bool is_workday;
        const char *name;
    } cases[] = {
        {"Thursday, a holiday", "2026-01-01", false, "元旦"},
        {"Saturday, no file speaks of it", "2026-01-03", false, NULL},
        {"Saturday, worked by the arrangement", "2026-02-14", true, "春节"},
        {"Monday, a holiday", "2026-02-16", false, "春节"},
        {"Tuesday", "2026-02-17", true, NULL},
        {"Saturday of December, by next year's file", "2026-12-26", true, "元旦"},
        {"Thursday of December, by next year's file", "2026-12-31", false, "元旦"},
        {"both files, the later year's holds", "2026-01-04", false, "元旦"},
        {"Friday of a year without a file", "2028-02-25", true, NULL},
        {"Sunday of a year without a file", "2028-02-27", false, NULL},
        {"the leap day, a Tuesday", "2028-02-29", true, NULL},
    };
    const char *const orders[][2] = {{spring, next}, {next, spring}};
    (void)state;
    for (size_t order = 0; order < 2; order++) {
        struct calendar *calendar = read_files(orders[order], 2);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const int64_t day = day_of(cases[i].date);
            const char *name = calendar_day_name(calendar, day);
            if (calendar_is_workday(calendar, day) != cases[i].is_workday)
                fail_msg("%s: %s", cases[i].date, cases[i].because);
            assert_string_equal(name == NULL ? "" : name,
                                cases[i].name == NULL ? "" : cases[i].name);
            assert_true(calendar_is(calendar, CALENDAR_ANY, day));
            assert_int_equal(calendar_is(calendar, CALENDAR_WORKDAY, day), cases[i].is_workday);
            assert_int_equal(calendar_is(calendar, CALENDAR_HOLIDAY, day),
                             !cases[i].is_workday);
        }
        assert_true(calendar_has_year(calendar, 2026) && calendar_has_year(calendar, 2027));
        assert_false(calendar_has_year(calendar, 2025) || calendar_has_year(calendar, 2028));
        calendar_unref(calendar);
    }
}

static void without_files_weekdays_are_worked(void **state)
{
    (void)state;
    for (int64_t day = day_of("2026-11-02"); day < day_of("2026-11-09"); day++)
        assert_int_equal(calendar_is_workday(NULL, day), day < day_of("2026-11-07"));
}

static void a_year_not_yet_arranged_is_as_good_as_none(void **state)
{
    static const char *const empty = "{\"year\": 2027, \"papers\": [], \"days\": []}";
    struct calendar *calendar = read_files(&empty, 1);
    (void)state;
    assert_false(calendar_has_year(calendar, 2027));
    calendar_unref(calendar);
}

static void a_mistake_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"{\"year\": 2026}", "h.json:1: key \"days\" is missing"},
        {"{\"year\": 2026, \"day\": []}", "(did you mean \"days\"?)"},
        {"{\"year\": 1800, \"days\": []}", "h.json:1: year: \"1800\" is not between"},
        {"{\"year\": 2026, \"days\": 3}", "h.json:1: days: expected a list"},
        {"{\"year\": 2026, \"days\": [\n{\"name\": \"a\", \"date\": \"2026-02-30\","
         " \"isOffDay\": true}]}",
         "h.json:2: days: \"2026-02-30\" is not a date"},
        {"{\"year\": 2026, \"days\": [\n{\"name\": \"a\", \"date\": \"2016-02-03\","
         " \"isOffDay\": true}]}",
         "h.json:2: days: 2016-02-03 is not near the file's year 2026"},
        {"{\"year\": 2026, \"days\": [\n{\"name\": \"a\", \"date\": \"2026-02-03\","
         " \"isOffDay\": 1}]}",
         "h.json:2: days.isOffDay: \"1\" is not true or false"},
        {"{\"year\": 2026, \"days\": [{\"name\": \"a\", \"date\": \"2026-02-03\", "
         "\"isOffDay\": "
         "true}, {\"name\": \"a\", \"date\": \"2026-02-03\", \"isOffDay\": false}]}",
         "h.json: 2026-02-03 is there twice"},
        {"[", "h.json:"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct calendar *calendar;
        struct diagnosis why = {0};
        assert_int_equal(calendar_new(&calendar), 0);
        assert_int_not_equal(
            calendar_add(calendar, "h.json", bytes_of(cases[i].text), NULL, &why), 0);
        if (strstr(why.text, cases[i].reason) == NULL)
            fail_msg("%s\ninstead of %s", why.text, cases[i].reason);
        calendar_unref(calendar);
    }
}

static void a_folder_is_read_whole_or_refused(void **state)
{
    char folder[] = "/tmp/fengsui-calendar-XXXXXX", path[64];
    struct calendar *calendar;
    struct diagnosis why = {0};
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/2026.json", folder);
    assert_int_equal(file_write_atomic(&file_io_system, path, bytes_of(spring), 0600, &why), 0);
    assert_int_equal(calendar_load(folder, &calendar, &why), 0);
    assert_true(calendar_has_year(calendar, 2026));
    calendar_unref(calendar);

    char second[64];
    (void)snprintf(second, sizeof second, "%s/again.json", folder);
    assert_int_equal(file_write_atomic(&file_io_system, second, bytes_of(spring), 0600, &why),
                     0);
    assert_int_equal(calendar_load(folder, &calendar, &why), ERR_INVALID);
    assert_non_null(strstr(why.text, "another file is of the year 2026"));
    (void)unlink(path);
    (void)unlink(second);
    (void)rmdir(folder);
    why = (struct diagnosis){0};
    assert_int_equal(calendar_load(folder, &calendar, &why), ERR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_is_worked_unless_a_file_says_otherwise),
        cmocka_unit_test(without_files_weekdays_are_worked),
        cmocka_unit_test(a_year_not_yet_arranged_is_as_good_as_none),
        cmocka_unit_test(a_mistake_is_named_with_its_line),
        cmocka_unit_test(a_folder_is_read_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
