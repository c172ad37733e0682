/*
 * test_process_exits.c - records of processes that end: as bytes, and what no look had seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/taskstats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe/source/process_exits.h"
#include "proto/base/error.h"

#define FAMILY     23
#define AT_PROCESS 368u

struct sent_record {
    uint8_t bytes[1024];
    size_t size;
};

static void put(struct sent_record *record, const void *data, size_t size)
{
    memcpy(record->bytes + record->size, data, size);
    record->size += (size + 3) & ~(size_t)3;
}

static void put_attribute(struct sent_record *record, uint16_t type, const void *data,
                          size_t size)
{
    uint16_t header[2] = {(uint16_t)(size + 4), type};
    put(record, header, sizeof header);
    put(record, data, size);
}

/* As the kernel sends it; `stats_bytes` of the structure. */
static struct sent_record record_of(const void *stats, size_t stats_bytes)
{
    struct sent_record inner = {{0}, 0}, record = {{0}, 20};
    uint32_t pid = 4711, size;
    uint16_t family = FAMILY;
    put_attribute(&inner, TASKSTATS_TYPE_PID, &pid, sizeof pid);
    put_attribute(&inner, TASKSTATS_TYPE_STATS, stats, stats_bytes);
    put_attribute(&record, TASKSTATS_TYPE_AGGR_PID, inner.bytes, inner.size);
    size = (uint32_t)record.size;
    memcpy(record.bytes, &size, sizeof size);
    memcpy(record.bytes + 4, &family, sizeof family);
    return record;
}

static struct bytes bytes_of_record(const struct sent_record *record)
{
    return (struct bytes){record->bytes, record->size};
}

static void fill(uint8_t stats[AT_PROCESS + 4], uint16_t version)
{
    struct taskstats old;
    const uint32_t process = 4700;
    memset(&old, 0, sizeof old);
    old.version = version;
    old.ac_pid = 4711;
    old.ac_ppid = 17;
    old.ac_uid = 33;
    old.ac_utime = 250000;
    old.ac_stime = 40000;
    old.read_bytes = 4096;
    old.write_bytes = 512;
    (void)snprintf(old.ac_comm, sizeof old.ac_comm, "gzip");
    memset(stats, 0, AT_PROCESS + 4);
    memcpy(stats, &old, sizeof old < AT_PROCESS ? sizeof old : AT_PROCESS);
    memcpy(stats + AT_PROCESS, &process, sizeof process);
}

static void a_record_is_read_as_far_as_its_kernel_fills_it(void **unused)
{
    uint8_t stats[AT_PROCESS + 4];
    struct process_exit exit;
    (void)unused;
    fill(stats, 12);
    struct sent_record record = record_of(stats, sizeof stats);
    assert_true(process_exit_parse(bytes_of_record(&record), FAMILY, &exit));
    assert_int_equal(exit.thread, 4711);
    assert_int_equal(exit.process, 4700);
    assert_int_equal(exit.parent, 17);
    assert_int_equal(exit.user, 33);
    assert_int_equal(exit.user_us, 250000);
    assert_int_equal(exit.system_us, 40000);
    assert_int_equal(exit.read_bytes, 4096);
    assert_int_equal(exit.write_bytes, 512);
    assert_memory_equal(exit.name, "gzip", 4);
    assert_int_equal(exit.name_size, 4);

    /* An older kernel's is shorter, and tells no process. */
    fill(stats, 8);
    record = record_of(stats, 328);
    assert_true(process_exit_parse(bytes_of_record(&record), FAMILY, &exit));
    assert_int_equal(exit.process, 0);
    assert_int_equal(exit.thread, 4711);
}

static void what_is_no_record_is_none(void **unused)
{
    uint8_t stats[AT_PROCESS + 4];
    struct process_exit exit;
    (void)unused;
    fill(stats, 12);
    struct sent_record record = record_of(stats, sizeof stats);
    assert_false(process_exit_parse(bytes_of_record(&record), FAMILY + 1, &exit));
    for (size_t size = 0; size < record.size; size++)
        assert_false(process_exit_parse((struct bytes){record.bytes, size}, FAMILY, &exit));
    record = record_of(stats, 100); /* no I/O accounting in it */
    assert_false(process_exit_parse(bytes_of_record(&record), FAMILY, &exit));
}

/* ---- what no look had seen ------------------------------------------------------------- */

struct world {
    struct process_exits exits;
    struct process_scan scan;
    struct process rows[2], before[2];
    struct process_group seen, other;
};

