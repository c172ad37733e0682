/* signal_storm.c - see signal_storm.h. */
#include "tests/unit/signal_storm.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/must.h"

static struct {
    pthread_t struck, sender;
    struct sigaction before;
    atomic_bool is_on;
    atomic_int heard;
} storm;

static void hear_signal(int number)
{
    (void)number;
    atomic_fetch_add(&storm.heard, 1);
}

static void *strike(void *unused)
{
    (void)unused;
    while (atomic_load(&storm.is_on))
        (void)pthread_kill(storm.struck, SIGUSR1);
    return NULL;
}

void signal_storm_begin(void)
{
    const struct sigaction hear = {.sa_handler = hear_signal};
    must(sigaction(SIGUSR1, &hear, &storm.before) == 0);
    storm.struck = pthread_self();
    atomic_store(&storm.heard, 0);
    atomic_store(&storm.is_on, true);
    must(pthread_create(&storm.sender, NULL, strike, NULL) == 0);
}

int signal_storm_heard(void)
{
    return atomic_load(&storm.heard);
}

void signal_storm_end(void)
{
    atomic_store(&storm.is_on, false);
    must(pthread_join(storm.sender, NULL) == 0);
    must(sigaction(SIGUSR1, &storm.before, NULL) == 0);
}
