/*
 * robot.h - what the group robots of DingTalk, WeCom and Feishu have in common.
 *
 * All three take a JSON POST, answer HTTP 200 whatever they think of it, and say in a code in
 * the body whether they took it; all three stop listening to who speaks too often.
 *
 * Thread: as channel.h says.
 */
#pragma once

#include "collector/client/http_post.h"
#include "collector/notify/robot_text.h"
#include "proto/base/config.h"

struct robot_settings {
    struct robot_words words;
    const char *url, *url_file;           /* exactly one; it holds the robot's token */
    const char *secret, *secret_file;     /* at most one; NULL: requests are not signed */
    struct config_strings mobiles, users; /* whom to call by name */
    bool everyone;
    struct http_settings http;
};

/* channel.h's compose, fit and join over a struct robot_settings. */
int robot_compose(const void *settings, const struct message *message, struct buf *body);
size_t robot_fit(const void *settings, const struct bytes *bodies, size_t count);
int robot_join(const void *settings, const struct bytes *bodies, size_t count, struct buf *out);

/* base64(HMAC-SHA256(key, text)), malloc'd; NULL when out of memory. */
char *robot_sign(struct bytes key, struct bytes text);

/* The robot's URL in request->text, its secret in *ret_secret (malloc'd; NULL: none). */
int robot_read_secrets(const struct robot_settings *robot, struct client_request *request,
                       char **ret_secret, struct diagnosis *why);

/* POSTs request->sent to request->text. */
int robot_post(const struct robot_settings *robot, CURL *easy, struct client_request *request,
               struct diagnosis *why);

/* "name":["a","b"] */
void robot_put_list(struct buf *out, const char *name, const struct config_strings *list);

/* What a code of the service means; 0 is always success, a code not listed a lasting refusal.
 */
struct robot_code {
    long code;
    bool recoverable;
    int64_t pause_ms;
    const char *meaning;
};

/* Reads the answer's code, by the first of these names that is there.  An answer without one is
 * no acceptance. */
void robot_judge(CURL *easy, CURLcode result, const struct client_request *request,
                 const char *const *names, const struct robot_code *codes,
                 struct client_verdict *ret_verdict);
