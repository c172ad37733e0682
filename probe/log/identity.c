/*
 * identity.c - see identity.h.
 */
#include "probe/log/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define NS_PER_SEC 1000000000

static int64_t nanoseconds(const struct statx_timestamp *time)
{
    return time->tv_sec * NS_PER_SEC + time->tv_nsec;
}

static int facts_of(int fd, const char *path, int flags, struct file_facts *ret_facts)
{
    struct statx found;
    if (statx(fd, path, flags | AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS | STATX_BTIME,
              &found) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return ERR_NOTFOUND;
        return errno == EACCES || errno == EPERM ? ERR_REFUSED : ERR_IO;
    }
    bool birth_is_known = (found.stx_mask & STATX_BTIME) != 0;
    *ret_facts = (struct file_facts){
        .identity = {.device = makedev(found.stx_dev_major, found.stx_dev_minor),
                     .inode = found.stx_ino,
                     .birth_ns = birth_is_known ? nanoseconds(&found.stx_btime) : 0},
        .size = found.stx_size,
        .modified_ns = nanoseconds(&found.stx_mtime),
        .is_regular = S_ISREG(found.stx_mode)};
    return 0;
}

int facts_of_path(const char *path, struct file_facts *ret_facts)
{
    return facts_of(AT_FDCWD, path, 0, ret_facts);
}

int facts_of_descriptor(int fd, struct file_facts *ret_facts)
{
    return facts_of(fd, "", AT_EMPTY_PATH, ret_facts);
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
    return a->device == b->device && a->inode == b->inode &&
           (a->birth_ns == b->birth_ns || a->birth_ns == 0 || b->birth_ns == 0);
}

bool facts_older(const struct file_facts *a, const struct file_facts *b)
{
    if (a->identity.birth_ns != 0 && b->identity.birth_ns != 0)
        return a->identity.birth_ns < b->identity.birth_ns;
    return a->modified_ns < b->modified_ns;
}

/* Reads up to `size` first bytes; how many there were, or -1. */
static ssize_t read_first(int fd, uint8_t *to, size_t size)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = pread(fd, to + have, size - have, (off_t)have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

int fingerprint_take(int fd, size_t most, struct fingerprint *ret_fingerprint)
{
    uint8_t first[FINGERPRINT_BYTES];
    must(most <= sizeof first);
    ssize_t have = read_first(fd, first, most);
    if (have < 0)
        return ERR_IO;
    *ret_fingerprint = (struct fingerprint){(uint32_t)have, XXH3_64bits(first, (size_t)have)};
    return 0;
}

bool fingerprint_holds(int fd, const struct fingerprint *expected)
{
    struct fingerprint found;
    if (expected->size == 0)
        return true;
    return fingerprint_take(fd, expected->size, &found) == 0 && found.size == expected->size &&
           found.hash == expected->hash;
}
