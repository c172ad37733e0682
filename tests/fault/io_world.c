/*
 * io_world.c - calls that change the disk, counted, written down, cut off.
 *
 * The linker takes a program's own functions before those of libc, for the libraries it is
 * linked with as well.  The calls themselves are made by syscall(), so that nothing comes back
 * here.
 */
#include "tests/fault/io_world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 1024

static struct {
    pthread_mutex_t lock;
    char folder[PATH_MAX]; /* empty: nothing is watched */
    size_t folder_bytes;
    bool is_fast, is_cut;
    uint64_t calls, die_at;
    int journal; /* 0: none */
    uint64_t room;
    unsigned sync_ms;
    const char *slow_when; /* while there is this file; NULL: always */
    bool is_through[FILES_MAX]; /* opened O_DSYNC, which was left out to be fast */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .room = UINT64_MAX};

void io_world_watch(const char *folder)
{
    (void)snprintf(world.folder, sizeof world.folder, "%s", folder);
    world.folder_bytes = strlen(folder);
}

void io_world_fast(void)
{
    world.is_fast = true;
}

void io_world_die_at(uint64_t call, bool in_the_middle)
{
    world.calls = 0;
    world.die_at = call;
    world.is_cut = in_the_middle;
}

void io_world_record(const char *journal)
{
    world.calls = 0;
    world.journal = (int)syscall(SYS_openat, AT_FDCWD, journal,
                                 O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

uint64_t io_world_calls(void)
{
    return world.calls;
}

void io_world_room(uint64_t bytes_left)
{
    world.room = bytes_left;
}

void io_world_slow(unsigned sync_ms)
{
    world.sync_ms = sync_ms;
}

/* In a program that does not know of it (LD_PRELOAD): what its environment says. */
static void __attribute__((constructor)) preloaded(void)
{
    const char *folder = getenv("IO_WORLD_FOLDER");
    const char *sync_ms = getenv("IO_WORLD_SYNC_MS");
    if (folder != NULL)
        io_world_watch(folder);
    world.slow_when = getenv("IO_WORLD_SLOW_WHEN");
    if (sync_ms != NULL)
        io_world_slow((unsigned)strtoul(sync_ms, NULL, 10));
}

/* -- which file -------------------------------------------------------------------------- */

/* The rest of a path below the folder; NULL: it is somewhere else.  "" is the folder itself. */
static const char *below(const char *path)
{
    if (world.folder_bytes == 0 || strncmp(path, world.folder, world.folder_bytes) != 0)
        return NULL;
    path += world.folder_bytes;
    if (*path != '/' && *path != '\0')
        return NULL;
    while (*path == '/')
        path++;
    return path;
}

/* The path of a descriptor; false: not one of ours, or no longer under any name. */
static bool path_of(int fd, char path[PATH_MAX], struct stat *stat_)
{
    char link[64];
    if (world.folder_bytes == 0 || fstat(fd, stat_) != 0 ||
        !(S_ISREG(stat_->st_mode) || S_ISDIR(stat_->st_mode)))
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0)
        return false;
    path[size] = '\0';
    return below(path) != NULL;
}

static bool path_at(int folder, const char *name, char path[PATH_MAX])
{
    struct stat stat_;
    if (folder == AT_FDCWD || name[0] == '/') {
        (void)snprintf(path, PATH_MAX, "%s", name);
        return below(path) != NULL;
    }
    char base[PATH_MAX];
    if (!path_of(folder, base, &stat_))
        return false;
    return (size_t)snprintf(path, PATH_MAX, "%s/%s", base, name) < PATH_MAX;
}

static uint64_t inode_of(const char *path)
{
    struct stat stat_;
    return lstat(path, &stat_) == 0 ? (uint64_t)stat_.st_ino : 0;
}

/* -- the journal ------------------------------------------------------------------------- */

static void put(const void *data, size_t size)
{
    if (size > 0 && syscall(SYS_write, world.journal, data, size) != (long)size)
        abort();
}

static void record(struct io_record entry, const char *path, const char *other,
                   const void *data)
{
    if (world.journal <= 0)
        return;
    entry.path_bytes = (uint32_t)strlen(path);
    entry.other_bytes = (uint32_t)strlen(other);
    put(&entry, sizeof entry);
    put(path, entry.path_bytes);
    put(other, entry.other_bytes);
    put(data, data == NULL ? 0 : (size_t)entry.size);
}

void io_world_note(uint32_t note)
{
    (void)pthread_mutex_lock(&world.lock);
    record((struct io_record){.kind = IO_NOTE, .note = note}, "", "", NULL);
    (void)pthread_mutex_unlock(&world.lock);
}

/* Before a call, under the lock: the n-th is the last.  Whether it is to be cut in half. */
static bool count(void)
{
    world.calls++;
    if (world.die_at == 0 || world.calls != world.die_at)
        return false;
    if (!world.is_cut)
        _exit(IO_WORLD_DEAD);
    return true;
}

/* -- contents ---------------------------------------------------------------------------- */

static bool is_synchronous(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return (flags >= 0 && (flags & O_DSYNC) != 0) || (fd < FILES_MAX && world.is_through[fd]);
}

static void rest(void)
{
    const struct timespec pause = {world.sync_ms / 1000, (long)(world.sync_ms % 1000) * 1000000};
    if (world.sync_ms > 0 && (world.slow_when == NULL || access(world.slow_when, F_OK) == 0))
        (void)nanosleep(&pause, NULL);
}

/* How much of a write past the end there is room for. */
static bool has_room(const struct stat *stat_, uint64_t end)
{
    if (world.room == UINT64_MAX || end <= (uint64_t)stat_->st_size)
        return true;
    uint64_t more = end - (uint64_t)stat_->st_size;
    if (more > world.room)
        return false;
    world.room -= more;
    return true;
}

static ssize_t write_at(int fd, const void *data, size_t size, off_t offset, bool is_at)
{
    char path[PATH_MAX];
    struct stat stat_;
    ssize_t done;
    (void)pthread_mutex_lock(&world.lock);
    bool is_ours = path_of(fd, path, &stat_);
    if (!is_at)
        offset = is_ours ? (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) : 0;
    if (is_ours && !has_room(&stat_, (uint64_t)offset + size)) {
        (void)pthread_mutex_unlock(&world.lock);
        errno = ENOSPC;
        return -1;
    }
    bool is_cut = is_ours && count();
    if (is_cut)
        size /= 2;
    done = is_at ? syscall(SYS_pwrite64, fd, data, size, offset)
                 : syscall(SYS_write, fd, data, size);
    if (is_cut)
        _exit(IO_WORLD_DEAD);
    bool is_through = is_ours && is_synchronous(fd);
    if (is_ours && done > 0)
        record((struct io_record){.kind = is_through ? IO_WRITE_THROUGH : IO_WRITE,
                                  .file = (uint64_t)stat_.st_ino,
                                  .offset = (uint64_t)offset,
                                  .size = (uint64_t)done},
               below(path), "", data);
    int reason = errno;
    (void)pthread_mutex_unlock(&world.lock);
    if (is_through)
        rest();
    errno = reason;
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return write_at(fd, data, size, offset, true);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset);
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    return write_at(fd, data, size, offset, true);
}

