#include "probe/frame.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/random.h"

static const char magic[8] = {'F', 'S', 'P', 'O', 'O', 'L', '1', '\n'};

static uint64_t check_of(uint64_t seed, uint64_t offset, uint8_t kind, struct bytes payload)
{
    uint64_t mixed =
        seed ^ (offset * 0x9e3779b97f4a7c15u) ^ ((uint64_t)kind << 56) ^ payload.size;
    return XXH3_64bits_withSeed(payload.data, payload.size, mixed);
}

/* Reads exactly `size` bytes; ERR_NOTFOUND if the file ends before. */
static int read_exactly(int fd, uint8_t *to, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pread(fd, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            return ERR_NOTFOUND;
        to += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int frame_file_create(const struct file_io *io, const char *path, struct frame_file *ret_file)
{
    uint8_t header[FRAME_FILE_HEADER_BYTES];
    struct frame_file file = {.size = sizeof header};

    if (random_fill(&file.seed, sizeof file.seed) != 0)
        return ERR_IO;
    memcpy(header, magic, sizeof magic);
    uint64_t seed = htole64(file.seed);
    memcpy(header + sizeof magic, &seed, sizeof seed);
    file.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file.fd < 0)
        return errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
    int error = file_write_all(io, file.fd, (struct bytes){header, sizeof header}, 0);
    if (error != 0) {
        (void)close(file.fd);
        (void)io->unlink(io->context, path);
        return error;
    }
    *ret_file = file;
    return 0;
}

int frame_file_open(const char *path, struct frame_file *ret_file)
{
    uint8_t header[FRAME_FILE_HEADER_BYTES];
    struct frame_file file = {.size = sizeof header};

    file.fd = open(path, O_RDWR | O_CLOEXEC);
    if (file.fd < 0)
        return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
    int error = read_exactly(file.fd, header, sizeof header, 0);
    if (error == ERR_NOTFOUND || (error == 0 && memcmp(header, magic, sizeof magic) != 0))
        error = ERR_CORRUPT;
    if (error != 0) {
        (void)close(file.fd);
        return error;
    }
    memcpy(&file.seed, header + sizeof magic, sizeof file.seed);
    file.seed = le64toh(file.seed);
    *ret_file = file;
    return 0;
}

void frame_file_close(struct frame_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd);
    file->fd = -1;
}

void frame_begin(struct buf *out, uint8_t kind)
{
    buf_clear(out);
    buf_put_u32(out, 0);
    buf_put_u32(out, kind);
    buf_put_u64(out, 0);
}

int frame_append(const struct file_io *io, struct frame_file *file, struct buf *out)
{
    if (!buf_ok(out))
        return ERR_NOMEM;
    must(out->size > FRAME_HEADER_BYTES);
    struct bytes payload = {out->data + FRAME_HEADER_BYTES, out->size - FRAME_HEADER_BYTES};
    if (payload.size > FRAME_PAYLOAD_BYTES_MAX)
        return ERR_LIMIT;
    uint32_t size = htole32((uint32_t)payload.size);
    uint64_t check = htole64(check_of(file->seed, file->size, out->data[4], payload));
    memcpy(out->data, &size, sizeof size);
    memcpy(out->data + 8, &check, sizeof check);
    int error = file_write_all(io, file->fd, buf_bytes(out), (off_t)file->size);
    if (error != 0) {
        /* Should this fail as well, the next frame overwrites the leftover. */
        (void)!ftruncate(file->fd, (off_t)file->size);
        return error;
    }
    file->size += out->size;
    return 0;
}

int frame_read(const struct frame_file *file, uint64_t offset, struct buf *into,
               struct frame *ret_frame)
{
    uint8_t header[FRAME_HEADER_BYTES];
    static const uint8_t zeros[3] = {0};
    uint32_t size;
    uint64_t check;

    int error = read_exactly(file->fd, header, sizeof header, offset);
    if (error != 0)
        return error;
    memcpy(&size, header, sizeof size);
    memcpy(&check, header + 8, sizeof check);
    size = le32toh(size);
    if (size == 0 || size > FRAME_PAYLOAD_BYTES_MAX || memcmp(header + 5, zeros, 3) != 0)
        return ERR_CORRUPT;
    buf_clear(into);
    uint8_t *to = buf_reserve(into, size);
    if (to == NULL)
        return ERR_NOMEM;
    error = read_exactly(file->fd, to, size, offset + sizeof header);
    if (error != 0)
        return error == ERR_NOTFOUND ? ERR_CORRUPT : error;
    into->size = size;
    if (le64toh(check) != check_of(file->seed, offset, header[4], buf_bytes(into)))
        return ERR_CORRUPT;
    *ret_frame = (struct frame){
        .kind = header[4], .payload = buf_bytes(into), .next = offset + sizeof header + size};
    return 0;
}
