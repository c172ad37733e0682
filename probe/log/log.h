/*
 * log.h - log files as a source: every line once, in order, and what they say counted.
 *
 *     probe.yml   logs: [{path: ...}, ...]   the node for configure(): a list, or one entry
 *     --log GLOB                             log_source_add(), between configure() and start()
 *
 * Each collect() follows rotations, hands new lines to emitter_log() and writes positions as
 * notes ("log/..."), so that lines and the position behind them are one record of the spool.
 * Lines that a tick has no room for stay in their files until the next.  log_source_has_more()
 * tells the scheduler that a look right away would find some; such a look between two ticks
 * hands over lines, and leaves the samples to the next tick.
 *
 * Its own interval is short, because new lines are what somebody waits for: a tick is a look,
 * and one that finds nothing emits nothing.  A counter that moved is told at once; everything
 * is told every LOG_TELL_MS.
 *
 * Metrics, by file: logwatch_lines_total{severity}, logwatch_pattern_matches_total{pattern},
 * logwatch_dropped_lines_total{reason}, logwatch_redacted_total{kind},
 * logwatch_decode_errors_total, logwatch_cut_lines_total, logwatch_truncations_total,
 * logwatch_rotations_total, logwatch_lost_files_total, logwatch_read_lag_bytes,
 * logwatch_last_line_timestamp_seconds, logwatch_expected_max_silence_seconds; of all:
 * logwatch_files, logwatch_files_excess, logwatch_files_unreadable, logwatch_files_refused,
 * logwatch_mounts_hanging, logwatch_patterns_cut.
 */
#pragma once

#include <stdbool.h>

#include "probe/log/guard.h"
#include "probe/log/settings.h"
#include "probe/source/source.h"
#include "proto/base/diagnosis.h"

#define LOG_TELL_MS     5000
#define LOG_WATCHES_MAX 256 /* paths; those past it are counted, not read */

extern const struct source source_log;

/* One more glob, with the defaults.  `state` is the source's.  ERR_INVALID, ERR_LIMIT,
 * ERR_NOMEM. */
int log_source_add(void *state, const char *glob, struct diagnosis *why);

/* The key of what is masked (redact.h); before start(), which makes one for this run alone
 * where none was set. */
void log_source_set_key(void *state, const struct redact_key *key);

/* What a policy wants tailed beside it; for a path that both name, our own entry holds.  Takes
 * the list over and leaves it empty.  Between configure() and start(). */
void log_source_take_policy(void *state, struct log_settings_list *list);
/* The same while running: files that are not wanted any more are left, and their series end;
 * new ones are looked for at the next tick; those whose entry says the same go on as they are.
 * Nothing of a file that stays is lost or read twice. */
void log_source_change_policy(void *state, struct log_settings_list *list, struct emitter *out);

/* Nothing to tail is configured: the source need not run. */
bool log_source_is_idle(const void *state);

/* For tests: how mounts are asked (guard.h).  Before start(). */
void log_source_ask_by(void *state, guard_ask *ask);

/* The last collect() left lines behind for want of room. */
bool log_source_has_more(const void *state);
