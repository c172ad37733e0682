/*
 * wechat.h - an application of WeCom (企业微信): what an integration is set to.
 */
#pragma once

#include "collector/client/http_post.h"
#include "collector/notify/robot_text.h"

struct wechat_settings {
    struct robot_words words; /* words.text is Alertmanager's `message` */
    const char *api_url;      /* ends in a slash */
    const char *corp_id;
    const char *api_secret, *api_secret_file;           /* exactly one */
    const char *agent_id, *to_user, *to_party, *to_tag; /* templates over the message */
    const char *message_type;                           /* "text" or "markdown" */
    struct http_settings http;
};
