/* crew.c - see crew.h. */
#include "collector/series/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define LOOKOUT_NS 200000 /* about what a question takes until there is something to share */

/* A loop being shared; on the stack of whoever shares it. */
struct share {
    void (*work)(void *context, unsigned place);
    void *context;
    unsigned places;  /* given out, the caller's included */
    unsigned working; /* helpers at it */
    struct share *next;
};

struct crew {
    /* fixed after crew_open() */
    char name[16];
    pthread_t threads[CREW_HELPERS_MAX];
    unsigned thread_count;
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t offered, left;
    struct share *shares; /* that may be joined */
    unsigned rouses;      /* how often helpers were roused */
    bool closing;
    /* any thread */
    _Atomic unsigned offers; /* how often something was offered */
    _Atomic unsigned alert;  /* helpers that look out */
};

/* A core that shares its units with the caller's leaves them to it. */
static void rest_a_moment(void)
{
#if defined(__x86_64__) || defined(__i386__)
    for (int i = 0; i < 16; i++)
        __builtin_ia32_pause();
#endif
}

/* Waits a little for an offer, without the lock.  Roused helpers have nothing else to do. */
static void look_out(struct crew *crew, unsigned offers)
{
    const mono_ns until = clock_mono(&clock_system) + LOOKOUT_NS;
    must(pthread_mutex_unlock(&crew->lock) == 0);
    atomic_fetch_add_explicit(&crew->alert, 1, memory_order_relaxed);
    while (atomic_load_explicit(&crew->offers, memory_order_relaxed) == offers &&
           clock_mono(&clock_system) < until)
        rest_a_moment();
    atomic_fetch_sub_explicit(&crew->alert, 1, memory_order_relaxed);
    must(pthread_mutex_lock(&crew->lock) == 0);
}

static void *helper_thread(void *argument)
{
    struct crew *crew = argument;
    unsigned rouses = 0;
    pthread_setname_np(pthread_self(), crew->name);
    must(pthread_mutex_lock(&crew->lock) == 0);
    while (!crew->closing) {
        struct share *share = crew->shares;
        while (share != NULL && share->places > crew->thread_count)
            share = share->next; /* every helper has been there */
        if (share == NULL && rouses != crew->rouses) {
            rouses = crew->rouses;
            look_out(crew, atomic_load_explicit(&crew->offers, memory_order_relaxed));
            continue;
        }
        if (share == NULL) {
            must(pthread_cond_wait(&crew->offered, &crew->lock) == 0);
            continue;
        }
        unsigned place = share->places++;
        share->working++;
        must(pthread_mutex_unlock(&crew->lock) == 0);
        share->work(share->context, place);
        must(pthread_mutex_lock(&crew->lock) == 0);
        if (--share->working == 0)
            must(pthread_cond_broadcast(&crew->left) == 0);
    }
    must(pthread_mutex_unlock(&crew->lock) == 0);
    return NULL;
}

/* Signals are the main thread's. */
static int start_threads(struct crew *crew, unsigned helpers)
{
    sigset_t all;
    sigset_t before;
    int error = 0;
    sigfillset(&all);
    must(pthread_sigmask(SIG_BLOCK, &all, &before) == 0);
    /* Helpers read the count: it stands before the first of them looks. */
    must(pthread_mutex_lock(&crew->lock) == 0);
    while (error == 0 && crew->thread_count < helpers) {
        pthread_t *thread = &crew->threads[crew->thread_count];
        if (pthread_create(thread, NULL, helper_thread, crew) != 0)
            error = ERR_IO;
        else
            crew->thread_count++;
    }
    must(pthread_mutex_unlock(&crew->lock) == 0);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return error;
}

int crew_open(const char *name, unsigned helpers, struct crew **ret_crew)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL)
        return ERR_NOMEM;
    snprintf(crew->name, sizeof crew->name, "%s", name);
    must(pthread_mutex_init(&crew->lock, NULL) == 0);
    must(pthread_cond_init(&crew->offered, NULL) == 0);
    must(pthread_cond_init(&crew->left, NULL) == 0);
    int error = start_threads(crew, helpers < CREW_HELPERS_MAX ? helpers : CREW_HELPERS_MAX);
    if (error != 0) {
        crew_close(crew);
        return error;
    }
    *ret_crew = crew;
    return 0;
}

void crew_close(struct crew *crew)
{
    if (crew == NULL)
        return;
    must(pthread_mutex_lock(&crew->lock) == 0);
    must(crew->shares == NULL);
    crew->closing = true;
    must(pthread_cond_broadcast(&crew->offered) == 0);
    must(pthread_mutex_unlock(&crew->lock) == 0);
    for (unsigned i = 0; i < crew->thread_count; i++)
        must(pthread_join(crew->threads[i], NULL) == 0);
    pthread_cond_destroy(&crew->offered);
    pthread_cond_destroy(&crew->left);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

unsigned crew_spare_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 2 ? 0 : (unsigned)cores - 1;
}

unsigned crew_helpers(const struct crew *crew)
{
    return crew == NULL ? 0 : crew->thread_count;
}

size_t crew_piece(const struct crew *crew, size_t count, size_t most)
{
    size_t piece = count / (4 * (1 + (size_t)crew_helpers(crew)));
    return piece == 0 ? 1 : piece < most ? piece : most;
}

void crew_rouse(struct crew *crew)
{
    if (crew_helpers(crew) == 0)
        return;
    must(pthread_mutex_lock(&crew->lock) == 0);
    crew->rouses++;
    must(pthread_cond_broadcast(&crew->offered) == 0);
    must(pthread_mutex_unlock(&crew->lock) == 0);
}

bool crew_is_alert(const struct crew *crew)
{
    return crew != NULL && atomic_load_explicit(&crew->alert, memory_order_relaxed) > 0;
}

void crew_share(struct crew *crew, void (*work)(void *context, unsigned place), void *context)
{
    struct share share = {.work = work, .context = context, .places = 1};
    if (crew_helpers(crew) == 0) {
        work(context, 0);
        return;
    }
    must(pthread_mutex_lock(&crew->lock) == 0);
    share.next = crew->shares;
    crew->shares = &share;
    atomic_fetch_add_explicit(&crew->offers, 1, memory_order_relaxed);
    must(pthread_cond_broadcast(&crew->offered) == 0);
    must(pthread_mutex_unlock(&crew->lock) == 0);
    work(context, 0);
    must(pthread_mutex_lock(&crew->lock) == 0);
    struct share **at = &crew->shares;
    while (*at != &share)
        at = &(*at)->next;
    *at = share.next; /* nobody joins any more */
    while (share.working > 0)
        must(pthread_cond_wait(&crew->left, &crew->lock) == 0);
    must(pthread_mutex_unlock(&crew->lock) == 0);
}

void crew_arenas_init(struct crew_arenas *arenas, const struct arena *of)
{
    size_t left_bytes = of->limit_bytes - of->held_bytes;
    arenas->total = (struct arena_total){.limit_bytes = left_bytes, .parent = of->total};
    for (size_t i = 0; i < 1 + CREW_HELPERS_MAX; i++) {
        arena_init(&arenas->items[i], left_bytes);
        arenas->items[i].total = &arenas->total;
    }
}

void crew_arenas_join(struct crew_arenas *arenas, struct arena *to)
{
    for (size_t i = 0; i < 1 + CREW_HELPERS_MAX; i++)
        arena_join(to, &arenas->items[i]);
}
