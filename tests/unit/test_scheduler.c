/*
 * test_scheduler.c - sources that come late, hang, change, come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <limits.h>
#include <string.h>
#include <uv.h>

#include "probe/scheduler.h"
#include "proto/base/error.h"
#include "tests/unit/hand_clock.h"

struct run {
    uv_loop_t loop;
    struct tick_clock ticks;
    struct emitter *emitter;
    struct scheduler *scheduler;
    /* Under the lock, for sources that hang: */
    uv_mutex_t lock;
    uv_cond_t changed;
    unsigned sealed;
    bool is_released;
    unsigned wanted, wanted_late;
    int64_t last_tick_ms;
    unsigned with_slow, with_late;
    mono_ns cpu;
    enum scheduler_room room;
};

static void run_init(struct run *run)
{
    assert_int_equal(uv_loop_init(&run->loop), 0);
    assert_int_equal(uv_mutex_init(&run->lock), 0);
    assert_int_equal(uv_cond_init(&run->changed), 0);
    assert_int_equal(emitter_open(NULL, &run->emitter), 0);
    tick_clock_init(&run->ticks, &clock_system, 42, 0);
}

/* Until so many batches more were sealed, or the run lets go: however slow the machine is. */
static void hang(struct run *run, unsigned batches)
{
    uv_mutex_lock(&run->lock);
    for (unsigned from = run->sealed; !run->is_released && run->sealed - from < batches;)
        uv_cond_wait(&run->changed, &run->lock);
    uv_mutex_unlock(&run->lock);
}

static void release(struct run *run)
{
    uv_mutex_lock(&run->lock);
    run->is_released = true;
    uv_cond_broadcast(&run->changed);
    uv_mutex_unlock(&run->lock);
}

/* A source that counts its calls, and hangs when told to. */
struct slow_state {
    struct run *hangs_in; /* NULL: it is quick */
    unsigned hang_batches;
    unsigned collected;
    series_handle handle;
};

static const struct metric slow_metric = {"slow", METRIC_GAUGE, "Slow.", NULL};

static int slow_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct slow_state *slow = state;
    (void)env;
    slow->handle = emitter_series(out, &slow_metric, NULL, 0);
    return 0;
}

static int slow_gather(void *state, const struct source_env *env)
{
    struct slow_state *slow = state;
    (void)env;
    if (slow->hangs_in != NULL)
        hang(slow->hangs_in, slow->hang_batches);
    return 0;
}

static int slow_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct slow_state *slow = state;
    (void)env;
    emit(out, slow->handle, ++slow->collected);
    return 0;
}

static const struct source source_slow = {
    .name = "slow",
    .summary = "hangs",
    .state_bytes = sizeof(struct slow_state),
    .blocking = true,
    .start = slow_start,
    .gather = slow_gather,
    .collect = slow_collect,
};

static const struct metric quick_metric = {"quick", METRIC_GAUGE, "Quick.", NULL};

static int quick_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)state;
    (void)env;
    emit(out, emitter_series(out, &quick_metric, NULL, 0), 1);
    return 0;
}

static const struct source source_quick = {
    .name = "quick", .summary = "is quick", .collect = quick_collect};

static int absent_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)state;
    (void)env;
    (void)out;
    return ERR_NOTFOUND;
}

static const struct source source_absent = {.name = "absent",
                                            .summary = "is not there",
                                            .start = absent_start,
                                            .collect = quick_collect};

/* A source with more than a batch takes. */
struct burst_state {
    unsigned left;
    unsigned between, on_grid;
};

static int burst_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct burst_state *burst = state;
    if (burst->left == 0)
        return 0;
    burst->left--;
    if (env->is_between)
        burst->between++;
    else
        burst->on_grid++;
    return emitter_record(out, 1, bytes_of("a part of it"));
}

static bool burst_has_more(const void *state)
{
    return ((const struct burst_state *)state)->left > 0;
}

static const struct source source_burst = {.name = "burst",
                                           .summary = "comes all at once",
                                           .state_bytes = sizeof(struct burst_state),
                                           .collect = burst_collect,
                                           .has_more = burst_has_more};

static enum scheduler_room room_of(void *context)
{
    return ((const struct run *)context)->room;
}

/* A run of any source costs a second. */
static mono_ns cpu_of(void *context)
{
    struct run *run = context;
    return run->cpu += NS_PER_MS * MS_PER_SEC;
}

