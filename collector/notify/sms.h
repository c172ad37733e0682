/*
 * sms.h - a text message through whatever HTTP interface a carrier or a gateway has.
 *
 * The request is a template of the operator's: {phone} {text} {id} {secret} in the URL and in
 * the body become values, escaped for where they stand (percent-encoded in a URL or a form, as
 * the inside of a string in JSON, as they are elsewhere).
 *
 * Thread: as channel.h says.
 */
#pragma once

#include "collector/client/http_post.h"
#include "collector/notify/robot_text.h"
#include "collector/series/matcher.h"

struct sms_settings {
    struct robot_words words;
    const char *phone;
    const char *signature; /* "【社保运维】": what a carrier demands in front; NULL: none */
    const char *url;
    const char *body;         /* NULL: a GET */
    const char *content_type; /* of the body */
    const char *secret_file;  /* NULL: no {secret} */
    struct regex *success;    /* what the answer must hold; NULL: any 2xx will do.  Owned by the
                                 configuration, which frees it */
    struct http_settings http;
};

/* Only {phone}, {text}, {id} and {secret} (if there is one) may stand in braces that hold a
 * bare word; `ret_word` gets the first other one. */
bool sms_template_is_known(const char *text, bool has_secret, char ret_word[32]);
