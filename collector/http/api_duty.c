/*
 * api_duty.c - /api/fengsui/v1/duty: who is on duty, when, and what is left open.
 *
 *     GET duty/now?at=            of each roster: who, until when, and who comes next
 *     GET duty/shifts?roster&from&to   turns and gaps, and the days they fall on
 *     GET duty/persons            persons and their ways; addresses for operators only
 *     GET duty/coverage?days=     what the next days leave open
 *
 * Times are Unix milliseconds (...Ms).
 */
#include <stdlib.h>
#include <string.h>

#include "collector/duty/book.h"
#include "collector/duty/coverage.h"
#include "collector/http/api_parts.h"
#include "proto/base/error.h"

#define DUTY_ARENA_BYTES ((size_t)256 << 20)
#define AHEAD_MS         (INT64_C(60) * CIVIL_DAY_MS) /* how far "until when" is looked for */
#define WEEK_MS          (INT64_C(7) * CIVIL_DAY_MS)
#define RANGE_MOST_MS    (INT64_C(366) * CIVIL_DAY_MS)

static void write_person(struct json_writer *json, const struct duty_person *person)
{
    json_write_object(json);
    json_write_text_member(json, "id", person->id);
    json_write_text_member(json, "name", person->name);
    json_write_text_member(json, "post", person->post);
    json_write_end(json);
}

/* The book's view; false without a duty.yml: that is in the response. */
static bool begin(const struct http_request *request, struct http_response *response,
                  struct duty_view *ret_view)
{
    duty_book_view(app_of(request)->duty, ret_view);
    if (ret_view->duty != NULL)
        return true;
    duty_view_done(ret_view);
    reply_error(response, API_NOT_FOUND,
                "the collector has no duty.yml (duty: FILE in collector.yml)");
    return false;
}

static void finish(struct duty_view *view, struct arena *arena, struct reply *reply, int error)
{
    duty_view_done(view);
    arena_reset(arena);
    reply_printed(reply, error, NULL);
}

/* ---- now --------------------------------------------------------------------------------- */

static void write_present(struct json_writer *json, const struct duty_shift *shifts,
                          size_t count, int64_t at_ms, int64_t horizon_ms)
{
    json_write_array(json);
    for (size_t i = 0; i < count; i++) {
        const struct duty_shift *shift = &shifts[i];
        if (shift->person == NULL || shift->from_ms > at_ms || shift->to_ms <= at_ms)
            continue;
        json_write_object(json);
        json_write_text_member(json, "id", shift->person->id);
        json_write_text_member(json, "name", shift->person->name);
        json_write_text_member(json, "post", shift->person->post);
        json_write_key(json, "untilMs");
        if (shift->to_ms < horizon_ms)
            json_write_integer(json, shift->to_ms);
        else
            json_write_raw(json, bytes_of("null"));
        json_write_text_member(json, "layer", shift->layer);
        json_write_integer_member(
            json, "swap", shift->override == NULL ? 0 : (int64_t)shift->override->number);
        json_write_end(json);
    }
    json_write_end(json);
}

static int write_now(struct json_writer *json, const struct duty_view *view, const char *roster,
                     int64_t at_ms, struct arena *arena)
{
    const int64_t horizon_ms =
        at_ms > DUTY_TIME_MAX_MS - AHEAD_MS ? DUTY_TIME_MAX_MS : at_ms + AHEAD_MS;
    struct duty_shift *shifts;
    size_t count;
    int error = duty_shifts(view->duty, roster, &view->overrides, at_ms, horizon_ms, arena,
                            &shifts, &count);
    if (error != 0)
        return error;
    int64_t next_ms = horizon_ms;
    for (size_t i = 0; i < count; i++)
        if (shifts[i].from_ms <= at_ms && shifts[i].to_ms < next_ms)
            next_ms = shifts[i].to_ms;
    json_write_object(json);
    json_write_text_member(json, "name", roster);
    json_write_text_member(json, "title", duty_roster_title(view->duty, roster));
    json_write_integer_member(json, "offsetMs",
                              duty_roster_zone(view->duty, roster)->offset_ms);
    json_write_key(json, "persons");
    write_present(json, shifts, count, at_ms, horizon_ms);
    json_write_key(json, "nextMs");
    if (next_ms < horizon_ms)
        json_write_integer(json, next_ms);
    else
        json_write_raw(json, bytes_of("null"));
    json_write_key(json, "next");
    write_present(json, shifts, next_ms < horizon_ms ? count : 0, next_ms, horizon_ms);
    json_write_end(json);
    return 0;
}

