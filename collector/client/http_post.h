/*
 * http_post.h - one POST over libcurl, as everything here makes it that speaks to an HTTP service.
 *
 * Thread: whoever runs the transfer.
 */
#pragma once

#include "collector/client/http_settings.h"
#include "collector/client/request.h"

/* The text itself, or the content of its file (0600, read now, so that a new secret needs no
 * reload); `text` wins.  *ret_text is the caller's to free.  ERR_REFUSED, ERR_NOTFOUND ... */
int http_post_secret(const char *text, const char *file, char **ret_text,
                     struct diagnosis *why);

/* Adds a request header; ERR_NOMEM. */
int http_post_header(struct client_request *request, const char *text);

/* Sets up `easy` to POST `body`, which is of that type, to `url` (both outlive the transfer) with
 * the settings' login, TLS and time limit, the headers added so far, and the first bytes of the
 * answer kept in request->answer. */
int http_post_prepare(const struct http_settings *settings, CURL *easy,
                      struct client_request *request, const char *content_type,
                      const char *url, struct bytes body, struct diagnosis *why);

/* The verdict that the transfer and its HTTP status alone allow: 2xx accepts; 5xx, 408, 429 and
 * what never got an answer are tried again soon. */
void http_post_judge(CURL *easy, CURLcode result, const struct client_request *request,
                     struct client_verdict *ret_verdict);
