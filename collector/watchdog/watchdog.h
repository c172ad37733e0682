/*
 * watchdog.h - tells somebody outside that this collector lives, as long as it does its work:
 * then its death, even half of it, is noticed where it is missed.
 *
 *     watchdog:
 *       - url: https://b.example:9470/api/fengsui/v1/jobs/collector-a/ok   # a peer's job
 *         bearer_file: peer.token
 *         interval: 5s
 *       - url_file: receiver.url                                           # or a receiver
 * outside interval: 1m
 *
 *     every interval:  a row is written --> committed? --> rules, notifier, disk fit? --> POST
 *                         not yet, or failed: -----------------> nothing is sent, the log says
 * why
 *
 * Fit means: the row was committed within the interval (the writer and the disk work), the
 * store takes samples, the rules thread has not been at one piece of work for
 * WATCHDOG_RULES_MS, the notifier's last write succeeded.  It runs on the main loop, so a loop
 * that hangs is silent, too; its transfers are its own and wait behind no message.
 *
 * Thread: loop, but for metrics.
 */
#pragma once

#include <uv.h>

#include "collector/notify/notify.h"
#include "collector/rules/rules.h"
#include "collector/store/store.h"
#include "proto/base/buf.h"
#include "proto/base/config.h"
#include "proto/base/diagnosis.h"

#define WATCHDOG_TARGETS_MAX 16
#define WATCHDOG_RULES_MS    60000

struct watchdog;

/* `list` of the config may be NULL: nobody is told.  Errors name file, line and key. */
int watchdog_check(struct config *config, const struct config_node *list,
                   struct diagnosis *why);
/* The config outlives it. */
int watchdog_open(uv_loop_t *loop, struct config *config, const struct config_node *list,
                  struct store *store, struct rules *rules, struct notify *notify,
                  struct watchdog **ret_watchdog, struct diagnosis *why);
/* Before the rules, the notifier and the store close.  The loop must run once more.  NULL is
 * allowed. */
void watchdog_close(struct watchdog *watchdog);
/* fengsui_collector_watchdog_*.  Any thread. */
void watchdog_print_metrics(struct watchdog *watchdog, struct buf *out);
