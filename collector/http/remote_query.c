/* remote_query.c - see remote_query.h. */
#include "collector/http/remote_query.h"

#include <stdlib.h>

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
        return diagnose(why, ERR_INVALID, "a matcher of an unknown type");
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

static int read_query(struct bytes bytes, struct remote_query *query, size_t *matcher_count,
                      struct diagnosis *why)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    size_t capacity = 0;
    while (at < end) {
        uint64_t key = 0;
        uint64_t number = 0;
        struct bytes matcher;
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
        } else {
            ok = ok && remote_skip_field(&at, end, key);
        }
        if (!ok)
            return ERR_MALFORMED;
    }
    return 0;
}

static void take_type(uint64_t number, int *type)
{
    if (*type == NO_TYPE && number <= REMOTE_XOR_CHUNKS)
        *type = (int)number;
}

/* Of a whole field: one number, or a run of them. */
static bool read_types(const uint8_t **at, const uint8_t *end, uint64_t key, int *type)
{
    uint64_t number = 0;
    struct bytes run;
    if (key == FIELD(2, WIRE_VARINT)) {
        if (!remote_read_varint(at, end, &number))
            return false;
        take_type(number, type);
        return true;
    }
    if (!remote_read_sized(at, end, &run))
        return false;
    const uint8_t *inner = run.data;
    while (inner < run.data + run.size) {
        if (!remote_read_varint(&inner, run.data + run.size, &number))
            return false;
        take_type(number, type);
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
    int type = NO_TYPE;
    bool names_types = false;
    int error = 0;
    while (at < end && error == 0) {
        uint64_t key = 0;
        struct bytes query;
        bool ok = remote_read_varint(&at, end, &key);
        if (ok && key == FIELD(1, WIRE_SIZED)) {
            ok = remote_read_sized(&at, end, &query);
            error = ok ? add_query(query, request, &capacity, &matcher_count, why) : 0;
        } else if (ok && (key == FIELD(2, WIRE_VARINT) || key == FIELD(2, WIRE_SIZED))) {
            names_types = true;
            ok = read_types(&at, end, key, &type);
        } else {
            ok = ok && remote_skip_field(&at, end, key);
        }
        if (!ok)
            return ERR_MALFORMED;
    }
    if (error == 0 && type == NO_TYPE && names_types)
        return diagnose(why, ERR_INVALID,
                        "none of the asked response types is known; supported: SAMPLES, "
                        "STREAMED_XOR_CHUNKS");
    request->type = type == REMOTE_XOR_CHUNKS ? REMOTE_XOR_CHUNKS : REMOTE_SAMPLES;
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
