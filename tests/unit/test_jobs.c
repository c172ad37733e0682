/*
 * test_jobs.c - crontab lines, calendars, jobs.yml, and what is wrong with a job when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collector/http/users.h"
#include "collector/jobs/job_row.h"
#include "collector/jobs/jobs_file.h"
#include "proto/base/error.h"

#define MINUTE CIVIL_MINUTE_MS
#define HOUR   (60 * MINUTE)
#define DAY    CIVIL_DAY_MS
#define ZONE   (8 * HOUR)

/* Beijing's time as Unix ms. */
static int64_t at(int year, int month, int day, int hour, int minute)
{
    return civil_days(year, month, day) * DAY + hour * HOUR + minute * MINUTE - ZONE;
}

/* ---- cron -------------------------------------------------------------------------------- */

static void a_crontab_line_says_when(void **unused)
{
    static const struct {
        const char *because, *cron;
        int after[5], next[5];
    } cases[] = {
        {"every night", "0 2 * * *", {2026, 11, 28, 2, 0}, {2026, 11, 29, 2, 0}},
        {"later today", "30 8 * * *", {2026, 11, 28, 2, 0}, {2026, 11, 28, 8, 30}},
        {"steps", "*/20 8-18/5 * * *", {2026, 11, 28, 13, 40}, {2026, 11, 28, 18, 0}},
        {"a step behind one number",
         "5/20 * * * *",
         {2026, 11, 28, 1, 25},
         {2026, 11, 28, 1, 45}},
        {"a list", "0,59 23 * * *", {2026, 11, 28, 23, 0}, {2026, 11, 28, 23, 59}},
        {"sunday is 0", "0 0 * * 0", {2026, 11, 28, 0, 0}, {2026, 11, 29, 0, 0}},
        {"sunday is 7", "0 0 * * 7", {2026, 11, 28, 0, 0}, {2026, 11, 29, 0, 0}},
        {"names", "0 0 * feb MON", {2026, 11, 28, 0, 0}, {2027, 2, 1, 0, 0}},
        {"both days: one is enough", "0 0 1 * mon", {2026, 11, 28, 0, 0}, {2026, 11, 30, 0, 0}},
        {"a star: both must fit", "0 0 */2 * mon", {2026, 11, 24, 0, 0}, {2026, 12, 7, 0, 0}},
        {"a leap day", "0 0 29 2 *", {2026, 11, 28, 0, 0}, {2028, 2, 29, 0, 0}},
        {"a word", "@monthly", {2026, 11, 28, 0, 0}, {2026, 12, 1, 0, 0}},
        {"the year's end", "15 10 31 12 *", {2026, 12, 31, 10, 15}, {2027, 12, 31, 10, 15}},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct schedule schedule = {.has_cron = true, .zone = {.offset_ms = ZONE}};
        struct diagnosis why = {0};
        const int *a = cases[i].after, *n = cases[i].next;
        int64_t next = at(n[0], n[1], n[2], n[3], n[4]);
        assert_int_equal(cron_parse(cases[i].cron, &schedule.cron, &why), 0);
        int64_t got =
            schedule_next(&schedule, &workdays_plain, at(a[0], a[1], a[2], a[3], a[4]));
        if (got != next)
            fail_msg("%s: %lld, not %lld", cases[i].because, (long long)got, (long long)next);
        assert_int_equal(schedule_last(&schedule, &workdays_plain, next + MINUTE / 2), next);
        assert_true(schedule_last(&schedule, &workdays_plain, next - 1) < next);
    }
}

static void what_is_no_crontab_line_is_refused(void **unused)
{
    static const char *const texts[] = {
        "",           "* * * *",    "* * * * * *", "60 * * * *",  "* 24 * * *", "* * 0 * *",
        "* * * 13 *", "* * * * 8",  "5-1 * * * *", "*/0 * * * *", "a * * * *",  "1,, * * * *",
        "@reboot",    "0 0 30 2 *", "-1 * * * *",  "1 - 5 * * *", "* * * foo *"};
    struct cron cron = {.minutes = 7};
    (void)unused;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct diagnosis why = {0};
        assert_int_equal(cron_parse(texts[i], &cron, &why), ERR_INVALID);
        assert_true(why.text[0] != '\0');
        assert_int_equal(cron.minutes, 7);
    }
}

