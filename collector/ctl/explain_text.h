/*
 * explain_text.h - an alert's explanation (JSON of alerts/FINGERPRINT/explain) as text that
 * somebody woken at 3 a.m. understands: the verdict first, then each section.
 *
 * Instants are local time, with the day unless it is today's; what came from outside cannot
 * steer the terminal.  One thread.
 */
#pragma once

#include <stdint.h>

#include "collector/ctl/ctl.h"
#include "proto/base/buf.h"

/* One line: was somebody told, when, what comes next; or why nobody was. */
void explain_put_verdict(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                         struct buf *out);
/* The rest, section by section; those with nothing to say are left out. */
void explain_put_details(const struct ctl *ctl, const json_t *alert, int64_t now_ms,
                         struct buf *out);
/* The tree of routes, a line each; also of `alerts route`. */
void explain_put_routes(const struct ctl *ctl, const json_t *routes, struct buf *out);

/* A text from outside, made harmless. */
void explain_put_foreign(const char *text, struct buf *out);
/* RFC 3339 in UTC as ours write it; 0 for anything else. */
int64_t explain_instant_ms(const json_t *text);
/* 02:13:05, or 11-27 02:13:05 on another day. */
void explain_put_time(int64_t ts_ms, int64_t now_ms, struct buf *out);
/* alertname first, then name=value by blanks. */
void explain_put_labels(const json_t *labels, struct buf *out);
