/*
 * incident_write.h - incidents and forecasts as JSON, for the api_*.c that show them.
 *
 * Thread: any; where said, under the notifier's view.
 */
#pragma once

#include "collector/app.h"
#include "collector/http/json_write.h"
#include "collector/incident/forecast.h"
#include "collector/notify/view.h"

#define INCIDENT_FORECAST_STEPS 8

/* The members of an object: number, state, title ... and who was told.  `duty` (may be NULL)
 * gives persons their names.  Under the view. */
void incident_write_head(struct json_writer *json, const struct duty *duty,
                         const struct incident *incident);
/* The object with its events, its firing alerts and its next steps.  Takes the view itself. */
int incident_write_whole(struct json_writer *json, const struct app *app,
                         const struct incident *incident);
/* {"id","name","post"}; a person duty.yml does not have has only its id. */
void incident_write_person(struct json_writer *json, const struct duty *duty, const char *id);
/* An array of steps. */
void incident_write_forecast(struct json_writer *json, const struct forecast_step *steps,
                             size_t count);