static void days_off_are_passed_over(void **unused)
{
    struct schedule schedule = {
        .has_cron = true, .zone = {.offset_ms = ZONE}, .days = SCHEDULE_WORKDAYS};
    struct diagnosis why = {0};
    (void)unused;
    assert_int_equal(cron_parse("0 9 * * *", &schedule.cron, &why), 0);
    /* 2026-11-28 is a Saturday. */
    assert_int_equal(schedule_next(&schedule, &workdays_plain, at(2026, 11, 27, 9, 0)),
                     at(2026, 11, 30, 9, 0));
    assert_int_equal(schedule_last(&schedule, &workdays_plain, at(2026, 11, 29, 20, 0)),
                     at(2026, 11, 27, 9, 0));
    schedule.days = SCHEDULE_DAYS_OFF;
    assert_int_equal(schedule_next(&schedule, &workdays_plain, at(2026, 11, 23, 9, 0)),
                     at(2026, 11, 28, 9, 0));
    schedule = (struct schedule){
        .every_ms = HOUR, .zone = {.offset_ms = ZONE}, .days = SCHEDULE_WORKDAYS};
    assert_int_equal(schedule_next(&schedule, &workdays_plain, at(2026, 11, 27, 23, 30)),
                     at(2026, 11, 30, 1, 0));
}

static bool never(void *context, int64_t day)
{
    (void)context;
    (void)day;
    return false;
}

static void a_calendar_without_workdays_is_no_endless_search(void **unused)
{
    const struct workdays none = {never, NULL};
    struct schedule schedule = {.has_cron = true, .days = SCHEDULE_WORKDAYS};
    struct diagnosis why = {0};
    (void)unused;
    assert_int_equal(cron_parse("* * * * *", &schedule.cron, &why), 0);
    assert_int_equal(schedule_next(&schedule, &none, 0), SCHEDULE_NEVER);
    assert_int_equal(schedule_last(&schedule, &none, 0), INT64_MIN);
    schedule = (struct schedule){.every_ms = HOUR, .days = SCHEDULE_WORKDAYS};
    assert_int_equal(schedule_next(&schedule, &none, 0), SCHEDULE_NEVER);
}

/* ---- a job's story ----------------------------------------------------------------------- */

/* One step of a story: at a minute after the beginning something happens, and then the job's
 * word and its problems are these. */
struct scene {
    int minute;
    const char
        *happens; /* "start", "ok", "fail", "look", "pause", "resume", "again" (a restart) */
    const char *rid;
    int64_t size, duration_ms, exit_code; /* 0: not told */
    const char *word, *problems;
};

static void name_problems(const struct job_state *state, char *text)
{
    *text = '\0';
    for (int i = 0; i < JOB_PROBLEMS; i++)
        if (state->problems[i].since_ms != 0) {
            assert_true(strstr(state->problems[i].summary, "备份") != NULL);
            (void)strcat(text, *text != '\0' ? " " : "");
            (void)strcat(text, job_problem_name((enum job_problem)i) + strlen("Job"));
        }
}

/* As the store would bring it back. */
static void restart(struct job_state *state)
{
    struct buf row = {0};
    const struct label pair = {bytes_of("job_name"), bytes_of("backup")};
    const struct labels *labels, *read;
    struct job_state back;
    assert_int_equal(labels_build(&pair, 1, NULL, &labels), 0);
    job_row_write(state, labels, &row);
    assert_int_equal(job_row_read(buf_bytes(&row), &back, &read), 0);
    assert_true(labels_equal(labels, read));
    *state = back;
    labels_free(labels);
    labels_free(read);
    buf_done(&row);
}

