/*
 * journal.h - the source: what systemd's journal holds, as log lines.
 *
 *     sources:
 *       journal:
 *         enabled: true
 *         from: end                      # or beginning, at the very first start
 *         units: [sshd.service]          # all by default
 *         directory: /var/log/journal    # journalctl's --directory
 *         journalctl: /usr/bin/journalctl
 *         rate_limit: 200                # of each unit; these as in `logs`
 *         ...
 *
 * Off until it is enabled, because the same lines often are in files that are tailed, too.
 * Lines are of the origin journal://UNIT and have its logwatch_* series (account_series.h).
 * The note journal/cursor is the cursor of the last line, in the batch that holds it.
 *
 * Metrics: journal_up (1 where journalctl runs), journal_restarts_total, journal_entries_total.
 *
 * A tick is a look, as with log files; what the tick has no room for waits in the pipe.
 */
#pragma once

#include "probe/log/redact.h"
#include "probe/source/source.h"

extern const struct source source_journal;

/* The key of what is masked (redact.h); before start(), which makes one for this run alone
 * where none was set. */
void journal_source_set_key(void *state, const struct redact_key *key);
