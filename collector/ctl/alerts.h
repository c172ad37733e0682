/*
 * alerts.h - between command_alerts.c and the files of its longer actions.  One thread.
 */
#pragma once

#include "collector/ctl/ctl.h"
#include "collector/series/labels.h"
#include "proto/base/arena.h"

#define ALERTS_PATH "/api/fengsui/v1/alerts"

/* The table of `alerts list`. */
void alerts_print(const struct ctl *ctl, const json_t *alerts);
/* {"a":"b"} as labels of the arena.  ERR_NOMEM, ERR_INVALID. */
int alerts_labels(const json_t *object, struct arena *arena, const struct labels **ret_labels);

/* alerts explain WHAT...: the exit code.  A fingerprint, the beginning of one, an alert's name,
 * or matchers; `instance` may be NULL. */
int alerts_explain(const struct ctl *ctl, char **words, int count, const char *instance);
/* alerts route NAME=VALUE...: the exit code.  `file` NULL: the collector's configuration in force;
 * `duty` NULL or the duty.yml whose escalations that file names; `expect` NULL or the receivers it
 * is to come to, with commas: EXIT_FAILED if it does not. */
int alerts_route(const struct ctl *ctl, char **words, int count, const char *file,
                 const char *duty, const char *expect);