static bool play(const struct job_spec *spec, struct job_state *state,
                 const struct scene *scene, int64_t now_ms)
{
    const struct job_ping ping = {
        .kind = strcmp(scene->happens, "start") == 0 ? JOB_START
                : strcmp(scene->happens, "ok") == 0  ? JOB_OK
                                                     : JOB_FAIL,
        .rid = scene->rid != NULL ? scene->rid : "",
        .size = scene->size > 0 ? scene->size : -1,
        .duration_ms = scene->duration_ms > 0 ? scene->duration_ms : -1,
        .exit_code = scene->exit_code > 0 ? scene->exit_code : -1,
        .message = "输出",
    };
    if (strcmp(scene->happens, "again") == 0)
        restart(state);
    if (strcmp(scene->happens, "look") == 0 || strcmp(scene->happens, "again") == 0)
        return job_look(spec, &workdays_plain, state, now_ms);
    if (strcmp(scene->happens, "pause") == 0)
        return job_pause(state, 0);
    if (strcmp(scene->happens, "resume") == 0)
        return job_resume(state, now_ms);
    return job_ping(spec, &workdays_plain, state, &ping, now_ms);
}

static void tell_story(const char *yaml, const struct scene *scenes, size_t count)
{
    const int64_t begin = at(2026, 11, 28, 0, 0);
    struct jobs_file *file;
    struct job_state state;
    struct diagnosis why = {0};
    char text[200];
    if (jobs_file_parse("jobs.yml", bytes_of(yaml), &file, &why) != 0)
        fail_msg("%s", why.text);
    const struct job_spec *spec = &jobs_file_entry(file, 0)->spec;
    job_begin(spec, &state, begin);
    for (size_t i = 0; i < count; i++) {
        const int64_t now = begin + scenes[i].minute * MINUTE;
        const int64_t next = job_next_look(spec, &workdays_plain, &state);
        const bool changed = play(spec, &state, &scenes[i], now);
        if (strcmp(scenes[i].happens, "look") == 0 && changed != (now >= next))
            fail_msg("scene %zu: it was to be looked at %lld ms later", i,
                     (long long)(next - now));
        name_problems(&state, text);
        if (strcmp(text, scenes[i].problems) != 0 ||
            strcmp(job_word(spec, &workdays_plain, &state, now), scenes[i].word) != 0)
            fail_msg("scene %zu: %s, problems \"%s\"", i,
                     job_word(spec, &workdays_plain, &state, now), text);
    }
    jobs_file_free(file);
}
#define STORY(yaml, ...)                                                                       \
    do {                                                                                       \
        static const struct scene scenes[] = {__VA_ARGS__};                                    \
        tell_story("jobs:\n - {name: backup, title: 备份, " yaml "}\n", scenes,                \
                   sizeof scenes / sizeof *scenes);                                            \
    } while (0)

static void a_job_that_does_not_come_is_missed_once(void **unused)
{
    (void)unused;
    STORY("cron: '0 2 * * *', grace: 30m", {0, "look", .word = "new", .problems = ""},
          {125, "look", .word = "late", .problems = ""},
          {149, "look", .word = "late", .problems = ""},
          {150, "look", .word = "down", .problems = "Missed"},
          {151, "again", .word = "down", .problems = "Missed"},
          {200, "ok", .word = "up", .problems = ""},
          {1559, "look", .word = "up", .problems = ""},
          {1590, "look", .word = "down", .problems = "Missed"});
}

static void a_sleep_over_many_times_is_one_miss(void **unused)
{
    (void)unused;
    STORY("cron: '0 2 * * *', grace: 30m",
          {10 * 1440 + 125, "again", .word = "down", .problems = "Missed"},
          {10 * 1440 + 126, "look", .word = "down", .problems = "Missed"},
          {10 * 1440 + 128, "ok", .word = "up", .problems = ""});
}

static void one_that_comes_a_little_early_has_come(void **unused)
{
    (void)unused;
    STORY("cron: '0 2 * * *', grace: 30m",
          {119, "ok", .word = "up", .problems = ""}, /* a minute early */
          {200, "look", .word = "up", .problems = ""},
          {1560 + 30, "look", .word = "down", .problems = "Missed"});
}

static void a_start_has_a_deadline_of_its_own(void **unused)
{
    (void)unused;
    STORY("cron: '0 2 * * *', grace: 2h, start_within: 10m",
          {129, "look", .word = "late", .problems = ""},
          {130, "look", .word = "down", .problems = "NotStarted"},
          {140, "start", .word = "running", .problems = ""},
          {259, "look", .word = "running", .problems = ""},
          {260, "look", .word = "down", .problems = "Missed"},
          {300, "ok", .word = "up", .problems = ""});
}

