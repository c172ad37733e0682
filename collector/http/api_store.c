/*
 * api_store.c - /api/fengsui/v1/store: backups, verification, what takes the room.
 *
 *     POST   store/backup {"directory": "/srv/backup/1", "keys": true, "copy": false}
 *     GET    store/backup        how far it is, or what became of the last (care.h)
 *     DELETE store/backup        break it off
 *     POST, GET, DELETE store/verify          likewise
 *     GET    store/stat          room by environment and table (space.h)
 *
 * The folder is one of the collector's host, written as the collector's user.
 */
#include <jansson.h>
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "collector/store/care.h"
#include "collector/store/space.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

static void answer_care(const struct http_request *request, struct http_response *response,
                        enum care_kind kind)
{
    struct buf printed = {0};
    store_care_print_json(app_of(request)->store, kind, &printed);
    api_answer_printed(response, 0, &printed);
}

/* A member that is true or false; `fallback` if it is absent. */
static int read_flag(const json_t *body, const char *name, bool fallback, bool *ret_flag,
                     struct diagnosis *why)
{
    const json_t *value = json_object_get(body, name);
    if (value != NULL && !json_is_boolean(value))
        return diagnose(why, ERR_INVALID, "%s must be true or false", name);
    *ret_flag = value != NULL ? json_is_true(value) : fallback;
    return 0;
}

static int begin_backup(struct store *store, const json_t *body, struct diagnosis *why)
{
    const char *directory = json_string_value(json_object_get(body, "directory"));
    bool keys = true;
    bool copies_all = false;
    if (directory == NULL || *directory != '/')
        return diagnose(why, ERR_INVALID, "directory must be an absolute path");
    int error = read_flag(body, "keys", true, &keys, why);
    if (error == 0)
        error = read_flag(body, "copy", false, &copies_all, why);
    return error == 0 ? store_backup_begin(store, directory, !keys, copies_all, why) : error;
}

void api_backup_begin(struct http_request *request, struct http_response *response)
{
    struct diagnosis why = {0};
    json_error_t where;
    json_t *body = json_loadb((const char *)request->body.data, request->body.size,
                              JSON_REJECT_DUPLICATES, &where);
    int error = body == NULL
                    ? diagnose(&why, ERR_MALFORMED, "body, line %d: %s", where.line, where.text)
                    : begin_backup(app_of(request)->store, body, &why);
    if (error == 0)
        log_info("audit", "user=%s did=backup subject=%s", request->user,
                 json_string_value(json_object_get(body, "directory")));
    json_decref(body);
    if (error != 0)
        reply_code(response, error, &why);
    else
        answer_care(request, response, CARE_BACKUP);
}

void api_verify_begin(struct http_request *request, struct http_response *response)
{
    struct diagnosis why = {0};
    int error = store_verify_begin(app_of(request)->store, &why);
    if (error != 0) {
        reply_code(response, error, &why);
        return;
    }
    log_info("audit", "user=%s did=verify", request->user);
    answer_care(request, response, CARE_VERIFY);
}

void api_backup_state(struct http_request *request, struct http_response *response)
{
    answer_care(request, response, CARE_BACKUP);
}

void api_verify_state(struct http_request *request, struct http_response *response)
{
    answer_care(request, response, CARE_VERIFY);
}

static void cancel(struct http_request *request, struct http_response *response,
                   enum care_kind kind)
{
    if (store_care_cancel(app_of(request)->store, kind) != 0) {
        reply_error(response, API_NOT_FOUND, "none is running");
        return;
    }
    log_info("audit", "user=%s did=%s", request->user,
             kind == CARE_BACKUP ? "backup-cancel" : "verify-cancel");
    answer_care(request, response, kind);
}

void api_backup_cancel(struct http_request *request, struct http_response *response)
{
    cancel(request, response, CARE_BACKUP);
}

void api_verify_cancel(struct http_request *request, struct http_response *response)
{
    cancel(request, response, CARE_VERIFY);
}

void api_store_stat(struct http_request *request, struct http_response *response)
{
    struct diagnosis why = {0};
    struct buf printed = {0};
    struct space *space = malloc(sizeof *space);
    int error =
        space == NULL ? ERR_NOMEM : space_of_store(app_of(request)->store, space, &why);
    if (error == 0)
        space_print_json(space, &printed);
    free(space);
    if (error != 0)
        reply_code(response, error, &why);
    else
        api_answer_printed(response, 0, &printed);
}
