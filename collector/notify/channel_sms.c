/*
 * channel_sms.c - see sms.h.
 */
#include "collector/notify/sms.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/json.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define SECRET_BYTES_MAX ((size_t)4096)

enum escaping { ESCAPE_NOTHING, ESCAPE_PERCENT, ESCAPE_JSON };

struct sms_values {
    struct bytes phone, text, id, secret;
};

/* The bare word in braces at `at`, e.g. "{phone}"; 0 if there is none. */
static size_t word_in_braces(const char *at)
{
    size_t size = 0;
    if (at[0] != '{')
        return 0;
    while (islower((unsigned char)at[1 + size]))
        size++;
    return size > 0 && at[1 + size] == '}' ? size : 0;
}

static const struct bytes *value_of(const struct sms_values *values, const char *word,
                                    size_t size)
{
    const struct {
        const char *name;
        const struct bytes *value;
    } known[] = {{"phone", &values->phone},
                 {"text", &values->text},
                 {"id", &values->id},
                 {"secret", &values->secret}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == size && strncmp(known[i].name, word, size) == 0)
            return known[i].value;
    return NULL;
}

bool sms_template_is_known(const char *text, bool has_secret, char ret_word[32])
{
    static const struct sms_values none;
    for (; *text != '\0'; text++) {
        size_t size = word_in_braces(text);
        if (size == 0)
            continue;
        const struct bytes *value = value_of(&none, text + 1, size);
        if (value != NULL && (has_secret || value != &none.secret))
            continue;
        (void)snprintf(ret_word, 32, "%.*s", (int)(size < 31 ? size : 31), text + 1);
        return false;
    }
    return true;
}

static void put_percent(struct buf *out, struct bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~')
            buf_put_u8(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

/* Without the quotes: the template has them. */
static void put_json(struct buf *out, struct bytes value)
{
    struct buf quoted = {0};
    json_put_string(&quoted, value);
    if (buf_ok(&quoted))
        buf_put(out, quoted.data + 1, quoted.size - 2);
    else
        out->failed = true;
    buf_done(&quoted);
}

static void fill(const char *template, const struct sms_values *values, enum escaping escaping,
                 struct buf *out)
{
    for (; *template != '\0'; template ++) {
        size_t size = word_in_braces(template);
        const struct bytes *value = size == 0 ? NULL : value_of(values, template + 1, size);
        if (value == NULL) {
            buf_put_char(out, *template);
            continue;
        }
        if (escaping == ESCAPE_PERCENT)
            put_percent(out, *value);
        else if (escaping == ESCAPE_JSON)
            put_json(out, *value);
        else
            buf_put(out, value->data, value->size);
        template += size + 1;
    }
}

static enum escaping escaping_of(const char *content_type)
{
    if (strstr(content_type, "json") != NULL)
        return ESCAPE_JSON;
    return strstr(content_type, "urlencoded") != NULL ? ESCAPE_PERCENT : ESCAPE_NOTHING;
}

static int sms_compose(const void *settings, const struct message *message, struct buf *body)
{
    const struct sms_settings *sms = settings;
    return robot_text_compose(&sms->words, message, body);
}

static size_t text_limit(const struct sms_settings *sms)
{
    size_t signature = sms->signature == NULL ? 0 : strlen(sms->signature);
    return sms->words.text_bytes_max - signature;
}

static size_t sms_fit(const void *settings, const struct bytes *bodies, size_t count)
{
    return robot_text_fit(bodies, count, text_limit(settings));
}

static int sms_join(const void *settings, const struct bytes *bodies, size_t count,
                    struct buf *out)
{
    const struct sms_settings *sms = settings;
    if (sms->signature != NULL)
        buf_put_text(out, sms->signature);
    return robot_text_join(&sms->words, bodies, count, text_limit(sms), out);
}

static int set_request(const struct sms_settings *sms, const struct sms_values *values,
                       CURL *easy, struct client_request *request, struct diagnosis *why)
{
    struct buf url = {0};
    int error;

    fill(sms->url, values, ESCAPE_PERCENT, &url);
    if (sms->body != NULL)
        fill(sms->body, values, escaping_of(sms->content_type), &request->sent);
    request->text = buf_ok(&url) ? strdup(buf_text(&url)) : NULL;
    buf_done(&url);
    if (request->text == NULL || !buf_ok(&request->sent))
        return ERR_NOMEM;
    error = http_post_prepare(&sms->http, easy, request, sms->content_type, request->text,
                              buf_bytes(&request->sent), why);
    if (sms->body == NULL)
        (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    return error;
}

static int sms_prepare(const void *settings, CURL *easy, struct client_request *request,
                       struct diagnosis *why)
{
    const struct sms_settings *sms = settings;
    char *secret = NULL;
    int error = 0;

    if (sms->secret_file != NULL)
        error = file_read_secret(sms->secret_file, SECRET_BYTES_MAX, &secret, why);
    if (error == 0) {
        struct bytes text = request->body;
        while (text.size > 0 && text.data[text.size - 1] == '\n')
            text.size--;
        const struct sms_values values = {
            .phone = bytes_of(sms->phone),
            .text = text,
            .id = bytes_of(request->id),
            .secret = bytes_of(secret != NULL ? secret : ""),
        };
        error = set_request(sms, &values, easy, request, why);
    }
    free(secret);
    return error;
}

static void sms_judge(const void *settings, CURL *easy, CURLcode result,
                      struct client_request *request,
                      struct client_verdict *ret_verdict)
{
    const struct sms_settings *sms = settings;
    struct bytes answer = buf_bytes(&request->answer);
    int error = 0;

    http_post_judge(easy, result, request, ret_verdict);
    if (!ret_verdict->accepted || sms->success == NULL ||
        regex_matches(sms->success, answer, &error))
        return;
    ret_verdict->accepted = false;
    (void)diagnose(&ret_verdict->why, ERR_REFUSED,
                   "the answer is not what `success` wants: %.*s",
                   (int)(answer.size < 160 ? answer.size : 160),
                   answer.size > 0 ? (const char *)answer.data : "");
}

const struct channel channel_sms = {
    .name = "sms",
    .compose = sms_compose,
    .fit = sms_fit,
    .join = sms_join,
    .prepare = sms_prepare,
    .judge = sms_judge,
};
