/*
 * channel_wechat.c - an application of WeCom (企业微信), as Alertmanager's wechat_configs.
 *
 *     GET  URL gettoken?corpid=C&corpsecret=S
 *          {"errcode":0,"access_token":"T","expires_in":7200}
 *     POST URL message/send?access_token=T
 *          {"touser":"wang|li","toparty":"2","totag":"","agentid":"1000002","msgtype":"text",
 *           "text":{"content":"..."},"safe":"0"}
 *          {"errcode":0,"errmsg":"ok","invaliduser":"li"}
 *
 * Whom it goes to may depend on the message (templates), so that is stored with its body, and
 * only messages to the same people go together.
 *
 *     body   sized addresses, as members of the JSON | body of robot_text.h
 *
 * Texts may have 2,048 bytes.  A member is sent 30 messages a minute and 1,000 an hour; what is
 * more is dropped without a word, hence the pace.
 *
 * Source: developer.work.weixin.qq.com, path/91039 (gettoken), 90236 (message/send), 90313
 * (codes), 90454 (limits).
 */
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/json.h"
#include "collector/notify/message_text.h"
#include "collector/notify/robot.h"
#include "collector/notify/wechat.h"
#include "proto/base/error.h"

#define MINUTE_MS    ((int64_t)60000)
#define LIFE_MS      ((int64_t)7200 * 1000)
#define MARGIN_MS    ((int64_t)120 * 1000) /* a token that is about to end is as good as ended */
#define CODE_INVALID 40014
#define CODE_EXPIRED 42001

/* ---- the message ------------------------------------------------------------------------- */

static void put_address(const struct message *message, const char *name, const char *template,
                        struct buf *out)
{
    struct buf text = {0};
    message_put_template(message, template, &text);
    buf_printf(out, "\"%s\":", name);
    json_put_string(out, buf_bytes(&text));
    buf_put_char(out, ',');
    if (!buf_ok(&text))
        out->failed = true;
    buf_done(&text);
}

static int wechat_compose(const void *settings, const struct message *message, struct buf *body)
{
    const struct wechat_settings *wechat = settings;
    struct buf addresses = {0};

    put_address(message, "touser", wechat->to_user, &addresses);
    put_address(message, "toparty", wechat->to_party, &addresses);
    put_address(message, "totag", wechat->to_tag, &addresses);
    put_address(message, "agentid", wechat->agent_id, &addresses);
    buf_put_sized(body, buf_bytes(&addresses));
    if (!buf_ok(&addresses))
        body->failed = true;
    buf_done(&addresses);
    return robot_text_compose(&wechat->words, message, body);
}

static struct bytes addresses_of(struct bytes body, struct bytes *ret_text)
{
    struct reader reader = reader_of(body);
    struct bytes addresses = reader_sized(&reader);
    *ret_text = (struct bytes){reader.at, reader_left(&reader)};
    return addresses;
}

static size_t wechat_fit(const void *settings, const struct bytes *bodies, size_t count)
{
    const struct wechat_settings *wechat = settings;
    struct bytes text, first = addresses_of(bodies[0], &text);
    struct bytes texts[64];
    size_t same = 0;

    while (same < count && same < sizeof texts / sizeof texts[0] &&
           bytes_equal(addresses_of(bodies[same], &texts[same]), first))
        same++;
    return robot_text_fit(texts, same, wechat->words.text_bytes_max);
}

static int wechat_join(const void *settings, const struct bytes *bodies, size_t count,
                       struct buf *out)
{
    const struct wechat_settings *wechat = settings;
    struct bytes texts[64];

    if (count > sizeof texts / sizeof texts[0])
        return ERR_LIMIT;
    for (size_t i = 0; i < count; i++) {
        struct bytes addresses = addresses_of(bodies[i], &texts[i]);
        if (i == 0)
            buf_put_sized(out, addresses);
    }
    return robot_text_join(&wechat->words, texts, count, wechat->words.text_bytes_max, out);
}

static int set_url(const char *api_url, const char *call, const char *const *pairs,
                   struct client_request *request)
{
    struct buf url = {0};

    buf_printf(&url, "%s%s", api_url, call);
    for (size_t i = 0; pairs[i] != NULL; i += 2) {
        char *escaped = curl_easy_escape(NULL, pairs[i + 1], 0);
        if (escaped == NULL)
            url.failed = true;
        else
            buf_printf(&url, "%c%s=%s", i == 0 ? '?' : '&', pairs[i], escaped);
        curl_free(escaped);
    }
    request->text = buf_ok(&url) ? strdup(buf_text(&url)) : NULL;
    buf_done(&url);
    return request->text == NULL ? ERR_NOMEM : 0;
}

static int wechat_prepare(const void *settings, CURL *easy, struct client_request *request,
                          struct diagnosis *why)
{
    const struct wechat_settings *wechat = settings;
    const char *const pairs[] = {"access_token", request->token, NULL};
    struct bytes text, addresses = addresses_of(request->body, &text);
    struct buf *out = &request->sent;
    int error = set_url(wechat->api_url, "message/send", pairs, request);

    buf_put_char(out, '{');
    buf_put(out, addresses.data, addresses.size);
    buf_printf(out, "\"msgtype\":\"%s\",\"%s\":{\"content\":", wechat->message_type,
               wechat->message_type);
    json_put_string(out, text);
    buf_put_text(out, "},\"safe\":\"0\"}");
    if (error == 0 && !buf_ok(out))
        error = ERR_NOMEM;
    if (error != 0)
        return error;
    return http_post_prepare(&wechat->http, easy, request, "application/json", request->text,
                             buf_bytes(out), why);
}

