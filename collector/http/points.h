/*
 * points.h - samples as Prometheus's JSON has them: [seconds,"number"].
 *
 * An answer is little else than points, and the text of a point depends on nothing else: those of
 * many series are made on as many cores as are free (collector/series/crew.h).
 *
 * One owner.  Where there is no memory the writer's buffer has failed afterwards.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collector/http/json_write.h"
#include "collector/series/queryable.h"

/* One point. */
void points_write_one(struct json_writer *json, int64_t ts_ms, double value);
/* The points of a series, an array. */
void points_write(struct json_writer *json, const struct series_samples *series);

#define POINTS_BATCH 64 /* series; their texts are there twice for a moment */

/* Appends the arrays of `count` <= POINTS_BATCH series to a text each.  False: there are so few that
 * nobody is asked to help, and nothing is appended. */
bool points_make(const struct series_samples *series, size_t count, struct crew *crew,
                 struct buf texts[POINTS_BATCH]);
