/*
 * guard.c - see guard.h.
 *
 *     idle ─ asked (the loop) ─► asked ─ answered (the mount's thread) ─► idle
 *              └ waits GUARD_PATIENCE_MS at most; if in vain the mount hangs until `idle`
 */
#include "probe/log/guard.h"

#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "probe/source/mounts.h"
#include "probe/source/procfile.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define STACK_BYTES ((size_t)128 * 1024)
#define LINKS_MAX   40 /* as the kernel has it */

struct guard_mount {
    /* fixed */
    char *point;
    size_t point_size;
    guard_ask *ask;
    /* the loop's */
    bool is_there; /* in the table when last looked */
    bool has_thread;
    bool is_hanging;
    bool was_asked; /* in this tick */
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_asked;
    bool is_closing;
};

struct guard {
    char *procfs;
    guard_ask *ask;
    struct readbuf text;
    struct guard_mount *mounts[GUARD_MOUNTS_MAX];
    size_t count;
};

static void ask_kernel(const char *point)
{
    struct statfs found;
    (void)statfs(point, &found); /* an error is an answer, too */
}

static void mount_free(struct guard_mount *mount)
{
    (void)pthread_cond_destroy(&mount->changed);
    (void)pthread_mutex_destroy(&mount->lock);
    free(mount->point);
    free(mount);
}

static void *serve(void *context)
{
    struct guard_mount *mount = context;
    must(pthread_mutex_lock(&mount->lock) == 0);
    while (!mount->is_closing) {
        if (!mount->is_asked) {
            (void)pthread_cond_wait(&mount->changed, &mount->lock);
            continue;
        }
        must(pthread_mutex_unlock(&mount->lock) == 0);
        mount->ask(mount->point);
        must(pthread_mutex_lock(&mount->lock) == 0);
        mount->is_asked = false;
        (void)pthread_cond_broadcast(&mount->changed);
    }
    must(pthread_mutex_unlock(&mount->lock) == 0);
    mount_free(mount);
    return NULL;
}

static bool start_thread(struct guard_mount *mount)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (mount->has_thread)
        return true;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    mount->has_thread = pthread_create(&thread, &attributes, serve, mount) == 0;
    (void)pthread_attr_destroy(&attributes);
    return mount->has_thread;
}

/* ---- the table -------------------------------------------------------------------------- */

static bool depends_on_others(const char *type)
{
    static const char *const types[] = {"nfs", "nfs4",   "cifs", "smb3",      "smbfs",   "ceph",
                                        "9p",  "lustre", "gpfs", "glusterfs", "ocfs2",   "gfs2",
                                        "afs", "ncpfs",  "coda", "beegfs",    "orangefs"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return strcmp(type, "fuse") == 0 || strncmp(type, "fuse.", 5) == 0;
}

static struct guard_mount *add_mount(struct guard *guard, const char *point, size_t size)
{
    if (guard->count == GUARD_MOUNTS_MAX)
        return NULL;
    struct guard_mount *mount = calloc(1, sizeof *mount);
    if (mount == NULL || (mount->point = strdup(point)) == NULL) {
        free(mount);
        return NULL;
    }
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&mount->changed, &attributes) == 0);
    must(pthread_condattr_destroy(&attributes) == 0);
    must(pthread_mutex_init(&mount->lock, NULL) == 0);
    mount->point_size = size;
    mount->ask = guard->ask;
    guard->mounts[guard->count++] = mount;
    return mount;
}

void guard_look(struct guard *guard)
{
    struct span text, line;
    struct mount_line found;
    if (procfile_read_path(guard->procfs, "mounts", &guard->text, &text) != 0)
        return; /* what was known goes on being watched */
    for (size_t i = 0; i < guard->count; i++)
        guard->mounts[i]->is_there = false;
    while (scan_line(&text, &line)) {
        struct guard_mount *mount = NULL;
        if (!mount_parse(line, &found) || !depends_on_others(found.type))
            continue;
        for (size_t i = 0; i < guard->count && mount == NULL; i++)
            if (strcmp(guard->mounts[i]->point, found.point) == 0)
                mount = guard->mounts[i];
        if (mount == NULL)
            mount = add_mount(guard, found.point, found.point_size);
        if (mount != NULL)
            mount->is_there = true;
    }
}

int guard_new(const char *procfs, guard_ask *ask, struct guard **ret_guard)
{
    struct guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL || (guard->procfs = strdup(procfs)) == NULL) {
        free(guard);
        return ERR_NOMEM;
    }
    guard->ask = ask == NULL ? ask_kernel : ask;
    guard_look(guard);
    *ret_guard = guard;
    return 0;
}

