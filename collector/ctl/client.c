/* client.c - see ctl.h: one request to the collector, its answer or why there is none. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/client_parts.h"
#include "collector/ctl/table.h"
#include "proto/base/buf.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 30)
#define CONNECT_SECONDS  10L

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct buf *answer = context;
    buf_put(answer, data, size * count);
    return buf_ok(answer) ? size * count : 0;
}

char *client_url(const struct ctl *ctl, CURL *curl, const char *path,
                    const struct parameter *parameters, size_t count)
{
    struct buf url = {0};
    size_t size = strlen(ctl->url);
    while (size > 0 && ctl->url[size - 1] == '/')
        size--;
    buf_put(&url, ctl->url, size);
    buf_put_text(&url, path);
    char separator = '?';
    for (size_t i = 0; i < count; i++) {
        if (parameters[i].value == NULL)
            continue;
        char *value = curl_easy_escape(curl, parameters[i].value, 0);
        buf_printf(&url, "%c%s=%s", separator, parameters[i].name, value != NULL ? value : "");
        curl_free(value);
        separator = '&';
    }
    char *text = strdup(buf_text(&url));
    buf_done(&url);
    return text;
}

struct curl_slist *client_headers(const struct ctl *ctl)
{
    struct curl_slist *headers = NULL;
    if (ctl->token != NULL) {
        struct buf line = {0};
        buf_printf(&line, "Authorization: Bearer %s", ctl->token);
        headers = curl_slist_append(headers, buf_text(&line));
        buf_done(&line);
    }
    return headers;
}

void client_complain(const char *text)
{
    char *visible = text_visible(text != NULL ? text : "");
    fprintf(stderr, "fengsuictl: %s\n", visible != NULL ? visible : "");
    free(visible);
}

static void print_notes(const json_t *root, const char *kind)
{
    size_t index;
    json_t *note;
    json_array_foreach(json_object_get(root, kind), index, note)
    {
        client_complain(json_string_value(note));
    }
}

/* Turns a body into data, or a message.  A bare answer (Alertmanager's API) is the data itself,
 * may be empty, and fails with a text or {"message"}. */
static int read_answer(const struct ctl *ctl, struct buf *answer, long status, bool is_bare,
                       json_t **ret_data)
{
    json_error_t error;
    json_t *root = json_loadb((const char *)answer->data, answer->size,
                              JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    json_t *data = json_object_get(root, "data");
    const char *message = json_string_value(json_object_get(root, "error"));
    if (is_bare && answer->size == 0 && status / 100 == 2)
        root = json_null();
    if (is_bare) {
        data = root;
        message = status / 100 == 2 ? NULL
                  : json_is_string(root)
                      ? json_string_value(root)
                  : json_object_get(root, "message") != NULL
                      ? json_string_value(json_object_get(root, "message"))
                      : json_string_value(json_object_get(root, "error"));
    }
    int code = EXIT_FINE;
    if (message != NULL) {
        client_complain(message);
        code = EXIT_FAILED;
    } else if (status == 401 || status == 403) {
        fprintf(stderr, "fengsuictl: %s\n",
                SAY(ctl, "not allowed: give a token with --token or FENGSUI_TOKEN",
                    "没有权限：请用 --token 或 FENGSUI_TOKEN 给出令牌"));
        code = EXIT_FAILED;
    } else if (data == NULL || status / 100 != 2) {
        fprintf(stderr,
                SAY(ctl, "fengsuictl: %s answered %ld, which is no collector's answer\n",
                    "fengsuictl：%s 回答 %ld，不像是采集器\n"),
                ctl->url, status);
        code = EXIT_FAILED;
    } else if (ctl->json) {
        printf("%s\n", buf_text(answer));
    } else {
        print_notes(root, "warnings");
        print_notes(root, "infos");
        *ret_data = json_incref(data);
    }
    json_decref(root);
    return code;
}

struct call {
    const char *method; /* NULL: GET, or POST with a body */
    const char *path;
    const struct parameter *parameters;
    size_t count;
    const char *body; /* NULL: none */
    bool is_bare;
    bool may_lack; /* 404 is an answer: there is none */
};

static int request(const struct ctl *ctl, const struct call *call, json_t **ret_data)
{
    *ret_data = NULL;
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return EXIT_FAILED;
    struct buf answer;
    buf_init(&answer, ANSWER_BYTES_MAX);
    char *url = client_url(ctl, curl, call->path, call->parameters, call->count);
    struct curl_slist *headers = client_headers(ctl);
    if (call->body != NULL)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (ctl->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, ctl->ca_file);
    if (call->body != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
    if (call->method != NULL)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    int code = EXIT_FAILED;
    CURLcode result = curl_easy_perform(curl);
    if (result != CURLE_OK) {
        fprintf(stderr, "fengsuictl: %s: %s\n", ctl->url, curl_easy_strerror(result));
    } else {
        long status = 0;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        code = status == 404 && call->may_lack
                   ? EXIT_FINE
                   : read_answer(ctl, &answer, status, call->is_bare, ret_data);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(url);
    buf_done(&answer);
    return code;
}

int client_get(const struct ctl *ctl, const char *path, const struct parameter *parameters,
               size_t count, json_t **ret_data)
{
    const struct call call = {.path = path, .parameters = parameters, .count = count};
    return request(ctl, &call, ret_data);
}

int client_get_any(const struct ctl *ctl, const char *path, const struct parameter *parameters,
                   size_t count, json_t **ret_data)
{
    const struct call call = {.path = path, .parameters = parameters, .count = count,
                              .may_lack = true};
    return request(ctl, &call, ret_data);
}

int client_post(const struct ctl *ctl, const char *path, json_t *body, json_t **ret_data)
{
    char *text = json_dumps(body, JSON_COMPACT);
    const struct call call = {.path = path, .body = text};
    int code = text != NULL ? request(ctl, &call, ret_data) : EXIT_FAILED;
    free(text);
    return code;
}

int client_delete(const struct ctl *ctl, const char *path, json_t **ret_data)
{
    const struct call call = {.method = "DELETE", .path = path};
    return request(ctl, &call, ret_data);
}

int client_bare(const struct ctl *ctl, const char *method, const char *path,
                const struct parameter *parameters, size_t count, const json_t *body,
                json_t **ret_data)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    const struct call call = {.method = method, .path = path, .parameters = parameters,
                              .count = count, .body = text, .is_bare = true};
    int code = body == NULL || text != NULL ? request(ctl, &call, ret_data) : EXIT_FAILED;
    free(text);
    return code;
}
