/*
 * api_link.c - /acknowledge: one touch on a phone says "I am on it" (signed_link.h).
 *
 *     GET   shows what it is about and a button; changes nothing, for mail filters open links
 *     POST  acknowledges, in the name of the person the link was made for
 *
 * Whoever holds the link needs no login; the page tells nothing but the number and the state.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/duty/duty.h"
#include "collector/http/api_parts.h"
#include "collector/incident/signed_link.h"
#include "collector/notify/view.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define STATUS_FORBIDDEN 403
#define STATUS_GONE      410

static void begin_page(struct http_response *response, int status)
{
    response->status = status;
    response->content_type = "text/html; charset=utf-8";
    http_add_header(response, "Content-Security-Policy",
                    "default-src 'none'; form-action 'self'; base-uri 'none'; "
                    "frame-ancestors 'none'");
    http_add_header(response, "Referrer-Policy", "no-referrer");
    http_add_header(response, "Cache-Control", "no-store");
    buf_put_text(&response->body,
                 "<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                 "<title>烽燧 Fengsui</title><body>");
}

static void put_escaped(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("<>&\"'", *text) != NULL)
            buf_printf(out, "&#%d;", *text);
        else
            buf_put_char(out, *text);
    }
}

static void put_form(struct buf *out, uint64_t number, const char *person, const char *token)
{
    buf_printf(out,
               "<h1>事件 %" PRIu64 "</h1><p>认领后不再通知下一位。<br>Once acknowledged, nobody "
               "else is woken.</p>"
               "<form method=\"post\" action=\"" SIGNED_LINK_PATH "?incident=%" PRIu64
               "&amp;person=",
               number, number);
    for (; *person != '\0'; person++)
        buf_printf(out, "%%%02X", (unsigned char)*person);
    buf_put_text(out, "&amp;token=");
    put_escaped(out, token);
    buf_put_text(out, "\"><p><button>我来处理 · I am on it</button></p>"
                      "</form>");
}

/* Its name as duty.yml has it, or the id. */
static void person_name(const struct app *app, const char *id, struct buf *out)
{
    const struct duty *duty;
    const struct duty_person *person;
    view_begin(app->notify);
    duty = view_duty(app->notify);
    person = duty == NULL ? NULL : duty_person(duty, id);
    if (person == NULL)
        buf_put_text(out, id);
    else
        buf_printf(out, "%s（%s）", person->name, id);
    view_end(app->notify);
}

static void acknowledge(const struct app *app, struct http_response *response, uint64_t number,
                        const char *person)
{
    struct diagnosis why = {0};
    struct buf name = {0};
    int error;

    person_name(app, person, &name);
    error = notify_acknowledge_incident(app->notify, number, buf_text(&name), "", &why);
    if (error != 0 && error != ERR_NOTFOUND) {
        reply_code(response, error, &why);
        buf_done(&name);
        return;
    }
    if (error == 0)
        log_info("audit", "user=%s did=acknowledge subject=incident/%" PRIu64 " by=link",
                 person, number);
    begin_page(response, error == 0 ? 200 : STATUS_GONE);
    buf_printf(&response->body,
               error == 0 ? "<h1>事件 %" PRIu64 " 已认领</h1><p>Acknowledged. "
                          : "<h1>事件 %" PRIu64 " 已经结束</h1><p>It is over already. ",
               number);
    put_escaped(&response->body, buf_text(&name));
    buf_put_text(&response->body, "</p></body></html>\n");
    buf_done(&name);
}

void api_link(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    const char *incident = http_parameter(request, "incident");
    const char *person = http_parameter(request, "person");
    const char *token = http_parameter(request, "token");
    const uint64_t number = incident == NULL ? 0 : strtoull(incident, NULL, 10);

    if (person == NULL || token == NULL ||
        !notify_link_is_good(app->notify, number, person, token)) {
        begin_page(response, STATUS_FORBIDDEN);
        buf_put_text(&response->body, "<h1>链接无效</h1><p>This link is not one of ours; copy it "
                                      "whole.</p></body></html>\n");
        return;
    }
    if (request->method == HTTP_POST) {
        acknowledge(app, response, number, person);
        return;
    }
    begin_page(response, 200);
    put_form(&response->body, number, person, token);
    buf_put_text(&response->body, "</body></html>\n");
}
