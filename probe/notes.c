#include "probe/notes.h"

#include <string.h>

#include "proto/base/error.h"

void notes_init(struct notes *notes)
{
    buf_init(&notes->run, NOTES_BYTES_MAX);
}

void notes_done(struct notes *notes)
{
    buf_done(&notes->run);
}

void notes_clear(struct notes *notes)
{
    buf_clear(&notes->run);
}

/* Finds the pair of `key`: its first byte and its size; size 0 if there is none. */
static size_t find(const struct notes *notes, struct bytes key, size_t *ret_at)
{
    struct reader reader = reader_of(buf_bytes(&notes->run));
    while (reader_left(&reader) > 0) {
        const uint8_t *start = reader.at;
        struct bytes found = reader_sized(&reader);
        (void)reader_sized(&reader);
        if (reader.failed)
            return 0;
        if (bytes_equal(found, key)) {
            *ret_at = (size_t)(start - notes->run.data);
            return (size_t)(reader.at - start);
        }
    }
    return 0;
}

int notes_set(struct notes *notes, struct bytes key, struct bytes value, bool keep_empty)
{
    struct buf *run = &notes->run;
    size_t at = 0;
    size_t old_size = find(notes, key, &at);
    size_t before = run->size;

    /* The new pair is written first, so that a failure leaves the old one. */
    if (value.size > 0 || keep_empty) {
        buf_put_sized(run, key);
        buf_put_sized(run, value);
        if (!buf_ok(run)) {
            run->failed = false;
            run->size = before;
            return run->limit != 0 && before + key.size + value.size + 20 > run->limit
                       ? ERR_LIMIT
                       : ERR_NOMEM;
        }
    }
    if (old_size > 0) {
        memmove(run->data + at, run->data + at + old_size, run->size - at - old_size);
        run->size -= old_size;
    }
    return 0;
}

int notes_apply(struct notes *notes, struct bytes changes)
{
    struct reader reader = reader_of(changes);
    while (reader_left(&reader) > 0) {
        struct bytes key = reader_sized(&reader);
        struct bytes value = reader_sized(&reader);
        if (reader.failed)
            return ERR_MALFORMED;
        int error = notes_set(notes, key, value, false);
        if (error != 0)
            return error;
    }
    return 0;
}

bool notes_at(const struct notes *notes, size_t index, struct bytes *ret_key,
              struct bytes *ret_value)
{
    struct reader reader = reader_of(buf_bytes(&notes->run));
    while (reader_left(&reader) > 0) {
        struct bytes key = reader_sized(&reader);
        struct bytes value = reader_sized(&reader);
        if (reader.failed)
            return false;
        if (index-- == 0) {
            *ret_key = key;
            *ret_value = value;
            return true;
        }
    }
    return false;
}