static void a_run_has_its_time(void **unused)
{
    (void)unused;
    STORY("every: 1h, grace: 10m, min_duration: 2m, max_duration: 30m",
          {60, "start", .word = "running", .problems = ""},
          {89, "look", .word = "running", .problems = ""},
          {90, "look", .word = "down", .problems = "TooLong"},
          {100, "ok", .word = "down", .problems = "TooLong"},
          {120, "start", .word = "running", .problems = "TooLong"},
          {121, "ok", .word = "failed", .problems = "TooShort"},
          {180, "ok", .duration_ms = 5 * MINUTE, .word = "up", .problems = ""});
}

static void a_failure_is_told_at_once_and_ends_with_a_success(void **unused)
{
    (void)unused;
    STORY("every: 1h, grace: 10m", {30, "fail", .word = "failed", .problems = "Failed"},
          {31, "ok", .exit_code = 7, .word = "failed", .problems = "Failed"},
          {32, "start", .word = "running", .problems = "Failed"},
          {33, "ok", .word = "up", .problems = ""},
          {40, "start", .rid = "a", .word = "running", .problems = ""},
          {41, "start", .rid = "b", .word = "running", .problems = "Failed"},
          {42, "ok", .rid = "b", .word = "up", .problems = ""});
}

static void what_is_said_twice_counts_once(void **unused)
{
    (void)unused;
    STORY("cron: '0 2 * * *', once: true",
          {120, "start", .rid = "a", .word = "running", .problems = ""},
          {120, "start", .rid = "a", .word = "running", .problems = ""},
          {125, "ok", .rid = "a", .word = "up", .problems = ""},
          {126, "ok", .rid = "a", .word = "up", .problems = ""},
          {127, "start", .rid = "a", .word = "up", .problems = ""});
}

static void a_second_run_for_a_time_is_told(void **unused)
{
    (void)unused;
    STORY("cron: '0 2 * * *', once: true",
          {120, "fail", .word = "failed", .problems = "Failed"},
          {125, "ok", .word = "up", .problems = ""}, /* that was to make up for it */
          {180, "start", .rid = "x", .word = "running", .problems = "RanTwice"},
          {181, "ok", .rid = "x", .word = "up", .problems = "RanTwice"},
          {1560, "start", .rid = "y", .word = "running", .problems = ""},
          {1570, "ok", .rid = "y", .word = "up", .problems = ""});
}

static void the_size_must_fit(void **unused)
{
    (void)unused;
    STORY("every: 1h, min_size: 1KiB, max_size: 1MiB",
          {1, "ok", .size = 1023, .word = "failed", .problems = "SizeUnexpected"},
          {2, "ok", .size = 1024, .word = "up", .problems = ""},
          {3, "ok", .word = "failed", .problems = "SizeUnexpected"},
          {4, "ok", .size = 1 << 20, .word = "up", .problems = ""},
          {5, "ok", .size = (1 << 20) + 1, .word = "failed", .problems = "SizeUnexpected"});
}

static void nothing_is_wrong_while_it_is_paused(void **unused)
{
    (void)unused;
    STORY("every: 1h, grace: 10m", {70, "look", .word = "down", .problems = "Missed"},
          {71, "pause", .word = "paused", .problems = ""},
          {72, "fail", .word = "paused", .problems = ""},
          {500, "look", .word = "paused", .problems = ""},
          {501, "resume", .word = "up", .problems = ""},
          {501 + 69, "look", .word = "late", .problems = ""},
          {501 + 70, "look", .word = "down", .problems = "Missed"});
}

static void without_a_schedule_only_failures_count(void **unused)
{
    (void)unused;
    STORY("labels: {team: db}", {100000, "look", .word = "new", .problems = ""},
          {100001, "start", .word = "running", .problems = ""},
          {200000, "look", .word = "running", .problems = ""},
          {200001, "fail", .word = "failed", .problems = "Failed"});
}

