/*
 * alertmanager_body.c - see alertmanager_body.h.
 */
#include "collector/http/alertmanager_body.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/param.h"
#include "proto/base/error.h"

#define STATUS_BAD           400
#define STATUS_UNPROCESSABLE 422
#define CODE_TYPE            601              /* go-openapi's: of another type, */
#define CODE_REQUIRED        602              /* missing, */
#define CODE_FEW             612              /* too few items */
#define ALERTS_MAX           ((size_t)100000) /* in one body */

static int refuse(struct body_refusal *refusal, int status, int code, const char *text)
{
    if (refusal->status != 0)
        return ERR_INVALID;
    refusal->status = status;
    refusal->code = code;
    return diagnose(&refusal->why, ERR_INVALID, "%s", text);
}

static int refuse_parse(struct body_refusal *refusal, const char *what, const char *reason)
{
    struct diagnosis why = {0};
    (void)diagnose(&why, ERR_MALFORMED, "parsing %s body from \"\" failed, because %s", what,
                   reason);
    (void)refuse(refusal, STATUS_BAD, STATUS_BAD, why.text);
    return ERR_MALFORMED;
}

static json_t *load(struct bytes body, const char *what, struct body_refusal *refusal)
{
    json_error_t where;
    json_t *root = json_loadb(body.size == 0 ? "" : (const char *)body.data, body.size,
                              JSON_DECODE_ANY, &where);
    if (root == NULL)
        (void)refuse_parse(refusal, what, where.text);
    return root;
}

/* A member that is a time: *ret_ms, or INT64_MIN if absent or the zero time. */
static int read_time(const json_t *object, const char *name, const char *what, int64_t *ret_ms,
                     struct body_refusal *refusal)
{
    const json_t *member = json_object_get(object, name);
    struct diagnosis reason = {0};

    *ret_ms = INT64_MIN;
    if (member == NULL || json_is_null(member))
        return 0;
    if (json_is_string(member) && param_rfc3339(json_string_value(member), ret_ms)) {
        if (strncmp(json_string_value(member), "0001-", 5) == 0)
            *ret_ms = INT64_MIN;
        return 0;
    }
    (void)diagnose(&reason, ERR_MALFORMED,
                   "parsing time \"%.64s\" of %s: it is no RFC 3339 time",
                   json_is_string(member) ? json_string_value(member) : "?", name);
    return refuse_parse(refusal, what, reason.text);
}

static struct bytes text_of(const json_t *text)
{
    return (struct bytes){(const uint8_t *)json_string_value(text), json_string_length(text)};
}

/* A member that is a text; "" if absent. */
static int read_text(const json_t *object, const char *name, const char *what,
                     const char **ret_text, struct body_refusal *refusal)
{
    const json_t *member = json_object_get(object, name);
    struct diagnosis reason = {0};

    *ret_text = "";
    if (member == NULL || json_is_null(member))
        return 0;
    if (json_is_string(member)) {
        *ret_text = json_string_value(member);
        return 0;
    }
    (void)diagnose(&reason, ERR_MALFORMED, "%s is no string", name);
    return refuse_parse(refusal, what, reason.text);
}

/* ---- alerts ------------------------------------------------------------------------------ */

/* Why one of several alerts is not taken; all of them are named, as long as there is room. */
static void refuse_one(struct posted_alerts *alerts, const char *text)
{
    struct body_refusal *refusal = &alerts->refusal;
    const size_t used = strlen(refusal->why.text);
    if (refusal->status == 0) {
        (void)refuse(refusal, STATUS_BAD, 0, text);
        return;
    }
    if (used + strlen(text) + 3 > sizeof refusal->why.text)
        return;
    memcpy(refusal->why.text + used, "; ", 2);
    memcpy(refusal->why.text + used + 2, text, strlen(text) + 1);
}

/* An object of texts to labels.  ERR_INVALID: one of the alerts is bad, *why says how. */
static int read_labels(const json_t *object, const char *what, struct arena *arena,
                       const struct labels **ret_labels, struct body_refusal *refusal,
                       struct diagnosis *why)
{
    const size_t count = json_object_size(object);
    struct label *pairs = arena_alloc(arena, count + 1, sizeof *pairs);
    size_t used = 0;
    const char *name;
    json_t *value;
    int error;

    if (pairs == NULL)
        return ERR_NOMEM;
    if (object != NULL && !json_is_object(object) && !json_is_null(object))
        return refuse_parse(refusal, "alerts", "labels or annotations are no object");
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (!json_is_string(value))
            return refuse_parse(refusal, "alerts", "a label or annotation is no string");
        if (json_string_length(value) == 0)
            continue;
        if (*name == '\0')
            return diagnose(why, ERR_INVALID, "invalid %s: invalid name \"\"", what);
        pairs[used++] = (struct label){bytes_of(name), text_of(value)};
    }
    error = labels_build(pairs, used, arena, ret_labels);
    if (error == ERR_NOMEM)
        return error;
    if (error != 0)
        return diagnose(why, ERR_INVALID, "invalid %s: %s", what, error_text(error));
    return 0;
}

