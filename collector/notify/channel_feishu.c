/*
 * channel_feishu.c - a Feishu (Lark) group robot.
 *
 *     POST URL  {"timestamp":"S","sign":"G","msg_type":"text",
 *                "content":{"text":"<at user_id=\"all\"></at> ..."}}
 *     G = base64(HMAC-SHA256(S "\n" secret, "")), within an hour of their clock
 *
 * Tags in the text call people, so a "<" that is not ours is told as "＜": a log line must not
 * wake a whole company.  A body may have 20 KB; 100 messages a minute and 5 a second.
 *
 * Source: open.feishu.cn, "custom bot" (document ucTM5YjL3ETO24yNxkjN).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "collector/notify/json.h"
#include "collector/notify/robot.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define MINUTE_MS ((int64_t)60000)

static void put_text(const struct robot_settings *robot, struct bytes words, struct buf *out)
{
    if (robot->everyone)
        buf_put_text(out, "<at user_id=\"all\"></at> ");
    for (size_t i = 0; i < robot->users.count; i++)
        buf_printf(out, "<at user_id=\"%s\"></at> ", robot->users.items[i]);
    for (size_t i = 0; i < words.size; i++) {
        if (words.data[i] == '<')
            buf_put_text(out, "＜");
        else
            buf_put_u8(out, words.data[i]);
    }
}

static int put_sign(const char *secret, struct buf *out)
{
    struct buf key = {0};
    char *sign = NULL;
    int64_t now = clock_unix_ms(&clock_system) / MS_PER_SEC;

    buf_printf(&key, "%" PRId64 "\n%s", now, secret);
    if (buf_ok(&key))
        sign = robot_sign(buf_bytes(&key), (struct bytes){0});
    if (sign != NULL)
        buf_printf(out, "\"timestamp\":\"%" PRId64 "\",\"sign\":\"%s\",", now, sign);
    buf_done(&key);
    if (sign == NULL)
        return ERR_NOMEM;
    free(sign);
    return 0;
}

static int feishu_prepare(const void *settings, CURL *easy, struct client_request *request,
                          struct diagnosis *why)
{
    const struct robot_settings *robot = settings;
    struct buf text = {0}, *out = &request->sent;
    char *secret = NULL;
    int error = robot_read_secrets(robot, request, &secret, why);

    put_text(robot, request->body, &text);
    buf_put_char(out, '{');
    if (error == 0 && secret != NULL)
        error = put_sign(secret, out);
    buf_put_text(out, "\"msg_type\":\"text\",\"content\":{\"text\":");
    json_put_string(out, buf_bytes(&text));
    buf_put_text(out, "}}");
    if (!buf_ok(&text))
        out->failed = true;
    buf_done(&text);
    free(secret);
    return error != 0 ? error : robot_post(robot, easy, request, why);
}

static void feishu_judge(const void *settings, CURL *easy, CURLcode result,
                         struct client_request *request,
                         struct client_verdict *ret_verdict)
{
    static const char *const names[] = {"code", "StatusCode", NULL};
    static const struct robot_code codes[] = {
        {9499, true, MINUTE_MS, "too many requests"},
        {11232, true, MINUTE_MS, "too many messages"},
        {19021, false, 0, "signature wrong, or this host's clock an hour off"},
        {19022, false, 0, "this address is not on the robot's list"},
        {19024, false, 0, "the robot's keyword is not in the text"},
        {19001, false, 0, "URL unknown"},
        {0, false, 0, NULL},
    };
    (void)settings;
    robot_judge(easy, result, request, names, codes, ret_verdict);
}

const struct channel channel_feishu = {
    .name = "feishu",
    .compose = robot_compose,
    .fit = robot_fit,
    .join = robot_join,
    .prepare = feishu_prepare,
    .judge = feishu_judge,
};
