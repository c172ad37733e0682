/*
 * duty_import.c - what the file of duty must be told from outside: a year's holidays, and
 * tables that a spreadsheet has written.  Works on this host alone.
 *
 *     日期,值班人员                     layers:
 *     2026-12-01,值班员甲        ->     - {name: import, start: 2026-12-01, until: ...,
 *     2026-12-02,值班员乙、值班员丙         length: 1d, rotation: ["1001", ["1002", "1003"]]}
 *
 * A table whose days do not follow each other becomes overrides, one a day.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/calendar/calendar.h"
#include "collector/ctl/csv.h"
#include "collector/ctl/duty_parts.h"
#include "collector/ctl/table.h"
#include "collector/duty/coverage.h"
#include "collector/duty/duty.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define FILE_BYTES_MAX ((size_t)8 << 20)
#define ARENA_BYTES    ((size_t)256 << 20)
#define PATH_BYTES     4096
#define TOGETHER_MAX   32

static int complain(const char *text)
{
    char *visible = text_visible(text);
    fprintf(stderr, "fengsuictl: %s\n", visible != NULL ? visible : "");
    free(visible);
    return EXIT_FAILED;
}

/* ---- check ------------------------------------------------------------------------------- */

static int print_coverage(const struct ctl *ctl, const struct duty *duty)
{
    const int64_t now_ms = clock_unix_ms(&clock_system);
    struct duty_finding *findings;
    struct arena arena;
    size_t count;

    arena_init(&arena, ARENA_BYTES);
    int error = duty_coverage(duty, NULL, now_ms, now_ms + DUTY_COVERAGE_DAYS * CIVIL_DAY_MS,
                              &arena, &findings, &count);
    if (error != 0)
        return complain(error_text(error));
    for (size_t i = 0; i < count; i++) {
        struct buf text = {0};
        duty_finding_print(duty, &findings[i], !ctl->chinese, &text);
        printf("%s%s\n", SAY(ctl, "warning: ", "警告："), buf_text(&text));
        buf_done(&text);
    }
    if (count == 0)
        printf(SAY(ctl, "fine: the next %d days are covered\n",
                   "没有问题：今后 %d 天均有人值班\n"),
               DUTY_COVERAGE_DAYS);
    arena_reset(&arena);
    return EXIT_FINE;
}

int duty_check(const struct ctl *ctl, const char *path)
{
    struct duty *duty;
    struct diagnosis why = {0};
    if (duty_load(path, &duty, &why) != 0) {
        (void)complain(why.text);
        return EXIT_USAGE;
    }
    int code = print_coverage(ctl, duty);
    duty_unref(duty);
    return code;
}

/* ---- holidays ---------------------------------------------------------------------------- */

static int install(const struct ctl *ctl, const struct duty *duty, struct bytes text, int year,
                   bool write)
{
    const char *folder = duty_holiday_folder(duty);
    char path[PATH_BYTES];
    struct diagnosis why = {0};

    if (folder == NULL)
        return complain(SAY(ctl, "duty.yml names no folder for holiday files (holidays: DIR)",
                            "duty.yml 没有指定节假日文件夹（holidays: 目录）"));
    if ((size_t)snprintf(path, sizeof path, "%s/%d.json", folder, year) >= sizeof path)
        return complain(error_text(ERR_LIMIT));
    if (!write) {
        printf(SAY(ctl, "would be installed as %s; --write does it\n",
                   "将安装为 %s；加 --write 执行\n"),
               path);
        return EXIT_FINE;
    }
    if (file_write_atomic(&file_io_system, path, text, 0644, &why) != 0)
        return complain(why.text);
    printf(SAY(ctl, "installed as %s; reload the collector\n",
               "已安装为 %s；请让采集器重新加载配置\n"),
           path);
    return EXIT_FINE;
}

static int import_holidays(const struct ctl *ctl, const char *name, struct bytes text,
                           const struct duty_import *options)
{
    struct calendar *calendar;
    struct calendar_summary summary;
    struct duty *duty = NULL;
    struct diagnosis why = {0};

    if (calendar_new(&calendar) != 0)
        return complain(error_text(ERR_NOMEM));
    int error = calendar_add(calendar, name, text, &summary, &why);
    calendar_unref(calendar);
    if (error == 0 && summary.off_days + summary.worked_days == 0)
        error = diagnose(&why, ERR_INVALID, "%s: %s", name,
                         SAY(ctl, "the file has no days: the year is not arranged yet",
                             "文件里没有日期：这一年的安排尚未公布"));
    if (error != 0)
        return complain(why.text);
    printf(SAY(ctl, "%d: %zu days off, %zu weekend days that are worked\n",
               "%d 年：放假 %zu 天，调休上班 %zu 天\n"),
           summary.year, summary.off_days, summary.worked_days);
    if (duty_load(options->duty_file, &duty, &why) != 0)
        return complain(why.text);
    int code = install(ctl, duty, text, summary.year, options->write);
    duty_unref(duty);
    return code;
}

/* ---- tables ------------------------------------------------------------------------------ */

