/*
 * test_spool.c - epochs, numbers, gaps and acknowledgements, on a disk that works.
 * (tests/fault/test_spool.c breaks it.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "probe/emitter_tick.h"
#include "proto/base/error.h"
#include "tests/fault/spool_world.h"

static void append_many(struct world *world, unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(world_append(world, size), 0);
}

static struct spool_stream current(const struct world *world)
{
    return spool_stream_at(world->spool, spool_stream_count(world->spool) - 1);
}

static void numbers_begin_at_one_and_go_on_after_a_restart(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    assert_string_equal(spool_epoch_reason(world.spool), "new_spool");
    append_many(&world, 5, 50);
    uint64_t epoch = spool_epoch(world.spool);
    assert_int_equal(current(&world).first_number, 1);
    assert_int_equal(current(&world).next_number, 6);
    world_reopen(&world);
    assert_null(spool_epoch_reason(world.spool));
    assert_true(spool_epoch(world.spool) == epoch);
    assert_int_equal(current(&world).next_number, 6);
    assert_int_equal(spool_last_tick_ms(world.spool), 50);
    append_many(&world, 1, 50);
    assert_int_equal(world_serial_of(&world, epoch, 6), 6);
    world_check(&world, false);
    world_done(&world);
}

/* Ticks are 10 ms apart, so that number n is at 10 n. */
static void what_waits_is_counted_and_its_age_is_known(void **state)
{
    struct world world;
    int64_t oldest_ms;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    assert_int_equal(spool_waiting(world.spool, &oldest_ms), 0);
    assert_int_equal(oldest_ms, 0);
    append_many(&world, 40, 50); /* several segments */
    assert_int_equal(spool_waiting(world.spool, &oldest_ms), 40);
    assert_int_equal(oldest_ms, 10);
    world_reopen(&world);
    assert_int_equal(spool_waiting(world.spool, &oldest_ms), 40);
    assert_int_equal(oldest_ms, 10);
    assert_int_equal(world_confirm(&world), 0);
    world_acknowledge(&world, 10, 13, 20);
    assert_int_equal(spool_waiting(world.spool, &oldest_ms), 22);
    assert_in_range(oldest_ms, 100, 120);
    world_acknowledge(&world, 12, 13, 20); /* the next that waits is 21 */
    assert_int_equal(spool_waiting(world.spool, &oldest_ms), 20);
    assert_in_range(oldest_ms, 200, 220);
    world_acknowledge(&world, 40, 0, 0);
    assert_int_equal(spool_waiting(world.spool, &oldest_ms), 0);
    assert_int_equal(oldest_ms, 0);
    world_done(&world);
}

static void a_reboot_begins_an_epoch_and_leftovers_keep_theirs(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 3, 50);
    uint64_t old = spool_epoch(world.spool);
    world.boot = 2;
    world_reopen(&world);
    assert_string_equal(spool_epoch_reason(world.spool), "reboot");
    append_many(&world, 2, 50);
    assert_int_equal(spool_stream_count(world.spool), 2);
    assert_true(spool_stream_at(world.spool, 0).epoch == old);
    assert_int_equal(current(&world).next_number, 3);
    world_check(&world, false);
    /* Once the collector has the leftovers, the old epoch is forgotten, on disk too. */
    struct stream_state all = {.epoch = old, .low_water = 3};
    spool_acknowledge(world.spool, &all);
    assert_int_equal(spool_stream_count(world.spool), 1);
    for (uint64_t serial = 1; serial <= 3; serial++)
        world.is_acked[serial] = true;
    world_reopen(&world);
    assert_int_equal(spool_stream_count(world.spool), 1);
    world_check(&world, false);
    world_done(&world);
}

static void acknowledged_segments_leave_the_disk(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 60, 100);
    uint64_t bytes = spool_counts(world.spool)->bytes;
    world_acknowledge(&world, 30, 40, 45);
    assert_true(spool_counts(world.spool)->bytes < bytes);
    world_check(&world, false);
    world_acknowledge(&world, 60, 0, 0);
    assert_int_equal(spool_counts(world.spool)->segments, 1);
    struct spool_item item;
    assert_false(spool_next(world.spool, spool_epoch(world.spool), 1, &item));
    world_done(&world);
}