static void a_pause_ends_by_itself(void **unused)
{
    const struct job_spec spec = {
        .name = "backup", .title = "备份", .schedule = {.every_ms = HOUR}, .grace_ms = MINUTE};
    struct job_state state;
    (void)unused;
    job_begin(&spec, &state, 0);
    assert_true(job_pause(&state, 5 * HOUR));
    assert_false(job_pause(&state, 5 * HOUR));
    assert_int_equal(job_next_look(&spec, &workdays_plain, &state), 5 * HOUR);
    assert_false(job_look(&spec, &workdays_plain, &state, 5 * HOUR - 1));
    assert_true(job_look(&spec, &workdays_plain, &state, 5 * HOUR));
    assert_false(state.is_paused);
    assert_int_equal(job_due(&spec, &workdays_plain, &state), 6 * HOUR);
}

static void another_schedule_counts_from_now(void **unused)
{
    struct job_spec spec = {.name = "backup",
                            .title = "备份",
                            .schedule = {.every_ms = HOUR},
                            .schedule_hash = 1,
                            .grace_ms = MINUTE};
    struct job_state state;
    (void)unused;
    job_begin(&spec, &state, 0);
    assert_false(job_adapt(&spec, &state, 2 * HOUR));
    spec.schedule_hash = 2;
    assert_true(job_adapt(&spec, &state, 2 * HOUR));
    assert_false(job_look(&spec, &workdays_plain, &state, 2 * HOUR));
}

/* ---- rows and files ---------------------------------------------------------------------- */

static void a_cut_row_is_refused(void **unused)
{
    const struct job_spec spec = {.name = "backup", .title = "备份"};
    const struct job_ping ping = {JOB_FAIL, "r1", 3, 44, 55, "没有空间"};
    struct job_state state, back = {.run_total = 77};
    const struct labels *empty, *labels;
    struct buf row = {0};
    (void)unused;
    assert_int_equal(labels_build(NULL, 0, NULL, &empty), 0);
    job_begin(&spec, &state, 1000);
    assert_true(job_ping(&spec, &workdays_plain, &state, &ping, 2000));
    job_row_write(&state, empty, &row);
    for (size_t size = 0; size < row.size; size++)
        assert_int_equal(job_row_read((struct bytes){row.data, size}, &back, &labels),
                         ERR_CORRUPT);
    assert_int_equal(back.run_total, 77);
    assert_int_equal(job_row_read(buf_bytes(&row), &back, &labels), 0);
    assert_string_equal(back.runs[0].message, "没有空间");
    assert_int_equal(back.runs[0].exit_code, 3);
    assert_string_equal(back.problems[JOB_FAILED].summary, state.problems[JOB_FAILED].summary);
    labels_free(labels);
    labels_free(empty);
    buf_done(&row);
}

static void a_long_message_is_cut_between_characters(void **unused)
{
    const struct job_spec spec = {.name = "backup", .title = "备份"};
    char message[3 * JOB_MESSAGE_BYTES];
    const struct job_ping ping = {JOB_OK, "", -1, -1, -1, message};
    struct job_state state;
    (void)unused;
    memset(message, 0, sizeof message);
    for (size_t i = 0; i + 3 < sizeof message; i += 3)
        memcpy(message + i, "备", 3);
    job_begin(&spec, &state, 1000);
    (void)job_ping(&spec, &workdays_plain, &state, &ping, 2000);
    assert_true(strlen(state.runs[0].message) > JOB_MESSAGE_BYTES - 4);
    assert_int_equal(strlen(state.runs[0].message) % 3, 0);
}

