/*
 * fuzz_gzip.c - any bytes as a compressed file: it ends, and reading it in one go or in pieces,
 * on or back, gives the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe/log/gzip.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define OFFSETS_MAX ((uint64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_at(struct gzip *gzip, uint64_t offset, uint8_t *to, size_t room)
{
    size_t size = 0;
    int error;
    while ((error = gzip_read(gzip, offset, to, room, &size)) == ERR_AGAIN)
        continue;
    must(error == 0 && size <= room);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t whole[GZIP_WINDOW_BYTES], piece[GZIP_WINDOW_BYTES];
    struct gzip *gzip;
    int fd = memfd_create("gzip", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size && gzip_new(fd, &gzip) == 0);
    size_t first = read_at(gzip, 0, whole, sizeof whole);
    for (size_t at = 0; at < first; at += 1 + first / 7) {
        size_t room = first - at < 100 ? first - at : 100;
        must(read_at(gzip, at, piece, room) == room);
        must(memcmp(piece, whole + at, room) == 0);
    }
    for (uint64_t at = 0; at < OFFSETS_MAX; at += sizeof piece)
        if (read_at(gzip, at, piece, sizeof piece) < sizeof piece)
            break;
    must(read_at(gzip, 0, piece, sizeof piece) == first && memcmp(piece, whole, first) == 0);
    gzip_free(gzip);
    (void)close(fd);
    return 0;
}