static bool is_uri(const char *text)
{
    size_t scheme =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-.0123456789");
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7F)
            return false;
    return text[0] == '\0' || text[0] == '/' || (scheme > 0 && text[scheme] == ':');
}

/* When the alert begins and ends, from what is given. */
static void fill_times(struct alert *alert, int64_t starts_ms, int64_t ends_ms, int64_t now_ms)
{
    alert->ends_by_timeout = ends_ms == INT64_MIN;
    alert->ends_ms = alert->ends_by_timeout ? 0 : ends_ms;
    alert->starts_ms = starts_ms != INT64_MIN   ? starts_ms
                       : alert->ends_by_timeout ? now_ms
                                                : ends_ms;
    alert->firing = alert->ends_by_timeout || alert->ends_ms > now_ms;
    alert->updated_ms = now_ms;
    alert->external = true;
}

/* One alert.  0: taken or refused alone; else the whole body is refused. */
static int read_alert(const json_t *object, size_t index, int64_t now_ms, struct arena *arena,
                      struct posted_alerts *alerts, struct body_refusal *refusal)
{
    struct alert *alert = &alerts->items[alerts->count];
    const json_t *labels = json_object_get(object, "labels");
    int64_t starts_ms, ends_ms;
    struct diagnosis why = {0};
    const char *url;
    int error = 0;

    if (!json_is_object(object))
        return refuse_parse(refusal, "alerts", "an alert is no object");
    if (labels == NULL || json_is_null(labels)) {
        (void)diagnose(&why, ERR_INVALID, "%zu.labels in body is required", index);
        return refuse(refusal, STATUS_UNPROCESSABLE, CODE_REQUIRED, why.text);
    }
    error = read_time(object, "startsAt", "alerts", &starts_ms, refusal);
    if (error == 0)
        error = read_time(object, "endsAt", "alerts", &ends_ms, refusal);
    if (error == 0)
        error = read_text(object, "generatorURL", "alerts", &url, refusal);
    if (error == 0 && !is_uri(url)) {
        (void)diagnose(&why, ERR_INVALID,
                       "%zu.generatorURL in body must be of type uri: \"%.100s\"", index, url);
        return refuse(refusal, STATUS_UNPROCESSABLE, CODE_TYPE, why.text);
    }
    if (error != 0)
        return error;
    *alert = (struct alert){0};
    fill_times(alert, starts_ms, ends_ms, now_ms);
    if (!alert->ends_by_timeout && alert->ends_ms < alert->starts_ms)
        error = diagnose(&why, ERR_INVALID, "start time must be before end time");
    if (error == 0)
        error = read_labels(labels, "label set", arena, &alert->labels, refusal, &why);
    if (error == 0 && alert->labels->count == 0)
        error = diagnose(&why, ERR_INVALID, "at least one label pair required");
    if (error == 0)
        error = read_labels(json_object_get(object, "annotations"), "annotations", arena,
                            &alert->annotations, refusal, &why);
    if (error == ERR_INVALID) {
        refuse_one(alerts, why.text);
        return 0;
    }
    if (error != 0)
        return error;
    alert->generator_url = arena_alloc(arena, strlen(url) + 1, 1);
    if (alert->generator_url == NULL)
        return ERR_NOMEM;
    memcpy((char *)(uintptr_t)alert->generator_url, url, strlen(url) + 1);
    alert->fingerprint = labels_fingerprint(alert->labels);
    alerts->count++;
    return 0;
}

int alertmanager_read_alerts(struct bytes body, int64_t now_ms, struct arena *arena,
                             struct posted_alerts *ret_alerts, struct body_refusal *refusal)
{
    json_t *root = load(body, "alerts", refusal);
    struct posted_alerts alerts = {0};
    int error = 0;
    size_t index;
    json_t *item;

    if (root == NULL)
        return ERR_MALFORMED;
    if (!json_is_array(root) && !json_is_null(root))
        error = refuse_parse(refusal, "alerts", "it is no array");
    else if (json_array_size(root) > ALERTS_MAX)
        error = refuse(refusal, STATUS_BAD, 0, "too many alerts in one request");
    if (error == 0) {
        alerts.items = arena_alloc(arena, json_array_size(root) + 1, sizeof *alerts.items);
        error = alerts.items == NULL ? ERR_NOMEM : 0;
    }
    for (index = 0; error == 0 && index < json_array_size(root); index++) {
        item = json_array_get(root, index);
        error = read_alert(item, index, now_ms, arena, &alerts, refusal);
    }
    json_decref(root);
    if (error == 0)
        *ret_alerts = alerts;
    return error;
}

/* ---- a silence --------------------------------------------------------------------------- */

static int require(const json_t *object, const char *name, struct body_refusal *refusal)
{
    struct diagnosis why = {0};
    const json_t *member = json_object_get(object, name);
    if (member != NULL && !json_is_null(member))
        return 0;
    (void)diagnose(&why, ERR_INVALID, "%s in body is required", name);
    return refuse(refusal, STATUS_UNPROCESSABLE, CODE_REQUIRED, why.text);
}

