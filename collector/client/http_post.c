/*
 * http_post.c - see http_post.h.
 */
#include "collector/client/http_post.h"

#include <stdlib.h>
#include <string.h>

#include "collector/client/http_tls.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define SECRET_BYTES_MAX ((size_t)4096)
#define ANSWER_BYTES_MAX ((size_t)16 << 10) /* there are tokens of some thousand */

static size_t keep_answer(char *data, size_t size, size_t count, void *context)
{
    struct client_request *request = context;
    size_t bytes = size * count, kept = request->answer.size;
    size_t room = kept < ANSWER_BYTES_MAX ? ANSWER_BYTES_MAX - kept : 0;
    buf_put(&request->answer, data, bytes < room ? bytes : room);
    return bytes; /* what does not fit is read and dropped */
}

int http_post_secret(const char *text, const char *file, char **ret_text, struct diagnosis *why)
{
    if (text == NULL)
        return file_read_secret(file, SECRET_BYTES_MAX, ret_text, why);
    *ret_text = strdup(text);
    return *ret_text != NULL ? 0 : ERR_NOMEM;
}

int http_post_header(struct client_request *request, const char *text)
{
    struct curl_slist *longer = curl_slist_append(request->headers, text);
    if (longer == NULL)
        return ERR_NOMEM;
    request->headers = longer;
    return 0;
}

/* "Authorization: Bearer ..."; libcurl does not carry it to another host on a redirect. */
static int set_token(const struct http_settings *settings, struct client_request *request,
                     struct diagnosis *why)
{
    const bool is_handed_out = settings->oauth != NULL;
    struct buf line = {0};
    int error = is_handed_out ? 0
                              : http_post_secret(settings->bearer, settings->bearer_file,
                                                 &request->secret, why);

    if (error != 0)
        return error;
    buf_printf(&line, "Authorization: %s %s",
               settings->scheme != NULL ? settings->scheme : "Bearer",
               is_handed_out ? request->token : request->secret);
    error = buf_ok(&line) ? http_post_header(request, buf_text(&line)) : ERR_NOMEM;
    buf_done(&line);
    return error;
}

static int set_auth(const struct http_settings *settings, CURL *easy,
                    struct client_request *request, struct diagnosis *why)
{
    if (settings->username != NULL) {
        bool has_password = settings->password != NULL || settings->password_file != NULL;
        int error = http_post_secret(has_password ? settings->password : "",
                                     settings->password_file, &request->secret, why);
        if (error != 0)
            return error;
        (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        (void)curl_easy_setopt(easy, CURLOPT_USERNAME, settings->username);
        (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, request->secret);
        return 0;
    }
    return settings->oauth != NULL || settings->bearer != NULL || settings->bearer_file != NULL
               ? set_token(settings, request, why)
               : 0;
}

/* Without a word in the file the environment of a daemon says nothing. */
static void set_proxy(const struct http_settings *settings, CURL *easy)
{
    if (settings->proxy_from_environment)
        return;
    (void)curl_easy_setopt(easy, CURLOPT_PROXY,
                           settings->proxy_url != NULL ? settings->proxy_url : "");
    (void)curl_easy_setopt(easy, CURLOPT_NOPROXY,
                           settings->no_proxy != NULL ? settings->no_proxy : "");
}

static void set_redirects(const struct http_settings *settings, CURL *easy)
{
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, settings->stays ? 0L : 1L);
}

int http_post_prepare(const struct http_settings *settings, CURL *easy,
                      struct client_request *request, const char *content_type,
                      const char *url, struct bytes body, struct diagnosis *why)
{
    struct buf line = {0};
    int error;

    buf_printf(&line, "Content-Type: %s", content_type);
    error = buf_ok(&line) ? http_post_header(request, buf_text(&line)) : ERR_NOMEM;
    buf_done(&line);
    if (error == 0)
        error = http_post_header(request, "Expect:"); /* no waiting for 100-continue */
    if (error == 0)
        error = set_auth(settings, easy, request, why);
    if (error == 0)
        error = http_tls_set_url(&settings->tls, easy, url, request);
    if (error == 0)
        error = http_tls_set(&settings->tls, easy, request);
    set_redirects(settings, easy);
    set_proxy(settings, easy);
    if (settings->http_1)
        (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "fengsui/" FENGSUI_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)body.data);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep_answer);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)settings->timeout_ms);
    return error;
}

void http_post_judge(CURL *easy, CURLcode result, const struct client_request *request,
                     struct client_verdict *ret_verdict)
{
    struct client_verdict verdict = {0};
    long code = 0;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    if (result != CURLE_OK) {
        verdict.recoverable = true;
        (void)diagnose(&verdict.why, ERR_IO, "%s", curl_easy_strerror(result));
    } else if (code / 100 == 2) {
        verdict.accepted = true;
    } else {
        struct bytes answer = buf_bytes(&request->answer);
        size_t line = 0;
        while (line < answer.size && line < 300 && answer.data[line] != '\r' &&
               answer.data[line] != '\n')
            line++;
        verdict.recoverable = code / 100 == 5 || code == 408 || code == 429;
        (void)diagnose(&verdict.why, ERR_IO, "HTTP status %ld: %.*s", code, (int)line,
                       answer.size > 0 ? (const char *)answer.data : "");
    }
    *ret_verdict = verdict;
}
