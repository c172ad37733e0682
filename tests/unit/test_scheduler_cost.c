/*
 * test_scheduler_cost.c - a source that is too dear is slowed, and relaxed when it is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <uv.h>

#include "probe/scheduler.h"
#include "proto/base/error.h"
#include "tests/unit/fake_tree.h"

struct world {
    uv_loop_t loop;
    struct tick_clock ticks;
    struct emitter *emitter;
    struct scheduler *scheduler;
    mono_ns cpu;
    bool (*is_enough)(const struct world *world);
    uint64_t deadline_ms;
};

struct dear_state {
    struct world *world;
    mono_ns cost;
    unsigned runs;
    int64_t interval_ms;
};

static int dear_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct dear_state *dear = state;
    (void)out;
    dear->world->cpu += dear->cost;
    dear->runs++;
    dear->interval_ms = env->interval_ms;
    return 0;
}

static const struct source source_dear = {.name = "dear",
                                          .summary = "is dear",
                                          .state_bytes = sizeof(struct dear_state),
                                          .interval_ms = 100,
                                          .collect = dear_collect};
static const struct source source_cheap = {.name = "cheap",
                                           .summary = "is cheap",
                                           .state_bytes = sizeof(struct dear_state),
                                           .interval_ms = 100,
                                           .collect = dear_collect};

/* One that asks somebody: the answer comes by the loop, in three pieces. */
struct asking_state {
    struct dear_state dear; /* `cost` is that of a piece */
    uv_timer_t timer;
    unsigned pieces;
    mono_ns spent;
    void (*done)(void *context, int error);
    void *context;
};

static void piece_came(uv_timer_t *timer)
{
    struct asking_state *asking = timer->data;
    asking->dear.world->cpu += asking->dear.cost;
    asking->spent += asking->dear.cost;
    if (++asking->pieces % 3 != 0)
        return;
    (void)uv_timer_stop(timer);
    asking->done(asking->context, 0);
}

static int asking_begin(void *state, const struct source_env *env, struct uv_loop_s *loop,
                        void (*done)(void *context, int error), void *context)
{
    struct asking_state *asking = state;
    (void)env;
    asking->done = done;
    asking->context = context;
    if (asking->timer.data == NULL)
        (void)uv_timer_init(loop, &asking->timer);
    asking->timer.data = asking;
    return uv_timer_start(&asking->timer, piece_came, 1, 1);
}

static void asking_cancel(void *state)
{
    struct asking_state *asking = state;
    (void)uv_timer_stop(&asking->timer);
    asking->done(asking->context, ERR_CANCELLED);
}

static uint64_t asking_spent(const void *state)
{
    return ((const struct asking_state *)state)->spent;
}

static int asking_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct asking_state *asking = state;
    (void)out;
    asking->dear.runs++;
    asking->dear.interval_ms = env->interval_ms;
    return 0;
}

static const struct source source_asking = {.name = "asking",
                                            .summary = "waits for answers",
                                            .state_bytes = sizeof(struct asking_state),
                                            .interval_ms = 100,
                                            .begin = asking_begin,
                                            .spent_ns = asking_spent,
                                            .cancel = asking_cancel,
                                            .collect = asking_collect};

static mono_ns world_cpu(void *context)
{
    return ((struct world *)context)->cpu;
}

static void sealed(void *context, int64_t tick_ms)
{
    struct world *world = context;
    (void)tick_ms;
    if (world->is_enough(world) || uv_hrtime() / NS_PER_MS > world->deadline_ms)
        uv_stop(&world->loop);
}

static struct dear_state *add(struct world *world, const struct source *source)
{
    void *state;
    assert_int_equal(scheduler_add(world->scheduler, source, NULL, NULL, 100, &state, NULL), 0);
    ((struct dear_state *)state)->world = world;
    return state;
}

/* `procfs` NULL: costs are what the sources here say. */
static void open_world(struct world *world, double limit, const char *procfs)
{
    *world = (struct world){0};
    assert_int_equal(uv_loop_init(&world->loop), 0);
    assert_int_equal(emitter_open(NULL, &world->emitter), 0);
    tick_clock_init(&world->ticks, &clock_system, 42, 0);
    const struct scheduler_options options = {.env = {.procfs = procfs, .rootfs = "/nowhere"},
                                              .emitter = world->emitter,
                                              .ticks = &world->ticks,
                                              .sealed = sealed,
                                              .cpu_limit = limit,
                                              .cpu_window_ms = 450,
                                              .cpu_clock = procfs == NULL ? world_cpu : NULL,
                                              .context = world};
    assert_int_equal(scheduler_open(&options, &world->scheduler), 0);
}

static void run_until(struct world *world, bool (*is_enough)(const struct world *world))
{
    world->is_enough = is_enough;
    world->deadline_ms = uv_hrtime() / NS_PER_MS + 60000;
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_true(is_enough(world));
}

static void close_world(struct world *world)
{
    scheduler_close(world->scheduler);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    emitter_close(world->emitter);
}