static void count_batch(void *context, int64_t tick_ms)
{
    struct run *run = context;
    struct plain_batch batch;
    if (emitter_is_empty(run->emitter))
        return;
    assert_true(tick_ms > run->last_tick_ms);
    run->last_tick_ms = tick_ms;
    assert_int_equal(emitter_seal(run->emitter, &batch), 0);
    assert_int_equal(batch.tick_ms, tick_ms);
    run->with_slow += batch.samples.count == 2;
    for (size_t i = 0; i < batch.late_count; i++) {
        run->with_late++;
        assert_true(batch.late[i].ts_ms < tick_ms || batch.late[i].ts_ms > tick_ms + 50);
    }
    emitter_kept(run->emitter);
    uv_mutex_lock(&run->lock);
    run->sealed++;
    uv_cond_broadcast(&run->changed);
    uv_mutex_unlock(&run->lock);
    if (run->sealed >= run->wanted && run->with_late >= run->wanted_late)
        uv_stop(&run->loop);
}

static struct slow_state *run_begin(struct run *run, unsigned wanted)
{
    void *slow;
    struct scheduler_options options = {
        .sealed = count_batch, .room = room_of, .cpu_clock = cpu_of, .context = run};
    *run = (struct run){.wanted = wanted};
    run_init(run);
    options.emitter = run->emitter;
    options.ticks = &run->ticks;
    assert_int_equal(scheduler_open(&options, &run->scheduler), 0);
    assert_int_equal(scheduler_add(run->scheduler, &source_quick, NULL, NULL, 100, NULL, NULL),
                     0);
    assert_int_equal(scheduler_add(run->scheduler, &source_slow, NULL, NULL, 100, &slow, NULL),
                     0);
    assert_int_equal(scheduler_add(run->scheduler, &source_absent, NULL, NULL, 100, NULL, NULL),
                     0);
    return slow;
}

static void run_to_the_end(struct run *run)
{
    scheduler_start(run->scheduler);
    assert_int_equal(scheduler_run(run->scheduler, &run->loop), 0);
    (void)uv_run(&run->loop, UV_RUN_DEFAULT);
}

static void run_end(struct run *run)
{
    scheduler_close(run->scheduler);
    release(run);
    (void)uv_run(&run->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&run->loop), 0);
    uv_cond_destroy(&run->changed);
    uv_mutex_destroy(&run->lock);
    emitter_close(run->emitter);
}

static void a_batch_waits_for_a_blocking_source_that_is_in_time(void **state)
{
    struct run run;
    (void)state;
    (void)run_begin(&run, 8);
    run_to_the_end(&run);
    assert_true(run.with_slow >= 6);
    struct source_report good = scheduler_report(run.scheduler, 1);
    assert_true(good.succeeded_ms > 0 &&
                good.succeeded_ms % good.interval_ms ==
                    scheduler_report(run.scheduler, 0).succeeded_ms % good.interval_ms);
    struct source_report absent = scheduler_report(run.scheduler, 2);
    assert_false(absent.is_running);
    assert_int_equal(absent.failures, 0);
    run_end(&run);
}

#define HAND_STEP_MS 5

/* Where the machine is slow, so is this clock: no tick is late but for what a source does. */
static void move_on(uv_timer_t *timer)
{
    hand_pass(timer->data, HAND_STEP_MS);
}

static void a_source_that_hangs_delays_nobody_and_is_stamped_late(void **state)
{
    struct run run;
    struct hand_clock hand = {5000000, 1};
    struct clock clock = {hand_unix, hand_mono, &hand};
    uv_timer_t mover;
    (void)state;
    struct slow_state *slow = run_begin(&run, 10);
    run.wanted_late = 2;
    *slow = (struct slow_state){.hangs_in = &run, .hang_batches = 3};
    tick_clock_init(&run.ticks, &clock, 42, 0);
    hand.unix_ms = tick_after(&run.ticks, hand.unix_ms, 100) + 2; /* never a tick's time */
    assert_int_equal(uv_timer_init(&run.loop, &mover), 0);
    mover.data = &hand;
    assert_int_equal(uv_timer_start(&mover, move_on, HAND_STEP_MS, HAND_STEP_MS), 0);
    run_to_the_end(&run);
    struct source_report report = scheduler_report(run.scheduler, 1);
    assert_int_equal(run.with_slow, 0);
    assert_true(run.with_late >= 2);
    assert_true(report.late >= 2);
    assert_true(report.skipped >= 3);
    assert_int_equal(scheduler_report(run.scheduler, 0).late, 0);
    uv_close((uv_handle_t *)&mover, NULL);
    run_end(&run);
}

