/*
 * api_jobs.c - /api/fengsui/v1/jobs: jobs say how they are, and people look at them.
 *
 *     GET       jobs                    all of jobs.yml, each with its state and last run
 *     GET       jobs/NAME               one, with its last runs
 *     GET|POST  jobs/NAME/start         ?rid=
 *     GET|POST  jobs/NAME/ok            ?rid= &exit= &size= &duration=   body: a message
 *     GET|POST  jobs/NAME/fail          the same
 *     POST      jobs/NAME/pause         ?for=2h; without it until resumed
 *     POST      jobs/NAME/resume
 *
 * `exit` above 0 makes an ok a fail, so "curl ...ok?exit=$?" is enough.  Of a message the last
 * JOB_MESSAGE_BYTES are kept; what is no UTF-8 in it becomes U+FFFD.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/api_parts.h"
#include "collector/jobs/jobs.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/units.h"
#include "proto/base/utf8.h"

#define EXIT_SPAN (INT64_C(1) << 32) /* codes are 32 bits; Windows prints them with a sign */

/* What stands before the next slash; false: it is no name of a job. */
static bool name_of(const struct http_request *request, char name[JOB_NAME_BYTES])
{
    size_t size = strcspn(request->rest, "/");
    if (size >= JOB_NAME_BYTES)
        return false;
    memcpy(name, request->rest, size);
    name[size] = '\0';
    return job_name_is_fit(name);
}

static void no_such_job(struct http_response *response)
{
    reply_error(response, API_NOT_FOUND, "jobs.yml has no such job");
}

bool api_job_admits(const struct http_request *request, const char *token)
{
    char name[JOB_NAME_BYTES];
    return name_of(request, name) && jobs_admits(app_of(request)->jobs, name, token);
}

/* ---- looking --------------------------------------------------------------------------- */

void api_jobs(struct http_request *request, struct http_response *response)
{
    struct buf printed = {0};
    int error = jobs_print_json(app_of(request)->jobs, NULL, &printed);
    api_answer_printed(response, error, &printed);
}

void api_job(struct http_request *request, struct http_response *response)
{
    struct buf printed = {0};
    int error = jobs_print_json(app_of(request)->jobs, request->rest, &printed);
    if (error == ERR_NOTFOUND) {
        buf_done(&printed);
        no_such_job(response);
        return;
    }
    api_answer_printed(response, error, &printed);
}

/* ---- pings ----------------------------------------------------------------------------- */

static void answer(struct http_response *response, int error, const struct diagnosis *why)
{
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_end(&reply.json);
    reply_printed(&reply, error, why);
}

static int read_exit(const char *text, int64_t *ret_code, struct diagnosis *why)
{
    char *end = NULL;
    long long code;
    if (text == NULL || *text == '\0')
        return 0;
    errno = 0;
    code = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || code <= -EXIT_SPAN / 2 - 1 ||
        code >= EXIT_SPAN)
        return diagnose(why, ERR_INVALID, "exit: \"%.40s\" is no exit code", text);
    *ret_code = code < 0 ? code + EXIT_SPAN : code;
    return 0;
}

static int read_size(const char *text, int64_t *ret_size, struct diagnosis *why)
{
    uint64_t size = 0;
    char *end = NULL;
    if (text == NULL || *text == '\0')
        return 0;
    errno = 0;
    if (*text >= '0' && *text <= '9')
        size = strtoull(text, &end, 10);
    if ((end == NULL || *end != '\0' || errno != 0) && size_parse(text, &size) != 0)
        return diagnose(why, ERR_INVALID, "size: \"%.40s\" is no size such as 1048576 or 3GiB",
                        text);
    if (size > INT64_MAX)
        return diagnose(why, ERR_INVALID, "size: \"%.40s\" is too large", text);
    *ret_size = (int64_t)size;
    return 0;
}

static int read_duration(const char *text, int64_t *ret_ms, struct diagnosis *why)
{
    int64_t ms;
    int error;
    if (text == NULL || *text == '\0')
        return 0;
    error = param_duration(text, &ms, why);
    if (error == 0 && ms < 0)
        error = diagnose(why, ERR_INVALID, "duration: \"%.40s\" is less than nothing", text);
    if (error == 0)
        *ret_ms = ms;
    return error;
}

