#include "tests/fault/spool_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/definition.h"
#include "proto/base/error.h"

/* True if this call is to fail at once. */
static bool meets_fault(struct world *world)
{
    if (world->is_dead)
        return true;
    return ++world->calls == world->fault_at && world->fault != FAULT_NONE;
}

static ssize_t world_write(void *context, int fd, const void *data, size_t size, off_t offset)
{
    struct world *world = context;
    if (!meets_fault(world))
        return pwrite(fd, data, size, offset);
    if (!world->is_dead && world->fault != FAULT_FAIL)
        (void)!pwrite(fd, data, size / 2, offset);
    world->is_dead |= world->fault == FAULT_KILL;
    errno = ENOSPC;
    return -1;
}

static int fail_call(struct world *world)
{
    world->is_dead |= world->fault == FAULT_KILL;
    errno = EIO;
    return -1;
}

static int world_sync(void *context, int fd)
{
    (void)fd; /* what is tested is which bytes were written, not whether a disk keeps them */
    ((struct world *)context)->syncs++;
    return meets_fault(context) ? fail_call(context) : 0;
}

static int world_rename(void *context, const char *from, const char *to)
{
    return meets_fault(context) ? fail_call(context) : rename(from, to);
}

static int world_unlink(void *context, const char *path)
{
    return meets_fault(context) ? fail_call(context) : unlink(path);
}

void world_init(struct world *world)
{
    memset(world, 0, sizeof *world);
    (void)strcpy(world->directory, "/tmp/spool-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    world->io = (struct file_io){world_write, world_sync, world_rename, world_unlink, world};
    world->boot = 1;
    world->limit_bytes = 1 << 20;
    world->segment_bytes = 700;
}

void world_done(struct world *world)
{
    char command[96];
    spool_close(world->spool);
    (void)snprintf(command, sizeof command, "rm -rf %s", world->directory);
    assert_int_equal(system(command), 0);
}

int world_open(struct world *world)
{
    struct diagnosis why = {0};
    struct spool_options options = {.directory = world->directory,
                                    .limit_bytes = world->limit_bytes,
                                    .age_limit_ms = 1000000,
                                    .segment_bytes = world->segment_bytes,
                                    .wants_epoch = world->wants_epoch,
                                    .io = &world->io};
    memset(options.boot_id, world->boot, sizeof options.boot_id);
    int error = spool_open(&options, &world->spool, &why);
    if (error == 0) {
        size_t last = spool_stream_count(world->spool) - 1;
        world->definitions = spool_stream_at(world->spool, last).definition_count;
    }
    return error;
}

void world_close(struct world *world)
{
    spool_close(world->spool);
    world->spool = NULL;
}

void world_reopen(struct world *world)
{
    world_close(world);
    world->fault = FAULT_NONE;
    world->is_dead = false;
    assert_int_equal(world_open(world), 0);
}

static void fill(uint8_t *data, size_t size, uint64_t serial)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(serial * 31 + i);
    memcpy(data, &serial, sizeof serial);
}

int world_append(struct world *world, size_t size)
{
    uint8_t data[2048];
    struct notes changed;
    uint64_t number = 0, serial = ++world->serial;
    char text[24];

    assert_true(size >= 8 && size <= sizeof data && serial < WORLD_BATCHES_MAX);
    fill(data, size, serial);
    notes_init(&changed);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)serial);
    assert_int_equal(notes_set(&changed, bytes_of("serial"), bytes_of(text), true), 0);
    int error = spool_append(world->spool, (int64_t)serial * 10, (struct bytes){data, size},
                             notes_bytes(&changed), (int64_t)serial * 10, &number);
    notes_done(&changed);
    world->is_kept[serial] = error == 0;
    world->epoch_of[serial] = spool_epoch(world->spool);
    world->number_of[serial] = number;
    return error;
}

int world_define(struct world *world, unsigned count)
{
    struct buf items = {0};
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m%llu",
                       (unsigned long long)(world->definitions + i));
        struct definition definition = {.name = bytes_of(name)};
        assert_int_equal(definition_write(&definition, &items), 0);
    }
    int error =
        spool_add_definitions(world->spool, world->definitions, count, buf_bytes(&items));
    if (error == 0)
        world->definitions += count;
    buf_done(&items);
    return error;
}