void guard_free(struct guard *guard)
{
    if (guard == NULL)
        return;
    for (size_t i = 0; i < guard->count; i++) {
        struct guard_mount *mount = guard->mounts[i];
        if (!mount->has_thread) {
            mount_free(mount);
            continue;
        }
        must(pthread_mutex_lock(&mount->lock) == 0);
        mount->is_closing = true;
        (void)pthread_cond_broadcast(&mount->changed);
        must(pthread_mutex_unlock(&mount->lock) == 0);
    }
    readbuf_done(&guard->text);
    free(guard->procfs);
    free(guard);
}

/* ---- whose is a path -------------------------------------------------------------------- */

/* The deepest mount that `path`, as text, lies on. */
static struct guard_mount *mount_of(const struct guard *guard, const char *path)
{
    struct guard_mount *deepest = NULL;
    for (size_t i = 0; i < guard->count; i++) {
        struct guard_mount *mount = guard->mounts[i];
        if (mount->is_there && strncmp(path, mount->point, mount->point_size) == 0 &&
            (path[mount->point_size] == '/' || path[mount->point_size] == '\0') &&
            (deepest == NULL || mount->point_size > deepest->point_size))
            deepest = mount;
    }
    return deepest;
}

/* Puts `target` in place of the link that path[0..end) names; what follows stays.  False: it
 * does not fit. */
static bool follow(char path[PATH_MAX], size_t end, const char *target)
{
    char rest[PATH_MAX];
    size_t parent = end;
    while (parent > 0 && path[parent - 1] != '/')
        parent--;
    (void)strcpy(rest, path + end);
    if (target[0] == '/')
        parent = 0;
    int size = snprintf(path + parent, PATH_MAX - parent, "%s%s", target, rest);
    return size >= 0 && (size_t)size < PATH_MAX - parent;
}

/* Takes the part path[first..end) out if it is empty or a dot, and two dots with the part
 * before them, which is no link any more: true, and *end is where the next part begins. */
static bool straighten(char path[PATH_MAX], size_t first, size_t *end)
{
    size_t size = *end - first, to = first;
    if (size > 2 || strncmp(path + first, "..", size) != 0)
        return false;
    if (size == 2 && to > 1)
        for (to--; to > 1 && path[to - 1] != '/';)
            to--;
    const char *rest = path + *end + (path[*end] == '/');
    memmove(path + to, rest, strlen(rest) + 1);
    *end = to;
    return true;
}

struct guard_mount *guard_find(struct guard *guard, const char *path)
{
    char at[PATH_MAX], target[PATH_MAX];
    int links = 0;
    if (guard->count == 0 || strlen(path) >= sizeof at)
        return NULL;
    (void)strcpy(at, path);
    for (size_t end = 1; at[end - 1] != '\0' && links < LINKS_MAX;) {
        size_t first = end;
        end += strcspn(at + end, "/");
        if (first == end && at[end] == '\0')
            break;
        if (straighten(at, first, &end))
            continue;
        char next = at[end];
        at[end] = '\0';
        /* Before it is touched. */
        struct guard_mount *mount = mount_of(guard, at);
        ssize_t size = mount != NULL ? -1 : readlink(at, target, sizeof target - 1);
        at[end] = next;
        /* One further down is reached through this one: asking it asks both. */
        if (mount != NULL)
            return mount_of(guard, at);
        if (size > 0) {
            target[size] = '\0';
            links++;
            if (!follow(at, end, target))
                return NULL;
            end = 1;
            continue;
        }
        if (next == '\0')
            break;
        end++;
    }
    return NULL;
}

/* ---- asking ----------------------------------------------------------------------------- */

void guard_begin(struct guard *guard)
{
    for (size_t i = 0; i < guard->count; i++)
        guard->mounts[i]->was_asked = false;
}

bool guard_answers(struct guard_mount *mount)
{
    struct timespec until;
    if (mount == NULL || !start_thread(mount))
        return true;
    if (mount->was_asked)
        return !mount->is_hanging;
    mount->was_asked = true;
    must(pthread_mutex_lock(&mount->lock) == 0);
    /* One that hung is waited for no more: has it come back since? */
    bool has_waited = mount->is_hanging && mount->is_asked;
    if (!has_waited) {
        mount->is_asked = true;
        (void)pthread_cond_broadcast(&mount->changed);
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += GUARD_PATIENCE_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        int error = 0;
        while (mount->is_asked && error == 0)
            error = pthread_cond_timedwait(&mount->changed, &mount->lock, &until);
    }
    mount->is_hanging = mount->is_asked;
    must(pthread_mutex_unlock(&mount->lock) == 0);
    return !mount->is_hanging;
}

size_t guard_hanging(const struct guard *guard, const char **ret_point)
{
    size_t count = 0;
    *ret_point = NULL;
    for (size_t i = 0; i < guard->count; i++) {
        if (!guard->mounts[i]->is_hanging)
            continue;
        *ret_point = guard->mounts[i]->point;
        count++;
    }
    return count;
}