static int read_rid(const char *text, const char **ret_rid, struct diagnosis *why)
{
    if (text == NULL)
        return 0;
    if (strlen(text) >= JOB_RID_BYTES || !utf8_is_valid(bytes_of(text)))
        return diagnose(why, ERR_INVALID, "rid: at most %d bytes of UTF-8", JOB_RID_BYTES - 1);
    *ret_rid = text;
    return 0;
}

/* The body's end as text: what is no UTF-8 or steers a terminal is replaced. */
static void read_message(struct bytes body, char message[JOB_MESSAGE_BYTES])
{
    struct buf text = {0};
    const uint8_t *end = body.data + body.size;
    size_t from;
    for (const uint8_t *at = body.data; at < end;) {
        uint32_t code = 0;
        size_t size = utf8_decode(at, end, &code);
        if (size == 0)
            buf_put_text(&text, "\xEF\xBF\xBD");
        else if ((code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7F && code < 0xA0))
            buf_put_char(&text, ' ');
        else
            buf_put(&text, at, size);
        at += size == 0 ? 1 : size;
    }
    while (text.size > 0 &&
           (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == ' '))
        text.size--;
    from = text.size < JOB_MESSAGE_BYTES ? 0 : text.size - JOB_MESSAGE_BYTES + 1;
    while (from < text.size && (text.data[from] & 0xC0) == 0x80)
        from++;
    if (text.size > from)
        memcpy(message, text.data + from, text.size - from);
    message[text.size - from] = '\0';
    buf_done(&text);
}

static enum job_ping_kind kind_of(const struct http_request *request)
{
    const char *word = strchr(request->rest, '/') + 1; /* the route has it */
    return strcmp(word, "start") == 0 ? JOB_START : strcmp(word, "ok") == 0 ? JOB_OK : JOB_FAIL;
}

void api_job_ping(struct http_request *request, struct http_response *response)
{
    char name[JOB_NAME_BYTES], message[JOB_MESSAGE_BYTES];
    struct job_ping ping = {.kind = kind_of(request),
                            .rid = "",
                            .exit_code = -1,
                            .size = -1,
                            .duration_ms = -1,
                            .message = message};
    struct diagnosis why = {0};
    int error;
    if (!name_of(request, name)) {
        no_such_job(response);
        return;
    }
    read_message(request->body, message);
    error = read_rid(http_parameter(request, "rid"), &ping.rid, &why);
    if (error == 0)
        error = read_exit(http_parameter(request, "exit"), &ping.exit_code, &why);
    if (error == 0)
        error = read_size(http_parameter(request, "size"), &ping.size, &why);
    if (error == 0)
        error = read_duration(http_parameter(request, "duration"), &ping.duration_ms, &why);
    if (error == 0)
        error = jobs_ping(app_of(request)->jobs, name, &ping, &why);
    answer(response, error, &why);
}

/* ---- pausing --------------------------------------------------------------------------- */

void api_job_pause(struct http_request *request, struct http_response *response)
{
    char name[JOB_NAME_BYTES];
    struct diagnosis why = {0};
    int64_t for_ms = -1;
    int error;
    if (!name_of(request, name)) {
        no_such_job(response);
        return;
    }
    error = read_duration(http_parameter(request, "for"), &for_ms, &why);
    if (error == 0)
        error = jobs_pause(app_of(request)->jobs, name,
                           for_ms < 0 ? 0 : api_from_now(for_ms), &why);
    if (error == 0)
        log_info("audit", "user=%s did=job_pause subject=%s", request->user, name);
    answer(response, error, &why);
}

void api_job_resume(struct http_request *request, struct http_response *response)
{
    char name[JOB_NAME_BYTES];
    struct diagnosis why = {0};
    int error;
    if (!name_of(request, name)) {
        no_such_job(response);
        return;
    }
    error = jobs_resume(app_of(request)->jobs, name, &why);
    if (error == 0)
        log_info("audit", "user=%s did=job_resume subject=%s", request->user, name);
    answer(response, error, &why);
}
