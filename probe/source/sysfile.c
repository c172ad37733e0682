/*
 * sysfile.c - folders of sysfs, and their small files (sysfile.h).
 */
#include "probe/source/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe/source/procfile.h"
#include "proto/base/error.h"

/* struct linux_dirent64: inode u64, offset i64, size u16, type u8, name. */
#define ENTRY_SIZE_AT   16
#define ENTRY_NAME_AT   19
#define DIRECTORY_BYTES 4096

int directory_open(int parent, const char *path, int *ret_fd)
{
    int fd;
    do
        fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return procfile_error(errno);
    *ret_fd = fd;
    return 0;
}

int directory_walk(int fd, void (*each)(void *context, int fd, const char *name), void *context)
{
    char entries[DIRECTORY_BYTES];
    if (lseek(fd, 0, SEEK_SET) < 0)
        return procfile_error(errno);
    for (;;) {
        long got = syscall(SYS_getdents64, fd, entries, sizeof entries);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return procfile_error(errno);
        if (got == 0)
            return 0;
        for (long at = 0; at < got;) {
            uint16_t size;
            memcpy(&size, entries + at + ENTRY_SIZE_AT, sizeof size);
            const char *name = entries + at + ENTRY_NAME_AT;
            if (name[0] != '.')
                each(context, fd, name);
            at += size;
        }
    }
}

bool sysfile_text(int fd, const char *path, char room[SYSFILE_BYTES], struct span *ret_text)
{
    int file;
    do
        file = openat(fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (file < 0 && errno == EINTR);
    if (file < 0)
        return false;
    ssize_t got;
    do
        got = read(file, room, SYSFILE_BYTES);
    while (got < 0 && errno == EINTR);
    close(file);
    if (got <= 0)
        return false;
    *ret_text = span_trim(span_of(room, (size_t)got));
    return span_size(*ret_text) > 0;
}

bool sysfile_number(int fd, const char *path, double *ret_value)
{
    char room[SYSFILE_BYTES];
    struct span text;
    double value;
    if (!sysfile_text(fd, path, room, &text) || !scan_number(&text, &value) ||
        text.at != text.end)
        return false;
    *ret_value = value;
    return true;
}

int sysfs_source_open(struct sysfs_source *source, const struct source_env *env,
                      const char *path)
{
    char full[PATH_MAX];
    int size = snprintf(full, sizeof full, "%s/%s", env->sysfs, path);
    if (size < 0 || (size_t)size >= sizeof full)
        return ERR_LIMIT;
    return directory_open(AT_FDCWD, full, &source->fd);
}

int sysfs_source_walk(struct sysfs_source *source,
                      void (*each)(void *source, int fd, const char *name))
{
    readings_begin(&source->list);
    return directory_walk(source->fd, each, source);
}

int sysfs_source_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct sysfs_source *source = state;
    return readings_emit(&source->list, out);
}

void sysfs_source_stop(void *state)
{
    struct sysfs_source *source = state;
    if (source->fd > 0)
        close(source->fd);
    source->fd = 0;
    readings_done(&source->list);
}