static int read_matcher(const json_t *object, size_t index, struct silence *silence,
                        struct body_refusal *refusal)
{
    static const char *const needed[] = {"isRegex", "name", "value"};
    const json_t *is_equal = json_object_get(object, "isEqual");
    const json_t *is_regex = json_object_get(object, "isRegex");
    const json_t *name = json_object_get(object, "name");
    const json_t *value = json_object_get(object, "value");
    struct diagnosis why = {0};
    bool equal = is_equal == NULL || json_is_null(is_equal) || json_is_true(is_equal);
    int error;

    if (!json_is_object(object))
        return refuse_parse(refusal, "silence", "a matcher is no object");
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        const json_t *member = json_object_get(object, needed[i]);
        if (member != NULL && !json_is_null(member))
            continue;
        (void)diagnose(&why, ERR_INVALID, "matchers.%zu.%s in body is required", index,
                       needed[i]);
        return refuse(refusal, STATUS_UNPROCESSABLE, CODE_REQUIRED, why.text);
    }
    if (!json_is_boolean(is_regex) || !json_is_string(name) || !json_is_string(value) ||
        (is_equal != NULL && !json_is_boolean(is_equal) && !json_is_null(is_equal)))
        return refuse_parse(refusal, "silence",
                            "a matcher is {\"name\": text, \"value\": text, \"isRegex\": bool, "
                            "\"isEqual\": bool}");
    error =
        silence_add_matcher(silence,
                            json_is_true(is_regex) ? (equal ? MATCH_REGEX : MATCH_NOT_REGEX)
                                                   : (equal ? MATCH_EQUAL : MATCH_NOT_EQUAL),
                            text_of(name), text_of(value), &why);
    if (error == ERR_INVALID || error == ERR_LIMIT)
        return refuse(refusal, STATUS_BAD, 0, why.text);
    return error;
}

static int read_matchers(const json_t *list, struct silence *silence,
                         struct body_refusal *refusal)
{
    int error = 0;
    if (!json_is_array(list))
        return refuse_parse(refusal, "silence", "matchers is no array");
    if (json_array_size(list) == 0)
        return refuse(refusal, STATUS_UNPROCESSABLE, CODE_FEW,
                      "matchers in body should have at least 1 items");
    for (size_t i = 0; error == 0 && i < json_array_size(list); i++)
        error = read_matcher(json_array_get(list, i), i, silence, refusal);
    return error;
}

static int read_times(const json_t *root, int64_t now_ms, int64_t *ret_starts_ms,
                      int64_t *ret_ends_ms, struct body_refusal *refusal)
{
    int error = read_time(root, "startsAt", "silence", ret_starts_ms, refusal);
    if (error == 0)
        error = read_time(root, "endsAt", "silence", ret_ends_ms, refusal);
    if (error != 0)
        return error;
    if (*ret_starts_ms >= *ret_ends_ms)
        return refuse(refusal, STATUS_BAD, 0,
                      "Failed to create silence: start time must be before end time");
    if (*ret_ends_ms < now_ms)
        return refuse(refusal, STATUS_BAD, 0,
                      "Failed to create silence: end time can't be in the past");
    return 0;
}

static int fill_silence(const json_t *root, int64_t now_ms, struct silence **ret_silence,
                        struct body_refusal *refusal)
{
    static const char *const needed[] = {"comment", "createdBy", "endsAt", "matchers",
                                         "startsAt"};
    const char *id, *created_by, *comment;
    struct silence *silence = NULL;
    int64_t starts_ms, ends_ms;
    int error = 0;

    for (size_t i = 0; error == 0 && i < sizeof needed / sizeof needed[0]; i++)
        error = require(root, needed[i], refusal);
    if (error == 0)
        error = read_text(root, "id", "silence", &id, refusal);
    if (error == 0)
        error = read_text(root, "createdBy", "silence", &created_by, refusal);
    if (error == 0)
        error = read_text(root, "comment", "silence", &comment, refusal);
    if (error == 0)
        error = read_times(root, now_ms, &starts_ms, &ends_ms, refusal);
    if (error == 0 && strlen(id) >= SILENCE_ID_BYTES) {
        (void)refuse(refusal, 404, 0, "silence not found");
        error = ERR_NOTFOUND;
    }
    if (error == 0)
        error = silence_new(created_by, comment, starts_ms, ends_ms, &silence);
    if (error == 0) {
        memcpy(silence->id, id, strlen(id) + 1);
        error = read_matchers(json_object_get(root, "matchers"), silence, refusal);
    }
    if (error != 0) {
        silence_free(silence);
        return error;
    }
    *ret_silence = silence;
    return 0;
}

int alertmanager_read_silence(struct bytes body, int64_t now_ms, struct silence **ret_silence,
                              struct body_refusal *refusal)
{
    json_t *root = load(body, "silence", refusal);
    int error;

    if (root == NULL)
        return ERR_MALFORMED;
    if (json_is_object(root))
        error = fill_silence(root, now_ms, ret_silence, refusal);
    else
        error = refuse_parse(refusal, "silence", "it is no object");
    json_decref(root);
    return error;
}