ssize_t write(int fd, const void *data, size_t size)
{
    return write_at(fd, data, size, 0, false);
}

/* LMDB writes runs of pages with it. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    uint8_t *joined = malloc(size + 1);
    if (joined == NULL)
        abort();
    size = 0;
    for (int i = 0; i < count; i++) {
        memcpy(joined + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    ssize_t done = write_at(fd, joined, size, 0, false);
    free(joined);
    return done;
}

static int sync_file(long call, int fd)
{
    char path[PATH_MAX];
    struct stat stat_;
    rest();
    (void)pthread_mutex_lock(&world.lock);
    bool is_ours = path_of(fd, path, &stat_);
    if (is_ours && count())
        _exit(IO_WORLD_DEAD);
    int code = world.is_fast && is_ours ? 0 : (int)syscall(call, fd);
    if (is_ours && code == 0)
        record((struct io_record){.kind = IO_SYNC, .file = (uint64_t)stat_.st_ino}, below(path),
               "", NULL);
    (void)pthread_mutex_unlock(&world.lock);
    return code;
}

int fsync(int fd)
{
    return sync_file(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_file(SYS_fdatasync, fd);
}

/* Of a file that a descriptor leads to: the call, and its record. */
static int change(int fd, int (*make)(int, off_t, off_t), off_t offset, off_t size,
                  enum io_kind kind)
{
    char path[PATH_MAX];
    struct stat stat_;
    (void)pthread_mutex_lock(&world.lock);
    bool is_ours = path_of(fd, path, &stat_);
    if (is_ours && count())
        _exit(IO_WORLD_DEAD);
    int code = make(fd, offset, size);
    if (is_ours && code == 0)
        record((struct io_record){.kind = kind,
                                  .file = (uint64_t)stat_.st_ino,
                                  .offset = (uint64_t)offset,
                                  .size = (uint64_t)size},
               below(path), "", NULL);
    (void)pthread_mutex_unlock(&world.lock);
    return code;
}

