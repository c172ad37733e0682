/*
 * test_store.c - a store that dies at every step of its work, and at random, is opened again
 * and compared with what it had acknowledged.
 *
 * A child writes and settles; the parent learns through a pipe what was acknowledged.  After
 * the child's death the parent opens the folder: everything acknowledged must be there, and
 * nothing that was never sent.  What was sent but not acknowledged may be there or not, as a
 * whole.  It deletes, too: what an acknowledged delete covers must not come back, whatever the
 * child was at when it died; and a verification finds the folder whole.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/must.h"
#include "tests/fault/store_world.h"

/* What the child tells: before an operation ('s') and after its acknowledgement ('a'). */
struct note {
    char what;
    unsigned seed;
};

/* -- the child --------------------------------------------------------------------------- */

struct bomb {
    const char *point; /* NULL: any */
    _Atomic int left;  /* goes off when it has been passed so often, by whichever thread */
};

static void tick(void *context, const char *point)
{
    struct bomb *bomb = context;
    if (bomb->point != NULL && strcmp(bomb->point, point) != 0)
        return;
    if (--bomb->left == 0)
        _exit(99);
}

static void send_note(int fd, char what, unsigned seed)
{
    struct note note = {.what = what, .seed = seed};
    must(write(fd, &note, sizeof note) == (ssize_t)sizeof note);
}

static void child_deletes(struct kit *kit, int fd, unsigned seed)
{
    send_note(fd, 's', seed | DELETE);
    must(world_delete(kit, seed) == 0);
    send_note(fd, 'a', seed | DELETE);
}

static void child_writes(struct kit *kit, int fd, unsigned first_seed, int count,
                         int settle_every)
{
    for (int w = 0; w < count; w++) {
        unsigned seed = first_seed + (unsigned)w;
        send_note(fd, 's', seed);
        must(world_write(kit, seed) == 0);
        send_note(fd, 'a', seed);
        if (w % 4 == 0)
            child_deletes(kit, fd, seed);
        if (settle_every > 0 && w % settle_every == settle_every / 2)
            must(store_clean_deletes(kit->store) == 0);
        if (settle_every > 0 && w % settle_every == settle_every - 1)
            must(store_settle(kit->store) == 0);
    }
}

/* -- the parent -------------------------------------------------------------------------- */

static void read_notes(int fd, struct history *history)
{
    struct note note;
    for (;;) {
        ssize_t got = read(fd, &note, sizeof note);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof note)
            return;
        if (note.what == 's')
            history->pending = note.seed;
        if (note.what == 'a') {
            history_add(history, note.seed);
            history->pending = 0;
        }
    }
}

/* Runs a child with a bomb on the kit's folder.  Whether it went off. */
static bool run_child(struct kit *kit, struct bomb bomb, struct history *history,
                      unsigned first_seed)
{
    int fds[2];
    must(pipe(fds) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        kit->options.step = tick;
        kit->options.step_context = &bomb;
        kit_open(kit);
        child_writes(kit, fds[1], first_seed, 24, 8);
        kit_close(kit);
        _exit(0);
    }
    (void)close(fds[1]);
    read_notes(fds[0], history);
    (void)close(fds[0]);
    int status;
    must(waitpid(child, &status, 0) == child);
    must(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 99));
    return WEXITSTATUS(status) == 99;
}

static void dying_at_any_step_loses_nothing_acknowledged(void **state)
{
    (void)state;
    static const char *const points[] = {
        "commit.begin",       "commit.filled",       "commit.durable",
        "commit.applied",     "commit.done",         "checkpoint.begun",
        "checkpoint.slice",   "checkpoint.slices",   "checkpoint.ended",
        "checkpoint.trimmed", "flush.written",       "flush.finished",
        "flush.registered",   "flush.removed",       "flush.forgetting",
        "merge.written",      "merge.finished",      "merge.registered",
        "merge.replaced",     "flush_logs.finished", "flush_logs.registered",
        "delete.durable",     "delete.rewrite",      "delete.rewritten",
        "delete.retired",     "checkpoint.chunks",
    };
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        struct kit kit;
        struct history history = {0};
        bool ever = false;
        kit_start(&kit);
        kit_close(&kit);
        kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
        /* One folder through all its deaths: leftovers of one must not harm the next. */
        for (int left = 1; left <= 9; left += 2) {
            bool went_off = run_child(&kit, (struct bomb){points[p], left}, &history,
                                      1 + (unsigned)left * 100);
            ever = ever || went_off;
            world_check(&kit, &history, points[p]);
        }
        if (!ever)
            fail_msg("no child has passed %s", points[p]);
        free(history.seeds);
        kit_stop_closed(&kit);
    }
}

