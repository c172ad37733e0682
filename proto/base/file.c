#include "proto/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "proto/base/path.h"

static ssize_t system_write_at(void *context, int fd, const void *data, size_t size,
                               off_t offset)
{
    (void)context;
    return pwrite(fd, data, size, offset);
}

static int system_sync(void *context, int fd)
{
    (void)context;
    return fsync(fd);
}

static int system_rename(void *context, const char *from, const char *to)
{
    (void)context;
    return rename(from, to);
}

static int system_unlink(void *context, const char *path)
{
    (void)context;
    return unlink(path);
}

const struct file_io file_io_system = {system_write_at, system_sync, system_rename,
                                       system_unlink, NULL};

static int error_of_errno(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOTFOUND;
    case EACCES:
    case EPERM:
        return ERR_REFUSED;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case ENOMEM:
        return ERR_NOMEM;
    default:
        return ERR_IO;
    }
}

static int fail(struct diagnosis *why, const char *path)
{
    int error = error_of_errno();
    return diagnose(why, error, "%s: %s", path, strerror(errno));
}

/* Reads until end of file, limit + 1 bytes, or failure. */
static int read_until_end(int fd, size_t limit, char **ret_text, size_t *ret_size)
{
    size_t size = 0;
    size_t capacity = 4096;
    char *text = malloc(capacity);
    if (text == NULL)
        return ERR_NOMEM;
    for (;;) {
        if (size + 1 == capacity) {
            char *grown = realloc(text, capacity * 2);
            if (grown == NULL) {
                free(text);
                return ERR_NOMEM;
            }
            text = grown;
            capacity *= 2;
        }
        ssize_t n = read(fd, text + size, capacity - 1 - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(text);
            return ERR_IO;
        }
        if (n == 0)
            break;
        size += (size_t)n;
        if (size > limit) {
            free(text);
            return ERR_LIMIT;
        }
    }
    text[size] = '\0';
    *ret_text = text;
    *ret_size = size;
    return 0;
}

int file_read_whole(const char *path, size_t limit, char **ret_text, size_t *ret_size,
                    struct diagnosis *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(why, path);
    size_t size = 0;
    int error = read_until_end(fd, limit, ret_text, &size);
    (void)close(fd);
    if (error == ERR_LIMIT)
        return diagnose(why, error, "%s: larger than the %zu bytes allowed", path, limit);
    if (error != 0)
        return diagnose(why, error, "%s: %s", path, error_text(error));
    if (ret_size != NULL)
        *ret_size = size;
    return 0;
}

int file_write_all(const struct file_io *io, int fd, struct bytes content, off_t offset)
{
    while (content.size > 0) {
        ssize_t n = io->write_at(io->context, fd, content.data, content.size, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int error = n == 0 ? ERR_IO : error_of_errno();
            return error == ERR_FULL ? ERR_FULL : ERR_IO;
        }
        content.data += n;
        content.size -= (size_t)n;
        offset += n;
    }
    return 0;
}

static int sync_folder_of(const struct file_io *io, const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (length >= sizeof folder)
        return ERR_LIMIT;
    if (slash == NULL)
        (void)strcpy(folder, ".");
    else if (length == 0)
        (void)strcpy(folder, "/");
    else
        (void)snprintf(folder, sizeof folder, "%.*s", (int)length, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    int code = io->sync(io->context, fd);
    (void)close(fd);
    return code == 0 ? 0 : ERR_IO;
}

int file_write_atomic(const struct file_io *io, const char *path, struct bytes content,
                      mode_t mode, struct diagnosis *why)
{
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof temporary)
        return diagnose(why, ERR_LIMIT, "%s: path too long", path);
    (void)unlink(temporary); /* left by a crash; its mode may be wrong */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return fail(why, temporary);
    int error = file_write_all(io, fd, content, 0);
    if (error == 0 && fchmod(fd, mode) != 0)
        error = ERR_IO;
    if (error == 0 && io->sync(io->context, fd) != 0)
        error = ERR_IO;
    if (close(fd) != 0 && error == 0)
        error = ERR_IO;
    if (error == 0 && io->rename(io->context, temporary, path) != 0)
        error = ERR_IO;
    if (error == 0)
        error = sync_folder_of(io, path);
    if (error != 0) {
        int reason = errno;
        (void)io->unlink(io->context, temporary);
        return diagnose(why, error, "%s: %s", path, strerror(reason));
    }
    return 0;
}

int file_make_directories(const char *path, struct diagnosis *why)
{
    char partial[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof partial)
        return diagnose(why, ERR_LIMIT, "%s: path empty or too long", path);
    memcpy(partial, path, length + 1);
    size_t root = path_root_size(path); /* is there, or cannot be made */
    for (size_t i = root > 0 ? root : 1; i <= length; i++) {
        if (partial[i] != '\0' && path_folder_size((const char[]){partial[i], '\0'}) == 0)
            continue;
        char kept = partial[i];
        partial[i] = '\0';
        if (mkdir(partial, 0750) == 0)
            (void)sync_folder_of(&file_io_system, partial); /* where there is nothing to sync, fine */
        else if (errno != EEXIST)
            return fail(why, partial);
        partial[i] = kept;
    }
    struct stat status;
    if (stat(path, &status) != 0)
        return fail(why, path);
    if (!S_ISDIR(status.st_mode))
        return diagnose(why, ERR_INVALID, "%s: is not a directory", path);
    return 0;
}

int file_read_secret(const char *path, size_t limit, char **ret_text, struct diagnosis *why)
{
    struct stat status;
    char *text;
    size_t size;

    if (stat(path, &status) != 0)
        return fail(why, path);
    if ((status.st_mode & 077) != 0)
        return diagnose(why, ERR_REFUSED,
                        "%s: holds a secret but others may read it; run chmod 600 %s", path,
                        path);
    int error = file_read_whole(path, limit, &text, &size, why);
    if (error != 0)
        return error;
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL)
        text[--size] = '\0';
    *ret_text = text;
    return 0;
}

char *file_relative_to(const char *base_file, const char *path)
{
    size_t folder = path_folder_size(base_file);
    if (path_root_size(path) > 0 || folder == 0)
        return strdup(path);
    char *joined = malloc(folder + strlen(path) + 1);
    if (joined == NULL)
        return NULL;
    memcpy(joined, base_file, folder);
    (void)strcpy(joined + folder, path);
    return joined;
}
