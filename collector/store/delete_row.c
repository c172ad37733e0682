/*
 * delete_row.c - a delete as an object, and as bytes.
 */
#include <stdlib.h>

#include "collector/store/deletes.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

static void deletion_free(struct deletion *deletion)
{
    for (size_t i = 0; i < deletion->count; i++)
        matcher_free(deletion->matchers[i]);
    free(deletion->matchers);
    free(deletion);
}

void deletion_release(struct deletion *deletion)
{
    if (deletion != NULL &&
        atomic_fetch_sub_explicit(&deletion->references, 1, memory_order_acq_rel) == 1)
        deletion_free(deletion);
}

static int deletion_make(size_t capacity, struct deletion **ret_deletion)
{
    struct deletion *deletion = calloc(1, sizeof *deletion);
    if (deletion == NULL)
        return ERR_NOMEM;
    atomic_init(&deletion->references, 1);
    deletion->matchers = calloc(capacity == 0 ? 1 : capacity, sizeof(struct matcher *));
    if (deletion->matchers == NULL) {
        free(deletion);
        return ERR_NOMEM;
    }
    *ret_deletion = deletion;
    return 0;
}

static int add_matcher(struct deletion *deletion, enum matcher_kind kind, struct bytes name,
                       struct bytes value)
{
    struct diagnosis why = {""};
    int error = matcher_new(kind, name, value, &deletion->matchers[deletion->count], &why);
    if (error == 0)
        deletion->count++;
    return error;
}

int deletion_new(struct matcher *const *matchers, size_t count, int64_t from_ms,
                 int64_t until_ms, struct deletion **ret_deletion)
{
    struct deletion *deletion;
    if (count > DELETE_MATCHERS_MAX)
        return ERR_LIMIT;
    int error = deletion_make(count, &deletion);
    if (error != 0)
        return error;
    deletion->from_ms = from_ms;
    deletion->until_ms = until_ms;
    for (size_t i = 0; i < count && error == 0; i++)
        error =
            add_matcher(deletion, matchers[i]->kind, matchers[i]->name, matchers[i]->value);
    if (error != 0) {
        deletion_release(deletion);
        return error;
    }
    *ret_deletion = deletion;
    return 0;
}

void delete_row_write(const struct deletion *deletion, struct buf *out)
{
    buf_put_varint(out, deletion->commit);
    buf_put_varint(out, deletion->generation);
    buf_put_varint(out, deletion->seal);
    buf_put_zigzag(out, deletion->from_ms);
    buf_put_zigzag(out, deletion->until_ms);
    buf_put_zigzag(out, deletion->made_ms);
    for (size_t i = 0; i < deletion->count; i++) {
        buf_put_u8(out, (uint8_t)deletion->matchers[i]->kind);
        buf_put_sized(out, deletion->matchers[i]->name);
        buf_put_sized(out, deletion->matchers[i]->value);
    }
}

static int read_matchers(struct reader *reader, struct deletion *deletion)
{
    while (reader_left(reader) > 0) {
        uint8_t kind = reader_u8(reader);
        struct bytes name = reader_sized(reader);
        struct bytes value = reader_sized(reader);
        if (reader->failed || kind > MATCH_NOT_REGEX || deletion->count == DELETE_MATCHERS_MAX)
            return ERR_MALFORMED;
        int error = add_matcher(deletion, (enum matcher_kind)kind, name, value);
        if (error != 0)
            return error == ERR_NOMEM ? error : ERR_MALFORMED;
    }
    /* Without a matcher it would be everything, which nobody can have asked for. */
    return deletion->count == 0 ? ERR_MALFORMED : 0;
}

int delete_row_read(struct bytes payload, struct deletion **ret_deletion)
{
    struct reader reader = reader_of(payload);
    struct deletion *deletion;
    int error = deletion_make(DELETE_MATCHERS_MAX, &deletion);
    if (error != 0)
        return error;
    deletion->commit = reader_varint(&reader);
    deletion->generation = reader_varint(&reader);
    deletion->seal = reader_varint(&reader);
    deletion->from_ms = reader_zigzag(&reader);
    deletion->until_ms = reader_zigzag(&reader);
    deletion->made_ms = reader_zigzag(&reader);
    error = reader.failed || deletion->from_ms > deletion->until_ms
                ? ERR_MALFORMED
                : read_matchers(&reader, deletion);
    if (error != 0) {
        deletion_release(deletion);
        return error;
    }
    *ret_deletion = deletion;
    return 0;
}
