/*
 * channel_dingtalk.c - a DingTalk group robot.
 *
 *     POST URL&timestamp=MS&sign=S
 *          {"msgtype":"text","text":{"content":"... @13800001111"},
 *           "at":{"atMobiles":["13800001111"],"atUserIds":[],"isAtAll":false}}
 *     S = urlencode(base64(HMAC-SHA256(secret, MS "\n" secret))), within an hour of their clock
 *
 * A number that is to be called must also stand in the text.  Twenty messages a minute and
 * robot; who sends more is not heard for ten minutes.
 *
 * Source: open.dingtalk.com, "custom robot"; codes also from users' reports.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/json.h"
#include "collector/notify/robot.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define MINUTE_MS ((int64_t)60000)

static int sign_url(const char *secret, CURL *easy, struct client_request *request)
{
    struct buf text = {0}, url = {0};
    int64_t now_ms = clock_unix_ms(&clock_system);
    char *sign = NULL, *escaped = NULL;

    buf_printf(&text, "%" PRId64 "\n%s", now_ms, secret);
    if (buf_ok(&text))
        sign = robot_sign(bytes_of(secret), buf_bytes(&text));
    if (sign != NULL)
        escaped = curl_easy_escape(easy, sign, 0);
    buf_printf(&url, "%s%ctimestamp=%" PRId64 "&sign=%s", request->text,
               strchr(request->text, '?') != NULL ? '&' : '?', now_ms,
               escaped != NULL ? escaped : "");
    if (escaped == NULL || !buf_ok(&url))
        buf_done(&url);
    curl_free(escaped);
    free(sign);
    buf_done(&text);
    if (url.data == NULL)
        return ERR_NOMEM;
    free(request->text);
    request->text = strdup(buf_text(&url));
    buf_done(&url);
    return request->text != NULL ? 0 : ERR_NOMEM;
}

static void put_body(const struct robot_settings *robot, struct bytes words, struct buf *out)
{
    struct buf text = {0};

    buf_put(&text, words.data, words.size);
    for (size_t i = 0; i < robot->mobiles.count; i++)
        buf_printf(&text, " @%s", robot->mobiles.items[i]);
    buf_put_text(out, "{\"msgtype\":\"text\",\"text\":{\"content\":");
    json_put_string(out, buf_bytes(&text));
    buf_put_text(out, "},\"at\":{");
    robot_put_list(out, "atMobiles", &robot->mobiles);
    buf_put_char(out, ',');
    robot_put_list(out, "atUserIds", &robot->users);
    buf_printf(out, ",\"isAtAll\":%s}}", robot->everyone ? "true" : "false");
    if (!buf_ok(&text))
        out->failed = true;
    buf_done(&text);
}

static int dingtalk_prepare(const void *settings, CURL *easy, struct client_request *request,
                            struct diagnosis *why)
{
    const struct robot_settings *robot = settings;
    char *secret = NULL;
    int error = robot_read_secrets(robot, request, &secret, why);

    put_body(robot, request->body, &request->sent);
    if (error == 0 && secret != NULL)
        error = sign_url(secret, easy, request);
    free(secret);
    return error != 0 ? error : robot_post(robot, easy, request, why);
}

static void dingtalk_judge(const void *settings, CURL *easy, CURLcode result,
                           struct client_request *request,
                           struct client_verdict *ret_verdict)
{
    static const char *const names[] = {"errcode", NULL};
    static const struct robot_code codes[] = {
        {-1, true, 0, "busy"},
        {130101, true, 10 * MINUTE_MS, "too many messages a minute"},
        {90030, true, 10 * MINUTE_MS, "over the quota"},
        {310000, false, 0, "signature, keyword or address not allowed"},
        {300001, false, 0, "token unknown"},
        {0, false, 0, NULL},
    };
    (void)settings;
    robot_judge(easy, result, request, names, codes, ret_verdict);
}

const struct channel channel_dingtalk = {
    .name = "dingtalk",
    .compose = robot_compose,
    .fit = robot_fit,
    .join = robot_join,
    .prepare = dingtalk_prepare,
    .judge = dingtalk_judge,
};
