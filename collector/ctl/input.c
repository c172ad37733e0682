/* input.c - see input.h. */
#include "collector/ctl/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "proto/base/error.h"

#define RAW_BYTES   ((size_t)256 << 10)
#define GZIP_WINDOW (15 + 16)
#define END_BYTES   16

enum packing { PACKING_NONE, PACKING_GZIP, PACKING_ZSTD };

struct input {
    const char *path;
    int descriptor;
    uint64_t taken, size;
    enum packing packing;
    uint8_t raw[RAW_BYTES];
    size_t raw_at, raw_size;
    bool is_at_end;   /* the file is */
    bool is_in_piece; /* a packed piece has begun and not ended */
    bool is_holding;  /* the unpacker may have more without being given more */
    z_stream gzip;
    ZSTD_DCtx *zstd;
};

static int fill(struct input *input, struct diagnosis *why)
{
    while (input->raw_at == input->raw_size && !input->is_at_end) {
        ssize_t got = read(input->descriptor, input->raw, RAW_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return diagnose(why, ERR_IO, "%s: %s", input->path, strerror(errno));
        input->raw_at = 0;
        input->raw_size = (size_t)got;
        input->taken += (uint64_t)got;
        input->is_at_end = got == 0;
    }
    return 0;
}

static bool begins_with(const struct input *input, const uint8_t *magic, size_t size)
{
    return input->raw_size >= size && memcmp(input->raw, magic, size) == 0;
}

static int choose_packing(struct input *input, struct diagnosis *why)
{
    static const uint8_t gzip[] = {0x1f, 0x8b};
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    int error = fill(input, why);
    if (error != 0)
        return error;
    if (begins_with(input, gzip, sizeof gzip)) {
        input->packing = PACKING_GZIP;
        return inflateInit2(&input->gzip, GZIP_WINDOW) == Z_OK ? 0 : ERR_NOMEM;
    }
    if (begins_with(input, zstd, sizeof zstd)) {
        input->zstd = ZSTD_createDCtx();
        input->packing = input->zstd != NULL ? PACKING_ZSTD : PACKING_NONE;
        return input->zstd != NULL ? 0 : ERR_NOMEM;
    }
    return 0;
}

int input_open(const char *path, struct input **ret_input, struct diagnosis *why)
{
    struct stat status;
    struct input *input = calloc(1, sizeof *input);
    if (input == NULL)
        return ERR_NOMEM;
    input->path = path;
    bool is_standard = strcmp(path, "-") == 0;
    input->descriptor = is_standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int error = 0;
    if (input->descriptor < 0 || fstat(input->descriptor, &status) != 0)
        error = diagnose(why, ERR_IO, "%s: %s", path, strerror(errno));
    else if (S_ISDIR(status.st_mode))
        error = diagnose(why, ERR_IO, "%s is a directory", path);
    else if (S_ISREG(status.st_mode))
        input->size = (uint64_t)status.st_size;
    if (error == 0)
        error = choose_packing(input, why);
    if (error != 0) {
        input_close(input);
        return error;
    }
    *ret_input = input;
    return 0;
}

void input_close(struct input *input)
{
    if (input == NULL)
        return;
    if (input->packing == PACKING_GZIP)
        inflateEnd(&input->gzip);
    ZSTD_freeDCtx(input->zstd);
    if (input->descriptor > STDIN_FILENO)
        close(input->descriptor);
    free(input);
}

static int damaged(const struct input *input, struct diagnosis *why)
{
    return diagnose(why, ERR_MALFORMED, "%s: the %s data are damaged", input->path,
                    input->packing == PACKING_GZIP ? "gzip" : "zstd");
}

/* One step of unpacking: from raw to `to`. */
static int unpack_gzip(struct input *input, uint8_t *to, size_t size, size_t *made,
                       struct diagnosis *why)
{
    z_stream *gzip = &input->gzip;
    if (!input->is_in_piece && inflateReset(gzip) != Z_OK)
        return ERR_NOMEM;
    input->is_in_piece = true;
    gzip->next_in = input->raw + input->raw_at;
    gzip->avail_in = (uInt)(input->raw_size - input->raw_at);
    gzip->next_out = to;
    gzip->avail_out = (uInt)size;
    int code = inflate(gzip, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return damaged(input, why);
    input->is_in_piece = code != Z_STREAM_END;
    input->raw_at = input->raw_size - gzip->avail_in;
    *made = size - gzip->avail_out;
    return 0;
}

static int unpack_zstd(struct input *input, uint8_t *to, size_t size, size_t *made,
                       struct diagnosis *why)
{
    ZSTD_inBuffer from = {input->raw, input->raw_size, input->raw_at};
    ZSTD_outBuffer out = {to, size, 0};
    size_t code = ZSTD_decompressStream(input->zstd, &out, &from);
    if (ZSTD_isError(code))
        return damaged(input, why);
    input->is_in_piece = code != 0;
    input->raw_at = from.pos;
    *made = out.pos;
    return 0;
}

int input_read(struct input *input, uint8_t *to, size_t size, size_t *ret_size,
               struct diagnosis *why)
{
    size_t made = 0;
    while (made == 0) {
        int error = fill(input, why);
        size_t left = input->raw_size - input->raw_at;
        if (error != 0)
            return error;
        if (left == 0 && input->is_in_piece && !input->is_holding)
            return diagnose(why, ERR_MALFORMED, "%s: the %s data are cut off", input->path,
                            input->packing == PACKING_GZIP ? "gzip" : "zstd");
        if (left == 0 && !input->is_in_piece)
            break;
        if (input->packing == PACKING_NONE) {
            made = left < size ? left : size;
            memcpy(to, input->raw + input->raw_at, made);
            input->raw_at += made;
        } else {
            error = input->packing == PACKING_GZIP ? unpack_gzip(input, to, size, &made, why)
                                                   : unpack_zstd(input, to, size, &made, why);
            input->is_holding = made == size;
        }
        if (error != 0)
            return error;
    }
    *ret_size = made;
    return 0;
}

uint64_t input_taken(const struct input *input)
{
    return input->taken - (input->raw_size - input->raw_at);
}

uint64_t input_size(const struct input *input)
{
    return input->size;
}

bool input_ends_in_eof(const struct input *input)
{
    char end[END_BYTES] = {0};
    if (input->packing != PACKING_NONE || input->size < 5)
        return false;
    off_t from = (off_t)(input->size < END_BYTES ? 0 : input->size - END_BYTES);
    ssize_t got = pread(input->descriptor, end, END_BYTES, from);
    while (got > 0 && (end[got - 1] == '\n' || end[got - 1] == '\r'))
        got--;
    return got >= 5 && memcmp(end + got - 5, "# EOF", 5) == 0;
}