static void dying_at_the_nth_step_whatever_it_is_loses_nothing(void **state)
{
    (void)state;
    struct kit kit;
    struct history history = {0};
    kit_start(&kit);
    kit_close(&kit);
    kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
    for (int left = 3; left < 160; left += 7) {
        (void)run_child(&kit, (struct bomb){NULL, left}, &history, 1 + (unsigned)left * 100);
        world_check(&kit, &history, "the n-th step");
    }
    free(history.seeds);
    kit_stop_closed(&kit);
}

/* What the first death leaves half done is still there at the second: between a flush and the
 * deletion of what it wrote, then before the same span is flushed again. */
static void a_second_death_loses_nothing_either(void **state)
{
    (void)state;
    static const char *const seconds[] = {"checkpoint.trimmed", "flush.written",
                                          "flush.registered"};
    struct kit kit;
    struct history history = {0};
    unsigned seed = 1;
    kit_start(&kit);
    kit_close(&kit);
    kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
    for (int left = 2; left <= 4; left++)
        for (size_t p = 0; p < sizeof seconds / sizeof seconds[0]; p++) {
            (void)run_child(&kit, (struct bomb){"flush.registered", left}, &history, seed);
            world_check(&kit, &history, "a death between flush and deletion");
            (void)run_child(&kit, (struct bomb){seconds[p], 1}, &history, seed + 100);
            world_check(&kit, &history, seconds[p]);
            seed += 200;
        }
    free(history.seeds);
    kit_stop_closed(&kit);
}

/* What is late by days is flushed by the day: many spans of the checkpoint into one file. */
static void dying_while_days_are_written_loses_nothing(void **state)
{
    (void)state;
    static const char *const points[] = {"checkpoint.chunks", "checkpoint.slice", "flush.written",
                                         "flush.registered", "flush.removed",
                                         "flush.forgetting", "merge.registered"};
    struct kit kit;
    struct history history = {0};
    unsigned seed = 1;
    world_step_ms = 15 * 60000; /* five days */
    kit_start(&kit);
    kit_close(&kit);
    kit.now_ms = KIT_START_MS + 6 * 12 * SPAN_MS;
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++)
        for (int left = 1; left <= 4; left += 3) {
            if (!run_child(&kit, (struct bomb){points[p], left}, &history, seed))
                fail_msg("the child has not passed %s %d times", points[p], left);
            world_check(&kit, &history, points[p]);
            seed += 100;
        }
    world_step_ms = 60000;
    free(history.seeds);
    kit_stop_closed(&kit);
}

static void a_kill_at_any_moment_loses_nothing_acknowledged(void **state)
{
    (void)state;
    struct kit kit;
    struct history history = {0};
    unsigned random = 11;
    kit_start(&kit);
    kit_close(&kit);
    kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
    for (int round = 0; round < 12; round++) {
        int fds[2];
        must(pipe(fds) == 0);
        pid_t child = fork();
        must(child >= 0);
        if (child == 0) {
            (void)close(fds[0]);
            kit_open(&kit);
            child_writes(&kit, fds[1], 1 + (unsigned)round * 100000, 100000, 40);
            _exit(0);
        }
        (void)close(fds[1]);
        /* The moment is chosen by what the child has done, not by a clock. */
        struct note note;
        int notes = 1 + rand_r(&random) % 150;
        while (notes-- > 0 && read(fds[0], &note, sizeof note) == (ssize_t)sizeof note) {
            if (note.what == 's')
                history.pending = note.seed;
            if (note.what == 'a') {
                history_add(&history, note.seed);
                history.pending = 0;
            }
        }
        must(kill(child, SIGKILL) == 0);
        read_notes(fds[0], &history);
        (void)close(fds[0]);
        must(waitpid(child, NULL, 0) == child);
        world_check(&kit, &history, "a kill");
    }
    free(history.seeds);
    kit_stop_closed(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dying_at_any_step_loses_nothing_acknowledged),
        cmocka_unit_test(dying_at_the_nth_step_whatever_it_is_loses_nothing),
        cmocka_unit_test(a_second_death_loses_nothing_either),
        cmocka_unit_test(dying_while_days_are_written_loses_nothing),
        cmocka_unit_test(a_kill_at_any_moment_loses_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
