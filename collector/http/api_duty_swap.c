/*
 * api_duty_swap.c - /api/fengsui/v1/duty: somebody stands in for somebody else.
 *
 *     GET    duty/swaps         those that are kept
 *     POST   duty/swap          {"roster", "from", "to", "person", "instead_of", "reason",
 * "by"} DELETE duty/swap/NUMBER
 *
 * from and to are as in api_duty.c, local time being the roster's.  A swap bears the
 * authenticated name; "by" counts only where there are no users.  Answered after the commit.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "collector/duty/book.h"
#include "collector/http/api_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

/* The roster's; UTC where there is none. */
static const struct civil_zone *zone_of(const struct duty_view *view, const char *roster)
{
    static const struct civil_zone utc = {.name = "UTC"};
    const struct civil_zone *zone =
        view->duty == NULL ? NULL : duty_roster_zone(view->duty, roster);
    return zone != NULL ? zone : &utc;
}

void api_duty_swaps(struct http_request *request, struct http_response *response)
{
    struct duty_view view;
    struct reply reply;

    duty_book_view(app_of(request)->duty, &view);
    reply_start(&reply, response);
    json_write_array(&reply.json);
    for (size_t i = 0; i < view.overrides.count; i++) {
        const struct duty_override *swap = &view.overrides.items[i];
        json_write_object(&reply.json);
        json_write_integer_member(&reply.json, "number", (int64_t)swap->number);
        json_write_text_member(&reply.json, "roster", swap->roster);
        json_write_text_member(&reply.json, "person", swap->person_id);
        json_write_text_member(&reply.json, "insteadOf",
                               swap->instead_of == NULL ? "" : swap->instead_of);
        json_write_integer_member(&reply.json, "offsetMs",
                                  zone_of(&view, swap->roster)->offset_ms);
        json_write_integer_member(&reply.json, "fromMs", swap->from_ms);
        json_write_integer_member(&reply.json, "toMs", swap->to_ms);
        json_write_text_member(&reply.json, "by", swap->by);
        json_write_integer_member(&reply.json, "atMs", swap->at_ms);
        json_write_text_member(&reply.json, "reason", swap->reason);
        json_write_end(&reply.json);
    }
    json_write_end(&reply.json);
    duty_view_done(&view);
    reply_printed(&reply, 0, NULL);
}

/* ---- making one -------------------------------------------------------------------------- */

static int read_text(const json_t *root, const char *name, bool required, const char **ret_text,
                     struct diagnosis *why)
{
    const json_t *member = json_object_get(root, name);
    *ret_text = "";
    if ((member == NULL || json_is_null(member)) && !required)
        return 0;
    if (!json_is_string(member))
        return diagnose(why, ERR_INVALID, "%s must be a text", name);
    *ret_text = json_string_value(member);
    return 0;
}

/* A text as people write times, or Unix milliseconds. */
static int read_moment(const json_t *root, const char *name, const struct civil_zone *zone,
                       int64_t *ret_ms, struct diagnosis *why)
{
    const json_t *member = json_object_get(root, name);
    struct diagnosis reason = {0};
    if (json_is_integer(member)) {
        *ret_ms = json_integer_value(member);
        return 0;
    }
    if (!json_is_string(member))
        return diagnose(why, ERR_INVALID, "%s must be a time such as \"2026-12-31 08:30\"",
                        name);
    if (!api_duty_time(json_string_value(member), zone, ret_ms, &reason))
        return diagnose(why, ERR_INVALID, "%s: %s", name, reason.text);
    return 0;
}

static int read_body(const json_t *root, const struct duty_view *view,
                     struct duty_override *swap, struct diagnosis *why)
{
    if (!json_is_object(root))
        return diagnose(why, ERR_INVALID, "the body must be a JSON object");
    int error = read_text(root, "roster", true, &swap->roster, why);
    if (error == 0)
        error = read_text(root, "person", true, &swap->person_id, why);
    if (error == 0)
        error = read_text(root, "instead_of", false, &swap->instead_of, why);
    if (error == 0)
        error = read_text(root, "reason", false, &swap->reason, why);
    if (error == 0)
        error = read_text(root, "by", false, &swap->by, why);
    if (error == 0 && *swap->instead_of == '\0')
        swap->instead_of = NULL;
    if (error == 0)
        error = read_moment(root, "from", zone_of(view, swap->roster), &swap->from_ms, why);
    if (error == 0)
        error = read_moment(root, "to", zone_of(view, swap->roster), &swap->to_ms, why);
    return error;
}

void api_duty_swap(struct http_request *request, struct http_response *response)
{
    struct duty_book *book = app_of(request)->duty;
    struct duty_override swap = {0};
    struct duty_view view;
    struct diagnosis why = {0};
    struct reply reply;
    json_error_t where;
    uint64_t number = 0;
    int error;

    json_t *root = json_loadb(request->body.size == 0 ? "" : (const char *)request->body.data,
                              request->body.size, JSON_REJECT_DUPLICATES, &where);
    duty_book_view(book, &view);
    if (root == NULL)
        error = diagnose(&why, ERR_MALFORMED, "body, line %d: %s", where.line, where.text);
    else
        error = read_body(root, &view, &swap, &why);
    duty_view_done(&view);
    if (*request->user != '\0')
        swap.by = request->user;
    if (error == 0)
        error = duty_book_swap(book, &swap, clock_unix_ms(&clock_system), &number, &why);
    if (error == 0)
        log_info("audit", "user=%s did=duty_swap subject=%" PRIu64 " roster=%s person=%s",
                 request->user, number, swap.roster, swap.person_id);
    json_decref(root);
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_integer_member(&reply.json, "number", (int64_t)number);
    json_write_end(&reply.json);
    reply_printed(&reply, error, &why);
}

void api_duty_cancel(struct http_request *request, struct http_response *response)
{
    struct diagnosis why = {0};
    struct reply reply;
    char *end = NULL;
    int error;

    errno = 0;
    const unsigned long long number = strtoull(request->rest, &end, 10);
    if (*request->rest < '0' || *request->rest > '9' || *end != '\0' || errno != 0)
        error = diagnose(&why, ERR_INVALID, "\"%.64s\" is not a swap's number", request->rest);
    else
        error = duty_book_cancel(app_of(request)->duty, number, &why);
    if (error == 0)
        log_info("audit", "user=%s did=duty_cancel subject=%llu", request->user, number);
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_end(&reply.json);
    reply_printed(&reply, error, &why);
}