uint64_t world_serial_of(struct world *world, uint64_t epoch, uint64_t number)
{
    struct buf into = {0};
    struct bytes plain;
    uint64_t serial = 0;
    uint8_t expected[2048];

    if (spool_read(world->spool, epoch, number, &into, &plain) == 0) {
        assert_in_range(plain.size, 8, sizeof expected);
        memcpy(&serial, plain.data, sizeof serial);
        fill(expected, plain.size, serial);
        assert_memory_equal(plain.data, expected, plain.size);
    }
    buf_done(&into);
    return serial;
}

static void acknowledge_one(struct world *world, uint64_t epoch, uint64_t number)
{
    uint64_t serial = world_serial_of(world, epoch, number);
    if (serial != 0)
        world->is_acked[serial] = true;
}

void world_acknowledge(struct world *world, uint64_t low, uint64_t first, uint64_t last)
{
    struct number_range range = {first, last};
    uint64_t epoch = spool_epoch(world->spool);
    for (uint64_t number = 1; number <= low; number++)
        acknowledge_one(world, epoch, number);
    for (uint64_t number = first; number != 0 && number <= last; number++)
        acknowledge_one(world, epoch, number);
    struct stream_state state = {
        .epoch = epoch, .low_water = low, .ranges = &range, .range_count = first != 0};
    spool_acknowledge(world->spool, &state);
}

int world_confirm(struct world *world)
{
    const char *reason = "";
    struct stream_state state = {.epoch = spool_epoch(world->spool)};
    int error = spool_confirm(world->spool, &state, &reason);
    if (error == 0)
        assert_null(reason);
    return error;
}

/* A gap may speak of what the collector has (the next Resume will tell), not of what was kept.
 */
static void check_gap(const struct world *world, uint64_t epoch, const struct spool_item *gap)
{
    for (uint64_t serial = 1; serial <= world->serial; serial++)
        if (world->epoch_of[serial] == epoch && world->number_of[serial] >= gap->first &&
            world->number_of[serial] <= gap->last && world->is_kept[serial])
            assert_true(world->is_acked[serial]);
}

/* Walks one stream as the transport would. */
static void check_stream(struct world *world, struct spool_stream stream, unsigned *seen,
                         bool may_drop)
{
    struct spool_item item;
    uint64_t from = 1;
    while (spool_next(world->spool, stream.epoch, from, &item)) {
        assert_true(item.first >= from && item.last >= item.first);
        assert_true(item.last < stream.next_number);
        if (item.is_gap) {
            if (!may_drop)
                check_gap(world, stream.epoch, &item);
        } else {
            /* Segments that were acknowledged leave holes which only reading finds. */
            uint64_t serial = world_serial_of(world, stream.epoch, item.first);
            if (serial == 0 && !may_drop)
                check_gap(world, stream.epoch, &item);
            assert_in_range(serial, 0, world->serial);
            seen[serial]++;
        }
        from = item.last + 1;
    }
}

static void check_notes(struct world *world, uint64_t newest)
{
    struct bytes key, value;
    char text[24];
    if (newest == 0)
        return;
    assert_true(notes_at(spool_notes(world->spool), 0, &key, &value));
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)newest);
    assert_int_equal(value.size, strlen(text));
    assert_memory_equal(value.data, text, value.size);
}

void world_check(struct world *world, bool may_drop)
{
    unsigned *seen = calloc(WORLD_BATCHES_MAX, sizeof *seen);
    uint64_t newest = 0;

    assert_non_null(seen);
    for (size_t i = 0; i < spool_stream_count(world->spool); i++)
        check_stream(world, spool_stream_at(world->spool, i), seen, may_drop);
    for (uint64_t serial = 1; serial <= world->serial; serial++) {
        assert_in_range(seen[serial], 0, 1);
        if (world->is_kept[serial] && !world->is_acked[serial] && !may_drop)
            assert_int_equal(seen[serial], 1);
        if (world->is_kept[serial] || seen[serial] > 0)
            newest = serial;
    }
    check_notes(world, newest);
    free(seen);
}
