/*
 * duty_table.c - who is on duty now, and rosters day by day.
 *
 *     2026-12-31 四 工作日        值班员甲
 *     2027-01-01 五 休息 元旦     00:00-08:30 值班员甲  08:30-24:00 值班员乙（替班 3）
 *
 * Days and hours are of the roster's zone, which the server tells.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/duty_parts.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"
#include "proto/base/buf.h"
#include "proto/base/civil.h"
#include "proto/base/clock.h"

#define NOW_PATH    "/api/fengsui/v1/duty/now"
#define SHIFTS_PATH "/api/fengsui/v1/duty/shifts"

/* ---- now --------------------------------------------------------------------------------- */

static void put_persons(const struct ctl *ctl, const json_t *persons, struct buf *out)
{
    struct values values = {.next = 0};
    size_t index;
    json_t *person;
    buf_clear(out);
    json_array_foreach(persons, index, person)
    {
        const char *post = value_text(&values, person, "post");
        buf_printf(out, SAY(ctl, "%s%s (%s%s%s)", "%s%s（%s%s%s）"),
                   index == 0 ? "" : SAY(ctl, ", ", "、"), value_text(&values, person, "name"),
                   value_text(&values, person, "id"), *post == '\0' ? "" : " ", post);
        if (value_integer(person, "swap") != 0)
            buf_printf(out, SAY(ctl, " swap %" PRId64, "替班%" PRId64),
                       value_integer(person, "swap"));
    }
}

const char *duty_time(const json_t *object, const char *key, char text[CIVIL_TEXT_BYTES])
{
    return civil_print_moment(value_integer(object, key) + value_integer(object, "offsetMs"),
                              text);
}

static const char *until_text(const struct ctl *ctl, const json_t *roster,
                              char text[CIVIL_TEXT_BYTES])
{
    return json_is_integer(json_object_get(roster, "nextMs"))
               ? duty_time(roster, "nextMs", text)
               : SAY(ctl, "60 days on", "60 天以后");
}

/* What commands take, and what people call it. */
static void put_roster(const json_t *roster, struct buf *out)
{
    struct values values = {.next = 0};
    const char *name = value_text(&values, roster, "name");
    const char *title = value_text(&values, roster, "title");
    buf_clear(out);
    buf_printf(out, "%s%s%s", name, strcmp(name, title) == 0 ? "" : " ",
               strcmp(name, title) == 0 ? "" : title);
}

int duty_now(const struct ctl *ctl, const char *at)
{
    const struct parameter parameters[] = {{"at", at}};
    struct table table;
    struct buf name = {0}, now = {0}, next = {0};
    char until[CIVIL_TEXT_BYTES];
    json_t *data = NULL, *roster;
    size_t index;
    int code = client_get(ctl, NOW_PATH, parameters, 1, &data);

    if (data == NULL)
        return code;
    if (at != NULL)
        printf("%s\n", duty_time(data, "atMs", until));
    table_init(&table, 4);
    table_row(&table,
              (const char *[]){SAY(ctl, "ROSTER", "值班表"), SAY(ctl, "ON DUTY", "在岗"),
                               SAY(ctl, "UNTIL", "至"), SAY(ctl, "NEXT", "下一班")});
    json_array_foreach(json_object_get(data, "rosters"), index, roster)
    {
        put_roster(roster, &name);
        put_persons(ctl, json_object_get(roster, "persons"), &now);
        put_persons(ctl, json_object_get(roster, "next"), &next);
        table_row(&table, (const char *[]){buf_text(&name),
                                           now.size == 0 ? SAY(ctl, "NOBODY", "无人值班")
                                                         : buf_text(&now),
                                           until_text(ctl, roster, until),
                                           next.size > 0 ? buf_text(&next)
                                           : json_is_integer(json_object_get(roster, "nextMs"))
                                               ? SAY(ctl, "NOBODY", "无人值班")
                                               : "-"});
    }
    table_print(&table);
    buf_done(&name);
    buf_done(&now);
    buf_done(&next);
    json_decref(data);
    return code;
}

/* ---- day by day -------------------------------------------------------------------------- */

