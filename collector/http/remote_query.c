/* remote_query.c - see remote_query.h. */
#include "collector/http/remote_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/remote_wire.h"
#include "proto/base/error.h"
#include "proto/base/utf8.h"

#define NO_TYPE (-1)

static int read_matcher(struct bytes bytes, struct remote_query *query, size_t *capacity,
                        struct diagnosis *why)
{
    static const enum matcher_kind kinds[] = {MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX,
                                              MATCH_NOT_REGEX};
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    struct bytes name = {(const uint8_t *)"", 0};
    struct bytes value = {(const uint8_t *)"", 0};
    uint64_t kind = 0;
    while (at < end) {
        uint64_t key = 0;
        bool ok = remote_read_varint(&at, end, &key);
        if (ok && key == FIELD(1, WIRE_VARINT))
            ok = remote_read_varint(&at, end, &kind);
        else if (ok && key == FIELD(2, WIRE_SIZED))
            ok = remote_read_sized(&at, end, &name);
        else if (ok && key == FIELD(3, WIRE_SIZED))
            ok = remote_read_sized(&at, end, &value);
        else
            ok = ok && remote_skip_field(&at, end, key);
        if (!ok)
            return ERR_MALFORMED;
    }
    if (kind >= sizeof kinds / sizeof *kinds)
        return diagnose(why, ERR_INVALID, "invalid matcher type");
    if (!utf8_is_valid(name) || !utf8_is_valid(value))
        return diagnose(why, ERR_INVALID, "a matcher that is no UTF-8");
    struct selector *selector = &query->selector;
    int error = remote_make_room((void **)&selector->matchers, selector->count, capacity,
                                 sizeof(struct matcher *), REMOTE_MATCHERS_MAX);
    if (error == 0)
        error =
            matcher_new(kinds[kind], name, value, &selector->matchers[selector->count], why);
    if (error == 0)
        selector->count++;
    return error;
}

/* The range that a selector wants of its question's range.  Hints without one are passed over.
 */
static bool read_hints(struct bytes bytes, int64_t *from_ms, int64_t *until_ms)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    while (at < end) {
        uint64_t key = 0;
        uint64_t number = 0;
        bool ok = remote_read_varint(&at, end, &key);
        if (ok && (key == FIELD(3, WIRE_VARINT) || key == FIELD(4, WIRE_VARINT))) {
            ok = remote_read_varint(&at, end, &number);
            *(key == FIELD(3, WIRE_VARINT) ? from_ms : until_ms) = (int64_t)number;
        } else {
            ok = ok && remote_skip_field(&at, end, key);
        }
        if (!ok)
            return false;
    }
    return true;
}

static void narrow(struct remote_query *query, int64_t from_ms, int64_t until_ms)
{
    if (from_ms == 0 && until_ms == 0)
        return;
    query->from_ms = from_ms > query->from_ms ? from_ms : query->from_ms;
    query->until_ms = until_ms < query->until_ms ? until_ms : query->until_ms;
}

static int read_query(struct bytes bytes, struct remote_query *query, size_t *matcher_count,
                      struct diagnosis *why)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    size_t capacity = 0;
    int64_t hinted_from_ms = 0;
    int64_t hinted_until_ms = 0;
    while (at < end) {
        uint64_t key = 0;
        uint64_t number = 0;
        struct bytes matcher, hints;
        bool ok = remote_read_varint(&at, end, &key);
        if (ok && key == FIELD(3, WIRE_SIZED)) {
            if (++*matcher_count > REMOTE_MATCHERS_MAX)
                return diagnose(why, ERR_LIMIT, "more than %d matchers", REMOTE_MATCHERS_MAX);
            int error = remote_read_sized(&at, end, &matcher)
                            ? read_matcher(matcher, query, &capacity, why)
                            : ERR_MALFORMED;
            if (error != 0)
                return error;
        } else if (ok && (key == FIELD(1, WIRE_VARINT) || key == FIELD(2, WIRE_VARINT))) {
            ok = remote_read_varint(&at, end, &number);
            *(key == FIELD(1, WIRE_VARINT) ? &query->from_ms : &query->until_ms) =
                (int64_t)number;
        } else if (ok && key == FIELD(4, WIRE_SIZED)) {
            ok = remote_read_sized(&at, end, &hints) &&
                 read_hints(hints, &hinted_from_ms, &hinted_until_ms);
        } else {
            ok = ok && remote_skip_field(&at, end, key);
        }
        if (!ok)
            return ERR_MALFORMED;
    }
    narrow(query, hinted_from_ms, hinted_until_ms);
    return 0;
}

