/*
 * full.c - watching the disk fill up.
 */
#include "collector/store/full.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "collector/store/live.h"
#include "collector/store/store.h"
#include "proto/base/must.h"

#define MAP_PARTS     128 /* of it may be written between two looks */
#define LOOK_EVERY_NS ((mono_ns)MS_PER_SEC * NS_PER_MS)

void full_init(struct full *full, const char *directory, uint64_t quota_bytes,
               const struct clock *clock)
{
    *full = (struct full){.directory = directory, .quota_bytes = quota_bytes, .clock = clock};
    must(pthread_mutex_init(&full->lock, NULL) == 0);
}

void full_done(struct full *full)
{
    (void)pthread_mutex_destroy(&full->lock);
}

/* What the files of one folder take on disk; holes take nothing. */
static uint64_t folder_bytes(const char *directory, const char *name)
{
    uint64_t sum = 0;
    int parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = parent < 0 ? -1 : openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0)
        (void)close(parent);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat stat;
        if (fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(stat.st_mode))
            sum += (uint64_t)stat.st_blocks * 512;
    }
    (void)closedir(folder);
    return sum;
}

/* What the disk says. */
struct view {
    uint64_t disk_bytes, percent;
    bool is_full, is_exhausted;
    char reason[160];
};

static void look(const struct full *full, struct view *ret_view)
{
    struct statvfs disk;
    struct view view = {.disk_bytes = folder_bytes(full->directory, "live") +
                                      folder_bytes(full->directory, "history")};
    uint64_t quota_percent =
        full->quota_bytes == 0 ? 0 : view.disk_bytes * 100 / full->quota_bytes;
    uint64_t disk_percent = 0;
    if (statvfs(full->directory, &disk) == 0) { /* else a failing write will say so */
        uint64_t used = (uint64_t)(disk.f_blocks - disk.f_bfree);
        uint64_t usable = used + (uint64_t)disk.f_bavail;
        disk_percent = usable == 0 ? 0 : used * 100 / usable;
    }
    uint64_t percent = quota_percent > disk_percent ? quota_percent : disk_percent;
    uint64_t map_percent = full->live == NULL ? 0 : live_map_percent(full->live);
    uint64_t most = percent > map_percent ? percent : map_percent;
    view.percent = percent;
    view.is_full = most >= STORE_FULL_PERCENT;
    view.is_exhausted = most >= STORE_EXHAUSTED_PERCENT;
    if (map_percent >= STORE_FULL_PERCENT)
        (void)snprintf(view.reason, sizeof view.reason,
                       "the live environment fills %llu %% of what it may grow to (limit %d %%)",
                       (unsigned long long)map_percent, STORE_FULL_PERCENT);
    else if (view.is_full && quota_percent >= STORE_FULL_PERCENT)
        (void)snprintf(view.reason, sizeof view.reason,
                       "the store takes %llu of its quota of %llu bytes (limit %d %%)",
                       (unsigned long long)view.disk_bytes,
                       (unsigned long long)full->quota_bytes, STORE_FULL_PERCENT);
    else if (view.is_full)
        (void)snprintf(view.reason, sizeof view.reason,
                       "the disk under the store is %llu %% full (limit %d %%)",
                       (unsigned long long)disk_percent, STORE_FULL_PERCENT);
    *ret_view = view;
}

/* Under the lock, which is not held while looking: others only want to know the last answer. */
static enum full_level level_now(const struct full *full, mono_ns now)
{
    if (full->is_exhausted || (full->fails && now < full->next_try))
        return FULL_ALL;
    return full->is_full ? FULL_BUT_ESSENTIAL : FULL_NOT;
}

enum full_level full_level(struct full *full, uint64_t coming_bytes)
{
    struct view view;
    mono_ns now = clock_mono(full->clock);
    uint64_t map_bytes = full->live == NULL ? UINT64_MAX : live_map_bytes(full->live);
    must(pthread_mutex_lock(&full->lock) == 0);
    full->unseen_bytes += coming_bytes;
    bool due = now >= full->next_look || full->unseen_bytes > map_bytes / MAP_PARTS;
    if (due) {
        full->next_look = now + LOOK_EVERY_NS;
        full->unseen_bytes = 0;
    }
    enum full_level level = level_now(full, now);
    must(pthread_mutex_unlock(&full->lock) == 0);
    if (!due)
        return level;
    look(full, &view);
    must(pthread_mutex_lock(&full->lock) == 0);
    full->is_full = view.is_full;
    full->is_exhausted = view.is_exhausted;
    full->disk_bytes = view.disk_bytes;
    full->percent = view.percent;
    memcpy(full->reason, view.reason, sizeof full->reason);
    level = level_now(full, now);
    must(pthread_mutex_unlock(&full->lock) == 0);
    return level;
}

void full_note_failure(struct full *full, const char *what)
{
    must(pthread_mutex_lock(&full->lock) == 0);
    full->fails = true;
    (void)snprintf(full->failure, sizeof full->failure, "the last commit failed: %s", what);
    full->next_try = clock_mono(full->clock) + LOOK_EVERY_NS;
    must(pthread_mutex_unlock(&full->lock) == 0);
}

void full_note_success(struct full *full)
{
    must(pthread_mutex_lock(&full->lock) == 0);
    full->fails = false;
    must(pthread_mutex_unlock(&full->lock) == 0);
}

void full_look_soon(struct full *full)
{
    must(pthread_mutex_lock(&full->lock) == 0);
    full->next_look = 0;
    must(pthread_mutex_unlock(&full->lock) == 0);
}

bool full_get(struct full *full, char reason[160], uint64_t *ret_disk_bytes,
              uint64_t *ret_percent)
{
    must(pthread_mutex_lock(&full->lock) == 0);
    bool is_full = full->is_full || full->fails;
    memcpy(reason, full->is_full || !full->fails ? full->reason : full->failure,
           sizeof full->reason);
    *ret_disk_bytes = full->disk_bytes;
    *ret_percent = full->percent;
    must(pthread_mutex_unlock(&full->lock) == 0);
    return is_full;
}