void api_duty_now(struct http_request *request, struct http_response *response)
{
    struct duty_view view;
    struct arena arena;
    struct reply reply;
    int64_t at_ms;
    int error = 0;

    if (!begin(request, response, &view))
        return;
    if (!api_duty_parameter(request, response, "at", duty_zone(view.duty),
                            clock_unix_ms(&clock_system), &at_ms)) {
        duty_view_done(&view);
        return;
    }
    arena_init(&arena, DUTY_ARENA_BYTES);
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_integer_member(&reply.json, "atMs", at_ms);
    json_write_integer_member(&reply.json, "offsetMs", duty_zone(view.duty)->offset_ms);
    json_write_key(&reply.json, "rosters");
    json_write_array(&reply.json);
    for (size_t i = 0; error == 0 && duty_roster_at(view.duty, i) != NULL; i++)
        error = write_now(&reply.json, &view, duty_roster_at(view.duty, i), at_ms, &arena);
    json_write_end(&reply.json);
    json_write_end(&reply.json);
    finish(&view, &arena, &reply, error);
}

/* ---- shifts ------------------------------------------------------------------------------ */

static int write_shifts(struct json_writer *json, const struct duty_view *view,
                        const char *roster, int64_t from_ms, int64_t to_ms, struct arena *arena)
{
    struct duty_shift *shifts;
    size_t count;
    int error = duty_shifts(view->duty, roster, &view->overrides, from_ms, to_ms, arena,
                            &shifts, &count);
    if (error != 0)
        return error;
    json_write_object(json);
    json_write_text_member(json, "name", roster);
    json_write_text_member(json, "title", duty_roster_title(view->duty, roster));
    json_write_integer_member(json, "offsetMs",
                              duty_roster_zone(view->duty, roster)->offset_ms);
    json_write_key(json, "shifts");
    json_write_array(json);
    for (size_t i = 0; i < count; i++) {
        json_write_object(json);
        json_write_integer_member(json, "fromMs", shifts[i].from_ms);
        json_write_integer_member(json, "toMs", shifts[i].to_ms);
        json_write_key(json, "person");
        if (shifts[i].person == NULL)
            json_write_raw(json, bytes_of("null"));
        else
            write_person(json, shifts[i].person);
        json_write_text_member(json, "layer", shifts[i].layer);
        json_write_integer_member(
            json, "swap", shifts[i].override == NULL ? 0 : (int64_t)shifts[i].override->number);
        json_write_end(json);
    }
    json_write_end(json);
    json_write_end(json);
    return 0;
}

/* The days of the range in duty.yml's zone: what a calendar marks. */
static void write_days(struct json_writer *json, const struct duty *duty, int64_t from_ms,
                       int64_t to_ms)
{
    const struct civil_zone *zone = duty_zone(duty);
    const int64_t last = civil_day_of(civil_local_ms(zone, to_ms - 1));
    json_write_array(json);
    for (int64_t day = civil_day_of(civil_local_ms(zone, from_ms)); day <= last; day++) {
        char text[CIVIL_TEXT_BYTES];
        const char *name = calendar_day_name(duty_calendar(duty), day);
        (void)civil_print_moment(day * CIVIL_DAY_MS, text);
        text[10] = '\0';
        json_write_object(json);
        json_write_text_member(json, "date", text);
        json_write_key(json, "workday");
        json_write_boolean(json, calendar_is_workday(duty_calendar(duty), day));
        json_write_text_member(json, "name", name == NULL ? "" : name);
        json_write_end(json);
    }
    json_write_end(json);
}

static bool read_range(const struct http_request *request, struct http_response *response,
                       const struct duty *duty, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
    const struct civil_zone *zone = duty_zone(duty);
    const char *roster = http_parameter(request, "roster");
    if (roster != NULL && !duty_has_roster(duty, roster)) {
        reply_error(response, API_NOT_FOUND, "there is no roster \"%s\"", roster);
        return false;
    }
    if (!api_duty_parameter(request, response, "from", zone, clock_unix_ms(&clock_system),
                            ret_from_ms) ||
        !api_duty_parameter(request, response, "to", zone, *ret_from_ms + WEEK_MS, ret_to_ms))
        return false;
    if (*ret_from_ms < *ret_to_ms && *ret_to_ms - *ret_from_ms <= RANGE_MOST_MS)
        return true;
    reply_error(response, API_BAD_DATA, "from must be before to, by 366 days at most");
    return false;
}

void api_duty_shifts(struct http_request *request, struct http_response *response)
{
    const char *wanted = http_parameter(request, "roster"), *roster;
    struct duty_view view;
    struct arena arena;
    struct reply reply;
    int64_t from_ms, to_ms;
    int error = 0;

    if (!begin(request, response, &view))
        return;
    if (!read_range(request, response, view.duty, &from_ms, &to_ms)) {
        duty_view_done(&view);
        return;
    }
    arena_init(&arena, DUTY_ARENA_BYTES);
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_integer_member(&reply.json, "fromMs", from_ms);
    json_write_integer_member(&reply.json, "toMs", to_ms);
    json_write_key(&reply.json, "rosters");
    json_write_array(&reply.json);
    for (size_t i = 0; error == 0 && (roster = duty_roster_at(view.duty, i)) != NULL; i++)
        if (wanted == NULL || strcmp(wanted, roster) == 0)
            error = write_shifts(&reply.json, &view, roster, from_ms, to_ms, &arena);
    json_write_end(&reply.json);
    json_write_key(&reply.json, "days");
    write_days(&reply.json, view.duty, from_ms, to_ms);
    json_write_end(&reply.json);
    finish(&view, &arena, &reply, error);
}

