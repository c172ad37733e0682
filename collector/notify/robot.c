/*
 * robot.c - see robot.h.
 */
#include "collector/notify/robot.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/json.h"
#include "proto/base/error.h"

int robot_compose(const void *settings, const struct message *message, struct buf *body)
{
    const struct robot_settings *robot = settings;
    return robot_text_compose(&robot->words, message, body);
}

size_t robot_fit(const void *settings, const struct bytes *bodies, size_t count)
{
    const struct robot_settings *robot = settings;
    return robot_text_fit(bodies, count, robot->words.text_bytes_max);
}

int robot_join(const void *settings, const struct bytes *bodies, size_t count, struct buf *out)
{
    const struct robot_settings *robot = settings;
    return robot_text_join(&robot->words, bodies, count, robot->words.text_bytes_max, out);
}

char *robot_sign(struct bytes key, struct bytes text)
{
    crypto_auth_hmacsha256_state state;
    uint8_t digest[crypto_auth_hmacsha256_BYTES];
    size_t size = sodium_base64_encoded_len(sizeof digest, sodium_base64_VARIANT_ORIGINAL);
    char *sign = malloc(size);

    if (sign == NULL)
        return NULL;
    (void)crypto_auth_hmacsha256_init(&state, key.data, key.size);
    (void)crypto_auth_hmacsha256_update(&state, text.data, text.size);
    (void)crypto_auth_hmacsha256_final(&state, digest);
    return sodium_bin2base64(sign, size, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
}

int robot_read_secrets(const struct robot_settings *robot, struct client_request *request,
                       char **ret_secret, struct diagnosis *why)
{
    *ret_secret = NULL;
    int error = http_post_secret(robot->url, robot->url_file, &request->text, why);
    if (error == 0 && (robot->secret != NULL || robot->secret_file != NULL))
        error = http_post_secret(robot->secret, robot->secret_file, ret_secret, why);
    return error;
}

int robot_post(const struct robot_settings *robot, CURL *easy, struct client_request *request,
               struct diagnosis *why)
{
    if (!buf_ok(&request->sent))
        return ERR_NOMEM;
    return http_post_prepare(&robot->http, easy, request, "application/json", request->text,
                             buf_bytes(&request->sent), why);
}

void robot_put_list(struct buf *out, const char *name, const struct config_strings *list)
{
    buf_printf(out, "\"%s\":[", name);
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        json_put_text(out, list->items[i]);
    }
    buf_put_char(out, ']');
}

/* The code by the first name that is there and a whole number. */
static bool find_code(const json_t *answer, const char *const *names, long *ret_code)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        const json_t *code = json_object_get(answer, names[i]);
        if (json_is_integer(code)) {
            *ret_code = (long)json_integer_value(code);
            return true;
        }
    }
    return false;
}

static const char *text_of_answer(const json_t *answer)
{
    static const char *const names[] = {"errmsg", "msg", "StatusMessage"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = json_string_value(json_object_get(answer, names[i]));
        if (text != NULL)
            return text;
    }
    return "";
}

static void judge_code(long code, const char *text, const struct robot_code *codes,
                       struct client_verdict *verdict)
{
    const struct robot_code *found = codes;
    if (code == 0)
        return;
    while (found->meaning != NULL && found->code != code)
        found++;
    verdict->accepted = false;
    verdict->recoverable = found->recoverable;
    verdict->pause_ms = found->pause_ms;
    (void)diagnose(&verdict->why, ERR_REFUSED, "the robot answered %ld%s%s: %.120s", code,
                   found->meaning != NULL ? ", " : "",
                   found->meaning != NULL ? found->meaning : "", text);
}

void robot_judge(CURL *easy, CURLcode result, const struct client_request *request,
                 const char *const *names, const struct robot_code *codes,
                 struct client_verdict *ret_verdict)
{
    struct client_verdict verdict;
    long code;

    http_post_judge(easy, result, request, &verdict);
    if (verdict.accepted) {
        json_t *answer =
            json_loadb((const char *)request->answer.data, request->answer.size, 0, NULL);
        if (find_code(answer, names, &code)) {
            judge_code(code, text_of_answer(answer), codes, &verdict);
        } else {
            verdict.accepted = false;
            (void)diagnose(&verdict.why, ERR_MALFORMED,
                           "HTTP 200, but the answer has no code: is the URL a robot's? %.*s",
                           (int)(request->answer.size < 120 ? request->answer.size : 120),
                           request->answer.size > 0 ? (const char *)request->answer.data : "");
        }
        json_decref(answer);
    }
    *ret_verdict = verdict;
}
