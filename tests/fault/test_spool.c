/*
 * test_spool.c - the spool with every single call to the disk failing once, cut once, and being
 * the last before a kill, then opened again and compared with what it had promised.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "tests/fault/spool_world.h"

/* More calls than any story below makes. */
#define CALLS_MAX 2000

/* A day in a spool's life; nothing in it may assume that a call succeeded. */
static void live(struct world *world)
{
    if (world_open(world) != 0)
        return;
    (void)world_define(world, 3);
    for (unsigned i = 0; i < 12; i++)
        (void)world_append(world, 40 + i * 17);
    if (world_confirm(world) == 0)
        world_acknowledge(world, 4, 7, 8);
    (void)world_define(world, 500);
    for (unsigned i = 0; i < 12; i++)
        (void)world_append(world, 300);
    world_close(world);
    if (world_open(world) != 0)
        return;
    for (unsigned i = 0; i < 8; i++)
        (void)world_append(world, 90);
    if (world_confirm(world) == 0)
        world_acknowledge(world, 14, 0, 0);
    (void)world_append(world, 90);
    world_close(world);
    world->boot++;
    if (world_open(world) != 0)
        return;
    (void)world_define(world, 4);
    for (unsigned i = 0; i < 6; i++)
        (void)world_append(world, 200);
}

/* Runs the day with the fault at each call in turn. */
static void fail_everything_once(enum fault fault)
{
    for (unsigned at = 1; at < CALLS_MAX; at++) {
        struct world world;
        world_init(&world);
        world.fault = fault;
        world.fault_at = at;
        live(&world);
        bool is_over = world.calls < at;
        world_reopen(&world);
        world_check(&world, false);
        assert_int_equal(world_append(&world, 64), 0);
        world_check(&world, false);
        world_done(&world);
        if (is_over)
            return;
    }
    fail_msg("the story makes more calls than the test follows");
}

static void a_write_that_fails_loses_nothing_that_was_promised(void **state)
{
    (void)state;
    fail_everything_once(FAULT_FAIL);
}

static void a_write_cut_in_half_loses_nothing_that_was_promised(void **state)
{
    (void)state;
    fail_everything_once(FAULT_CUT);
}

static void a_kill_in_any_call_loses_nothing_that_was_promised(void **state)
{
    (void)state;
    fail_everything_once(FAULT_KILL);
}

/* A folder restored from a copy, up to the moment the collector says so. */
static void restore_and_renew(struct world *world)
{
    const char *reason = NULL;
    if (world_open(world) != 0)
        return;
    for (unsigned i = 0; i < 10; i++)
        (void)world_append(world, 100);
    if (world_confirm(world) != 0)
        return;
    world_close(world);
    if (world_open(world) != 0)
        return;
    for (unsigned i = 0; i < 10; i++)
        (void)world_append(world, 100);
    struct stream_state known = {.epoch = spool_epoch(world->spool), .low_water = 25};
    if (spool_confirm(world->spool, &known, &reason) != 0)
        return;
    spool_acknowledge(world->spool, &known);
    for (uint64_t serial = 1; serial <= 10; serial++)
        world->is_acked[serial] = true; /* before the copy: the collector has them */
    (void)world_append(world, 100);
}

static void a_kill_while_renewing_keeps_every_batch_once(void **state)
{
    (void)state;
    for (unsigned at = 1; at < CALLS_MAX; at++) {
        struct world world;
        world_init(&world);
        world.fault = FAULT_KILL;
        world.fault_at = at;
        restore_and_renew(&world);
        bool is_over = world.calls < at;
        world_reopen(&world);
        world_check(&world, true); /* the copy's own numbers may be told as gaps */
        unsigned found = 0;
        for (size_t i = 0; i < spool_stream_count(world.spool); i++) {
            struct spool_stream stream = spool_stream_at(world.spool, i);
            for (uint64_t number = 1; number < stream.next_number; number++)
                found += world_serial_of(&world, stream.epoch, number) > 10;
        }
        unsigned kept = 0;
        for (uint64_t serial = 11; serial <= world.serial; serial++)
            kept += world.is_kept[serial];
        assert_in_range(found, kept, kept + 1); /* the last may be written but not promised */
        world_done(&world);
        if (is_over)
            return;
    }
    fail_msg("the story makes more calls than the test follows");
}

/* With a limit that makes it drop, whatever fails: no number vanishes without a gap. */
static void dropping_tells_every_number_whatever_fails(void **state)
{
    (void)state;
    for (int fault = FAULT_FAIL; fault <= FAULT_KILL; fault++) {
        for (unsigned at = 1; at < CALLS_MAX; at++) {
            struct world world;
            world_init(&world);
            world.limit_bytes = 3000;
            world.fault = (enum fault)fault;
            world.fault_at = at;
            live(&world);
            bool is_over = world.calls < at;
            world_reopen(&world);
            world_check(&world, true);
            world_done(&world);
            if (is_over)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_fails_loses_nothing_that_was_promised),
        cmocka_unit_test(a_write_cut_in_half_loses_nothing_that_was_promised),
        cmocka_unit_test(a_kill_in_any_call_loses_nothing_that_was_promised),
        cmocka_unit_test(a_kill_while_renewing_keeps_every_batch_once),
        cmocka_unit_test(dropping_tells_every_number_whatever_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
