/*
 * spill.c - see spill.h; reading is in spill_read.c.
 */
#include "collector/remote/spill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>

#include "collector/remote/spill_parts.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define LEVEL 3

/* ---- the set ----------------------------------------------------------------------------- */

void spill_path(const struct spill *spill, const struct spill_file *file, char path[SPILL_PATH])
{
    (void)snprintf(path, SPILL_PATH, "%s/%016" PRIx64 "-%016" PRIx64 ".spill", spill->directory,
                   file->first, file->last);
}

static int by_first(const void *a, const void *b)
{
    const struct spill_file *left = a, *right = b;
    return (left->first > right->first) - (left->first < right->first);
}

/* Under the lock, or before anybody else knows the set. */
static int add_file(struct spill *spill, const struct spill_file *file)
{
    if (spill->count == spill->capacity) {
        size_t capacity = spill->capacity == 0 ? 64 : spill->capacity * 2;
        struct spill_file *grown = realloc(spill->files, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        spill->files = grown;
        spill->capacity = capacity;
    }
    spill->files[spill->count++] = *file;
    spill->bytes += file->bytes;
    qsort(spill->files, spill->count, sizeof *spill->files, by_first);
    return 0;
}

/* A file by its name; false: it is none of ours, or not whole. */
static bool look_at(const struct spill *spill, const char *name, struct spill_file *file)
{
    char path[SPILL_PATH], expected[SPILL_PATH];
    uint8_t head[SPILL_HEAD_BYTES];
    struct stat stat;
    if (sscanf(name, "%16" SCNx64 "-%16" SCNx64, &file->first, &file->last) != 2 ||
        file->first > file->last)
        return false;
    spill_path(spill, file, expected);
    (void)snprintf(path, sizeof path, "%s/%s", spill->directory, name);
    int fd = strcmp(path, expected) == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return false;
    bool is_ours = pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
                   spill_head_read(head, file->first, &file->samples) && fstat(fd, &stat) == 0;
    (void)close(fd);
    file->bytes = is_ours ? (uint64_t)stat.st_size : 0;
    return is_ours;
}

static int scan(struct spill *spill, struct diagnosis *why)
{
    DIR *folder = opendir(spill->directory);
    int error = 0;
    if (folder == NULL && errno == ENOENT)
        return 0; /* it is made when there is something to put there */
    if (folder == NULL)
        return diagnose(why, ERR_IO, "%s: %s", spill->directory, strerror(errno));
    for (struct dirent *entry; error == 0 && (entry = readdir(folder)) != NULL;) {
        struct spill_file file;
        size_t size = strlen(entry->d_name);
        if (size > 4 && strcmp(entry->d_name + size - 4, ".tmp") == 0)
            (void)unlinkat(dirfd(folder), entry->d_name, 0); /* a crash was in the middle */
        else if (look_at(spill, entry->d_name, &file))
            error = add_file(spill, &file);
        else if (entry->d_name[0] != '.')
            log_warn("remote", "%s/%s is no file of ours and left alone", spill->directory,
                     entry->d_name);
    }
    (void)closedir(folder);
    return error;
}

int spill_open(const char *directory, uint64_t limit_bytes, struct spill *spill,
               struct diagnosis *why)
{
    *spill = (struct spill){.limit_bytes = limit_bytes};
    must(pthread_mutex_init(&spill->lock, NULL) == 0);
    spill->directory = strdup(directory);
    int error = spill->directory == NULL ? ERR_NOMEM : 0;
    if (error == 0 && strlen(directory) + 64 > SPILL_PATH)
        error = diagnose(why, ERR_LIMIT, "%s: the path is too long", directory);
    return error == 0 ? scan(spill, why) : error;
}

void spill_close(struct spill *spill)
{
    if (spill->directory == NULL)
        return;
    free(spill->directory);
    free(spill->files);
    (void)pthread_mutex_destroy(&spill->lock);
    *spill = (struct spill){0};
}

uint64_t spill_last(struct spill *spill)
{
    must(pthread_mutex_lock(&spill->lock) == 0);
    uint64_t last = spill->count == 0 ? 0 : spill->files[spill->count - 1].last;
    must(pthread_mutex_unlock(&spill->lock) == 0);
    return last;
}

uint64_t spill_bytes(struct spill *spill)
{
    must(pthread_mutex_lock(&spill->lock) == 0);
    uint64_t bytes = spill->bytes;
    must(pthread_mutex_unlock(&spill->lock) == 0);
    return bytes;
}

uint64_t spill_samples_from(struct spill *spill, uint64_t commit)
{
    uint64_t samples = 0;
    must(pthread_mutex_lock(&spill->lock) == 0);
    for (size_t i = 0; i < spill->count; i++)
        if (spill->files[i].last >= commit)
            samples += spill->files[i].samples;
    must(pthread_mutex_unlock(&spill->lock) == 0);
    return samples;
}

bool spill_has(struct spill *spill, uint64_t commit, uint64_t *ret_next)
{
    size_t i = 0;
    must(pthread_mutex_lock(&spill->lock) == 0);
    while (i < spill->count && spill->files[i].last < commit)
        i++;
    bool is_there = i < spill->count && spill->files[i].first <= commit;
    *ret_next = i < spill->count ? spill->files[i].first : 0;
    must(pthread_mutex_unlock(&spill->lock) == 0);
    return is_there;
}

/* Under the lock. */
static void unlink_first(struct spill *spill)
{
    char path[SPILL_PATH];
    spill_path(spill, &spill->files[0], path);
    if (unlink(path) != 0 && errno != ENOENT)
        log_warn("remote", "%s cannot be removed: %s", path, strerror(errno));
    spill->bytes -= spill->files[0].bytes;
    spill->count--;
    memmove(spill->files, spill->files + 1, spill->count * sizeof *spill->files);
}

void spill_prune(struct spill *spill, uint64_t through)
{
    must(pthread_mutex_lock(&spill->lock) == 0);
    while (spill->count > 0 && spill->files[0].last <= through)
        unlink_first(spill);
    must(pthread_mutex_unlock(&spill->lock) == 0);
}

uint64_t spill_limit(struct spill *spill)
{
    struct statvfs disk;
    const uint64_t bytes = spill_bytes(spill);
    if (statvfs(spill->directory, &disk) != 0)
        return spill->limit_bytes;
    const uint64_t used = (uint64_t)(disk.f_blocks - disk.f_bfree) * disk.f_frsize;
    const uint64_t usable = used + (uint64_t)disk.f_bavail * disk.f_frsize;
    const uint64_t may = usable / 100 * SPILL_DISK_PERCENT;
    const uint64_t fits = used > may ? (used - may < bytes ? bytes - (used - may) : 0)
                                     : bytes + (may - used);
    return fits < spill->limit_bytes ? fits : spill->limit_bytes;
}

bool spill_drop_oldest(struct spill *spill, uint64_t limit_bytes, struct spill_file *ret_file)
{
    must(pthread_mutex_lock(&spill->lock) == 0);
    bool is_over = spill->count > 0 && spill->bytes > limit_bytes;
    if (is_over) {
        *ret_file = spill->files[0];
        unlink_first(spill);
    }
    must(pthread_mutex_unlock(&spill->lock) == 0);
    return is_over;
}

/* ---- writing ----------------------------------------------------------------------------- */

struct writing {
    int fd;
    off_t offset;
    uint64_t last;
    struct batch batch;
    struct buf raw, block;
    struct spill_file file;
};

static int put_block(struct writing *writing)
{
    struct batch *batch = &writing->batch;
    if (batch->commit_count == 0)
        return 0;
    buf_clear(&writing->raw);
    buf_clear(&writing->block);
    batch_encode(batch, &writing->raw);
    size_t bound = ZSTD_compressBound(writing->raw.size);
    uint8_t *to = buf_reserve(&writing->block, SPILL_BLOCK_BYTES + bound);
    if (!buf_ok(&writing->raw) || to == NULL)
        return ERR_NOMEM;
    size_t packed = ZSTD_compress(to + SPILL_BLOCK_BYTES, bound, writing->raw.data,
                                  writing->raw.size, LEVEL);
    if (ZSTD_isError(packed))
        return ERR_NOMEM;
    const struct spill_block block = {.packed = (uint32_t)packed,
                                      .raw = (uint32_t)writing->raw.size,
                                      .first = batch->commits[0].commit,
                                      .last = batch->commits[batch->commit_count - 1].commit};
    spill_block_put(&block, to);
    writing->block.size = SPILL_BLOCK_BYTES + packed;
    int error = file_write_all(&file_io_system, writing->fd, buf_bytes(&writing->block),
                               writing->offset);
    writing->offset += (off_t)writing->block.size;
    writing->file.samples += batch->count;
    batch_clear(batch);
    return error;
}

static int take_change(void *context, const struct store_change *change)
{
    struct writing *writing = context;
    if (change->commit > writing->last)
        return 1; /* enough */
    int error = batch_add(&writing->batch, change);
    if (error == 0 && writing->batch.count >= BATCH_SAMPLES_WANTED)
        error = put_block(writing);
    return error;
}

static int write_file(struct writing *writing, struct store *store)
{
    uint8_t head[SPILL_HEAD_BYTES];
    writing->offset = SPILL_HEAD_BYTES;
    int error = store_each_change(store, writing->file.first, take_change, writing);
    if (error >= 0)
        error = put_block(writing);
    spill_head_put(writing->file.samples, writing->file.first, head);
    if (error == 0)
        error = file_write_all(&file_io_system, writing->fd,
                               (struct bytes){head, sizeof head}, 0);
    if (error == 0 && fsync(writing->fd) != 0)
        error = errno == ENOSPC ? ERR_FULL : ERR_IO;
    writing->file.bytes = (uint64_t)writing->offset;
    return error;
}

static int sync_folder(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        (void)close(fd);
    return code == 0 ? 0 : ERR_IO;
}

int spill_write(struct spill *spill, struct store *store, uint64_t first, uint64_t last)
{
    char path[SPILL_PATH], temporary[SPILL_PATH + 8];
    struct writing writing = {.last = last, .file = {.first = first, .last = last}};
    int error = file_make_directories(spill->directory, NULL);
    if (error != 0)
        return error;
    spill_path(spill, &writing.file, path);
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
    writing.fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (writing.fd < 0)
        return errno == ENOSPC ? ERR_FULL : ERR_IO;
    error = write_file(&writing, store);
    (void)close(writing.fd);
    if (error == 0 && rename(temporary, path) != 0)
        error = ERR_IO;
    if (error == 0)
        error = sync_folder(spill->directory);
    if (error != 0)
        (void)unlink(temporary);
    if (error == 0) {
        must(pthread_mutex_lock(&spill->lock) == 0);
        error = add_file(spill, &writing.file);
        must(pthread_mutex_unlock(&spill->lock) == 0);
    }
    batch_done(&writing.batch);
    buf_done(&writing.raw);
    buf_done(&writing.block);
    return error;
}