static void ranges_above_low_water_are_not_sent_again(void **state)
{
    struct world world;
    struct spool_item item;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 10, 50);
    world_acknowledge(&world, 2, 5, 7);
    uint64_t epoch = spool_epoch(world.spool);
    assert_true(spool_next(world.spool, epoch, 1, &item));
    assert_int_equal(item.first, 3);
    assert_true(spool_next(world.spool, epoch, 5, &item));
    assert_int_equal(item.first, 8);
    assert_int_equal(current(&world).first_number, 3);
    world_done(&world);
}

static void a_full_spool_drops_the_oldest_and_says_so(void **state)
{
    struct world world;
    struct spool_item item;
    (void)state;
    world_init(&world);
    world.limit_bytes = 4000;
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 100, 100);
    uint64_t epoch = spool_epoch(world.spool);
    assert_true(spool_counts(world.spool)->bytes <= 4000);
    assert_true(spool_next(world.spool, epoch, 1, &item));
    assert_true(item.is_gap);
    assert_int_equal(item.first, 1);
    assert_string_equal(item.reason, "spool_full");
    assert_true(item.first_tick_ms <= 10 && item.last_tick_ms == (int64_t)item.last * 10);
    assert_int_equal(item.last, spool_counts(world.spool)->batches_dropped);
    uint64_t last = item.last;
    world_check(&world, true);
    world_reopen(&world);
    assert_true(spool_next(world.spool, epoch, 1, &item));
    assert_true(item.is_gap && item.last == last);
    assert_string_equal(item.reason, "spool_full");
    world_done(&world);
}

static void drops_of_an_old_epoch_are_remembered_until_told(void **state)
{
    struct world world;
    struct spool_item item;
    (void)state;
    world_init(&world);
    world.limit_bytes = 4000;
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 10, 100);
    uint64_t old = spool_epoch(world.spool);
    world.boot = 2;
    world_reopen(&world);
    append_many(&world, 100, 100);
    world_reopen(&world);
    assert_int_equal(spool_stream_count(world.spool), 2);
    assert_int_equal(spool_stream_at(world.spool, 0).next_number, 11);
    assert_true(spool_next(world.spool, old, 1, &item));
    assert_true(item.is_gap && item.first == 1 && item.last == 10);
    world_done(&world);
}

static void what_is_too_old_is_dropped(void **state)
{
    struct world world;
    uint8_t data[900] = {0};
    uint64_t number;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 20, 100);
    struct bytes plain = {data, sizeof data};
    assert_int_equal(
        spool_append(world.spool, 5000000, plain, (struct bytes){0}, 5000000, &number), 0);
    assert_int_equal(
        spool_append(world.spool, 5000001, plain, (struct bytes){0}, 5000001, &number), 0);
    assert_true(spool_counts(world.spool)->batches_dropped >= 15);
    world_done(&world);
}

static void definitions_come_back_from_any_ref(void **state)
{
    struct world world;
    struct buf into = {0};
    struct bytes items;
    uint64_t count;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    assert_int_equal(world_define(&world, 3000), 0);
    world_reopen(&world);
    assert_int_equal(world_define(&world, 5), 0);
    uint64_t epoch = spool_epoch(world.spool);
    static const uint64_t refs[] = {0, 1, 2999, 3000, 3004, 1500, 0};
    for (size_t i = 0; i < sizeof refs / sizeof refs[0]; i++) {
        char name[16];
        assert_int_equal(
            spool_read_definitions(world.spool, epoch, refs[i], &into, &items, &count), 0);
        assert_true(count >= 1 && refs[i] + count <= 3005);
        int length = snprintf(name, sizeof name, "m%llu", (unsigned long long)refs[i]);
        assert_memory_equal(items.data + 1, name, (size_t)length);
    }
    assert_int_equal(spool_read_definitions(world.spool, epoch, 3005, &into, &items, &count),
                     ERR_NOTFOUND);
    buf_done(&into);
    world_done(&world);
}

