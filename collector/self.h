/*
 * self.h - the collector's own metrics, all parts in one text.
 */
#pragma once

#include "collector/app.h"
#include "proto/base/buf.h"

/* Appends every fengsui_collector_* metric but those of HTTP and remote write, which their own
 * parts print, in Prometheus's text format.  Any thread. */
void self_print_metrics(struct app *app, struct buf *out);
