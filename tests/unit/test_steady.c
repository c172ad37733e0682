/*
 * test_steady.c - what a tick allocates once the host is known: nothing.
 *
 * Every source with its defaults on a recorded host with 480 CPUs and 500 processes, emitting
 * into the probe's own emitter; once with as many disks and interfaces as an epoch has room
 * for, once with 4,000 and 10,000, of which the rest is counted and left out.  The linker sends
 * every call of malloc() and its kin in our code through here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "probe/scheduler.h"
#include "proto/base/buf.h"
#include "tests/unit/fake_tree.h"

#define CPUS      480u
#define PROCESSES 500u

static atomic_size_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    allocations++;
    return __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    allocations++;
    return __real_reallocarray(old, count, size);
}

struct host {
    unsigned disks, interfaces;
    struct fake_tree tree;
    char procfs[96], sysfs[96];
    struct buf text;
};

static void write_text(struct host *host, const char *path)
{
    assert_true(buf_ok(&host->text));
    fake_tree_write(&host->tree, path, buf_text(&host->text));
    buf_clear(&host->text);
}

/* What counts goes on from round to round. */
static void write_host(struct host *host, unsigned round)
{
    struct buf *out = &host->text;
    buf_printf(out, "cpu 1 2 3 4 5 6 7 8 9 10\n");
    for (unsigned i = 0; i < CPUS; i++)
        buf_printf(out, "cpu%u %u 2 3 4 5 6 7 8 9 10\n", i, i + round);
    buf_printf(out,
               "intr 17\nctxt %u\nbtime 1600000000\nprocesses 5\nprocs_running 1\n"
               "procs_blocked 0\n",
               round);
    write_text(host, "proc/stat");
    for (unsigned i = 0; i < host->disks; i++)
        buf_printf(out, " 8 %u sd%u %u 1 2 3 4 5 6 7 0 9 10\n", i, i, round);
    write_text(host, "proc/diskstats");
    buf_printf(out, "Inter-| Receive | Transmit\n face |bytes packets |bytes packets\n");
    for (unsigned i = 0; i < host->interfaces; i++)
        buf_printf(out, "  if%u: %u 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", i, round);
    write_text(host, "proc/net/dev");
    buf_printf(out, "MemTotal: 1000 kB\nMemFree: %u kB\nMemAvailable: 500 kB\n", round);
    write_text(host, "proc/meminfo");
    buf_printf(out, "0.%02u 0.20 0.30 1/100 4711\n", round % 100);
    write_text(host, "proc/loadavg");
    buf_printf(out, "pgpgin %u\npgfault 5\n", round);
    write_text(host, "proc/vmstat");
}

static void write_processes(struct host *host, unsigned round)
{
    char path[64];
    for (unsigned i = 0; i < PROCESSES; i++) {
        unsigned pid = 1000 + i;
        (void)snprintf(path, sizeof path, "proc/%u/stat", pid);
        bool is_idle = i % 2 == 0; /* of one thread that does not run: it will rest */
        buf_printf(
            &host->text,
            "%u (work%u) S 1 1 1 0 -1 4194560 %u 0 2 0 %u 10 0 0 20 0 %u 0 %u 40960 %u\n", pid,
            i % 20, is_idle ? 7 : round, is_idle ? 7 : round * i, is_idle ? 1u : 3u, 100 + i,
            PROCESSES - i);
        write_text(host, path);
        if (round > 1)
            continue;
        (void)snprintf(path, sizeof path, "proc/%u/schedstat", pid);
        buf_printf(&host->text, "1000 2 3\n");
        write_text(host, path);
    }
}

static void write_listeners(struct host *host)
{
    buf_printf(&host->text, "1000 2 3\n");
    write_text(host, "proc/self/schedstat");
    for (unsigned i = 0; i < 100; i++)
        buf_printf(&host->text,
                   "%4u: 00000000:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000 "
                   "    0        0 %u 1 0\n",
                   i, 1000 + i, 7000 + i);
    write_text(host, "proc/net/tcp");
}