/* ---- persons ----------------------------------------------------------------------------- */

static void write_ways(struct json_writer *json, const struct duty_person *person,
                       bool with_address)
{
    json_write_array(json);
    for (size_t i = 0; i < person->way_count; i++) {
        json_write_object(json);
        json_write_text_member(json, "channel", person->ways[i].channel);
        if (with_address)
            json_write_text_member(json, "to", person->ways[i].address);
        json_write_end(json);
    }
    json_write_end(json);
}

static void write_teams(struct json_writer *json, const struct duty *duty,
                        const struct duty_person *person)
{
    const struct duty_team *team;
    json_write_array(json);
    for (size_t i = 0; (team = duty_team_at(duty, i)) != NULL; i++)
        for (size_t k = 0; k < team->member_count; k++)
            if (team->members[k] == person)
                json_write_text(json, team->name);
    json_write_end(json);
}

void api_duty_persons(struct http_request *request, struct http_response *response)
{
    /* Telephone numbers are nobody's business but of those who call. */
    const bool with_address = request->role == ROLE_OPERATOR || request->role == ROLE_ADMIN;
    const struct duty_person *person;
    struct duty_view view;
    struct reply reply;

    if (!begin(request, response, &view))
        return;
    reply_start(&reply, response);
    json_write_array(&reply.json);
    for (size_t i = 0; (person = duty_person_at(view.duty, i)) != NULL; i++) {
        json_write_object(&reply.json);
        json_write_text_member(&reply.json, "id", person->id);
        json_write_text_member(&reply.json, "name", person->name);
        json_write_text_member(&reply.json, "post", person->post);
        json_write_text_member(&reply.json, "manager",
                               person->manager_id == NULL ? "" : person->manager_id);
        json_write_key(&reply.json, "teams");
        write_teams(&reply.json, view.duty, person);
        json_write_key(&reply.json, "ways");
        write_ways(&reply.json, person, with_address);
        json_write_end(&reply.json);
    }
    json_write_end(&reply.json);
    duty_view_done(&view);
    reply_printed(&reply, 0, NULL);
}

/* ---- coverage ---------------------------------------------------------------------------- */

static void write_finding(struct json_writer *json, const struct duty *duty,
                          const struct duty_finding *finding)
{
    static const char *const keys[] = {"text", "textEnglish"};
    json_write_object(json);
    json_write_text_member(json, "kind", duty_finding_name(finding->kind));
    json_write_text_member(json, "subject", finding->subject);
    json_write_text_member(json, "person", finding->person == NULL ? "" : finding->person->id);
    json_write_integer_member(json, "year", finding->year);
    json_write_integer_member(json, "fromMs", finding->from_ms);
    json_write_integer_member(json, "toMs", finding->to_ms);
    json_write_integer_member(json, "count", (int64_t)finding->count);
    for (int i = 0; i < 2; i++) {
        struct buf text = {0};
        duty_finding_print(duty, finding, i == 1, &text);
        json_write_text_member(json, keys[i], buf_text(&text));
        buf_done(&text);
    }
    json_write_end(json);
}

void api_duty_coverage(struct http_request *request, struct http_response *response)
{
    const int64_t now_ms = clock_unix_ms(&clock_system);
    struct duty_finding *findings = NULL;
    struct duty_view view;
    struct arena arena;
    struct reply reply;
    size_t count = 0;
    int64_t days;

    if (!api_number(request, response, "days", &days))
        return;
    if (days != -1 && (days < 1 || days > 366)) {
        reply_error(response, API_BAD_DATA, "days must be from 1 to 366");
        return;
    }
    if (!begin(request, response, &view))
        return;
    arena_init(&arena, DUTY_ARENA_BYTES);
    const int64_t to_ms = now_ms + (days == -1 ? DUTY_COVERAGE_DAYS : days) * CIVIL_DAY_MS;
    int error =
        duty_coverage(view.duty, &view.overrides, now_ms, to_ms, &arena, &findings, &count);
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_integer_member(&reply.json, "fromMs", now_ms);
    json_write_integer_member(&reply.json, "toMs", to_ms);
    json_write_key(&reply.json, "findings");
    json_write_array(&reply.json);
    for (size_t i = 0; error == 0 && i < count; i++)
        write_finding(&reply.json, view.duty, &findings[i]);
    json_write_end(&reply.json);
    json_write_end(&reply.json);
    finish(&view, &arena, &reply, error);
}
