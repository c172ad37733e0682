/*
 * running.h - the configuration a running collector has in force, as its API shows it.
 *
 * One thread.
 */
#pragma once

#include "collector/ctl/ctl.h"
#include "collector/notify/alerting_config.h"

/* Routes, receivers and intervals in force, from /api/v2/status: as alerting_print() wrote
 * them, so without secrets, and of integrations only those that Alertmanager knows as well. The
 * exit code, after a message; alerting_free().  Workdays and days off are those of `calendar`;
 * NULL: intervals that speak of them hold on any day. */
int running_alerting(const struct ctl *ctl, const struct duty *calendar,
                     struct alerting **ret_alerting);