static void closing_under_a_hanging_worker_frees_it_later(void **state)
{
    struct run run;
    (void)state;
    struct slow_state *slow = run_begin(&run, 2);
    *slow = (struct slow_state){.hangs_in = &run, .hang_batches = UINT_MAX};
    run_to_the_end(&run);
    assert_true(scheduler_report(run.scheduler, 1).succeeded_ms <
                scheduler_report(run.scheduler, 0).succeeded_ms); /* it has not come back */
    run_end(&run); /* the sanitizer is the judge */
}

static void a_burst_is_drained_between_ticks_while_there_is_room(void **state)
{
    struct run run;
    void *burst_state;
    (void)state;
    (void)run_begin(&run, 36);
    assert_int_equal(
        scheduler_add(run.scheduler, &source_burst, NULL, NULL, 100, &burst_state, NULL), 0);
    struct burst_state *burst = burst_state;
    burst->left = 30;
    run.room = SCHEDULER_ROOM_NOW;
    uint64_t began_ms = uv_hrtime() / NS_PER_MS;
    run_to_the_end(&run); /* count_batch() sees to it that times ascend */
    /* Tick by tick it would take three seconds. */
    assert_true(uv_hrtime() / NS_PER_MS - began_ms < 2500);
    assert_int_equal(burst->left, 0);
    assert_true(burst->between >= 20);
    assert_true(burst->on_grid >= 1);
    assert_true(scheduler_report(run.scheduler, 3).cpu_seconds >=
                burst->between + burst->on_grid);
    assert_int_equal(scheduler_report(run.scheduler, 0).late, 0);
    run_end(&run);
}

static void a_burst_waits_where_it_is_while_batches_gather(void **state)
{
    struct run run;
    void *burst_state;
    (void)state;
    (void)run_begin(&run, 5);
    assert_int_equal(
        scheduler_add(run.scheduler, &source_burst, NULL, NULL, 100, &burst_state, NULL), 0);
    struct burst_state *burst = burst_state;
    burst->left = 30;
    run_to_the_end(&run);
    assert_int_equal(burst->between, 0);
    assert_in_range(burst->left, 24, 29);
    run_end(&run);
}

/* A run that is changed on its way: each time enough batches of a kind were sealed, between two
 * ticks. */
struct changed_run {
    struct run run;
    uv_timer_t timer;
    uv_timer_cb step;    /* called when enough was seen */
    unsigned turn, seen; /* of those it wants; NULL: none */
    unsigned looks;      /* is_on_its_grid() was asked so often */
    bool (*is_wanted)(struct changed_run *now, int64_t tick_ms, const struct plain_batch *);
    size_t ended;
    unsigned stopped;
};

#define ENOUGH 4

static struct changed_run *changed; /* the one under test */

static void note_batch(void *context, int64_t tick_ms)
{
    struct changed_run *now = context;
    struct plain_batch batch;
    if (emitter_is_empty(now->run.emitter))
        return;
    assert_int_equal(emitter_seal(now->run.emitter, &batch), 0);
    assert_true(tick_ms > now->run.last_tick_ms);
    now->run.last_tick_ms = tick_ms;
    now->ended += batch.ended_count;
    now->seen += now->is_wanted != NULL && now->is_wanted(now, tick_ms, &batch);
    emitter_kept(now->run.emitter);
    if (now->seen >= ENOUGH && !uv_is_active((uv_handle_t *)&now->timer))
        assert_int_equal(uv_timer_start(&now->timer, now->step, 0, 0), 0);
}

static void count_stop(void *state)
{
    (void)state;
    changed->stopped++;
}

/* Like `slow`, and says when it is stopped. */
static const struct source source_told = {
    .name = "told",
    .summary = "tells when it is stopped",
    .state_bytes = sizeof(struct slow_state),
    .blocking = true,
    .start = slow_start,
    .gather = slow_gather,
    .collect = slow_collect,
    .stop = count_stop,
};

static void changed_begin(struct changed_run *now, uv_timer_cb step,
                          bool (*is_wanted)(struct changed_run *, int64_t,
                                            const struct plain_batch *))
{
    struct scheduler_options options = {.sealed = note_batch, .context = now};
    *now = (struct changed_run){.step = step, .is_wanted = is_wanted};
    changed = now;
    run_init(&now->run);
    options.emitter = now->run.emitter;
    options.ticks = &now->run.ticks;
    assert_int_equal(scheduler_open(&options, &now->run.scheduler), 0);
    assert_int_equal(uv_timer_init(&now->run.loop, &now->timer), 0);
    now->timer.data = now;
}

