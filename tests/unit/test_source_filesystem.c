/*
 * test_source_filesystem.c - a mount that hangs never hangs the probe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "probe/source/stat_rounds.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "tests/unit/recording_emitter.h"

#define TIMEOUT_MS 50
#define WAIT_NS    ((mono_ns)20 * 1000 * NS_PER_MS)

/* A server that can be stopped: calls for "/dead..." wait until it is let go. */
struct server {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_dead;
    int waiting, calls;
};

static struct server server = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0,
                               0};

static int fake_statvfs(const char *path, struct statvfs *result)
{
    int status = 0;
    pthread_mutex_lock(&server.lock);
    server.calls++;
    server.waiting++;
    while (server.is_dead && strncmp(path, "/dead", 5) == 0)
        pthread_cond_wait(&server.changed, &server.lock);
    server.waiting--;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
    memset(result, 0, sizeof *result);
    result->f_blocks = 42;
    if (strcmp(path, "/gone") == 0) {
        errno = EIO;
        status = -1;
    }
    return status;
}

static void server_set(bool is_dead)
{
    pthread_mutex_lock(&server.lock);
    server.is_dead = is_dead;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
}

static void a_healthy_round_is_answered_in_order(void **unused)
{
    (void)unused;
    struct stat_rounds *rounds;
    struct stat_request requests[] = {{.path = "/a"}, {.path = "/gone"}, {.path = "/dead"}};
    assert_int_equal(stat_rounds_new(fake_statvfs, &rounds), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(stat_rounds_run(rounds, requests, 3, 10000), 0);
        assert_int_equal(requests[0].outcome, STAT_DONE);
        assert_int_equal(requests[0].result.f_blocks, 42);
        assert_int_equal(requests[1].outcome, STAT_FAILED);
        assert_int_equal(requests[2].outcome, STAT_DONE);
    }
    stat_rounds_free(rounds);
    stat_rounds_free(NULL);
}

static void a_dead_mount_is_waited_for_once_and_asked_again_when_it_returns(void **unused)
{
    (void)unused;
    struct stat_rounds *rounds;
    struct stat_request requests[] = {{.path = "/dead"}, {.path = "/b"}};
    server_set(true);
    assert_int_equal(stat_rounds_new(fake_statvfs, &rounds), 0);
    assert_int_equal(stat_rounds_run(rounds, requests, 2, TIMEOUT_MS), 0);
    assert_int_equal(requests[0].outcome, STAT_HANGING);
    assert_int_equal(requests[1].outcome, STAT_DONE);

    pthread_mutex_lock(&server.lock);
    int calls = server.calls;
    pthread_mutex_unlock(&server.lock);
    for (int i = 0; i < 50; i++)
        assert_int_equal(stat_rounds_run(rounds, requests, 2, 10000), 0);
    assert_int_equal(requests[0].outcome, STAT_HANGING);
    assert_int_equal(requests[1].outcome, STAT_DONE);
    pthread_mutex_lock(&server.lock);
    assert_int_equal(server.calls, calls + 50);
    pthread_mutex_unlock(&server.lock);

    server_set(false);
    mono_ns end = clock_mono(&clock_system) + WAIT_NS;
    do
        assert_int_equal(stat_rounds_run(rounds, requests, 2, 10000), 0);
    while (requests[0].outcome != STAT_DONE && clock_mono(&clock_system) < end);
    assert_int_equal(requests[0].outcome, STAT_DONE);
    stat_rounds_free(rounds);
}

static void many_dead_mounts_cost_a_bounded_number_of_threads(void **unused)
{
    (void)unused;
    struct stat_rounds *rounds;
    struct stat_request requests[20];
    char paths[20][24];
    server_set(true);
    for (int i = 0; i < 20; i++) {
        snprintf(paths[i], sizeof paths[i], "/dead%d", i);
        requests[i].path = paths[i];
    }
    assert_int_equal(stat_rounds_new(fake_statvfs, &rounds), 0);
    assert_int_equal(stat_rounds_run(rounds, requests, 20, 5), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(requests[i].outcome, STAT_HANGING);
    pthread_mutex_lock(&server.lock);
    assert_true(server.waiting <= STAT_HELPERS_MAX);
    pthread_mutex_unlock(&server.lock);
    /* Freed while they hang: they must end by themselves afterwards. */
    stat_rounds_free(rounds);
    server_set(false);
    pthread_mutex_lock(&server.lock);
    while (server.waiting > 0)
        pthread_cond_wait(&server.changed, &server.lock);
    pthread_mutex_unlock(&server.lock);
}

static void the_root_file_system_has_a_size(void **unused)
{
    (void)unused;
    struct emitter *out = recorder_new();
    struct running_source running;
    assert_int_equal(running_source_start(&running, source_find("filesystem"), NULL,
                                          "exclude_types: ''\nexclude_mount_points: '^/.'\n",
                                          out, NULL),
                     0);
    assert_int_equal(running_source_tick(&running, 1, out), 0);
    size_t count = recorder_count(out);
    assert_true(count >= 7 && count % 7 == 0);
    assert_int_equal(running_source_tick(&running, 2, out), 0);
    assert_int_equal(recorder_count(out), count);
    running_source_stop(&running);
    recorder_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_round_is_answered_in_order),
        cmocka_unit_test(a_dead_mount_is_waited_for_once_and_asked_again_when_it_returns),
        cmocka_unit_test(many_dead_mounts_cost_a_bounded_number_of_threads),
        cmocka_unit_test(the_root_file_system_has_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
