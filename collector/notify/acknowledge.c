/*
 * acknowledge.c - see acknowledge.h.
 */
#include "collector/notify/acknowledge.h"

#include <stdlib.h>

#include "proto/base/error.h"

#define ACKNOWLEDGE_ROW_VERSION 1

static int make(struct bytes by, struct bytes comment, int64_t at_ms, int64_t starts_ms,
                struct acknowledgement **ret_acknowledgement)
{
    struct acknowledgement *made = calloc(1, sizeof *made);
    if (made == NULL)
        return ERR_NOMEM;
    made->at_ms = at_ms;
    made->starts_ms = starts_ms;
    made->by = strndup(by.size == 0 ? "" : (const char *)by.data, by.size);
    made->comment = strndup(comment.size == 0 ? "" : (const char *)comment.data, comment.size);
    if (made->by == NULL || made->comment == NULL) {
        acknowledgement_free(made);
        return ERR_NOMEM;
    }
    *ret_acknowledgement = made;
    return 0;
}

int acknowledgement_new(const char *by, const char *comment, int64_t at_ms, int64_t starts_ms,
                        struct acknowledgement **ret_acknowledgement)
{
    return make(bytes_of(by), bytes_of(comment), at_ms, starts_ms, ret_acknowledgement);
}

void acknowledgement_free(struct acknowledgement *acknowledgement)
{
    if (acknowledgement == NULL)
        return;
    free(acknowledgement->by);
    free(acknowledgement->comment);
    free(acknowledgement);
}

void acknowledgement_write(const struct acknowledgement *acknowledgement, struct buf *out)
{
    buf_put_u8(out, ACKNOWLEDGE_ROW_VERSION);
    buf_put_zigzag(out, acknowledgement->at_ms);
    buf_put_zigzag(out, acknowledgement->starts_ms);
    buf_put_sized(out, bytes_of(acknowledgement->by));
    buf_put_sized(out, bytes_of(acknowledgement->comment));
}

int acknowledgement_read(struct bytes row, struct acknowledgement **ret_acknowledgement)
{
    struct reader reader = reader_of(row);
    struct bytes by, comment;
    int64_t at_ms, starts_ms;

    if (reader_u8(&reader) != ACKNOWLEDGE_ROW_VERSION)
        return ERR_CORRUPT;
    at_ms = reader_zigzag(&reader);
    starts_ms = reader_zigzag(&reader);
    by = reader_sized(&reader);
    comment = reader_sized(&reader);
    if (reader.failed || reader_left(&reader) != 0)
        return ERR_CORRUPT;
    return make(by, comment, at_ms, starts_ms, ret_acknowledgement);
}
