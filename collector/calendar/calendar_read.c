/*
 * calendar_read.c - holiday files; see calendar.h for their format.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/calendar/calendar_parts.h"
#include "proto/base/civil.h"
#include "proto/base/config.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)

struct root {
    const char *schema, *id;
    int64_t year;
    const struct config_node *papers, *days;
};

static const struct config_option root_rows[] = {
    {.key = "$schema", .type = CONFIG_STRING, .offset = offsetof(struct root, schema)},
    {.key = "$id", .type = CONFIG_STRING, .offset = offsetof(struct root, id)},
    {.key = "year",
     .type = CONFIG_INTEGER,
     .offset = offsetof(struct root, year),
     .required = true,
     .min = 1970,
     .max = 2199},
    {.key = "papers", .type = CONFIG_NODE, .offset = offsetof(struct root, papers)},
    {.key = "days",
     .type = CONFIG_NODE,
     .offset = offsetof(struct root, days),
     .required = true},
};

struct written_day {
    const char *name, *date;
    bool is_off;
};

static const struct config_option day_rows[] = {
    {.key = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_day, name),
     .required = true},
    {.key = "date",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_day, date),
     .required = true},
    {.key = "isOffDay",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct written_day, is_off),
     .required = true},
};

#define ROWS(table) (table), sizeof(table) / sizeof *(table)

static int read_day(struct calendar *calendar, struct config *config,
                    const struct config_node *node, int year, struct calendar_day *ret_day,
                    struct diagnosis *why)
{
    struct written_day written = {0};
    struct civil at;
    int64_t day;
    int error = config_read(config, node, "days", ROWS(day_rows), &written, why);
    if (error != 0)
        return error;
    const char *text = written.date;
    if (!civil_parse_date(&text, &day) || *text != '\0')
        return config_complain(config, node, why,
                               "days: \"%s\" is not a date such as 2026-10-01", written.date);
    civil_read(day * CIVIL_DAY_MS, &at);
    if (at.year < year - 1 || at.year > year + 1)
        return config_complain(config, node, why, "days: %s is not near the file's year %d",
                               written.date, year);
    const size_t size = strlen(written.name) + 1;
    char *name = arena_alloc(&calendar->arena, size, 1);
    if (name == NULL)
        return ERR_NOMEM;
    memcpy(name, written.name, size);
    *ret_day = (struct calendar_day){day, year, written.is_off, name};
    return 0;
}

static int by_day(const void *a, const void *b)
{
    const struct calendar_day *left = a, *right = b;
    if (left->day != right->day)
        return left->day < right->day ? -1 : 1;
    return left->year < right->year ? -1 : left->year > right->year;
}

/* A day twice in one file is a mistake; in two files the later year's stays. */
static int sort_days(struct calendar *calendar, struct config *config, struct diagnosis *why)
{
    size_t kept = 0;
    if (calendar->day_count == 0)
        return 0;
    qsort(calendar->days, calendar->day_count, sizeof *calendar->days, by_day);
    for (size_t i = 0; i < calendar->day_count; i++) {
        const struct calendar_day *day = &calendar->days[i];
        char text[CIVIL_TEXT_BYTES];
        if (kept == 0 || calendar->days[kept - 1].day != day->day) {
            calendar->days[kept++] = *day;
            continue;
        }
        if (calendar->days[kept - 1].year == day->year)
            return diagnose(why, ERR_INVALID, "%s: %.10s is there twice", config_name(config),
                            civil_print_moment(day->day * CIVIL_DAY_MS, text));
        calendar->days[kept - 1] = *day;
    }
    calendar->day_count = kept;
    return 0;
}

static int read_file(struct calendar *calendar, struct config *config,
                     struct calendar_summary *ret_summary, struct diagnosis *why)
{
    struct root root = {0};
    int error = config_read(config, config_root(config), "", ROWS(root_rows), &root, why);
    if (error != 0)
        return error;
    if (root.days->kind != CONFIG_LIST || root.days->count > CALENDAR_DAYS_MAX)
        return config_complain(config, root.days, why, "days: expected a list of at most %zu",
                               CALENDAR_DAYS_MAX);
    if (calendar_has_year(calendar, root.year))
        return config_complain(config, config_child(config_root(config), "year"), why,
                               "another file is of the year %d, too", (int)root.year);
    struct calendar_summary summary = {.year = (int)root.year};
    const size_t room = calendar->day_count + root.days->count;
    struct calendar_day *days = realloc(calendar->days, (room + 1) * sizeof *days);
    if (days == NULL)
        return ERR_NOMEM;
    calendar->days = days;
    for (size_t i = 0; error == 0 && i < root.days->count; i++) {
        struct calendar_day *day = &days[calendar->day_count];
        error = read_day(calendar, config, root.days->children[i], summary.year, day, why);
        if (error != 0)
            return error;
        *(day->is_off ? &summary.off_days : &summary.worked_days) += 1;
        calendar->day_count++;
    }
    error = sort_days(calendar, config, why);
    if (error != 0)
        return error;
    if (root.days->count > 0 && calendar->year_count == CALENDAR_FILES_MAX)
        return diagnose(why, ERR_LIMIT, "more than %zu holiday files", CALENDAR_FILES_MAX);
    if (root.days->count > 0)
        calendar->years[calendar->year_count++] = summary.year;
    if (ret_summary != NULL)
        *ret_summary = summary;
    return 0;
}

int calendar_add(struct calendar *calendar, const char *name, struct bytes text,
                 struct calendar_summary *ret_summary, struct diagnosis *why)
{
    struct config *config;
    int error = config_parse(name, text, &config, why);
    if (error != 0)
        return error;
    error = read_file(calendar, config, ret_summary, why);
    if (error != 0)
        (void)diagnose(why, error, "%s: %s", name, error_text(error));
    config_free(config);
    return error;
}

/* ---- a folder ---------------------------------------------------------------------------- */

static int is_holiday_file(const struct dirent *entry)
{
    const size_t size = strlen(entry->d_name);
    return entry->d_name[0] != '.' && size > 5 &&
           strcmp(entry->d_name + size - 5, ".json") == 0;
}

static int load_file(struct calendar *calendar, const char *folder, const char *name,
                     struct diagnosis *why)
{
    char path[4096], *text;
    size_t size;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return diagnose(why, ERR_LIMIT, "%s: the path is too long", folder);
    int error = file_read_whole(path, FILE_BYTES_MAX, &text, &size, why);
    if (error != 0)
        return error;
    error = calendar_add(calendar, path, (struct bytes){(uint8_t *)text, size}, NULL, why);
    free(text);
    return error;
}

int calendar_load(const char *folder, struct calendar **ret_calendar, struct diagnosis *why)
{
    struct dirent **entries;
    struct calendar *calendar;
    int count = scandir(folder, &entries, is_holiday_file, alphasort);
    if (count < 0)
        return diagnose(why, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s: %s", folder,
                        strerror(errno));
    int error = calendar_new(&calendar);
    bool made = error == 0;
    if (error == 0 && (size_t)count > CALENDAR_FILES_MAX)
        error = diagnose(why, ERR_LIMIT, "%s: more than %zu holiday files", folder,
                         CALENDAR_FILES_MAX);
    for (int i = 0; i < count; i++) {
        if (error == 0)
            error = load_file(calendar, folder, entries[i]->d_name, why);
        free(entries[i]);
    }
    free(entries);
    if (error == 0)
        *ret_calendar = calendar;
    else if (made)
        calendar_unref(calendar);
    return error;
}