struct day {
    int64_t day;
    unsigned line;
    const struct duty_person *persons[TOGETHER_MAX];
    size_t count;
};

struct table_reading {
    const struct ctl *ctl;
    const char *name;
    const struct duty *duty;
    struct day *days;
    size_t count;
    struct diagnosis *why;
};

/* One to four digits, then `mark`; moves past both. */
static bool read_part(const char **at, const char *mark, int *ret_value)
{
    int digits = 0;
    for (*ret_value = 0; **at >= '0' && **at <= '9' && digits < 4; (*at)++, digits++)
        *ret_value = *ret_value * 10 + (**at - '0');
    if (digits == 0 || strncmp(*at, mark, strlen(mark)) != 0)
        return false;
    *at += strlen(mark);
    return true;
}

/* "2026-12-01", "2026/12/1", "2026.12.1", "2026年12月1日". */
static bool read_date(const char *text, int64_t *ret_day)
{
    static const char *const marks[][3] = {
        {"-", "-", ""}, {"/", "/", ""}, {".", ".", ""}, {"年", "月", "日"}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *at = text;
        int year, month, day;
        if (!read_part(&at, marks[i][0], &year) || !read_part(&at, marks[i][1], &month) ||
            !read_part(&at, marks[i][2], &day) || *at != '\0' || year < 1990 || year >= 2100 ||
            month < 1 || month > 12 || day < 1 || day > civil_days_in_month(year, month))
            continue;
        *ret_day = civil_days(year, month, day);
        return true;
    }
    return false;
}

static int refuse(struct table_reading *reading, unsigned line, const char *text,
                  const char *reason)
{
    return diagnose(reading->why, ERR_INVALID, "%s:%u: \"%.100s\" %s", reading->name, line,
                    text, reason);
}

/* An id, or a name that one person alone bears. */
static int find_person(struct table_reading *reading, unsigned line, const char *text,
                       const struct duty_person **ret_person)
{
    const struct ctl *ctl = reading->ctl;
    const struct duty_person *person = duty_person(reading->duty, text), *only = NULL;
    struct buf bearers = {0};
    size_t count = 0;

    for (size_t i = 0; person == NULL && duty_person_at(reading->duty, i) != NULL; i++) {
        const struct duty_person *at = duty_person_at(reading->duty, i);
        if (strcmp(at->name, text) != 0)
            continue;
        only = at;
        buf_printf(&bearers, SAY(ctl, "%s%s (%s)", "%s%s（%s）"),
                   count++ == 0 ? "" : SAY(ctl, ", ", "、"), at->id, at->post);
    }
    if (person == NULL && count == 1)
        person = only;
    int error = 0;
    if (person == NULL && count > 1) {
        struct buf reason = {0};
        buf_printf(&reason, "%s%s",
                   SAY(ctl, "is the name of several persons, write the id: ",
                       "有多人同名，请改写工号："),
                   buf_text(&bearers));
        error = refuse(reading, line, text, buf_text(&reason));
        buf_done(&reason);
    } else if (person == NULL) {
        error = refuse(reading, line, text,
                       SAY(ctl, "is nobody's id or name in duty.yml",
                           "不是 duty.yml 里任何人的工号或姓名"));
    }
    buf_done(&bearers);
    *ret_person = person;
    return error;
}

/* Several persons in one field stand apart by 、 ; / or ，. */
static int read_persons(struct table_reading *reading, const struct csv_row *row,
                        const char *field, struct day *day)
{
    static const char *const separators[] = {"、", ";", "；", "/", "，", ","};
    while (*field != '\0') {
        size_t size = strlen(field), skip = 0;
        char name[256];
        for (size_t i = 0; i < sizeof separators / sizeof *separators; i++) {
            const char *found = strstr(field, separators[i]);
            if (found != NULL && (size_t)(found - field) < size) {
                size = (size_t)(found - field);
                skip = strlen(separators[i]);
            }
        }
        if (size >= sizeof name || (size > 0 && day->count == TOGETHER_MAX))
            return refuse(reading, row->line, field, SAY(reading->ctl, "is too long", "太长"));
        (void)snprintf(name, sizeof name, "%.*s", (int)size, field);
        if (size > 0) {
            int error = find_person(reading, row->line, name, &day->persons[day->count]);
            if (error != 0)
                return error;
            day->count++;
        }
        field += size + skip;
    }
    return 0;
}

static int by_day(const void *a, const void *b)
{
    const struct day *left = a, *right = b;
    return left->day < right->day ? -1 : left->day > right->day;
}

