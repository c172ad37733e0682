/*
 * account.c - see account.h.
 */
#include "probe/log/account.h"

#include <string.h>

#include "probe/log/prefilter.h"

/* A bucket holds this much of its rate, so that a slow tick does not drop what a fast one
 * would have let through. */
#define BUCKET_SECONDS 10.0

int log_account_init(struct log_account *account, const struct log_settings *settings,
                     struct bytes path)
{
    *account = (struct log_account){.settings = settings, .path = path};
    int error = settings->access != NULL ? access_new(settings->access, &account->access) : 0;
    if (error == 0 && settings->templates > 0)
        error = templates_new(settings->templates, &account->templates);
    return error;
}

void log_account_done(struct log_account *account)
{
    access_free(account->access);
    account->access = NULL;
    templates_free(account->templates);
    account->templates = NULL;
}

void log_account_keep(struct log_account *account, const struct log_settings *settings)
{
    account->settings = settings;
    if (account->access != NULL)
        account->access->settings = settings->access;
}

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

static bool is_sent(const struct log_settings *settings, uint32_t severity)
{
    return settings->send == LOG_SEND_ALL ||
           (settings->send == LOG_SEND_ERRORS && severity >= 1 && severity <= 4);
}

/* What is told of a new template is what would be told of its line. */
static void take_template(struct log_account *account, const struct redact_key *key,
                          struct bytes text, int64_t now_ms)
{
    uint8_t masked[2 * TEMPLATE_TEXT_BYTES];
    uint64_t counts[REDACT_KIND_COUNT] = {0};
    const struct template *new_one;
    templates_take(account->templates, text, now_ms, &new_one);
    if (new_one == NULL)
        return;
    size_t size = text.size;
    if (size > sizeof masked)
        size =
            log_whole_characters(LOG_ENCODING_UTF8, (struct bytes){text.data, sizeof masked});
    memcpy(masked, text.data, size);
    redact(&account->settings->redaction, key, masked, size, counts);
    templates_tell(account->templates, new_one, (struct bytes){masked, size});
}

bool log_account_take(struct log_account *account, const struct redact_key *key,
                      struct log_line *line, uint8_t *text)
{
    const struct log_settings *settings = account->settings;
    struct log_tally *tally = &account->tally;
    if (account->access != NULL)
        line->severity = access_take(account->access, line->text, &settings->redaction, key);
    tally->lines[line->severity]++;
    tally->decode_errors += (line->flags & LOG_LINE_REPLACED) != 0;
    tally->cut += (line->flags & LOG_LINE_CUT) != 0;
    account->last_line_ms = line->ts_ms;
    uint64_t may_match =
        settings->pattern_count > 0 ? prefilter_look(settings->prefilter, line->text) : 0;
    for (size_t i = 0; i < settings->pattern_count; i++)
        tally->matches[i] += (may_match >> i & 1) != 0 &&
                             pattern_matches(settings->patterns[i].pattern, line->text);
    if (account->templates != NULL)
        take_template(account, key, line->text, line->ts_ms);
    if (!is_sent(settings, line->severity))
        return false;
    if (!may_pass(account, line->severity)) {
        tally->dropped_rate++;
        return false;
    }
    redact(&settings->redaction, key, text, line->text.size, tally->redacted);
    return true;
}

bool log_account_only_counts(const struct log_account *account)
{
    return account->access != NULL && account->settings->send == LOG_SEND_NONE &&
           account->settings->pattern_count == 0 && account->templates == NULL &&
           account->settings->first_line == NULL;
}

void log_account_count(struct log_account *account, const struct redact_key *key,
                       struct bytes line, int64_t now_ms)
{
    uint32_t severity = access_take(account->access, line, &account->settings->redaction, key);
    account->tally.lines[severity]++;
    account->last_line_ms = now_ms;
}

bool log_account_has_room(const struct log_account *account)
{
    return account->access == NULL || access_has_room(account->access);
}

void log_account_commit(struct log_account *account)
{
    if (account->access != NULL)
        access_commit(account->access);
    if (account->templates != NULL)
        templates_commit(account->templates);
}

void log_account_rollback(struct log_account *account)
{
    if (account->access != NULL)
        access_rollback(account->access);
    if (account->templates != NULL)
        templates_rollback(account->templates);
}
