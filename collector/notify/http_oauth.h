/*
 * http_oauth.h - a token by OAuth 2.0's client credentials, as Alertmanager's oauth2 asks for one.
 *
 *     POST token_url   Authorization: Basic base64(form(client_id):form(client_secret))
 *          grant_type=client_credentials&scope=a+b&PARAM=VALUE...
 *          {"access_token":"T","token_type":"Bearer","expires_in":3600}
 *
 * The functions are those of a channel_token (channel.h), for the channel whose http_config it is:
 * the token is asked for before the first message, kept until it ends, and asked for once more when
 * the service answers 401.
 *
 * Source: RFC 6749, 2.3.1, 4.4, 5.1, 5.2.  Thread: the notify loop's.
 */
#pragma once

#include "collector/notify/channel.h"

/* What its tokens belong to: of the secret as a digest, so that a changed one asks anew. */
int http_oauth_put_key(const struct oauth_settings *settings, struct buf *out,
                       struct diagnosis *why);
int http_oauth_prepare(const struct oauth_settings *settings, CURL *easy,
                       struct client_request *request, struct diagnosis *why);
/* A malloc'd token of visible ASCII, or NULL and why not. */
char *http_oauth_read(CURL *easy, CURLcode result, const struct client_request *request,
                      int64_t *ret_life_ms, struct client_verdict *ret_verdict);
/* The service did not take the token: another one may do. */
bool http_oauth_is_worn_out(CURL *easy, CURLcode result);
