#include "tests/bench/kit/frames.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/error.h"

#define HEAD_BYTES   16
#define BUFFER_BYTES ((size_t)1 << 20)

static const char magic[4] = {'P', 'B', 'F', '1'};

int frames_create(const char *path, struct frames_writer *ret_writer, struct diagnosis *why)
{
    struct frames_writer writer = {.file = fopen(path, "wbe")};
    if (writer.file == NULL)
        return diagnose(why, ERR_IO, "%s: %s", path, strerror(errno));
    (void)setvbuf(writer.file, NULL, _IOFBF, BUFFER_BYTES);
    (void)fwrite(magic, sizeof magic, 1, writer.file);
    *ret_writer = writer;
    return 0;
}

void frames_put(struct frames_writer *writer, uint32_t step, uint32_t samples,
                struct bytes body)
{
    uint32_t head[4] = {htole32(step), htole32(samples), htole32((uint32_t)body.size), 0};
    (void)fwrite(head, sizeof head, 1, writer->file);
    (void)fwrite(body.data, 1, body.size, writer->file);
    writer->frames++;
    writer->samples += samples;
    writer->body_bytes += body.size;
}

int frames_finish(struct frames_writer *writer, struct diagnosis *why)
{
    bool failed = ferror(writer->file) != 0;
    failed = fclose(writer->file) != 0 || failed;
    writer->file = NULL;
    return failed ? diagnose(why, ERR_IO, "writing frames: %s", strerror(errno)) : 0;
}

int frames_open(const char *path, struct frames *ret_frames, struct diagnosis *why)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        int error = diagnose(why, ERR_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return error;
    }
    size_t size = (size_t)status.st_size;
    void *data =
        size < sizeof magic ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (data == MAP_FAILED || memcmp(data, magic, sizeof magic) != 0) {
        if (data != MAP_FAILED)
            (void)munmap(data, size);
        return diagnose(why, ERR_MALFORMED, "%s: not a frame file", path);
    }
    (void)madvise(data, size, MADV_SEQUENTIAL);
    *ret_frames = (struct frames){data, size, sizeof magic};
    return 0;
}

bool frames_next(struct frames *frames, struct frame *ret_frame)
{
    uint32_t head[4];
    if (frames->size - frames->at < HEAD_BYTES)
        return false;
    memcpy(head, frames->data + frames->at, sizeof head);
    size_t body_bytes = le32toh(head[2]);
    if (frames->size - frames->at - HEAD_BYTES < body_bytes)
        return false;
    *ret_frame = (struct frame){le32toh(head[0]),
                                le32toh(head[1]),
                                {frames->data + frames->at + HEAD_BYTES, body_bytes}};
    frames->at += HEAD_BYTES + body_bytes;
    return true;
}

void frames_close(struct frames *frames)
{
    if (frames->data != NULL)
        (void)munmap((void *)(uintptr_t)frames->data, frames->size);
    frames->data = NULL;
}