static size_t samples, batches, parts;

static void take_batch(struct emitter *emitter)
{
    struct plain_batch batch;
    if (emitter_is_empty(emitter))
        return;
    samples = 0;
    parts = 0;
    while (!emitter_is_empty(emitter)) {
        assert_int_equal(emitter_seal(emitter, &batch), 0);
        assert_in_range(batch.samples.count, 0, BATCH_SAMPLES_MAX);
        samples += batch.samples.count;
        batches++;
        parts++;
        emitter_kept(emitter);
    }
}

static void sealed(void *context, int64_t tick_ms)
{
    (void)tick_ms;
    take_batch(context);
}

static void open_host(struct host *host, unsigned disks, unsigned interfaces)
{
    *host = (struct host){.disks = disks, .interfaces = interfaces};
    fake_tree_make(&host->tree);
    (void)snprintf(host->procfs, sizeof host->procfs, "%s/proc", host->tree.root);
    (void)snprintf(host->sysfs, sizeof host->sysfs, "%s/sys", host->tree.root);
    write_host(host, 1);
    write_listeners(host);
    write_processes(host, 1);
}

/* Ticks until nothing is new, and some more; what those allocated. */
static size_t allocated_in_steady_ticks(unsigned disks, unsigned interfaces)
{
    struct host host;
    struct emitter *emitter;
    struct tick_clock ticks;
    struct scheduler *scheduler;
    open_host(&host, disks, interfaces);
    assert_int_equal(emitter_open(NULL, &emitter), 0);
    tick_clock_init(&ticks, &clock_system, 42, 0);
    const struct scheduler_options options = {
        .env = {.procfs = host.procfs, .sysfs = host.sysfs, .rootfs = host.tree.root},
        .emitter = emitter,
        .ticks = &ticks,
        .sealed = sealed,
        .context = emitter};
    assert_int_equal(scheduler_open(&options, &scheduler), 0);
    for (size_t i = 0; sources[i] != NULL; i++)
        assert_int_equal(scheduler_add(scheduler, sources[i], NULL, NULL, 15000, NULL, NULL),
                         0);
    scheduler_start(scheduler);
    size_t spent = 0;
    for (unsigned round = 2; round < 10; round++) {
        write_host(&host, round);
        if (round >= 6)
            write_processes(&host, round);
        size_t before = allocations;
        scheduler_once(scheduler);
        take_batch(emitter);
        if (round >= 7)
            spent += allocations - before;
    }
    scheduler_close(scheduler);
    emitter_close(emitter);
    buf_done(&host.text);
    fake_tree_done(&host.tree);
    return spent;
}

static void a_tick_allocates_nothing_once_the_host_is_known(void **state)
{
    (void)state;
    assert_int_equal(allocated_in_steady_ticks(1500, 1000), 0);
    assert_true(samples > 8 * CPUS + 11 * 1500 + 16 * 1000 + 20 * 20);
    assert_int_equal(parts, 1);
}

/* Nothing of such a host is left out: what a smaller one has for each disk and interface, it
 * has as often as there are of them. */
static void nor_does_one_of_a_host_with_more_series_than_a_batch_takes(void **state)
{
    (void)state;
    assert_int_equal(allocated_in_steady_ticks(40, 100), 0);
    const size_t small = samples;
    assert_int_equal(allocated_in_steady_ticks(80, 200), 0);
    const size_t more = samples - small; /* of 40 disks and 100 interfaces */
    assert_int_equal(allocated_in_steady_ticks(4000, 10000), 0);
    assert_int_equal(samples, small + 99 * more);
    assert_int_equal(parts, (samples + BATCH_SAMPLES_MAX - 1) / BATCH_SAMPLES_MAX);
    assert_true(parts > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tick_allocates_nothing_once_the_host_is_known),
        cmocka_unit_test(nor_does_one_of_a_host_with_more_series_than_a_batch_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
