/*
 * channel_wecom.c - a WeCom (企业微信) group robot.
 *
 *     POST URL  {"msgtype":"text","text":{"content":"...","mentioned_list":["wang","@all"],
 *                "mentioned_mobile_list":["13800001111"]}}
 *
 * The text may have 2,048 bytes; twenty messages a minute and robot.
 *
 * Source: developer.work.weixin.qq.com, "group robot" (path/91770, path/99398).
 */
#include "collector/notify/json.h"
#include "collector/notify/robot.h"
#include "proto/base/error.h"

#define MINUTE_MS ((int64_t)60000)

/* users and "@all" in one list */
static void put_mentioned(const struct robot_settings *robot, struct buf *out)
{
    buf_put_text(out, "\"mentioned_list\":[");
    for (size_t i = 0; i < robot->users.count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        json_put_text(out, robot->users.items[i]);
    }
    if (robot->everyone)
        buf_printf(out, "%s\"@all\"", robot->users.count > 0 ? "," : "");
    buf_put_char(out, ']');
}

static int wecom_prepare(const void *settings, CURL *easy, struct client_request *request,
                         struct diagnosis *why)
{
    const struct robot_settings *robot = settings;
    struct buf *out = &request->sent;
    char *unused = NULL;
    int error = robot_read_secrets(robot, request, &unused, why);

    buf_put_text(out, "{\"msgtype\":\"text\",\"text\":{\"content\":");
    json_put_string(out, request->body);
    buf_put_char(out, ',');
    put_mentioned(robot, out);
    buf_put_char(out, ',');
    robot_put_list(out, "mentioned_mobile_list", &robot->mobiles);
    buf_put_text(out, "}}");
    return error != 0 ? error : robot_post(robot, easy, request, why);
}

static void wecom_judge(const void *settings, CURL *easy, CURLcode result,
                        struct client_request *request,
                        struct client_verdict *ret_verdict)
{
    static const char *const names[] = {"errcode", NULL};
    static const struct robot_code codes[] = {
        {-1, true, 0, "busy"},
        {45009, true, MINUTE_MS, "too many messages a minute"},
        {45033, true, MINUTE_MS, "too many requests at once"},
        {93000, false, 0, "key unknown"},
        {40058, false, 0, "message not allowed"},
        {0, false, 0, NULL},
    };
    (void)settings;
    robot_judge(easy, result, request, names, codes, ret_verdict);
}

const struct channel channel_wecom = {
    .name = "wecom",
    .compose = robot_compose,
    .fit = robot_fit,
    .join = robot_join,
    .prepare = wecom_prepare,
    .judge = wecom_judge,
};
