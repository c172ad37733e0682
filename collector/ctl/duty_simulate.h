/*
 * duty_simulate.h - `fengsuictl duty simulate`: who would be told of an alert at some minute.
 */
#pragma once

#include "collector/ctl/ctl.h"

/* `at` NULL: now.  `labels`: name=value texts.  The exit code. */
int duty_simulate(const struct ctl *ctl, const char *alert, const char *at, char **labels,
                  int label_count);