static void changed_end(struct changed_run *now)
{
    uv_close((uv_handle_t *)&now->timer, NULL);
    run_end(&now->run);
}

/* Ticks lie on the grid of the interval in force, but for the first look; after the change also
 * between the old ones. */
static bool is_on_its_grid(struct changed_run *now, int64_t tick_ms,
                           const struct plain_batch *batch)
{
    int64_t interval_ms = now->turn == 0 ? 300 : 100;
    (void)batch;
    if (now->looks++ == 0)
        return false;
    assert_int_equal(tick_at_or_before(&now->run.ticks, tick_ms, interval_ms), tick_ms);
    return now->turn == 0 || tick_at_or_before(&now->run.ticks, tick_ms, 300) != tick_ms;
}

static void change_pace(uv_timer_t *timer)
{
    struct changed_run *now = timer->data;
    if (now->turn++ > 0) {
        uv_stop(&now->run.loop);
        return;
    }
    now->seen = 0;
    assert_int_equal(scheduler_set(now->run.scheduler, 0, true, 100, NULL), 0);
}

static void an_interval_changes_between_two_ticks_of_its_grid(void **state)
{
    struct changed_run now;
    (void)state;
    changed_begin(&now, change_pace, is_on_its_grid);
    assert_int_equal(
        scheduler_add(now.run.scheduler, &source_quick, NULL, NULL, 300, NULL, NULL), 0);
    run_to_the_end(&now.run);
    assert_int_equal(now.turn, 2);
    assert_int_equal(now.ended, 0);
    assert_int_equal(scheduler_report(now.run.scheduler, 0).interval_ms, 100);
    changed_end(&now);
}

/* On, off, on: with `told` in the batch, without it, with it. */
static bool is_as_switched(struct changed_run *now, int64_t tick_ms,
                           const struct plain_batch *batch)
{
    bool has_both = batch->samples.count == 2 || batch->late_count > 0;
    (void)tick_ms;
    assert_false(now->turn == 1 && has_both);
    return has_both == (now->turn != 1);
}

static void switch_source(uv_timer_t *timer)
{
    struct changed_run *now = timer->data;
    now->seen = 0;
    if (++now->turn == 3) {
        uv_stop(&now->run.loop);
        return;
    }
    assert_int_equal(scheduler_set(now->run.scheduler, 1, now->turn == 2, 100, NULL), 0);
    assert_int_equal(scheduler_report(now->run.scheduler, 1).is_on, now->turn == 2);
    assert_int_equal(scheduler_state(now->run.scheduler, 1) != NULL, now->turn == 2);
}

static void a_source_that_goes_ends_its_series_and_comes_back_with_a_tick(void **state)
{
    struct changed_run now;
    (void)state;
    changed_begin(&now, switch_source, is_as_switched);
    assert_int_equal(
        scheduler_add(now.run.scheduler, &source_quick, NULL, NULL, 100, NULL, NULL), 0);
    assert_int_equal(
        scheduler_add(now.run.scheduler, &source_told, NULL, NULL, 100, NULL, NULL), 0);
    run_to_the_end(&now.run);
    assert_int_equal(now.turn, 3);
    assert_int_equal(now.ended, 1);
    assert_int_equal(now.stopped, 1);
    changed_end(&now);
    assert_int_equal(now.stopped, 2);
}

/* An interval of an hour, and a source that does not come back: the others have looked at once,
 * and their tick is still ahead. */
static void the_first_look_waits_for_no_tick_and_for_nobody(void **state)
{
    struct run run;
    void *hanging, *prompt;
    struct scheduler_options options = {.sealed = count_batch, .context = &run};
    (void)state;
    run = (struct run){.wanted = 1};
    run_init(&run);
    options.emitter = run.emitter;
    options.ticks = &run.ticks;
    assert_int_equal(scheduler_open(&options, &run.scheduler), 0);
    assert_int_equal(
        scheduler_add(run.scheduler, &source_told, NULL, NULL, 3600000, &hanging, NULL), 0);
    assert_int_equal(
        scheduler_add(run.scheduler, &source_quick, NULL, NULL, 3600000, &prompt, NULL), 0);
    *(struct slow_state *)hanging =
        (struct slow_state){.hangs_in = &run, .hang_batches = UINT_MAX};
    struct changed_run ignored = {0};
    changed = &ignored; /* counts its stop */
    int64_t began_ms = clock_unix_ms(&clock_system);
    run_to_the_end(&run);
    assert_int_equal(run.sealed, 1);
    assert_true(run.last_tick_ms >= began_ms);
    assert_true(tick_after(&run.ticks, began_ms, 3600000) > run.last_tick_ms);
    assert_true(scheduler_report(run.scheduler, 0).is_busy);
    assert_true(scheduler_report(run.scheduler, 0).has_succeeded); /* it has not failed yet */
    assert_true(scheduler_report(run.scheduler, 1).has_succeeded);
    release(&run); /* it has a batch of its own, before the tick */
    run.wanted = 2;
    (void)uv_run(&run.loop, UV_RUN_DEFAULT);
    assert_int_equal(run.sealed, 2);
    assert_true(tick_after(&run.ticks, began_ms, 3600000) > run.last_tick_ms);
    assert_true(scheduler_report(run.scheduler, 0).has_succeeded);
    assert_int_equal(scheduler_report(run.scheduler, 0).late, 0);
    run_end(&run);
}

