/*
 * care_file.c - large files in slices.
 */
#include "collector/store/care_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "proto/base/error.h"

#define REST_NS_MAX ((mono_ns)200 * NS_PER_MS)

struct care_writer {
    int fd;
    char *path;
    const struct care_pace *pace;
    XXH3_state_t *state;
    uint8_t *slice;
    size_t filled;
    uint64_t bytes;
    int error, system_error;
};

static int error_of_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOTFOUND;
    case EEXIST:
        return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_REFUSED;
    case ENOMEM:
        return ERR_NOMEM;
    default:
        return ERR_IO;
    }
}

static int complain(struct diagnosis *why, const char *path)
{
    int number = errno;
    return diagnose(why, error_of_errno(number), "%s: %s", path, strerror(number));
}

mono_ns care_slice_begin(void)
{
    return clock_mono(&clock_system);
}

int care_slice_end(const struct care_pace *pace, mono_ns begun, uint64_t bytes)
{
    if (pace->moved != NULL)
        pace->moved(pace->context, bytes);
    if (pace->is_gentle) {
        mono_ns took = clock_mono(&clock_system) - begun;
        took = took < REST_NS_MAX ? took : REST_NS_MAX;
        struct timespec rest = {0, (long)took};
        (void)nanosleep(&rest, NULL);
    }
    return care_is_cancelled(pace->cancelled) ? ERR_CANCELLED : 0;
}

/* Fills the slice as far as the file goes; -1 and errno. */
static ssize_t read_slice(int fd, uint8_t *slice)
{
    size_t filled = 0;
    while (filled < CARE_SLICE_BYTES) {
        ssize_t got = read(fd, slice + filled, CARE_SLICE_BYTES - filled);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        filled += (size_t)got;
    }
    return (ssize_t)filled;
}

/* Hands on a file slice by slice. */
static int each_slice(const char *path, const struct care_pace *pace,
                      int (*take)(void *context, struct bytes slice), void *context,
                      struct diagnosis *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return complain(why, path);
    uint8_t *slice = malloc(CARE_SLICE_BYTES);
    int error = slice == NULL ? ERR_NOMEM : 0;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while (error == 0) {
        mono_ns begun = care_slice_begin();
        ssize_t got = read_slice(fd, slice);
        if (got < 0)
            error = complain(why, path);
        if (got <= 0)
            break;
        error = take(context, (struct bytes){slice, (size_t)got});
        if (error == 0)
            error = care_slice_end(pace, begun, (uint64_t)got);
    }
    free(slice);
    (void)close(fd);
    return error;
}

/* -- hashing ----------------------------------------------------------------------------- */

struct hashing {
    XXH3_state_t *state;
    uint64_t bytes;
};

static int hash_slice(void *context, struct bytes slice)
{
    struct hashing *hashing = context;
    (void)XXH3_64bits_update(hashing->state, slice.data, slice.size);
    hashing->bytes += slice.size;
    return 0;
}

int care_hash(const char *path, const struct care_pace *pace, uint64_t *ret_hash,
              uint64_t *ret_bytes, struct diagnosis *why)
{
    struct hashing hashing = {XXH3_createState(), 0};
    if (hashing.state == NULL)
        return ERR_NOMEM;
    (void)XXH3_64bits_reset(hashing.state);
    int error = each_slice(path, pace, hash_slice, &hashing, why);
    if (error == 0) {
        *ret_hash = XXH3_64bits_digest(hashing.state);
        *ret_bytes = hashing.bytes;
    }
    (void)XXH3_freeState(hashing.state);
    return error;
}

/* -- writing ----------------------------------------------------------------------------- */

int care_writer_open(const char *path, mode_t mode, const struct care_pace *pace,
                     struct care_writer **ret_writer, struct diagnosis *why)
{
    struct care_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return ERR_NOMEM;
    writer->fd = -1;
    writer->pace = pace;
    writer->path = strdup(path);
    writer->slice = malloc(CARE_SLICE_BYTES);
    writer->state = XXH3_createState();
    if (writer->path == NULL || writer->slice == NULL || writer->state == NULL)
        writer->error = ERR_NOMEM;
    else
        (void)XXH3_64bits_reset(writer->state);
    if (writer->error == 0) {
        writer->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (writer->fd < 0)
            writer->error = complain(why, path);
    }
    if (writer->error == 0) {
        *ret_writer = writer;
        return 0;
    }
    uint64_t unused;
    return care_writer_close(writer, &unused, &unused, why);
}