static int make_resize(int fd, off_t offset, off_t size)
{
    (void)offset;
    return (int)syscall(SYS_ftruncate, fd, size);
}

static int make_punch(int fd, off_t offset, off_t size)
{
    return (int)syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                        size);
}

int ftruncate(int fd, off_t size)
{
    return change(fd, make_resize, 0, size, IO_RESIZE);
}

int ftruncate64(int fd, off64_t size);
int ftruncate64(int fd, off64_t size)
{
    return change(fd, make_resize, 0, size, IO_RESIZE);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0)
        return change(fd, make_punch, offset, size, IO_PUNCH);
    return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size);
int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
    return fallocate(fd, mode, offset, size);
}

/* -- names ------------------------------------------------------------------------------- */

static int open_file(int folder, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct stat stat_;
    (void)pthread_mutex_lock(&world.lock);
    bool is_ours = (flags & O_CREAT) != 0 && path_at(folder, name, path);
    bool is_new = is_ours && lstat(path, &stat_) != 0;
    if (is_new && count())
        _exit(IO_WORLD_DEAD);
    bool is_through = world.is_fast && (flags & O_DSYNC) != 0;
    int fd = (int)syscall(SYS_openat, folder, name, is_through ? flags & ~O_SYNC : flags, mode);
    if (fd >= 0 && fd < FILES_MAX)
        world.is_through[fd] = is_through;
    if (is_new && fd >= 0)
        record((struct io_record){.kind = IO_CREATE, .file = inode_of(path)}, below(path), "",
               NULL);
    (void)pthread_mutex_unlock(&world.lock);
    return fd;
}

#define MODE_OF(flags, last)                                                                  \
    mode_t mode = 0;                                                                           \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                              \
        va_list arguments;                                                                     \
        va_start(arguments, last);                                                             \
        mode = va_arg(arguments, mode_t);                                                      \
        va_end(arguments);                                                                     \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...);
int open64(const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return open_file(AT_FDCWD, path, flags, mode);
}

/* A call that changes names, from one to another (or only the first). */
static int rename_file(enum io_kind kind, const char *from, const char *to)
{
    char path[PATH_MAX];
    char other[PATH_MAX] = "";
    int code;
    (void)pthread_mutex_lock(&world.lock);
    bool is_ours = path_at(AT_FDCWD, from, path);
    if (to != NULL)
        is_ours = path_at(AT_FDCWD, to, other) && is_ours;
    if (is_ours && count())
        _exit(IO_WORLD_DEAD);
    uint64_t file = inode_of(from);
    if (kind == IO_RENAME)
        code = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    else if (kind == IO_LINK)
        code = (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
    else
        code = (int)syscall(SYS_unlinkat, AT_FDCWD, from, kind == IO_RMDIR ? AT_REMOVEDIR : 0);
    if (is_ours && code == 0)
        record((struct io_record){.kind = kind, .file = file}, below(path),
               to != NULL ? below(other) : "", NULL);
    (void)pthread_mutex_unlock(&world.lock);
    return code;
}

int rename(const char *from, const char *to)
{
    return rename_file(IO_RENAME, from, to);
}

int link(const char *from, const char *to)
{
    return rename_file(IO_LINK, from, to);
}

int unlink(const char *path)
{
    return rename_file(IO_UNLINK, path, NULL);
}

int rmdir(const char *path)
{
    return rename_file(IO_RMDIR, path, NULL);
}

int unlinkat(int folder, const char *name, int flags)
{
    char path[PATH_MAX];
    if (path_at(folder, name, path))
        return rename_file((flags & AT_REMOVEDIR) != 0 ? IO_RMDIR : IO_UNLINK, path, NULL);
    return (int)syscall(SYS_unlinkat, folder, name, flags);
}

int mkdir(const char *name, mode_t mode)
{
    char path[PATH_MAX];
    (void)pthread_mutex_lock(&world.lock);
    bool is_ours = path_at(AT_FDCWD, name, path);
    bool is_new = is_ours && inode_of(path) == 0;
    if (is_new && count())
        _exit(IO_WORLD_DEAD);
    int code = (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode);
    if (is_new && code == 0)
        record((struct io_record){.kind = IO_MKDIR, .file = inode_of(path)}, below(path), "",
               NULL);
    (void)pthread_mutex_unlock(&world.lock);
    return code;
}
