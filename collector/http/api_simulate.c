/*
 * api_simulate.c - /api/fengsui/v1/duty/simulate: who would be told of an alert, and when.
 *
 *     GET duty/simulate?alert=NAME&label=name=value&label=...&at=TIME
 *
 * TIME as everywhere about duty (api_duty_time.c); without a duty.yml its local time is the
 * collector's.
 *
 * For any minute, also one far ahead: routes, time intervals, silences known by now, rosters,
 * calendars and escalations are asked as they will be then.  Nothing is sent or changed.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/duty/book.h"
#include "collector/http/api_parts.h"
#include "collector/http/incident_write.h"
#include "collector/notify/alerting_config.h"
#include "collector/notify/mute.h"
#include "proto/base/error.h"

#define ARENA_BYTES  ((size_t)16 << 20)
#define LABELS_MAX   64
#define STEPS_SHOWN  16

struct simulation {
    const struct app *app;
    struct arena arena;
    struct json_writer *json;
    const struct labels *labels;
    int64_t at_ms;
};

static int add_label(const char *text, struct label *labels, size_t *count,
                     struct diagnosis *why)
{
    const char *sign = strchr(text, '=');
    if (sign == NULL || sign == text)
        return diagnose(why, ERR_INVALID, "a label is written name=value, not \"%.64s\"", text);
    if (*count == LABELS_MAX)
        return diagnose(why, ERR_LIMIT, "more than %d labels", LABELS_MAX);
    labels[(*count)++] = (struct label){{(const uint8_t *)text, (size_t)(sign - text)},
                                        bytes_of(sign + 1)};
    return 0;
}

static int read_labels(const struct http_request *request, struct simulation *simulation,
                       struct diagnosis *why)
{
    struct label labels[LABELS_MAX];
    const char *alert = http_parameter(request, "alert"), *text;
    size_t count = 0;
    int error = 0;

    if (alert == NULL || *alert == '\0')
        return diagnose(why, ERR_INVALID, "which alert? alert=NAME, and label=name=value");
    labels[count++] = (struct label){bytes_of("alertname"), bytes_of(alert)};
    for (size_t at = 0; error == 0 && (text = http_parameter_next(request, "label", &at)) != NULL;)
        error = add_label(text, labels, &count, why);
    if (error == 0)
        error = labels_build(labels, count, &simulation->arena, &simulation->labels);
    return error == ERR_INVALID
               ? diagnose(why, error, "the labels are not valid, or one is there twice")
               : error;
}

static int write_escalation(struct simulation *simulation, const struct route *route,
                            int64_t first_ms)
{
    struct json_writer *json = simulation->json;
    const struct duty_escalation *escalation = route->receiver->escalation;
    struct duty_overrides overrides;
    struct forecast_step *steps = NULL;
    size_t count = 0;
    int error = 0;

    if (escalation != NULL && escalation->step_count > 0) {
        const struct forecast_start start = {
            .at_ms = first_ms + incident_wait_ms(escalation, 0)};
        error = view_overrides(simulation->app->notify, &simulation->arena, &overrides);
        if (error == 0)
            error = forecast_make(view_duty(simulation->app->notify), &overrides, escalation,
                                  &start, STEPS_SHOWN, &simulation->arena, &steps, &count);
    }
    json_write_key(json, "escalation");
    json_write_text(json, escalation == NULL ? "" : escalation->name);
    json_write_key(json, "steps");
    incident_write_forecast(json, steps, count);
    return error;
}

static int write_route(struct simulation *simulation, const struct route *route)
{
    struct json_writer *json = simulation->json;
    const char *names[ROUTE_INTERVALS_MAX];
    const size_t muted = mute_by_time(route, simulation->at_ms, names);
    const struct labels *group_labels;
    struct buf key = {0};
    int error = route_group_labels(route, simulation->labels, &simulation->arena,
                                   &group_labels);
    if (error != 0)
        return error;
    route_group_key(route, group_labels, &key);
    json_write_object(json);
    json_write_key(json, "receiver");
    json_write_text(json, route->receiver->name);
    json_write_key(json, "groupKey");
    json_write_string(json, buf_bytes(&key));
    json_write_key(json, "firstMessageAt");
    json_write_instant(json, simulation->at_ms + route->group_wait_ms);
    json_write_key(json, "mutedBy");
    json_write_array(json);
    for (size_t i = 0; i < muted; i++)
        json_write_text(json, names[i]);
    json_write_end(json);
    json_write_key(json, "channels");
    json_write_array(json);
    for (size_t i = 0; i < route->receiver->integration_count; i++)
        if (route->receiver->integrations[i].channel != &channel_escalation)
            json_write_text(json, route->receiver->integrations[i].channel->name);
    json_write_end(json);
    error = write_escalation(simulation, route, simulation->at_ms + route->group_wait_ms);
    json_write_end(json);
    buf_done(&key);
    return error;
}

/* Silences that will hold then, for all that is known by now. */
static int write_silences(struct simulation *simulation)
{
    struct muting muting = {0};
    int error = view_muting(simulation->app->notify, simulation->labels, simulation->at_ms,
                            &muting);
    json_write_key(simulation->json, "silencedBy");
    api_write_silenced_by(simulation->json, &muting, simulation->at_ms);
    muting_done(&muting);
    return error;
}

static int write_all(struct simulation *simulation)
{
    struct json_writer *json = simulation->json;
    const struct route *routes[VIEW_RECEIVERS_MAX];
    const size_t count =
        view_routes_of(simulation->app->notify, simulation->labels, routes);
    int error;

    json_write_object(json);
    json_write_key(json, "labels");
    api_write_metric(json, simulation->labels);
    json_write_key(json, "at");
    json_write_instant(json, simulation->at_ms);
    error = write_silences(simulation);
    json_write_key(json, "routes");
    json_write_array(json);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = write_route(simulation, routes[i]);
    json_write_end(json);
    json_write_end(json);
    return error;
}

static bool read_at(const struct http_request *request, struct http_response *response,
                    struct simulation *simulation)
{
    struct duty_view view;
    duty_book_view(simulation->app->duty, &view);
    bool is_read = api_duty_parameter(request, response, "at",
                                      view.duty == NULL ? NULL : duty_zone(view.duty),
                                      clock_unix_ms(&clock_system), &simulation->at_ms);
    duty_view_done(&view);
    return is_read;
}

void api_simulate(struct http_request *request, struct http_response *response)
{
    struct simulation simulation = {.app = app_of(request)};
    struct diagnosis why = {0};
    struct reply reply;
    int error;

    if (!read_at(request, response, &simulation))
        return;
    arena_init(&simulation.arena, ARENA_BYTES);
    error = read_labels(request, &simulation, &why);
    reply_start(&reply, response);
    simulation.json = &reply.json;
    if (error == 0) {
        view_begin(simulation.app->notify);
        error = write_all(&simulation);
        view_end(simulation.app->notify);
    }
    reply_printed(&reply, error, &why);
    arena_reset(&simulation.arena);
}