static struct process_group *find(void *context, const struct process_exit *exit)
{
    (void)exit;
    return &((struct world *)context)->other;
}

/* Process 10 lives; 20, of one thread, and 30, of two, were there before. */
static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->rows[0] = (struct process){.pid = 10, .group = &w->seen};
    w->before[0] = (struct process){.pid = 20,
                                    .group = &w->seen,
                                    .threads = 1,
                                    .user_ticks = 10,
                                    .system_ticks = 3,
                                    .known = KNOWN_IO,
                                    .read_bytes = 1000};
    w->before[1] = (struct process){.pid = 30, .group = &w->seen, .threads = 2};
    w->scan.rows = w->rows;
    w->scan.count = 1;
    w->scan.spare = w->before;
    w->scan.count_before = 2;
    w->exits.is_open = true;
    w->exits.rows = calloc(4, sizeof *w->exits.rows);
    assert_non_null(w->exits.rows);
    return w;
}

static void settle(struct world *w, struct process_exit exit)
{
    w->exits.rows[0] = exit;
    w->exits.count = 1;
    process_exits_settle(&w->exits, &w->scan, find, w);
    assert_int_equal(w->exits.count, 0);
}

static void world_free(struct world *w)
{
    free(w->exits.rows);
    free(w->exits.heard);
    free(w);
}

static void only_what_no_look_had_seen_is_booked(void **unused)
{
    struct world *w = world_new();
    (void)unused;
    /* A thread of one that lives on: its stat will tell. */
    settle(w, (struct process_exit){.thread = 11, .process = 10, .user_us = 5000000});
    assert_int_equal(w->seen.unseen_us[0] + w->other.unseen_us[0], 0);
    /* The last stretch of one that was seen with 0.1 s and 1,000 bytes. */
    settle(w, (struct process_exit){
                  .thread = 20, .process = 20, .user_us = 170000, .read_bytes = 1500});
    assert_int_equal(w->seen.unseen_us[0], 70000);
    assert_int_equal(w->seen.unseen_us[1], 0);
    assert_int_equal(w->seen.unseen_bytes[0], 500);
    /* Of several threads nobody knows which part was seen. */
    settle(w, (struct process_exit){.thread = 30, .process = 30, .user_us = 9000000});
    assert_int_equal(w->seen.unseen_us[0], 70000);
    /* One that nobody saw. */
    settle(w, (struct process_exit){.thread = 40, .process = 40, .user_us = 20000});
    assert_int_equal(w->other.unseen_us[0], 20000);
    world_free(w);
}

static void without_the_process_only_exits_that_were_heard_count(void **unused)
{
    struct world *w = world_new();
    (void)unused;
    settle(w, (struct process_exit){.thread = 41, .user_us = 20000}); /* whose thread? */
    assert_int_equal(w->other.unseen_us[0], 0);
    process_exits_hear(&w->exits, 43);
    process_exits_hear(&w->exits, 42);
    settle(w, (struct process_exit){.thread = 42, .user_us = 20000});
    assert_int_equal(w->other.unseen_us[0], 20000);
    assert_int_equal(w->exits.heard_count, 0);
    world_free(w);
}

/* On a host that lets us hear them. */
static void the_kernel_tells_of_a_child_that_ends(void **unused)
{
    struct process_exits exits = {0};
    (void)unused;
    int error = process_exits_open(&exits);
    if (error != 0) {
        assert_true(error == ERR_REFUSED || error == ERR_NOTFOUND);
        print_message("no taskstats here: %s\n", error_text(error));
        skip();
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        while (clock() < CLOCKS_PER_SEC / 10)
            ;
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    /* The record is sent before the parent hears of the exit. */
    process_exits_read(&exits);
    uint64_t used_us = 0;
    for (size_t i = 0; i < exits.count; i++)
        if (exits.rows[i].thread == (uint32_t)child) {
            used_us = exits.rows[i].user_us + exits.rows[i].system_us;
            assert_int_equal(exits.rows[i].parent, getpid());
        }
    /* The kernel samples by its own tick, and a busy host may miss some. */
    assert_in_range(used_us, 20000, 5000000);
    process_exits_close(&exits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read_as_far_as_its_kernel_fills_it),
        cmocka_unit_test(what_is_no_record_is_none),
        cmocka_unit_test(only_what_no_look_had_seen_is_booked),
        cmocka_unit_test(without_the_process_only_exits_that_were_heard_count),
        cmocka_unit_test(the_kernel_tells_of_a_child_that_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