static const struct source source_seldom = {
    .name = "seldom", .summary = "is dear", .interval_ms = 60000, .collect = quick_collect};

static void give_up(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("there was no first look");
}

/* A policy may come before it. */
static void the_first_look_is_not_lost_to_a_change(void **state)
{
    struct changed_run now;
    (void)state;
    changed_begin(&now, NULL, NULL);
    struct scheduler *all = now.run.scheduler;
    for (int i = 0; i < 2; i++)
        assert_int_equal(scheduler_add(all, &source_seldom, NULL, NULL, 3600000, NULL, NULL), 0);
    scheduler_start(all);
    assert_int_equal(scheduler_run(all, &now.run.loop), 0);
    assert_int_equal(scheduler_set(all, 0, true, 7200000, NULL), 0);
    assert_int_equal(scheduler_set(all, 1, false, 7200000, NULL), 0);
    assert_int_equal(scheduler_set(all, 1, true, 7200000, NULL), 0);
    assert_int_equal(uv_timer_start(&now.timer, give_up, 20000, 0), 0); /* ticks are hours off */
    while (!scheduler_report(all, 0).has_succeeded || !scheduler_report(all, 1).has_succeeded)
        (void)uv_run(&now.run.loop, UV_RUN_ONCE);
    changed_end(&now);
}

static void replace_what_hangs(uv_timer_t *timer)
{
    struct changed_run *now = timer->data;
    const struct slow_state *fresh = scheduler_state(now->run.scheduler, 0);
    if (now->turn == 0 && scheduler_report(now->run.scheduler, 0).is_busy) {
        assert_int_equal(scheduler_set(now->run.scheduler, 0, false, 100, NULL), 0);
        assert_int_equal(scheduler_set(now->run.scheduler, 0, true, 100, NULL), 0);
        assert_int_equal(now->stopped, 0); /* its worker is still out there */
        release(&now->run);
        now->turn++;
    } else if (now->turn == 1 && fresh->collected >= 2 && now->stopped == 1) {
        uv_stop(&now->run.loop);
    }
}

static void a_source_that_hangs_is_replaced_and_freed_when_it_comes_back(void **state)
{
    struct changed_run now;
    void *told;
    (void)state;
    changed_begin(&now, replace_what_hangs, NULL);
    assert_int_equal(uv_timer_start(&now.timer, replace_what_hangs, 10, 10), 0);
    assert_int_equal(
        scheduler_add(now.run.scheduler, &source_told, NULL, NULL, 100, &told, NULL), 0);
    *(struct slow_state *)told =
        (struct slow_state){.hangs_in = &now.run, .hang_batches = UINT_MAX};
    run_to_the_end(&now.run);
    changed_end(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_waits_for_a_blocking_source_that_is_in_time),
        cmocka_unit_test(a_source_that_hangs_delays_nobody_and_is_stamped_late),
        cmocka_unit_test(closing_under_a_hanging_worker_frees_it_later),
        cmocka_unit_test(a_burst_is_drained_between_ticks_while_there_is_room),
        cmocka_unit_test(a_burst_waits_where_it_is_while_batches_gather),
        cmocka_unit_test(the_first_look_waits_for_no_tick_and_for_nobody),
        cmocka_unit_test(the_first_look_is_not_lost_to_a_change),
        cmocka_unit_test(an_interval_changes_between_two_ticks_of_its_grid),
        cmocka_unit_test(a_source_that_goes_ends_its_series_and_comes_back_with_a_tick),
        cmocka_unit_test(a_source_that_hangs_is_replaced_and_freed_when_it_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
