/*
 * account.h - one origin of log lines (a path, a sender of syslog): what it said counted, what
 * may leave decided, and what leaves masked.
 *
 * Severity and patterns are of the line as it was written; the text that leaves is masked
 * (redact.h).  Lines over the rate limit are counted and stay; errors always leave, and take
 * from the same bucket.  Lines that the settings do not want sent are counted alone.
 *
 * An access log's lines are read as requests, too (access.h): their severity is the status's.
 * Requests wait for log_account_commit(), so that a copy of the account, taken before the lines
 * of a chunk, and log_account_rollback() undo all that was counted for it.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/log/access.h"
#include "probe/log/redact.h"
#include "probe/log/settings.h"
#include "probe/log/severity.h"
#include "probe/log/templates.h"
#include "proto/wire/plain.h"

/* What an origin's lines had in them; since the probe's start. */
struct log_tally {
    uint64_t lines[SEVERITY_COUNT];
    uint64_t matches[LOG_PATTERNS_MAX];
    uint64_t redacted[REDACT_KIND_COUNT]; /* what was masked, of lines that were sent */
    uint64_t dropped_rate;                /* lines over the rate limit */
    uint64_t decode_errors;               /* lines with something that did not decode */
    uint64_t cut;                         /* lines or events that were too long */
};

struct log_account {
    const struct log_settings *settings;
    struct bytes path; /* as the collector sees it */
    struct log_tally tally;
    struct access *access;       /* NULL: no access log */
    struct templates *templates; /* NULL: not told apart */
    double tokens;               /* lines that may pass now */
    int64_t refilled_ms;         /* 0: never */
    int64_t last_line_ms;
};

/* `settings` and `path` stay the caller's.  ERR_NOMEM: what the lines are read as beside is not
 * counted. */
int log_account_init(struct log_account *account, const struct log_settings *settings,
                     struct bytes path);
void log_account_done(struct log_account *account);

/* Other settings that say the same. */
void log_account_keep(struct log_account *account, const struct log_settings *settings);

/* Fills the rate limit's bucket up to `now_ms`. */
void log_account_refill(struct log_account *account, int64_t now_ms);

/* Counts the line, whose severity, flags and time are set (an access log's severity is set
 * here); true: it may leave, and `text`, which is the line's own text, has been masked.  There
 * must be room. */
bool log_account_take(struct log_account *account, const struct redact_key *key,
                      struct log_line *line, uint8_t *text);

/* Are the lines of this origin read for their numbers alone, so that nobody needs their text?
 */
bool log_account_only_counts(const struct log_account *account);

/* The same for such a line, as it lies in the file, in UTF-8 or an encoding that ASCII is part
 * of. */
void log_account_count(struct log_account *account, const struct redact_key *key,
                       struct bytes line, int64_t now_ms);

bool log_account_has_room(const struct log_account *account);
void log_account_commit(struct log_account *account);
void log_account_rollback(struct log_account *account);