static void a_restored_copy_is_found_out_by_the_first_resume(void **state)
{
    struct world world;
    struct spool_item item;
    const char *reason = NULL;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    assert_int_equal(world_define(&world, 10), 0);
    append_many(&world, 10, 100);
    assert_int_equal(world_confirm(&world), 0);
    uint64_t old = spool_epoch(world.spool);
    world_reopen(&world); /* the copy, at number 11 */
    assert_false(spool_is_confirmed(world.spool));
    append_many(&world, 5, 100);
    world_reopen(&world); /* and another start before the collector is back */
    append_many(&world, 5, 100);
    /* The original had got to 17, 16 never arrived. */
    struct number_range range = {17, 17};
    struct stream_state known = {
        .epoch = old, .low_water = 15, .ranges = &range, .range_count = 1};
    assert_int_equal(spool_confirm(world.spool, &known, &reason), 0);
    assert_string_equal(reason, "restored_from_copy");
    spool_acknowledge(world.spool, &known);
    uint64_t new = spool_epoch(world.spool);
    assert_true(new != old);
    assert_int_equal(current(&world).next_number, 11);
    assert_int_equal(current(&world).definition_count, 10);
    for (uint64_t number = 1; number <= 10; number++)
        assert_int_equal(world_serial_of(&world, new, number), 10 + number);
    assert_true(spool_next(world.spool, old, 1, &item));
    assert_true(item.is_gap && item.first == 16 && item.last == 16);
    assert_string_equal(item.reason, "epoch_lost");
    world_reopen(&world);
    assert_true(spool_epoch(world.spool) == new);
    assert_int_equal(world_serial_of(&world, new, 3), 13);
    append_many(&world, 1, 100);
    assert_int_equal(world_serial_of(&world, new, 11), 21);
    world_done(&world);
}

static void a_restart_is_no_restored_copy(void **state)
{
    struct world world;
    const char *reason = "";
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 10, 100);
    assert_int_equal(world_confirm(&world), 0);
    world_reopen(&world);
    append_many(&world, 3, 100);
    struct stream_state known = {.epoch = spool_epoch(world.spool), .low_water = 10};
    assert_int_equal(spool_confirm(world.spool, &known, &reason), 0);
    assert_null(reason);
    world_done(&world);
}

/* Turns one byte over in the middle of the file that matches. */
static void damage(const struct world *world, const char *pattern)
{
    char path[128];
    glob_t found;
    uint8_t byte;
    (void)snprintf(path, sizeof path, "%s/%s", world->directory, pattern);
    assert_int_equal(glob(path, 0, NULL, &found), 0);
    int fd = open(found.gl_pathv[0], O_RDWR);
    globfree(&found);
    assert_true(fd >= 0);
    off_t middle = lseek(fd, 0, SEEK_END) / 2;
    assert_int_equal(pread(fd, &byte, 1, middle), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, middle), 1);
    (void)close(fd);
}

static void a_damaged_segment_is_a_gap_and_the_rest_is_read(void **state)
{
    struct world world;
    struct spool_item item;
    uint64_t from = 1, gaps = 0, batches = 0;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 20, 100);
    damage(&world, "*-00000000000000000001.segment");
    world_reopen(&world);
    uint64_t epoch = spool_epoch(world.spool);
    while (spool_next(world.spool, epoch, from, &item)) {
        if (!item.is_gap && world_serial_of(&world, epoch, item.first) == 0)
            continue; /* reading found it out: the next look is at a gap */
        if (item.is_gap) {
            assert_string_equal(item.reason, "spool_corrupt");
            gaps += item.last - item.first + 1;
        } else {
            batches++;
        }
        from = item.last + 1;
    }
    assert_true(gaps >= 1 && gaps <= 5);
    assert_int_equal(gaps + batches, 20);
    world_done(&world);
}

