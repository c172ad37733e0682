/*
 * calendar_parts.h - between the files of this folder; nobody else includes it.
 */
#pragma once

#include <stdatomic.h>

#include "collector/calendar/calendar.h"
#include "proto/base/arena.h"

struct calendar_day {
    int64_t day;
    int year; /* of the file that says it */
    bool is_off;
    const char *name;
};

struct calendar {
    atomic_uint references;
    struct arena arena;        /* names */
    struct calendar_day *days; /* by day, each once */
    size_t day_count;
    int years[CALENDAR_FILES_MAX];
    size_t year_count;
};

/* NULL if no file speaks of it. */
const struct calendar_day *calendar_find(const struct calendar *calendar, int64_t day);
