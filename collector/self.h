/*
 * self.h - what the collector tells of itself: /metrics, and the same as series in its own store,
 * so that rules and dashboards can speak of it (job="fengsui-collector").
 */
#pragma once

#include <uv.h>

#include "collector/app.h"
#include "proto/base/buf.h"

/* Appends in Prometheus text format what all parts but the HTTP side tell, which appends its own
 * (api_print_metrics()).  Any thread. */
void self_print_metrics(struct app *app, struct buf *out);

struct self;

/* Writes the own metrics into the store at an interval.  Loop thread. */
int self_start(uv_loop_t *loop, struct app *app, int64_t interval_ms, const char *instance,
               struct self **ret_self);
/* The loop must run once more for the handle to close.  NULL is allowed. */
void self_stop(struct self *self);
