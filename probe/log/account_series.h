/*
 * account_series.h - what is told about an origin of log lines: the logwatch_* series that
 * files and senders of syslog have in common.
 *
 * All series of an origin are registered at once and begin at 0, so that increase() sees the
 * first match of a pattern.  Thread: the loop's.
 */
#pragma once

#include "probe/emitter.h"
#include "probe/log/account.h"

struct account_series;

/* Registers the series; the label `file` is the account's path.  NULL if out of memory (nothing
 * is told then). */
struct account_series *account_series_new(const struct log_account *account,
                                          struct emitter *out);
void account_series_free(struct account_series *series); /* NULL is allowed */

/* Emits what changed since it was last told; `all`: everything. */
void account_series_emit(struct account_series *series, const struct log_account *account,
                         bool all, struct emitter *out);
void account_series_end(const struct account_series *series, const struct log_account *account,
                        struct emitter *out);

/* An event about an origin, as a record of this tick.  One that cannot be told is still in the
 * counters. */
void account_event(struct emitter *out, const char *kind, const char *text,
                   struct label *labels, size_t count);