static const char *weekday_text(const struct ctl *ctl, int64_t day)
{
    static const char *const chinese[] = {"一", "二", "三", "四", "五", "六", "日"};
    static const char *const english[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    struct civil at;
    civil_read(day * CIVIL_DAY_MS, &at);
    return ctl->chinese ? chinese[at.weekday] : english[at.weekday];
}

/* What the calendar says of the day: "工作日", "休息", "休息 春节", "调休上班 春节". */
static void put_kind(const struct ctl *ctl, const json_t *days, const char *date,
                     struct buf *out)
{
    struct values values = {.next = 0};
    size_t index;
    json_t *day;
    buf_clear(out);
    json_array_foreach(days, index, day)
    {
        const char *name = value_text(&values, day, "name");
        const bool is_worked = json_is_true(json_object_get(day, "workday"));
        if (strcmp(value_text(&values, day, "date"), date) != 0)
            continue;
        if (is_worked)
            buf_put_text(out, *name == '\0' ? SAY(ctl, "workday", "工作日")
                                            : SAY(ctl, "worked", "调休上班"));
        else
            buf_put_text(out, SAY(ctl, "day off", "休息"));
        buf_printf(out, "%s%s", *name == '\0' ? "" : " ", name);
        return;
    }
}

static void put_hour(struct buf *out, int64_t ms)
{
    const int minute = (int)(ms / CIVIL_MINUTE_MS);
    buf_printf(out, "%02d:%02d", minute / 60, minute % 60);
}

/* Everybody's hours of one day; the name alone where they are all of it. */
static void put_shifts(const struct ctl *ctl, const json_t *shifts, int64_t from_ms,
                       int64_t to_ms, int64_t midnight_ms, struct buf *out)
{
    struct values values = {.next = 0};
    size_t index;
    json_t *shift;
    buf_clear(out);
    json_array_foreach(shifts, index, shift)
    {
        int64_t begin_ms = value_integer(shift, "fromMs"),
                end_ms = value_integer(shift, "toMs");
        const json_t *person = json_object_get(shift, "person");
        begin_ms = begin_ms > from_ms ? begin_ms : from_ms;
        end_ms = end_ms < to_ms ? end_ms : to_ms;
        if (begin_ms >= end_ms)
            continue;
        buf_put_text(out, out->size == 0 ? "" : "  ");
        if (begin_ms != from_ms || end_ms != to_ms) {
            put_hour(out, begin_ms - midnight_ms);
            buf_put_char(out, '-');
            put_hour(out, end_ms - midnight_ms);
            buf_put_char(out, ' ');
        }
        if (json_is_object(person))
            buf_printf(out, SAY(ctl, "%s (%s)", "%s（%s）"),
                       value_text(&values, person, "name"), value_text(&values, person, "id"));
        else
            buf_put_text(out, SAY(ctl, "NOBODY", "无人值班"));
        if (value_integer(shift, "swap") != 0)
            buf_printf(out, SAY(ctl, " swap %" PRId64, "替班%" PRId64),
                       value_integer(shift, "swap"));
    }
}

static void print_roster(const struct ctl *ctl, const json_t *data, const json_t *roster)
{
    const int64_t offset_ms = value_integer(roster, "offsetMs");
    const int64_t from_ms = value_integer(data, "fromMs"), to_ms = value_integer(data, "toMs");
    struct table table;
    struct buf name = {0}, kind = {0}, who = {0};
    put_roster(roster, &name);
    char *visible = text_visible(buf_text(&name));
    printf("%s\n", visible != NULL ? visible : "");
    free(visible);
    table_init(&table, 4);
    table_row(&table, (const char *[]){SAY(ctl, "DATE", "日期"), SAY(ctl, "DAY", "星期"),
                                       SAY(ctl, "KIND", "性质"), SAY(ctl, "ON DUTY", "值班")});
    const int64_t last = civil_day_of(to_ms - 1 + offset_ms);
    for (int64_t day = civil_day_of(from_ms + offset_ms); day <= last; day++) {
        const int64_t midnight_ms = day * CIVIL_DAY_MS - offset_ms;
        const int64_t end_ms = midnight_ms + CIVIL_DAY_MS;
        char date[CIVIL_TEXT_BYTES];
        (void)civil_print_moment(day * CIVIL_DAY_MS, date);
        date[10] = '\0';
        put_kind(ctl, json_object_get(data, "days"), date, &kind);
        put_shifts(ctl, json_object_get(roster, "shifts"),
                   midnight_ms > from_ms ? midnight_ms : from_ms,
                   end_ms < to_ms ? end_ms : to_ms, midnight_ms, &who);
        table_row(&table, (const char *[]){date, weekday_text(ctl, day), buf_text(&kind),
                                           buf_text(&who)});
    }
    table_print(&table);
    buf_done(&name);
    buf_done(&kind);
    buf_done(&who);
}

int duty_show(const struct ctl *ctl, const struct duty_show *show)
{
    const struct parameter parameters[] = {
        {"roster", show->roster}, {"from", show->from}, {"to", show->to}};
    json_t *data = NULL, *roster;
    size_t index;
    int code = client_get(ctl, SHIFTS_PATH, parameters, 3, &data);
    json_array_foreach(json_object_get(data, "rosters"), index, roster)
    {
        if (index > 0)
            printf("\n");
        print_roster(ctl, data, roster);
    }
    json_decref(data);
    return code;
}