/* Of people who do not exist, or may not be written to, the service tells beside its success.
 */
static void note_unreached(const struct client_request *request,
                           struct client_verdict *verdict)
{
    static const char *const names[] = {"invaliduser", "invalidparty", "invalidtag",
                                        "unlicenseduser"};
    json_t *answer =
        json_loadb((const char *)request->answer.data, request->answer.size, 0, NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *who = json_string_value(json_object_get(answer, names[i]));
        if (who != NULL && *who != '\0')
            (void)diagnose(&verdict->why, ERR_NOTFOUND, "not to %s: %.200s", names[i], who);
    }
    json_decref(answer);
}

static const char *const code_names[] = {"errcode", NULL};

static const struct robot_code codes[] = {
    {-1, true, 0, "busy"},
    {CODE_INVALID, true, 0, "token not valid"},
    {CODE_EXPIRED, true, 0, "token expired"},
    {40001, false, 0, "secret not valid"},
    {40013, false, 0, "corp_id not valid"},
    {40056, false, 0, "agent_id not valid"},
    {45009, true, MINUTE_MS, "too many requests"},
    {45033, true, MINUTE_MS, "too many requests at once"},
    {60020, false, 0, "our address is not on the application's list"},
    {81013, false, 0, "nobody of those it goes to is there"},
    {0, false, 0, NULL},
};

static bool has_code(const struct client_request *request, long code)
{
    json_t *answer =
        json_loadb((const char *)request->answer.data, request->answer.size, 0, NULL);
    bool has = json_is_integer(json_object_get(answer, "errcode")) &&
               json_integer_value(json_object_get(answer, "errcode")) == code;
    json_decref(answer);
    return has;
}

static void wechat_judge(const void *settings, CURL *easy, CURLcode result,
                         struct client_request *request, struct client_verdict *ret_verdict)
{
    (void)settings;
    robot_judge(easy, result, request, code_names, codes, ret_verdict);
    if (ret_verdict->accepted)
        note_unreached(request, ret_verdict);
    else
        ret_verdict->renews =
            has_code(request, CODE_INVALID) || has_code(request, CODE_EXPIRED);
}

/* ---- the token --------------------------------------------------------------------------- */

static int read_secret(const struct wechat_settings *wechat, char **ret_secret,
                       struct diagnosis *why)
{
    return http_post_secret(wechat->api_secret, wechat->api_secret_file, ret_secret, why);
}

/* The secret takes part, so that a changed one asks for a token of its own; as a digest, for
 * keys stay in memory. */
static int token_put_key(const void *settings, struct buf *out, struct diagnosis *why)
{
    const struct wechat_settings *wechat = settings;
    uint8_t digest[crypto_generichash_BYTES];
    char *secret = NULL;
    int error = read_secret(wechat, &secret, why);

    if (error != 0)
        return error;
    (void)crypto_generichash(digest, sizeof digest, (const uint8_t *)secret, strlen(secret),
                             NULL, 0);
    sodium_memzero(secret, strlen(secret));
    free(secret);
    buf_put_sized(out, bytes_of(wechat->api_url));
    buf_put_sized(out, bytes_of(wechat->corp_id));
    buf_put(out, digest, sizeof digest);
    return 0;
}

static int token_prepare(const void *settings, CURL *easy, struct client_request *request,
                         struct diagnosis *why)
{
    const struct wechat_settings *wechat = settings;
    char *secret = NULL;
    int error = read_secret(wechat, &secret, why);

    if (error != 0)
        return error;
    const char *const pairs[] = {"corpid", wechat->corp_id, "corpsecret", secret, NULL};
    error = set_url(wechat->api_url, "gettoken", pairs, request);
    free(secret);
    if (error == 0)
        error = http_post_prepare(&wechat->http, easy, request, "application/json",
                                  request->text, (struct bytes){0}, why);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    return error;
}

static char *token_read(const void *settings, CURL *easy, CURLcode result,
                        const struct client_request *request, int64_t *ret_life_ms,
                        struct client_verdict *ret_verdict)
{
    json_t *answer;
    const char *text;
    char *token = NULL;
    int64_t life_ms = LIFE_MS;
    (void)settings;

    robot_judge(easy, result, request, code_names, codes, ret_verdict);
    if (!ret_verdict->accepted)
        return NULL;
    ret_verdict->accepted = false;
    answer = json_loadb((const char *)request->answer.data, request->answer.size, 0, NULL);
    text = json_string_value(json_object_get(answer, "access_token"));
    if (text != NULL && *text != '\0')
        token = strdup(text);
    if (json_is_integer(json_object_get(answer, "expires_in")))
        life_ms = (int64_t)json_integer_value(json_object_get(answer, "expires_in")) * 1000;
    json_decref(answer);
    *ret_life_ms = (life_ms < LIFE_MS ? life_ms : LIFE_MS) - MARGIN_MS;
    if (token == NULL)
        (void)diagnose(&ret_verdict->why, ERR_MALFORMED, "gettoken answered without a token");
    return token;
}

static const struct channel_token wechat_token = {
    .put_key = token_put_key,
    .prepare = token_prepare,
    .read = token_read,
};

const struct channel channel_wechat = {
    .name = "wechat",
    .compose = wechat_compose,
    .fit = wechat_fit,
    .join = wechat_join,
    .token = &wechat_token,
    .prepare = wechat_prepare,
    .judge = wechat_judge,
};
