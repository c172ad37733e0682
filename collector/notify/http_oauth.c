/*
 * http_oauth.c - see http_oauth.h.
 */
#include "collector/notify/http_oauth.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "collector/client/http_post.h"
#include "proto/base/error.h"

#define MARGIN_MS    ((int64_t)10 * 1000)   /* a token about to end is as good as ended */
#define LIFE_MS      ((int64_t)3600 * 1000) /* of one that does not say: 401 ends it earlier */
#define LIFE_MAX_S   (INT64_C(10) * 365 * 86400)
#define UNAUTHORIZED 401L

static int read_secret(const struct oauth_settings *settings, char **ret_secret,
                       struct diagnosis *why)
{
    if (settings->client_secret == NULL && settings->client_secret_file == NULL) {
        *ret_secret = strdup("");
        return *ret_secret == NULL ? ERR_NOMEM : 0;
    }
    return http_post_secret(settings->client_secret, settings->client_secret_file, ret_secret,
                            why);
}

static void forget(char *secret)
{
    if (secret != NULL)
        sodium_memzero(secret, strlen(secret));
    free(secret);
}

int http_oauth_put_key(const struct oauth_settings *settings, struct buf *out,
                       struct diagnosis *why)
{
    uint8_t digest[crypto_generichash_BYTES];
    char *secret = NULL;
    int error = read_secret(settings, &secret, why);

    if (error != 0)
        return error;
    (void)crypto_generichash(digest, sizeof digest, (const uint8_t *)secret, strlen(secret),
                             NULL, 0);
    forget(secret);
    buf_put_text(out, "oauth2");
    buf_put_sized(out, bytes_of(settings->token_url));
    buf_put_sized(out, bytes_of(settings->client_id));
    buf_put_sized(out, bytes_of(settings->scope != NULL ? settings->scope : ""));
    for (size_t i = 0; i < settings->param_count; i++) {
        buf_put_sized(out, bytes_of(settings->params[i].name));
        buf_put_sized(out, bytes_of(settings->params[i].value));
    }
    buf_put(out, digest, sizeof digest);
    return 0;
}

/* As a form's value: what is no letter, digit or one of -._~ as %XX. */
static void put_escaped(struct buf *out, const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);
    if (escaped == NULL)
        out->failed = true;
    else
        buf_put_text(out, escaped);
    curl_free(escaped);
}

static void put_param(struct buf *out, const char *name, const char *value)
{
    buf_put_char(out, '&');
    put_escaped(out, name);
    buf_put_char(out, '=');
    put_escaped(out, value);
}

int http_oauth_prepare(const struct oauth_settings *settings, CURL *easy,
                       struct client_request *request, struct diagnosis *why)
{
    struct http_settings http = settings->http;
    struct buf *body = &request->sent;
    struct buf id = {0}, password = {0};
    char *secret = NULL;
    int error = read_secret(settings, &secret, why);

    if (error != 0)
        return error;
    put_escaped(&id, settings->client_id);
    put_escaped(&password, secret);
    forget(secret);
    buf_put_text(body, "grant_type=client_credentials");
    if (settings->scope != NULL)
        put_param(body, "scope", settings->scope);
    for (size_t i = 0; i < settings->param_count; i++)
        put_param(body, settings->params[i].name, settings->params[i].value);
    if (!buf_ok(&id) || !buf_ok(&password) || !buf_ok(body))
        error = ERR_NOMEM;
    if (error == 0) {
        http.username = buf_text(&id); /* libcurl has copies */
        http.password = buf_text(&password);
        error = http_post_prepare(&http, easy, request, "application/x-www-form-urlencoded",
                                  settings->token_url, buf_bytes(body), why);
    }
    if (password.size > 0)
        sodium_memzero(password.data, password.size);
    buf_done(&password);
    buf_done(&id);
    return error;
}

static bool is_fit(const char *token)
{
    const char *at = token;
    while (*at > ' ' && *at < 0x7f)
        at++;
    return *at == '\0' && at != token;
}

/* "expires_in" is a number; some say it as a text. */
static int64_t life_ms_of(const json_t *answer)
{
    const json_t *member = json_object_get(answer, "expires_in");
    const char *text = json_string_value(member);
    double seconds = json_is_number(member) ? json_number_value(member)
                     : text != NULL         ? strtod(text, NULL)
                                            : 0;
    if (!(seconds > 0))
        return LIFE_MS;
    if (seconds > (double)LIFE_MAX_S)
        seconds = (double)LIFE_MAX_S;
    return (int64_t)(seconds * 1000.0) - MARGIN_MS;
}

char *http_oauth_read(CURL *easy, CURLcode result, const struct client_request *request,
                      int64_t *ret_life_ms, struct client_verdict *ret_verdict)
{
    json_t *answer =
        json_loadb((const char *)request->answer.data, request->answer.size, 0, NULL);
    const char *text = json_string_value(json_object_get(answer, "access_token"));
    const char *refusal = json_string_value(json_object_get(answer, "error"));
    char *token = NULL;

    http_post_judge(easy, result, request, ret_verdict);
    if (ret_verdict->accepted && text != NULL && is_fit(text)) {
        *ret_life_ms = life_ms_of(answer);
        token = strdup(text);
    } else if (ret_verdict->accepted || refusal != NULL) {
        ret_verdict->why = (struct diagnosis){0}; /* these words say more */
        const char *more =
            json_string_value(json_object_get(answer, "error_description"));
        (void)diagnose(&ret_verdict->why, ERR_REFUSED, "token_url gave no token: %.100s%s%.200s",
                       refusal != NULL ? refusal : "no access_token in its answer",
                       more != NULL ? ": " : "", more != NULL ? more : "");
    }
    if (token == NULL)
        ret_verdict->accepted = false;
    json_decref(answer);
    return token;
}

bool http_oauth_is_worn_out(CURL *easy, CURLcode result)
{
    long code = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    return result == CURLE_OK && code == UNAUTHORIZED;
}
