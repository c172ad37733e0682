/*
 * data_lock.c - see data_lock.h.
 */
#include "collector/data_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/log.h"

#define PATH_BYTES 4096

static int held_by_another(int fd, const char *path, struct diagnosis *why)
{
    char who[32] = "";
    const ssize_t size = pread(fd, who, sizeof who - 1, 0);
    if (size > 0)
        who[strcspn(who, "\n")] = '\0';
    (void)close(fd);
    return diagnose(why, ERR_EXISTS,
                    "%s: another collector (process %s) works in this folder; stop it, or give this "
                    "one a folder of its own with --data",
                    path, who[0] != '\0' ? who : "unknown");
}

int data_lock_take(const char *data, struct diagnosis *why)
{
    char path[PATH_BYTES];
    char who[32];
    int error = file_make_directories(data, why);
    if (error != 0)
        return error;
    if (snprintf(path, sizeof path, "%s/collector.lock", data) >= (int)sizeof path)
        return diagnose(why, ERR_LIMIT, "%s: this path is too long", data);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return diagnose(why, ERR_IO, "%s: %s", path, strerror(errno));
    int locked;
    do
        locked = flock(fd, LOCK_EX | LOCK_NB);
    while (locked != 0 && errno == EINTR);
    if (locked != 0 && errno == EWOULDBLOCK)
        return held_by_another(fd, path, why);
    if (locked != 0) {
        error = diagnose(why, ERR_IO, "%s: it cannot be locked: %s", path, strerror(errno));
        (void)close(fd);
        return error;
    }
    /* For who finds it locked, no more: a full disk takes nothing from the lock. */
    const int size = snprintf(who, sizeof who, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, who, (size_t)size, 0) != size)
        log_warn("main", "%s: %s; who works here cannot be told", path, strerror(errno));
    return 0; /* the descriptor stays open: it is the lock */
}