/* Its timer has to be closed while there is a loop, its state while there is a scheduler. */
static void close_asking(struct world *world, struct asking_state *asking)
{
    uv_close((uv_handle_t *)&asking->timer, NULL);
    (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    close_world(world);
}

static bool is_slowed_twice(const struct world *world)
{
    return scheduler_report(world->scheduler, 1).in_force_ms == 400;
}

static bool is_itself_again(const struct world *world)
{
    return scheduler_report(world->scheduler, 1).in_force_ms == 100;
}

static bool has_run_ten_windows(const struct world *world)
{
    const struct dear_state *cheap = scheduler_state(world->scheduler, 0);
    return cheap->runs > 50;
}

static void the_dearest_is_slowed_until_the_limit_holds_and_then_relaxed(void **state)
{
    struct world world;
    (void)state;
    open_world(&world, 0.005, NULL);
    struct dear_state *cheap = add(&world, &source_cheap);
    struct dear_state *dear = add(&world, &source_dear);
    cheap->cost = 100000; /* 0.1 % of a core */
    dear->cost = 1500000; /* 1.5 %: 0.375 % at a quarter of the ticks */
    scheduler_start(world.scheduler);
    assert_int_equal(scheduler_run(world.scheduler, &world.loop), 0);
    run_until(&world, is_slowed_twice);
    /* Now it is kept, and not so far below that it would hold at twice the ticks. */
    cheap->runs = 0;
    run_until(&world, has_run_ten_windows);
    assert_true(is_slowed_twice(&world));
    assert_int_equal(dear->interval_ms, 400);
    struct source_report report = scheduler_report(world.scheduler, 1);
    assert_int_equal(report.interval_ms, 100);
    assert_true(report.cpu_seconds > 0.0015);
    assert_int_equal(scheduler_report(world.scheduler, 0).in_force_ms, 100);
    dear->cost = 100000;
    run_until(&world, is_itself_again);
    close_world(&world);
}

static void without_a_limit_nothing_is_slowed(void **state)
{
    struct world world;
    (void)state;
    open_world(&world, 0, NULL);
    struct dear_state *cheap = add(&world, &source_cheap);
    struct dear_state *dear = add(&world, &source_dear);
    dear->cost = 90000000;
    scheduler_start(world.scheduler);
    assert_int_equal(scheduler_run(world.scheduler, &world.loop), 0);
    cheap->runs = 30;
    run_until(&world, has_run_ten_windows);
    assert_true(is_itself_again(&world));
    close_world(&world);
}

static void what_answers_cost_on_the_loop_counts(void **state)
{
    struct world world;
    (void)state;
    open_world(&world, 0.005, NULL);
    struct dear_state *cheap = add(&world, &source_cheap);
    struct dear_state *asking = add(&world, &source_asking);
    cheap->cost = 100000;
    asking->cost = 500000; /* three pieces: 1.5 % of a core */
    scheduler_start(world.scheduler);
    assert_int_equal(scheduler_run(world.scheduler, &world.loop), 0);
    run_until(&world, is_slowed_twice);
    assert_true(scheduler_report(world.scheduler, 1).cpu_seconds > 0.0015);
    assert_int_equal(scheduler_report(world.scheduler, 0).in_force_ms, 100);
    close_asking(&world, (struct asking_state *)asking);
}

#define PROCESSES 1000u

static void write_processes(const struct fake_tree *tree)
{
    char path[64], text[160];
    fake_tree_write(tree, "proc/stat", "cpu 1 2 3 4\nbtime 1600000000\n");
    fake_tree_write(tree, "proc/loadavg", "0.1 0.2 0.3 1/100 4711\n");
    for (unsigned pid = 1000; pid < 1000 + PROCESSES; pid++) {
        (void)snprintf(path, sizeof path, "proc/%u/stat", pid);
        (void)snprintf(text, sizeof text,
                       "%u (work) S 1 1 1 0 -1 0 1 0 2 0 1 10 0 0 20 0 3 0 7 4096 9 0\n", pid);
        fake_tree_write(tree, path, text);
    }
}

static bool are_processes_slowed(const struct world *world)
{
    return scheduler_report(world->scheduler, 1).in_force_ms > 100 &&
           scheduler_report(world->scheduler, 0).has_succeeded;
}

static void a_host_with_very_many_processes_is_looked_at_less_often(void **state)
{
    struct world world;
    struct fake_tree tree;
    char procfs[96];
    (void)state;
    fake_tree_make(&tree);
    (void)snprintf(procfs, sizeof procfs, "%s/proc", tree.root);
    write_processes(&tree);
    /* To read a thousand files takes more than 0.3 ms on any machine: the limit every 15 s. */
    open_world(&world, 0.00002, procfs);
    assert_int_equal(
        scheduler_add(world.scheduler, source_find("load"), NULL, NULL, 100, NULL, NULL), 0);
    assert_int_equal(
        scheduler_add(world.scheduler, source_find("processes"), NULL, NULL, 100, NULL, NULL),
        0);
    scheduler_start(world.scheduler);
    assert_int_equal(scheduler_run(world.scheduler, &world.loop), 0);
    run_until(&world, are_processes_slowed);
    assert_int_equal(scheduler_report(world.scheduler, 0).in_force_ms, 100);
    struct source_report report = scheduler_report(world.scheduler, 1);
    assert_int_equal(report.interval_ms, 100); /* what was asked for, and what is in force */
    assert_int_equal(report.failures, 0);
    close_world(&world);
    fake_tree_done(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_dearest_is_slowed_until_the_limit_holds_and_then_relaxed),
        cmocka_unit_test(without_a_limit_nothing_is_slowed),
        cmocka_unit_test(what_answers_cost_on_the_loop_counts),
        cmocka_unit_test(a_host_with_very_many_processes_is_looked_at_less_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
