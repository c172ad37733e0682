/*
 * duty_watch.h - looks ahead whether somebody will be on duty, and says so before it is too
 * late.
 *
 *     duty.yml read, a swap made or taken back  --+
 *     every day at 09:00 of duty.yml's zone     --+--> coverage of 60 days --> log, /metrics
 *                                                          | begins within 7 days (30:
 * holidays)
 *                                                          v
 *                                              alert DutyCoverageGap, by the routes
 *
 * The alert bears alertname, job="fengsui-collector", kind (coverage.h), and roster or
 * escalation, person, year; it fires until a look finds it mended, or nobody looks any more.
 * With one look a day and seven days ahead it comes well before the day it speaks of.
 *
 * A thread of its own: the notifier answers only once an alert is durable.
 */
#pragma once

#include "collector/duty/book.h"
#include "collector/notify/notify.h"
#include "proto/base/buf.h"

#define DUTY_ALERT_NAME     "DutyCoverageGap"
#define DUTY_ALERT_AHEAD_MS (INT64_C(7) * CIVIL_DAY_MS)
#define DUTY_HOLIDAYS_AHEAD_MS                                                                 \
    (INT64_C(30) * CIVIL_DAY_MS) /* a year's file takes time to get */

struct duty_watch;

/* The book and the notifier stay until duty_watch_stop(). */
int duty_watch_start(struct duty_book *book, struct notify *notify,
                     struct duty_watch **ret_watch);
/* After notify_refuse_orders(), before notify_close().  NULL is allowed. */
void duty_watch_stop(struct duty_watch *watch);
/* Appends fengsui_collector_duty_* in text format.  Any thread. */
void duty_watch_print_metrics(struct duty_watch *watch, struct buf *out);

/* What duty.yml leaves open over the next DUTY_COVERAGE_DAYS, one line each by `tell`; returns
 * how many.  For --check and a start, before there are swaps. */
size_t duty_watch_tell(const struct duty *duty, const struct duty_overrides *overrides,
                       void (*tell)(const char *text));
