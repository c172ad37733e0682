/*
 * procfile.c - kernel files, read whole (procfile.h).
 *
 * seq_file hands out a page or so at a time, so a short read is not the end: only 0 is.
 */
#include "probe/source/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/error.h"

/* Room for most files at once: the kernel fills a page at a time. */
#define READBUF_FIRST_BYTES ((size_t)4096)

void readbuf_done(struct readbuf *buf)
{
    free(buf->data);
    *buf = (struct readbuf){0};
}

int readbuf_reserve(struct readbuf *buf, size_t size)
{
    if (buf->capacity >= size)
        return 0;
    size_t capacity = buf->capacity > 0 ? buf->capacity : READBUF_FIRST_BYTES;
    while (capacity < size)
        capacity *= 2;
    char *data = realloc(buf->data, capacity);
    if (data == NULL)
        return ERR_NOMEM;
    *buf = (struct readbuf){data, capacity};
    return 0;
}

int procfile_error(int system_error)
{
    switch (system_error) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
    case ENODEV:
    case ENXIO:
    case EOPNOTSUPP: /* built in and switched off (psi=0) */
        return ERR_NOTFOUND;
    case EACCES:
    case EPERM:
        return ERR_REFUSED;
    case ENOMEM:
        return ERR_NOMEM;
    default:
        return ERR_IO;
    }
}

int procfile_open(struct procfile *file, const char *root, const char *path)
{
    char name[PATH_MAX];
    int size = snprintf(name, sizeof name, "%s/%s", root, path);
    if (size < 0 || (size_t)size >= sizeof name)
        return ERR_LIMIT;
    int fd;
    do
        fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return procfile_error(errno);
    *file = (struct procfile){.fd = fd, .is_open = true};
    return 0;
}

static ssize_t read_at(int fd, char *data, size_t size, off_t offset)
{
    ssize_t got;
    do
        got = pread(fd, data, size, offset);
    while (got < 0 && errno == EINTR);
    return got;
}

int procfile_read(const struct procfile *file, struct readbuf *buf, struct span *ret_text)
{
    if (!file->is_open)
        return ERR_NOTFOUND;
    size_t size = 0;
    for (;;) {
        int error = readbuf_reserve(buf, size + READBUF_FIRST_BYTES / 2);
        if (error != 0)
            return error;
        ssize_t got = read_at(file->fd, buf->data + size, buf->capacity - size, (off_t)size);
        if (got < 0)
            return procfile_error(errno);
        if (got == 0)
            break;
        size += (size_t)got;
        if (size > PROCFILE_BYTES_MAX)
            return ERR_LIMIT;
    }
    *ret_text = span_of(buf->data, size);
    return 0;
}

/* Gives away the whole lines of `size` bytes; returns how many bytes they took. */
static size_t give_lines(const char *data, size_t size, bool is_last,
                         void (*each)(void *context, struct span line), void *context)
{
    struct span text = span_of(data, size), line;
    while (is_last ? text.at < text.end : memchr(text.at, '\n', span_size(text)) != NULL)
        if (scan_line(&text, &line))
            each(context, line);
    return (size_t)(text.at - data);
}

int procfile_lines(const struct procfile *file, struct readbuf *buf,
                   void (*each)(void *context, struct span line), void *context)
{
    if (!file->is_open)
        return ERR_NOTFOUND;
    int error = readbuf_reserve(buf, READBUF_FIRST_BYTES);
    if (error != 0)
        return error;
    off_t offset = 0;
    size_t held = 0; /* of a line that has not ended */
    bool is_cut = false;
    for (;;) {
        ssize_t got = read_at(file->fd, buf->data + held, buf->capacity - held, offset);
        if (got < 0)
            return procfile_error(errno);
        size_t size = held + (size_t)got, taken = 0;
        offset += got;
        if (is_cut) { /* the rest of a line that was given */
            const char *newline = memchr(buf->data, '\n', size);
            taken = newline != NULL ? (size_t)(newline + 1 - buf->data) : size;
            is_cut = newline == NULL;
        }
        taken += give_lines(buf->data + taken, size - taken, got == 0, each, context);
        if (got == 0)
            return 0;
        if (taken == 0 && size == buf->capacity && size < PROCFILE_LINE_BYTES) {
            error = readbuf_reserve(buf, size * 2);
            if (error != 0)
                return error;
        } else if (taken == 0 && size == buf->capacity) {
            each(context, span_of(buf->data, size));
            taken = size;
            is_cut = true;
        }
        held = size - taken;
        memmove(buf->data, buf->data + taken, held);
    }
}

void procfile_close(struct procfile *file)
{
    if (file != NULL && file->is_open) {
        close(file->fd);
        *file = (struct procfile){0};
    }
}

int procfile_read_path(const char *root, const char *path, struct readbuf *buf,
                       struct span *ret_text)
{
    struct procfile file = {0};
    int error = procfile_open(&file, root, path);
    if (error == 0)
        error = procfile_read(&file, buf, ret_text);
    procfile_close(&file);
    return error;
}

int procfile_read_piece(int fd, struct readbuf *buf, struct span *ret_text)
{
    int error = readbuf_reserve(buf, READBUF_FIRST_BYTES);
    if (error != 0)
        return error;
    ssize_t got = read_at(fd, buf->data, buf->capacity, 0);
    if (got < 0)
        return procfile_error(errno);
    *ret_text = span_of(buf->data, (size_t)got);
    return 0;
}
