/*
 * gzip.c - see gzip.h.
 */
#include "probe/log/gzip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>
#include <zlib.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define INPUT_BYTES    ((size_t)16 << 10)
#define GZIP_AND_SIZES (16 + MAX_WBITS) /* zlib: a gzip header, the largest window */

struct gzip {
    int fd;
    z_stream stream;
    bool is_open;  /* the stream is */
    bool is_fresh; /* between two members, or before the first */
    bool has_member;
    bool is_over;
    bool is_damaged;
    uint64_t input_offset; /* of the file: behind what is in `input` */
    uint64_t base;         /* what was in the file, from here on: */
    size_t have;
    uint8_t window[GZIP_WINDOW_BYTES];
    uint8_t input[INPUT_BYTES];
};

/* To the file's beginning. */
static int begin(struct gzip *gzip)
{
    int result = gzip->is_open ? inflateReset(&gzip->stream)
                               : inflateInit2(&gzip->stream, GZIP_AND_SIZES);
    if (result != Z_OK)
        return ERR_NOMEM;
    gzip->is_open = true;
    gzip->stream.avail_in = 0;
    gzip->input_offset = gzip->base = 0;
    gzip->have = 0;
    gzip->is_fresh = true;
    gzip->has_member = gzip->is_over = gzip->is_damaged = false;
    return 0;
}

int gzip_new(int fd, struct gzip **ret_gzip)
{
    struct gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip == NULL)
        return ERR_NOMEM;
    gzip->fd = fd;
    int error = begin(gzip);
    if (error != 0) {
        gzip_free(gzip);
        return error;
    }
    *ret_gzip = gzip;
    return 0;
}

void gzip_free(struct gzip *gzip)
{
    if (gzip == NULL)
        return;
    if (gzip->is_open)
        (void)inflateEnd(&gzip->stream);
    free(gzip);
}

bool gzip_is_damaged(const struct gzip *gzip)
{
    return gzip->is_damaged;
}

static void end(struct gzip *gzip, bool is_damaged)
{
    gzip->is_over = true;
    gzip->is_damaged = is_damaged;
}

/* Padding behind a member, as tapes have it. */
static void pass_padding(struct gzip *gzip)
{
    z_stream *stream = &gzip->stream;
    while (gzip->is_fresh && gzip->has_member && stream->avail_in > 0 &&
           *stream->next_in == 0) {
        stream->next_in++;
        stream->avail_in--;
    }
}

/* Sees to it that there is input, or that it is over. */
static int feed(struct gzip *gzip)
{
    z_stream *stream = &gzip->stream;
    for (pass_padding(gzip); stream->avail_in == 0; pass_padding(gzip)) {
        ssize_t got = pread(gzip->fd, gzip->input, INPUT_BYTES, (off_t)gzip->input_offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ERR_IO;
        if (got == 0) {
            end(gzip, !gzip->is_fresh || !gzip->has_member);
            return 0;
        }
        gzip->input_offset += (uint64_t)got;
        stream->next_in = gzip->input;
        stream->avail_in = (uInt)got;
    }
    return 0;
}

/* Inflates into the window's free part. */
static int step(struct gzip *gzip)
{
    z_stream *stream = &gzip->stream;
    int error = feed(gzip);
    if (error != 0 || gzip->is_over)
        return error;
    stream->next_out = gzip->window + gzip->have;
    stream->avail_out = (uInt)(GZIP_WINDOW_BYTES - gzip->have);
    gzip->is_fresh = false;
    int result = inflate(stream, Z_NO_FLUSH);
    gzip->have = GZIP_WINDOW_BYTES - stream->avail_out;
    if (result == Z_MEM_ERROR)
        return ERR_NOMEM;
    if (result == Z_STREAM_END) {
        gzip->is_fresh = gzip->has_member = true;
        (void)inflateReset(stream);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
        end(gzip, true);
    }
    return 0;
}

/* What is before `offset` is not needed any more. */
static void forget(struct gzip *gzip, uint64_t offset)
{
    size_t gone = offset - gzip->base < gzip->have ? (size_t)(offset - gzip->base) : gzip->have;
    memmove(gzip->window, gzip->window + gone, gzip->have - gone);
    gzip->base += gone;
    gzip->have -= gone;
}

int gzip_read(struct gzip *gzip, uint64_t offset, uint8_t *to, size_t room, size_t *ret_size)
{
    must(room <= GZIP_WINDOW_BYTES);
    int error = offset < gzip->base ? begin(gzip) : 0;
    uint64_t first = gzip->base;
    if (error != 0)
        return error;
    forget(gzip, offset);
    while (!gzip->is_over && (gzip->base < offset || gzip->have < room)) {
        if (gzip->base - first > GZIP_STEP_BYTES)
            return ERR_AGAIN;
        error = step(gzip);
        if (error != 0)
            return error;
        if (gzip->base < offset)
            forget(gzip, offset);
    }
    *ret_size = gzip->base < offset ? 0 : gzip->have < room ? gzip->have : room;
    memcpy(to, gzip->window, *ret_size);
    return 0;
}

int gzip_first(int fd, uint8_t *to, size_t room, size_t *ret_size)
{
    struct gzip *gzip;
    int error = gzip_new(fd, &gzip);
    if (error != 0)
        return error;
    error = gzip_read(gzip, 0, to, room, ret_size);
    gzip_free(gzip);
    return error;
}

bool gzip_fingerprint_holds(int fd, const struct fingerprint *expected)
{
    uint8_t first[FINGERPRINT_BYTES];
    size_t size;
    return expected->size > 0 && expected->size <= sizeof first &&
           gzip_first(fd, first, expected->size, &size) == 0 && size == expected->size &&
           XXH3_64bits(first, size) == expected->hash;
}