static void a_crowded_definitions_log_begins_a_new_epoch(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    assert_int_equal(world_define(&world, EMITTER_SERIES_MAX / 2), 0);
    append_many(&world, 2, 100);
    world_reopen(&world);
    assert_null(spool_epoch_reason(world.spool));
    assert_int_equal(world_define(&world, 1), 0);
    world_reopen(&world);
    assert_string_equal(spool_epoch_reason(world.spool), "definitions_crowded");
    assert_int_equal(spool_stream_at(world.spool, 1).definition_count, 0);
    world_check(&world, false);
    world_done(&world);
}

static void whoever_wants_a_new_epoch_gets_it(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    assert_int_equal(world_define(&world, 5), 0);
    append_many(&world, 2, 100);
    world.wants_epoch = true;
    world_reopen(&world);
    assert_string_equal(spool_epoch_reason(world.spool), "definitions_crowded");
    assert_int_equal(spool_stream_at(world.spool, 1).definition_count, 0);
    world_check(&world, false);
    world_done(&world);
}

/* A power cut before the second batch may leave a file that was never written to the disk. */
static void an_epoch_that_a_power_cut_emptied_leaves_nothing(void **state)
{
    struct world world;
    char path[96];
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 1, 100);
    (void)snprintf(path, sizeof path, "%s/%016" PRIx64 ".definitions", world.directory,
                   spool_epoch(world.spool));
    world_close(&world);
    assert_int_equal(truncate(path, 0), 0);
    world.boot++;
    assert_int_equal(world_open(&world), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(spool_stream_count(world.spool), 1);
    assert_int_equal(spool_counts(world.spool)->segments, 1);
    world_done(&world);
}

/* Batches alike in size: behind a damaged one, those read once more stand where old ones stood.
 */
static void batches_behind_a_damaged_one_do_not_come_back_to_life(void **state)
{
    struct world world;
    struct buf into = {0};
    struct bytes plain;
    uint64_t serial;
    (void)state;
    world_init(&world);
    world.segment_bytes = 1 << 20;
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 1, 100);
    world_reopen(&world); /* unconfirmed: the next start writes behind the last good batch */
    append_many(&world, 6, 100);
    damage(&world, "*-00000000000000000002.segment");
    world_reopen(&world);
    uint64_t epoch = spool_epoch(world.spool);
    uint64_t next = spool_stream_at(world.spool, 0).next_number;
    assert_in_range(next, 3, 6);
    append_many(&world, 1, 100);
    serial = world.serial;
    world_reopen(&world);
    assert_int_equal(spool_epoch(world.spool), epoch);
    assert_int_equal(spool_stream_at(world.spool, 0).next_number, next + 1);
    assert_int_equal(spool_read(world.spool, epoch, next, &into, &plain), 0);
    assert_memory_equal(plain.data, &serial, sizeof serial);
    buf_done(&into);
    world_done(&world);
}

static void notes_past_their_limit_do_not_keep_a_spool_from_opening(void **state)
{
    struct world world;
    struct notes changed;
    uint64_t number;
    static uint8_t value[NOTES_BYTES_MAX / 2 + 1000];
    (void)state;
    world_init(&world);
    world.limit_bytes = SPOOL_LIMIT_LEAST;
    world.segment_bytes = SPOOL_LIMIT_LEAST;
    assert_int_equal(world_open(&world), 0);
    for (int i = 0; i < 2; i++) {
        notes_init(&changed);
        assert_int_equal(notes_set(&changed, bytes_of(i == 0 ? "a" : "b"),
                                   (struct bytes){value, sizeof value}, true),
                         0);
        assert_int_equal(spool_append(world.spool, 1000 + i, bytes_of("content"),
                                      notes_bytes(&changed), 1000, &number),
                         0);
        notes_done(&changed);
    }
    world_reopen(&world);
    assert_int_equal(spool_stream_at(world.spool, 0).next_number, 3);
    world_done(&world);
}

