/*
 * account.c - see account.h.
 */
#include "probe/log/account.h"

/* A bucket holds this much of its rate, so that a slow tick does not drop what a fast one
 * would have let through. */
#define BUCKET_SECONDS 10.0

void log_account_refill(struct log_account *account, int64_t now_ms)
{
    double rate = account->settings->rate_limit;
    double most = rate * BUCKET_SECONDS < 1 ? 1 : rate * BUCKET_SECONDS;
    if (account->refilled_ms == 0)
        account->tokens = most;
    else if (now_ms > account->refilled_ms)
        account->tokens += rate * (double)(now_ms - account->refilled_ms) / 1000;
    if (account->tokens > most)
        account->tokens = most;
    account->refilled_ms = now_ms;
}

/* May a line pass the rate limit?  Errors always may; they too take from the bucket. */
static bool may_pass(struct log_account *account, uint32_t severity)
{
    if (account->settings->rate_limit <= 0)
        return true;
    bool is_error = severity >= 1 && severity <= 4;
    bool may = account->tokens >= 1 || is_error;
    if (may && account->tokens >= 1)
        account->tokens -= 1;
    return may;
}

bool log_account_take(struct log_account *account, const struct redact_key *key,
                      const struct log_line *line, uint8_t *text)
{
    const struct log_settings *settings = account->settings;
    struct log_tally *tally = &account->tally;
    tally->lines[line->severity]++;
    tally->decode_errors += (line->flags & LOG_LINE_REPLACED) != 0;
    tally->cut += (line->flags & LOG_LINE_CUT) != 0;
    account->last_line_ms = line->ts_ms;
    for (size_t i = 0; i < settings->pattern_count; i++)
        tally->matches[i] += pattern_matches(settings->patterns[i].pattern, line->text);
    if (!may_pass(account, line->severity)) {
        tally->dropped_rate++;
        return false;
    }
    redact(&settings->redaction, key, text, line->text.size, tally->redacted);
    return true;
}
