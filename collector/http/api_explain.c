/*
 * api_explain.c - /api/fengsui/v1: why was somebody told of an alert, or nobody; who is there
 * to tell.
 *
 *     GET alerts/FINGERPRINT/explain   rule, routes, groups, mutes, messages
 * (notify/explain.h), and "rule" as rules.h has it; null for a posted alert GET receivers
 * receivers, their integrations, what is owed to each
 */
#include <stdlib.h>
#include <string.h>

#include "collector/http/api_parts.h"
#include "collector/notify/explain.h"
#include "collector/notify/view.h"
#include "proto/base/arena.h"
#include "proto/base/error.h"

#define EXPLAIN_ARENA_BYTES ((size_t)4 << 20) /* of one alert's labels and annotations */
#define FINGERPRINT_CHARS   (API_FINGERPRINT_BYTES - 1)

/* "<16 hex digits>/explain"; false: the error is in the response. */
static bool read_path(const struct http_request *request, struct http_response *response,
                      uint64_t *ret_fingerprint)
{
    const char *rest = request->rest;
    if (strspn(rest, "0123456789abcdefABCDEF") != FINGERPRINT_CHARS ||
        strcmp(rest + FINGERPRINT_CHARS, "/explain") != 0) {
        reply_error(
            response, API_NOT_FOUND,
            "an alert is explained at alerts/FINGERPRINT/explain, with the 16 hex digits "
            "that the list of alerts shows");
        return false;
    }
    *ret_fingerprint = strtoull(rest, NULL, 16);
    return true;
}

static int explain(const struct app *app, uint64_t fingerprint, struct buf *out)
{
    const int64_t now_ms = clock_unix_ms(&clock_system);
    struct explain_subject subject = {.fingerprint = fingerprint};
    struct explain_ledger ledger = {0};
    struct rules_explained known;
    struct arena arena;
    struct buf rule = {0};
    int error;

    arena_init(&arena, EXPLAIN_ARENA_BYTES);
    error = rules_explain(app->rules, fingerprint, now_ms, &arena, &known, &rule);
    if (error == 0)
        subject = (struct explain_subject){fingerprint, known.labels, known.annotations,
                                           known.is_pending, known.active_ms};
    if (error == ERR_NOTFOUND) {
        buf_clear(&rule);
        buf_put_text(&rule, "null");
        error = 0;
    }
    if (error == 0)
        error = explain_read_ledger(app->notify, fingerprint, &ledger);
    if (error == 0) {
        buf_put_char(out, '{');
        view_begin(app->notify);
        error = explain_print(app->notify, &subject, &ledger, now_ms, out);
        view_end(app->notify);
        buf_put_text(out, ",\"rule\":");
        buf_put(out, rule.data, rule.size);
        buf_put_char(out, '}');
    }
    explain_ledger_done(&ledger);
    buf_done(&rule);
    arena_reset(&arena);
    return error;
}

void api_explain(struct http_request *request, struct http_response *response)
{
    struct buf printed = {0};
    uint64_t fingerprint;
    int error;

    if (!read_path(request, response, &fingerprint))
        return;
    error = explain(app_of(request), fingerprint, &printed);
    if (error == ERR_NOTFOUND) {
        buf_done(&printed);
        reply_error(response, API_NOT_FOUND,
                    "no alert has this fingerprint, and no message of the last 7 days spoke of "
                    "one");
        return;
    }
    api_answer_printed(response, error, &printed);
}

void api_receivers(struct http_request *request, struct http_response *response)
{
    struct notify *notify = app_of(request)->notify;
    struct explain_owed *owed = NULL;
    struct buf printed = {0};
    size_t count = 0;
    int error = explain_read_owed(notify, &owed, &count);

    if (error == 0) {
        view_begin(notify);
        explain_print_receivers(notify, owed, count, &printed);
        view_end(notify);
        explain_owed_free(owed, count);
    }
    api_answer_printed(response, error, &printed);
}