/* What lies in the segment being written can be cut off only where another can be begun. */
static void a_batch_is_given_up_only_when_the_disk_lets_it(void **state)
{
    struct world world;
    struct spool_item item;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    append_many(&world, 1, 100);
    uint64_t epoch = spool_epoch(world.spool);
    world.fault = FAULT_FAIL;
    world.fault_at = world.calls + 1;
    assert_int_equal(spool_condemn(world.spool, epoch, 1), ERR_FULL);
    assert_true(spool_next(world.spool, epoch, 1, &item));
    assert_false(item.is_gap);
    assert_int_equal(spool_condemn(world.spool, epoch, 1), 0);
    assert_true(spool_next(world.spool, epoch, 1, &item));
    assert_true(item.is_gap);
    assert_int_equal(spool_condemn(world.spool, epoch, 1), 0);
    world_done(&world);
}

/* The first batch of a new folder goes out without waiting for the disk; with the second, what
 * it needs is there. */
static void a_new_epoch_is_synced_with_its_second_batch(void **state)
{
    struct world world;
    uint64_t number;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    assert_int_equal(world_define(&world, 5), 0);
    append_many(&world, 1, 100);
    assert_int_equal(world.syncs, 0);
    world.fault = FAULT_FAIL;
    world.fault_at = world.calls + 1;
    assert_int_equal(spool_append(world.spool, 2000, bytes_of("content"), (struct bytes){0},
                                  2000, &number),
                     ERR_IO);
    append_many(&world, 1, 100);
    const unsigned settled = world.syncs;
    assert_int_equal(settled, 3); /* the file, in vain; the file, and the folder */
    append_many(&world, 10, 100);
    assert_int_equal(world.syncs, settled);
    world_reopen(&world);
    world_check(&world, false);
    world_done(&world);
}

static void a_damaged_definitions_log_begins_a_new_epoch(void **state)
{
    struct world world;
    (void)state;
    world_init(&world);
    assert_int_equal(world_open(&world), 0);
    assert_int_equal(world_define(&world, 50), 0);
    append_many(&world, 2, 100);
    damage(&world, "*.definitions");
    world_reopen(&world);
    assert_string_equal(spool_epoch_reason(world.spool), "definitions_damaged");
    assert_int_equal(spool_stream_count(world.spool), 2);
    world_check(&world, false);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_begin_at_one_and_go_on_after_a_restart),
        cmocka_unit_test(what_waits_is_counted_and_its_age_is_known),
        cmocka_unit_test(a_reboot_begins_an_epoch_and_leftovers_keep_theirs),
        cmocka_unit_test(acknowledged_segments_leave_the_disk),
        cmocka_unit_test(ranges_above_low_water_are_not_sent_again),
        cmocka_unit_test(a_full_spool_drops_the_oldest_and_says_so),
        cmocka_unit_test(drops_of_an_old_epoch_are_remembered_until_told),
        cmocka_unit_test(what_is_too_old_is_dropped),
        cmocka_unit_test(definitions_come_back_from_any_ref),
        cmocka_unit_test(a_restored_copy_is_found_out_by_the_first_resume),
        cmocka_unit_test(a_restart_is_no_restored_copy),
        cmocka_unit_test(a_damaged_segment_is_a_gap_and_the_rest_is_read),
        cmocka_unit_test(a_crowded_definitions_log_begins_a_new_epoch),
        cmocka_unit_test(whoever_wants_a_new_epoch_gets_it),
        cmocka_unit_test(an_epoch_that_a_power_cut_emptied_leaves_nothing),
        cmocka_unit_test(batches_behind_a_damaged_one_do_not_come_back_to_life),
        cmocka_unit_test(notes_past_their_limit_do_not_keep_a_spool_from_opening),
        cmocka_unit_test(a_batch_is_given_up_only_when_the_disk_lets_it),
        cmocka_unit_test(a_new_epoch_is_synced_with_its_second_batch),
        cmocka_unit_test(a_damaged_definitions_log_begins_a_new_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