static int read_rows(struct table_reading *reading, const struct csv *csv)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < csv->count; i++) {
        const struct csv_row *row = &csv->rows[i];
        struct day *day = &reading->days[reading->count];
        if (!read_date(row->fields[0], &day->day)) {
            if (i == 0)
                continue; /* the head */
            return refuse(reading, row->line, row->fields[0],
                          SAY(reading->ctl, "is not a date such as 2026-12-01",
                              "不是日期，例如 2026-12-01"));
        }
        day->line = row->line;
        for (size_t k = 1; error == 0 && k < row->count; k++)
            error = read_persons(reading, row, row->fields[k], day);
        if (error == 0 && day->count == 0)
            error = refuse(reading, row->line, row->fields[0],
                           SAY(reading->ctl, "has nobody", "当天没有人"));
        reading->count++;
    }
    if (reading->count > 0)
        qsort(reading->days, reading->count, sizeof *reading->days, by_day);
    for (size_t i = 1; error == 0 && i < reading->count; i++)
        if (reading->days[i].day == reading->days[i - 1].day)
            error = refuse(reading, reading->days[i].line, "",
                           SAY(reading->ctl, "a date is there twice", "日期重复"));
    if (error == 0 && reading->count == 0)
        error = diagnose(reading->why, ERR_INVALID, "%s: %s", reading->name,
                         SAY(reading->ctl, "there is no row with a date", "没有带日期的行"));
    return error;
}

/* "2026-12-01 08:30" of the handover of a day. */
static const char *moment_text(int64_t day, int handover, char text[CIVIL_TEXT_BYTES])
{
    return civil_print_moment(day * CIVIL_DAY_MS + handover * CIVIL_MINUTE_MS, text);
}

static void print_layer(const struct table_reading *reading, int handover)
{
    char start[CIVIL_TEXT_BYTES], until[CIVIL_TEXT_BYTES];
    const int64_t last = reading->days[reading->count - 1].day;
    (void)moment_text(reading->days[0].day, handover, start);
    printf("layers:\n- name: import\n  start: %.10s\n  until: %s\n  handover: '%s'\n"
           "  length: 1d\n  rotation:\n",
           start, moment_text(last + 1, handover, until), start + 11);
    for (size_t i = 0; i < reading->count; i++) {
        const struct day *day = &reading->days[i];
        printf("  - ");
        for (size_t k = 0; k < day->count; k++)
            printf("%s\"%s\"", k > 0 ? ", " : day->count > 1 ? "[" : "", day->persons[k]->id);
        printf("%s  # %.10s %s\n", day->count > 1 ? "]" : "", moment_text(day->day, 0, start),
               day->persons[0]->name);
    }
}

static int print_overrides(const struct table_reading *reading, int handover)
{
    char from[CIVIL_TEXT_BYTES], to[CIVIL_TEXT_BYTES];
    for (size_t i = 0; i < reading->count; i++)
        if (reading->days[i].count > 1)
            return refuse((struct table_reading *)(uintptr_t)reading, reading->days[i].line, "",
                          SAY(reading->ctl,
                              "days that do not follow each other can have one person each",
                              "日期不连续时，每天只能有一个人"));
    printf("overrides:\n");
    for (size_t i = 0; i < reading->count; i++)
        printf("- {from: %s, to: %s, person: \"%s\"}  # %s\n",
               moment_text(reading->days[i].day, handover, from),
               moment_text(reading->days[i].day + 1, handover, to),
               reading->days[i].persons[0]->id, reading->days[i].persons[0]->name);
    return 0;
}

static int import_table(const struct ctl *ctl, const char *name, struct bytes text,
                        const struct duty_import *options)
{
    struct diagnosis why = {0};
    struct table_reading reading = {.ctl = ctl, .name = name, .why = &why};
    struct duty *duty = NULL;
    struct arena arena;
    struct csv csv = {0};
    const char *at = options->handover == NULL ? "00:00" : options->handover;
    int handover;

    if (!civil_parse_minute(&at, &handover) || *at != '\0' || handover == CIVIL_DAY_MINUTE) {
        (void)complain(
            SAY(ctl, "--handover is a time such as 08:30", "--handover 应为时刻，例如 08:30"));
        return EXIT_USAGE;
    }
    arena_init(&arena, ARENA_BYTES);
    int error = duty_load(options->duty_file, &duty, &why);
    if (error == 0)
        error = csv_read(text, &arena, &csv, &why);
    reading.duty = duty;
    reading.days = arena_alloc(&arena, csv.count + 1, sizeof *reading.days);
    if (error == 0 && reading.days == NULL)
        error = diagnose(&why, ERR_NOMEM, "%s", error_text(ERR_NOMEM));
    if (error == 0)
        error = read_rows(&reading, &csv);
    if (error == 0 &&
        reading.days[reading.count - 1].day - reading.days[0].day + 1 == (int64_t)reading.count)
        print_layer(&reading, handover);
    else if (error == 0)
        error = print_overrides(&reading, handover);
    arena_reset(&arena);
    duty_unref(duty);
    return error == 0 ? EXIT_FINE : complain(why.text);
}

int duty_import(const struct ctl *ctl, const char *path, const struct duty_import *options)
{
    struct diagnosis why = {0};
    char *text;
    size_t size;
    if (file_read_whole(path, FILE_BYTES_MAX, &text, &size, &why) != 0)
        return complain(why.text);
    const size_t blank = strspn(text, " \t\r\n");
    const struct bytes bytes = {(const uint8_t *)text, size};
    int code = text[blank] == '{' ? import_holidays(ctl, path, bytes, options)
                                  : import_table(ctl, path, bytes, options);
    free(text);
    return code;
}
