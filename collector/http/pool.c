/* pool.c - see pool.h. */
#include "collector/http/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define POOL_THREADS_MAX 64

struct pool {
    /* fixed after pool_open() */
    char name[16];
    size_t queue_limit;
    pthread_t threads[POOL_THREADS_MAX];
    unsigned thread_count;
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct pool_job *first, *last;
    size_t queued;
    bool closing;
};

static struct pool_job *take_job(struct pool *pool)
{
    must(pthread_mutex_lock(&pool->lock) == 0);
    while (pool->first == NULL && !pool->closing)
        must(pthread_cond_wait(&pool->filled, &pool->lock) == 0);
    struct pool_job *job = pool->first;
    if (job != NULL) {
        pool->first = job->next;
        if (pool->first == NULL)
            pool->last = NULL;
        pool->queued--;
    }
    must(pthread_mutex_unlock(&pool->lock) == 0);
    return job;
}

static void *pool_thread(void *argument)
{
    struct pool *pool = argument;
    pthread_setname_np(pthread_self(), pool->name);
    struct pool_job *job = NULL;
    while ((job = take_job(pool)) != NULL)
        job->run(job);
    return NULL;
}

/* Signals are the main thread's. */
static int start_threads(struct pool *pool, unsigned threads)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_BLOCK, &all, &before) == 0);
    int error = 0;
    while (error == 0 && pool->thread_count < threads) {
        pthread_t *thread = &pool->threads[pool->thread_count];
        if (pthread_create(thread, NULL, pool_thread, pool) != 0)
            error = ERR_IO;
        else
            pool->thread_count++;
    }
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return error;
}

int pool_open(const char *name, unsigned threads, size_t queue_limit, struct pool **ret_pool)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return ERR_NOMEM;
    snprintf(pool->name, sizeof pool->name, "%s", name);
    pool->queue_limit = queue_limit;
    must(pthread_mutex_init(&pool->lock, NULL) == 0);
    must(pthread_cond_init(&pool->filled, NULL) == 0);
    int error = start_threads(pool, threads < POOL_THREADS_MAX ? threads : POOL_THREADS_MAX);
    if (error != 0) {
        pool_close(pool);
        return error;
    }
    *ret_pool = pool;
    return 0;
}

int pool_submit(struct pool *pool, struct pool_job *job)
{
    int error = 0;
    must(pthread_mutex_lock(&pool->lock) == 0);
    if (pool->queued == pool->queue_limit) {
        error = ERR_LIMIT;
    } else {
        job->next = NULL;
        if (pool->last != NULL)
            pool->last->next = job;
        else
            pool->first = job;
        pool->last = job;
        pool->queued++;
    }
    must(pthread_mutex_unlock(&pool->lock) == 0);
    /* Behind the lock: whoever awakes takes it first. */
    if (error == 0)
        must(pthread_cond_signal(&pool->filled) == 0);
    return error;
}

void pool_close(struct pool *pool)
{
    if (pool == NULL)
        return;
    must(pthread_mutex_lock(&pool->lock) == 0);
    pool->closing = true;
    must(pthread_cond_broadcast(&pool->filled) == 0);
    must(pthread_mutex_unlock(&pool->lock) == 0);
    for (unsigned i = 0; i < pool->thread_count; i++)
        must(pthread_join(pool->threads[i], NULL) == 0);
    pthread_cond_destroy(&pool->filled);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