/* The types an asker takes: the first that we know, and all of them in words. */
struct asked_types {
    int type;
    bool any;
    char text[120];
};

static void take_type(uint64_t number, struct asked_types *asked)
{
    size_t size = strlen(asked->text);
    if (asked->type == NO_TYPE && number <= REMOTE_XOR_CHUNKS)
        asked->type = (int)number;
    (void)snprintf(asked->text + size, sizeof asked->text - size, "%s%" PRIi32,
                   size > 0 ? " " : "", (int32_t)number);
}

/* Of a whole field: one number, or a run of them. */
static bool read_types(const uint8_t **at, const uint8_t *end, uint64_t key,
                       struct asked_types *asked)
{
    uint64_t number = 0;
    struct bytes run;
    if (key == FIELD(2, WIRE_VARINT)) {
        if (!remote_read_varint(at, end, &number))
            return false;
        take_type(number, asked);
        return true;
    }
    if (!remote_read_sized(at, end, &run))
        return false;
    const uint8_t *inner = run.data;
    while (inner < run.data + run.size) {
        if (!remote_read_varint(&inner, run.data + run.size, &number))
            return false;
        take_type(number, asked);
    }
    return true;
}

static int add_query(struct bytes bytes, struct remote_request *request, size_t *capacity,
                     size_t *matcher_count, struct diagnosis *why)
{
    int error = remote_make_room((void **)&request->queries, request->count, capacity,
                                 sizeof *request->queries, REMOTE_QUERIES_MAX);
    if (error != 0)
        return error;
    struct remote_query *query = &request->queries[request->count++];
    *query = (struct remote_query){0};
    return read_query(bytes, query, matcher_count, why);
}

static int parse(struct bytes message, struct remote_request *request, struct diagnosis *why)
{
    const uint8_t *at = message.data;
    const uint8_t *end = message.size > 0 ? at + message.size : at;
    size_t capacity = 0;
    size_t matcher_count = 0;
    struct asked_types asked = {.type = NO_TYPE};
    int error = 0;
    while (at < end && error == 0) {
        uint64_t key = 0;
        struct bytes query;
        bool ok = remote_read_varint(&at, end, &key);
        if (ok && key == FIELD(1, WIRE_SIZED)) {
            ok = remote_read_sized(&at, end, &query);
            error = ok ? add_query(query, request, &capacity, &matcher_count, why) : 0;
        } else if (ok && (key == FIELD(2, WIRE_VARINT) || key == FIELD(2, WIRE_SIZED))) {
            asked.any = true;
            ok = read_types(&at, end, key, &asked);
        } else {
            ok = ok && remote_skip_field(&at, end, key);
        }
        if (!ok)
            return ERR_MALFORMED;
    }
    if (error == 0 && asked.type == NO_TYPE && asked.any)
        return diagnose(why, ERR_REFUSED,
                        "server does not support any of the requested response types: [%s]; "
                        "supported: map[SAMPLES:{} STREAMED_XOR_CHUNKS:{}]",
                        asked.text);
    request->type = asked.type == REMOTE_XOR_CHUNKS ? REMOTE_XOR_CHUNKS : REMOTE_SAMPLES;
    return error;
}

int remote_request_parse(struct bytes message, struct remote_request *ret_request,
                         struct diagnosis *why)
{
    struct remote_request request = {0};
    int error = parse(message, &request, why);
    if (error != 0)
        remote_request_free(&request);
    else
        *ret_request = request;
    return error;
}

void remote_request_free(struct remote_request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        struct selector *selector = &request->queries[i].selector;
        for (size_t k = 0; k < selector->count; k++)
            matcher_free(selector->matchers[k]);
        free(selector->matchers);
    }
    free(request->queries);
    *request = (struct remote_request){0};
}
