/*
 * stat_rounds.c - statvfs() that cannot hang its caller (stat_rounds.h).
 *
 * Who owns what: a helper and the rounds share a `struct helper`, freed by whoever drops it
 * last.  The helper works on its own copy of the path and its own result; the caller copies the
 * result out while holding the helper's lock.  So a helper given up touches nothing but its own
 * block.
 */
#include "probe/source/stat_rounds.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

/* statvfs() needs little; the default of 8 MiB would be untouched, but counted by some. */
#define HELPER_STACK_BYTES ((size_t)128 << 10)

enum phase { PHASE_IDLE, PHASE_ASKED, PHASE_ANSWERED, PHASE_QUIT };

struct helper {
    /* fixed */
    int (*call)(const char *path, struct statvfs *result);
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum phase phase;
    bool is_given_up; /* the helper frees this block when it returns */
    char *path;       /* written by the caller while the helper is idle */
    size_t path_room;
    int status;
    struct statvfs result;
};

struct stat_rounds {
    int (*call)(const char *path, struct statvfs *result);
    struct helper *current;                   /* idle between rounds, or NULL */
    struct helper *hanging[STAT_HELPERS_MAX]; /* waiting in the kernel */
    size_t hanging_count;
};

static void helper_free(struct helper *helper)
{
    pthread_cond_destroy(&helper->changed);
    pthread_mutex_destroy(&helper->lock);
    free(helper->path);
    free(helper);
}

static void *helper_main(void *argument)
{
    struct helper *helper = argument;
    pthread_mutex_lock(&helper->lock);
    for (;;) {
        while (helper->phase != PHASE_ASKED && helper->phase != PHASE_QUIT)
            pthread_cond_wait(&helper->changed, &helper->lock);
        if (helper->phase == PHASE_QUIT)
            break;
        struct statvfs result;
        pthread_mutex_unlock(&helper->lock);
        int status;
        do
            status = helper->call(helper->path, &result);
        while (status != 0 && errno == EINTR);
        pthread_mutex_lock(&helper->lock);
        if (status == 0)
            helper->result = result;
        helper->status = status;
        if (helper->is_given_up)
            break;
        helper->phase = PHASE_ANSWERED;
        pthread_cond_broadcast(&helper->changed);
    }
    pthread_mutex_unlock(&helper->lock);
    helper_free(helper);
    return NULL;
}

static int helper_start(struct stat_rounds *rounds)
{
    pthread_attr_t attributes;
    pthread_condattr_t monotonic;
    pthread_t thread;
    struct helper *helper = calloc(1, sizeof(*helper));
    if (helper == NULL)
        return ERR_NOMEM;
    helper->call = rounds->call;
    pthread_mutex_init(&helper->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&helper->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, HELPER_STACK_BYTES);
    int failed = pthread_create(&thread, &attributes, helper_main, helper);
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        helper_free(helper);
        return ERR_IO;
    }
    rounds->current = helper;
    return 0;
}

/* Tells an idle or answered helper to end; one that hangs ends by itself some day. */
static void helper_drop(struct helper *helper)
{
    pthread_mutex_lock(&helper->lock);
    helper->is_given_up = true;
    if (helper->phase != PHASE_ASKED) {
        helper->phase = PHASE_QUIT;
        pthread_cond_broadcast(&helper->changed);
    }
    pthread_mutex_unlock(&helper->lock);
}

int stat_rounds_new(int (*call)(const char *path, struct statvfs *result),
                    struct stat_rounds **ret_rounds)
{
    struct stat_rounds *rounds = calloc(1, sizeof(*rounds));
    if (rounds == NULL)
        return ERR_NOMEM;
    rounds->call = call;
    *ret_rounds = rounds;
    return 0;
}

/* Forgets the helpers that have come back since, so that their mounts are asked again. */
static void reap(struct stat_rounds *rounds)
{
    size_t kept = 0;
    for (size_t i = 0; i < rounds->hanging_count; i++) {
        struct helper *helper = rounds->hanging[i];
        pthread_mutex_lock(&helper->lock);
        bool is_back = helper->phase == PHASE_ANSWERED;
        pthread_mutex_unlock(&helper->lock);
        if (is_back)
            helper_drop(helper);
        else
            rounds->hanging[kept++] = helper;
    }
    rounds->hanging_count = kept;
}

static bool is_hanging(const struct stat_rounds *rounds, const char *path)
{
    for (size_t i = 0; i < rounds->hanging_count; i++)
        if (strcmp(rounds->hanging[i]->path, path) == 0)
            return true;
    return false;
}

static void deadline_after(int timeout_ms, struct timespec *ret_deadline)
{
    clock_gettime(CLOCK_MONOTONIC, ret_deadline);
    ret_deadline->tv_sec += timeout_ms / MS_PER_SEC;
    ret_deadline->tv_nsec += (long)(timeout_ms % MS_PER_SEC) * NS_PER_MS;
    if (ret_deadline->tv_nsec >= 1000000000) {
        ret_deadline->tv_nsec -= 1000000000;
        ret_deadline->tv_sec++;
    }
}

static int set_path(struct helper *helper, const char *path)
{
    size_t size = strlen(path) + 1;
    if (helper->path_room < size) {
        char *grown = realloc(helper->path, size);
        if (grown == NULL)
            return ERR_NOMEM;
        helper->path = grown;
        helper->path_room = size;
    }
    memcpy(helper->path, path, size);
    return 0;
}

static int ask(struct stat_rounds *rounds, struct stat_request *request, int timeout_ms)
{
    int error = rounds->current == NULL ? helper_start(rounds) : 0;
    if (error == 0)
        error = set_path(rounds->current, request->path);
    if (error != 0)
        return error;
    struct helper *helper = rounds->current;
    struct timespec deadline;
    deadline_after(timeout_ms, &deadline);
    int waited = 0;
    pthread_mutex_lock(&helper->lock);
    must(helper->phase == PHASE_IDLE);
    helper->phase = PHASE_ASKED;
    pthread_cond_broadcast(&helper->changed);
    while (helper->phase == PHASE_ASKED && waited == 0)
        waited = pthread_cond_timedwait(&helper->changed, &helper->lock, &deadline);
    if (helper->phase == PHASE_ANSWERED) {
        request->outcome = helper->status == 0 ? STAT_DONE : STAT_FAILED;
        request->result = helper->result;
        helper->phase = PHASE_IDLE;
        pthread_mutex_unlock(&helper->lock);
        return 0;
    }
    pthread_mutex_unlock(&helper->lock);
    request->outcome = STAT_HANGING;
    rounds->hanging[rounds->hanging_count++] = helper;
    rounds->current = NULL;
    return 0;
}

int stat_rounds_run(struct stat_rounds *rounds, struct stat_request *requests, size_t count,
                    int timeout_ms)
{
    int error = 0;
    reap(rounds);
    for (size_t i = 0; i < count; i++) {
        requests[i].outcome = STAT_FAILED;
        if (error != 0)
            continue;
        if (is_hanging(rounds, requests[i].path) || rounds->hanging_count == STAT_HELPERS_MAX)
            requests[i].outcome = STAT_HANGING;
        else
            error = ask(rounds, &requests[i], timeout_ms);
    }
    return error;
}

void stat_rounds_free(struct stat_rounds *rounds)
{
    if (rounds == NULL)
        return;
    for (size_t i = 0; i < rounds->hanging_count; i++)
        helper_drop(rounds->hanging[i]);
    if (rounds->current != NULL)
        helper_drop(rounds->current);
    free(rounds);
}
