/*
 * channel.h - one way out of the house: webhook, mail, a robot in a chat, a text message, a local
 * program.
 *
 * A channel turns a finished message into bytes once (compose), when the message enters the
 * outbox; what is sent, and sent again after a failure or a kill, are those same bytes under the
 * same message id.  At sending time it sets up a libcurl transfer and later reads its verdict.
 * A channel knows neither rules nor groups nor timers.
 *
 * Most channels are a libcurl transfer.  Three are more or less than that:
 *     a local program     is_program: one run of it is a try (program.h)
 *     a session           is_session: tries share a connection that stays (smpp_pool.h)
 *     a token             a transfer that asks for one comes first; it is kept for the next
 *                         (token.h) and asked for once more if the service has tired of it
 *
 * Trust: what goes to an outside service tells a number, a severity and an alias only, unless
 * the configuration says `disclose: full` and names the written consent (alerting_words.c).
 *
 * Thread: compose anywhere; prepare and judge on the notify loop.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/client/http_settings.h"
#include "collector/client/request.h"
#include "collector/notify/notify.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

#define MESSAGE_ID_BYTES 17 /* 16 hex digits, in order of time, and a NUL */

struct passed_line;  /* passed.h */
struct template_set; /* template.h */

/* What a group has to say to one integration.  Firing alerts first. */
struct message {
    const char *id;
    const char *receiver;
    const char *group_key;
    const struct labels *group_labels;
    const struct labels *common_labels;
    const struct labels *common_annotations;
    const char *external_url;
    const struct alert *alerts;
    size_t alert_count;
    size_t firing_count;
    int64_t now_ms;
    uint64_t incident;           /* its number; 0: not told as one */
    const char *acknowledge_url; /* where whoever reads this can say "I am on it"; or NULL */
    bool is_trial; /* not an alert: somebody asks whether the channel works */
    const struct passed_line *passed; /* what came and went unseen; NULL: nothing */
    bool is_english;      /* our own words; else they are Chinese */
    const char *reply_to; /* id of the message that told the beginning; NULL: this is it */
    const struct template_set *templates; /* by name; NULL: none */
    uint64_t *template_errors; /* counts texts that came out as an error; or NULL */
};

/* How a service hands out its token. */
struct channel_token {
    /* NULL: all of the channel's settings need one. */
    bool (*is_needed)(const void *settings);
    /* Appends what the token belongs to: integrations of the same key share it.  An error with
     * `why`. */
    int (*put_key)(const void *settings, struct buf *out, struct diagnosis *why);
    /* Options of the transfer that asks for it, as channel.prepare. */
    int (*prepare)(const void *settings, CURL *easy, struct client_request *request,
                   struct diagnosis *why);
    /* Reads the answer: a malloc'd token and how long it is good for, or NULL and why not. */
    char *(*read)(const void *settings, CURL *easy, CURLcode result,
                  const struct client_request *request, int64_t *ret_life_ms,
                  struct client_verdict *ret_verdict);
};

struct channel {
    const char *name; /* "webhook"; stored in outbox rows, so never renamed */
    /* The body to store and send.  0, ERR_NOMEM. */
    int (*compose)(const void *settings, const struct message *message, struct buf *body);
    /* For services that bound how often one may speak; NULL: a transfer carries one body as it
     * is.  How many of the bodies, from the first on, go into one transfer (at least 1) ... */
    size_t (*fit)(const void *settings, const struct bytes *bodies, size_t count);
    /* ... and that transfer's body.  0, ERR_CORRUPT, ERR_NOMEM. */
    int (*join)(const void *settings, const struct bytes *bodies, size_t count,
                struct buf *out);
    bool is_program; /* settings are a struct program_settings; no prepare, no judge */
    bool is_session; /* settings are a struct smpp_settings; no prepare, no judge */
    const struct channel_token *token; /* NULL: needs none */
    /* Options of `easy`; 0, or an error with `why` (a secret that cannot be read). */
    int (*prepare)(const void *settings, CURL *easy, struct client_request *request,
                   struct diagnosis *why);
    void (*judge)(const void *settings, CURL *easy, CURLcode result,
                  struct client_request *request, struct client_verdict *ret_verdict);
};

extern const struct channel channel_webhook;
extern const struct channel channel_email;
extern const struct channel channel_dingtalk;
extern const struct channel channel_wecom;
extern const struct channel channel_feishu;
extern const struct channel channel_program;
extern const struct channel channel_sms;
extern const struct channel channel_smpp;
extern const struct channel channel_wechat;
extern const struct channel channel_escalation; /* people, by an incident */

struct webhook_settings {
    const char *url, *url_file; /* exactly one */
    int64_t max_alerts;         /* 0: all */
    struct http_settings http;
};

/* arguments[0] is the program's full path; ends with NULL. */
struct program_settings {
    char **arguments;
    int64_t timeout_ms;
};

struct email_header {
    const char *name;
    const char *value; /* a template over the message */
};

struct email_settings {
    const char *to, *from;
    const char *smarthost; /* host:port */
    const char *hello;
    const char *username, *password, *password_file; /* NULL: no authentication */
    const char *secret;   /* of CRAM-MD5, where there is no password; NULL: none */
    const char *identity; /* on whose behalf (PLAIN); NULL: the user's */
    bool require_tls;
    const struct email_header *headers;
    size_t header_count;
    const char *text; /* a template over the message; NULL: our own words */
    const char *html; /* the same as a page beside it; NULL: none */
    struct tls_settings tls;
    int64_t timeout_ms;
};