static void jobs_yml_is_refused_with_the_line(void **unused)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"jobs: {a: 1}", "f:1: jobs must be a list"},
        {"jobs:\n- {nam: a}", "f:2: unknown key \"nam\" in jobs (did you mean \"name\"?)"},
        {"jobs:\n- {name: a/b}", "f:2: \"a/b\" cannot be a job's name"},
        {"jobs:\n- {name: ..}", "f:2: \"..\" cannot be a job's name"},
        {"jobs:\n- {name: a}\n- {name: a}", "f:3: job \"a\" is there twice"},
        {"jobs:\n- {name: a, every: 1h, cron: '* * * * *'}", "f:2: a: either cron or every"},
        {"jobs:\n- {name: a, cron: '61 * * * *'}", "f:2: cron: \"61 * * * *\": the minute"},
        {"jobs:\n- {name: a, every: 1h, once: true}", "f:2: a: once needs cron"},
        {"jobs:\n- {name: a, calendar: cn-workday}", "f:2: a: calendar and start_within need"},
        {"jobs:\n- {name: a, every: 1h, calendar: cn}",
         "f:2: jobs.calendar: \"cn\" is not allowed"},
        {"jobs:\n- {name: a, every: 1h, start_within: 2h}",
         "start_within is longer than grace"},
        {"jobs:\n- {name: a, min_size: 2B, max_size: 1B}", "max_size is less than min_size"},
        {"jobs:\n- {name: a, min_duration: 2m, max_duration: 1m}", "max_duration is shorter"},
        {"jobs:\n- {name: a, labels: {severity: x}}", "\"severity\" is no label of one's own"},
        {"jobs:\n- {name: a, token_hash: secret}", "f:2: token_hash is not \"blake2b:\""},
        {"time_zone: Mars/Base", "f:1: time_zone: expected"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct jobs_file *file = NULL;
        struct diagnosis why = {0};
        assert_int_equal(jobs_file_parse("f", bytes_of(cases[i].text), &file, &why),
                         ERR_INVALID);
        if (strstr(why.text, cases[i].message) == NULL)
            fail_msg("%s", why.text);
        assert_null(file);
    }
}

static void a_token_is_the_jobs_or_everybodys(void **unused)
{
    char one[USERS_HASH_BYTES], all[USERS_HASH_BYTES];
    struct buf text = {0};
    struct jobs_file *file;
    struct diagnosis why = {0};
    (void)unused;
    assert_int_equal(users_hash_token("one", one), 0);
    assert_int_equal(users_hash_token("all", all), 0);
    buf_printf(&text,
               "token_hash: \"%s\"\njobs:\n- {name: a, token_hash: \"%s\"}\n- {name: b}\n", all,
               one);
    assert_int_equal(jobs_file_parse("f", buf_bytes(&text), &file, &why), 0);
    assert_true(jobs_file_admits(file, jobs_file_entry(file, 0), "one"));
    assert_true(jobs_file_admits(file, jobs_file_entry(file, 0), "all"));
    assert_true(jobs_file_admits(file, jobs_file_entry(file, 1), "all"));
    assert_false(jobs_file_admits(file, jobs_file_entry(file, 1), "one"));
    assert_false(jobs_file_admits(file, jobs_file_entry(file, 0), ""));
    assert_int_equal(jobs_file_count(file), 2);
    jobs_file_free(file);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crontab_line_says_when),
        cmocka_unit_test(what_is_no_crontab_line_is_refused),
        cmocka_unit_test(days_off_are_passed_over),
        cmocka_unit_test(a_calendar_without_workdays_is_no_endless_search),
        cmocka_unit_test(a_job_that_does_not_come_is_missed_once),
        cmocka_unit_test(a_sleep_over_many_times_is_one_miss),
        cmocka_unit_test(one_that_comes_a_little_early_has_come),
        cmocka_unit_test(a_start_has_a_deadline_of_its_own),
        cmocka_unit_test(a_run_has_its_time),
        cmocka_unit_test(a_failure_is_told_at_once_and_ends_with_a_success),
        cmocka_unit_test(what_is_said_twice_counts_once),
        cmocka_unit_test(a_second_run_for_a_time_is_told),
        cmocka_unit_test(the_size_must_fit),
        cmocka_unit_test(nothing_is_wrong_while_it_is_paused),
        cmocka_unit_test(without_a_schedule_only_failures_count),
        cmocka_unit_test(a_pause_ends_by_itself),
        cmocka_unit_test(another_schedule_counts_from_now),
        cmocka_unit_test(a_cut_row_is_refused),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(jobs_yml_is_refused_with_the_line),
        cmocka_unit_test(a_token_is_the_jobs_or_everybodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