static void fail(struct care_writer *writer)
{
    writer->system_error = errno;
    writer->error = error_of_errno(errno);
}

static void write_out(struct care_writer *writer)
{
    mono_ns begun = care_slice_begin();
    size_t written = 0;
    (void)XXH3_64bits_update(writer->state, writer->slice, writer->filled);
    while (written < writer->filled && writer->error == 0) {
        ssize_t put = write(writer->fd, writer->slice + written, writer->filled - written);
        if (put >= 0)
            written += (size_t)put;
        else if (errno != EINTR)
            fail(writer);
    }
    writer->bytes += written;
    writer->filled = 0;
    if (writer->error == 0 && writer->pace->is_gentle && fdatasync(writer->fd) != 0)
        fail(writer);
    if (writer->error == 0)
        writer->error = care_slice_end(writer->pace, begun, written);
}

int care_writer_put(struct care_writer *writer, struct bytes bytes)
{
    while (bytes.size > 0 && writer->error == 0) {
        size_t room = CARE_SLICE_BYTES - writer->filled;
        size_t taken = bytes.size < room ? bytes.size : room;
        memcpy(writer->slice + writer->filled, bytes.data, taken);
        writer->filled += taken;
        bytes.data += taken;
        bytes.size -= taken;
        if (writer->filled == CARE_SLICE_BYTES)
            write_out(writer);
    }
    return writer->error;
}

int care_writer_close(struct care_writer *writer, uint64_t *ret_hash, uint64_t *ret_bytes,
                      struct diagnosis *why)
{
    if (writer->error == 0 && writer->filled > 0)
        write_out(writer);
    if (writer->error == 0 && fsync(writer->fd) != 0)
        fail(writer);
    if (writer->fd >= 0 && close(writer->fd) != 0 && writer->error == 0)
        fail(writer);
    int error = writer->error;
    if (error == 0) {
        *ret_hash = XXH3_64bits_digest(writer->state);
        *ret_bytes = writer->bytes;
    } else if (writer->system_error != 0) {
        (void)diagnose(why, error, "%s: %s", writer->path, strerror(writer->system_error));
    }
    if (writer->state != NULL)
        (void)XXH3_freeState(writer->state);
    free(writer->slice);
    free(writer->path);
    free(writer);
    return error;
}

static int put_slice(void *context, struct bytes slice)
{
    return care_writer_put(context, slice);
}

int care_copy(const char *from, const char *to, mode_t mode, const struct care_pace *pace,
              uint64_t *ret_hash, uint64_t *ret_bytes, struct diagnosis *why)
{
    /* Reading is what is paced and counted once; the writer syncs its slices. */
    struct care_pace reading = {.cancelled = pace->cancelled};
    struct care_writer *writer;
    int error = care_writer_open(to, mode, pace, &writer, why);
    if (error != 0)
        return error;
    int read_error = each_slice(from, &reading, put_slice, writer, why);
    error = care_writer_close(writer, ret_hash, ret_bytes, why);
    return read_error != 0 ? read_error : error;
}

/* -- the rest ---------------------------------------------------------------------------- */

int care_map(const char *path, struct bytes *ret_bytes, struct diagnosis *why)
{
    struct stat stat_;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return complain(why, path);
    void *map = NULL;
    bool good = fstat(fd, &stat_) == 0;
    if (good && stat_.st_size > 0) {
        map = mmap(NULL, (size_t)stat_.st_size, PROT_READ, MAP_SHARED, fd, 0);
        good = map != MAP_FAILED;
    }
    int error = good ? 0 : complain(why, path);
    (void)close(fd);
    if (error == 0)
        *ret_bytes = (struct bytes){map, (size_t)stat_.st_size};
    return error;
}

void care_unmap(struct bytes bytes)
{
    if (bytes.size > 0)
        (void)munmap((void *)(uintptr_t)bytes.data, bytes.size);
}

int care_folder_entries(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    if (folder == NULL)
        return -1;
    for (struct dirent *entry; count == 0 && (entry = readdir(folder)) != NULL;)
        count = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(folder);
    return count;
}

int care_sync_folder(const char *path, struct diagnosis *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return complain(why, path);
    int error = fsync(fd) == 0 ? 0 : complain(why, path);
    (void)close(fd);
    return error;
}
