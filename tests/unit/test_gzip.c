/*
 * test_gzip.c - log files that were compressed before they were read to their end.
 *
 * What can go wrong, each a case here: the rest of a file is lost, or its beginning sent again;
 * a file that was read is taken for a new one; members, padding, damage or a death in the
 * middle change what is read; a compressed file of another log is taken.
 */
#include "tests/unit/log_world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "probe/log/gzip.h"
#include "proto/base/error.h"

/* As logrotate has it done: the time of the last change stays. */
static void compress(const struct world *world, const char *name)
{
    char path[128], command[400];
    (void)world_path(world, name, path);
    (void)snprintf(command, sizeof command, "gzip -f %s", path);
    assert_int_equal(system(command), 0);
}

/* Times of files of one test are told apart by more than a file system's tick. */
static void set_age(const struct world *world, const char *name, int seconds_ago)
{
    char path[128];
    struct timespec times[2];
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
    times[0].tv_sec -= seconds_ago;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, world_path(world, name, path), times, 0), 0);
}

static void append_lines(const struct world *world, const char *name, int from, int to,
                         struct buf *expected)
{
    struct buf text = {0};
    for (int i = from; i < to; i++)
        buf_printf(&text, "line %d of a log that goes on and on\n", i);
    world_append(world, name, buf_text(&text));
    buf_put(expected, text.data, text.size);
    buf_done(&text);
}

static void the_rest_is_read_from_what_it_was_compressed_to(void **state)
{
    (void)state;
    struct world world;
    struct buf all = {0};
    world_make(&world, "a.log");
    append_lines(&world, "a.log", 0, 100, &all);
    world_start(&world);
    world_ticks(&world, 2);
    world_kill(&world);
    append_lines(&world, "a.log", 100, 20000, &all);
    world_move(&world, "a.log", "a.log.1");
    compress(&world, "a.log.1");
    append_lines(&world, "a.log", 20000, 20010, &all);
    world_start(&world);
    world_ticks(&world, 30);
    world_assert_stored(&world, buf_text(&all));
    assert_true(world_value(&world, "logwatch_lost_files_total", "") == 0);
    /* Never again, whatever it is called: over a restart, and a rotation. */
    world_move(&world, "a.log.1.gz", "a.log.2.gz");
    world_kill(&world);
    world_start(&world);
    append_lines(&world, "a.log", 30000, 30001, &all);
    world_ticks(&world, 2);
    world_rotate(&world);
    append_lines(&world, "a.log", 30001, 30002, &all);
    world_ticks(&world, 15);
    world_assert_stored(&world, buf_text(&all));
    buf_done(&all);
    world_done(&world);
}

static void files_that_came_and_went_are_read_in_order(void **state)
{
    (void)state;
    struct world world;
    struct buf all = {0};
    world_make(&world, "a.log");
    append_lines(&world, "a.log", 0, 100, &all);
    world_start(&world);
    world_ticks(&world, 2);
    world_kill(&world);
    /* The file under way, one that nobody saw, one not compressed yet, and the one of now. */
    append_lines(&world, "a.log", 100, 200, &all);
    world_move(&world, "a.log", "a.log-20260301");
    append_lines(&world, "a.log", 200, 300, &all);
    world_move(&world, "a.log", "a.log-20260302");
    append_lines(&world, "a.log", 300, 400, &all);
    world_move(&world, "a.log", "a.log-20260303");
    compress(&world, "a.log-20260301");
    compress(&world, "a.log-20260302");
    append_lines(&world, "a.log", 400, 500, &all);
    world_start(&world);
    world_ticks(&world, 30);
    world_assert_stored(&world, buf_text(&all));
    assert_true(world_value(&world, "logwatch_lost_files_total", "") == 0);
    buf_done(&all);
    world_done(&world);
}

static void a_file_that_was_held_after_its_rotation_is_read(void **state)
{
    (void)state;
    struct world world;
    struct buf all = {0};
    world_make(&world, "a.log");
    append_lines(&world, "a.log", 0, 100, &all);
    set_age(&world, "a.log", 100);
    world_start(&world);
    world_ticks(&world, 2);
    world_kill(&world);
    world_move(&world, "a.log", "a.log.2");
    append_lines(&world, "a.log", 100, 200, &all);
    /* The writer is told to let go of it once the next one has its name. */
    world_move(&world, "a.log", "a.log.1");
    world_append(&world, "a.log", "");
    append_lines(&world, "a.log.1", 200, 300, &all);
    set_age(&world, "a.log.1", -1);
    compress(&world, "a.log.2");
    compress(&world, "a.log.1");
    append_lines(&world, "a.log", 300, 400, &all);
    world_start(&world);
    world_ticks(&world, 30);
    world_assert_stored(&world, buf_text(&all));
    buf_done(&all);
    world_done(&world);
}

/* Whichever way a folder is read: it was made before the others, or after them. */
static void one_is_found_among_any_number(void **state)
{
    (void)state;
    for (int is_last = 0; is_last < 2; is_last++) {
        struct world world;
        struct buf all = {0};
        char command[200], path[128], name[32], other[128];
        world_make(&world, "a.log");
        append_lines(&world, "a.log", 0, 100, &all);
        world_start(&world);
        world_ticks(&world, 2);
        world_kill(&world);
        append_lines(&world, "a.log", 100, 200, &all);
        world_move(&world, "a.log", "a.log.999");
        if (is_last == 0)
            compress(&world, "a.log.999");
        (void)snprintf(command, sizeof command, "echo other | gzip >%s && touch -d tomorrow %s",
                       world_path(&world, "other", other), other);
        assert_int_equal(system(command), 0);
        for (int i = 0; i < 900; i++) {
            (void)snprintf(name, sizeof name, "a.log.%d.gz", i);
            assert_int_equal(link(other, world_path(&world, name, path)), 0);
        }
        if (is_last == 1)
            compress(&world, "a.log.999");
        append_lines(&world, "a.log", 200, 201, &all);
        world_start(&world);
        world_ticks(&world, 3);
        world_assert_stored(&world, buf_text(&all));
        assert_true(world_value(&world, "logwatch_lost_files_total", "") == 0);
        buf_done(&all);
        world_done(&world);
    }
}

/* Where it was left is far behind in it, and the probe dies on the way there. */
static void what_cannot_be_opened_at_once_is_not_forgotten(void **state)
{
    (void)state;
    struct world world;
    struct buf all = {0};
    char path[128];
    world_make(&world, "a.log");
    world.out->room = (size_t)16 << 20;
    append_lines(&world, "a.log", 0, 300000, &all);
    assert_true(all.size > GZIP_STEP_BYTES + GZIP_STEP_BYTES / 4);
    world_start(&world);
    world_ticks(&world, 15);
    world_assert_stored(&world, buf_text(&all));
    world_kill(&world);
    append_lines(&world, "a.log", 300000, 300010, &all);
    world_move(&world, "a.log", "a.log.1");
    compress(&world, "a.log.1");
    assert_int_equal(symlink("a.log", world_path(&world, "a.log", path)), 0);
    world_start(&world);
    world_ticks(&world, 1);
    assert_int_equal(unlink(path), 0);
    append_lines(&world, "a.log", 300010, 300020, &all);
    world_ticks(&world, 1);
    world_kill(&world);
    world_start(&world);
    world_ticks(&world, 30);
    world_assert_stored(&world, buf_text(&all));
    buf_done(&all);
    world_done(&world);
}

static void a_death_in_the_middle_repeats_nothing(void **state)
{
    (void)state;
    struct world world;
    struct buf all = {0};
    world_make(&world, "a.log");
    append_lines(&world, "a.log", 0, 10, &all);
    world_start(&world);
    world_ticks(&world, 2);
    world_kill(&world);
    append_lines(&world, "a.log", 10, 20000, &all);
    world_move(&world, "a.log", "a.log.1");
    compress(&world, "a.log.1");
    append_lines(&world, "a.log", 20000, 20010, &all);
    world.out->room = 40000;
    for (int i = 0; i < 12; i++) {
        world_start(&world);
        world_ticks(&world, 2);
        world_collect(&world); /* a batch that is lost */
        world_kill(&world);
        if (i == 5)
            world_move(&world, "a.log.1.gz", "a.log.2.gz");
    }
    world_start(&world);
    world_ticks(&world, 60);
    world_assert_stored(&world, buf_text(&all));
    buf_done(&all);
    world_done(&world);
}

static void a_file_of_another_log_is_not_taken(void **state)
{
    (void)state;
    struct world world;
    struct buf other = {0};
    world_make(&world, "a.log");
    append_lines(&world, "b", 500, 600, &other);
    append_lines(&world, "c", 600, 700, &other);
    world_append(&world, "a.log", "1\n");
    set_age(&world, "a.log", 100);
    world_start(&world);
    world_ticks(&world, 2);
    world_kill(&world);
    char path[128];
    assert_int_equal(unlink(world_path(&world, "a.log", path)), 0);
    /* One too old, one that is being made, one of another name. */
    world_move(&world, "b", "a.log.2");
    set_age(&world, "a.log.2", 200);
    compress(&world, "a.log.2");
    world_move(&world, "c", "other.log.1");
    compress(&world, "other.log.1");
    world_append(&world, "a.log", "2\n");
    world_start(&world);
    world_ticks(&world, 3);
    world_assert_stored(&world, "1\n2\n");
    assert_true(world_value(&world, "logwatch_lost_files_total", "") == 1);
    buf_done(&other);
    world_done(&world);
}

static void damage_is_told_and_what_is_before_it_read(void **state)
{
    (void)state;
    struct world world;
    struct buf all = {0};
    struct stat facts;
    char path[128];
    world_make(&world, "a.log");
    append_lines(&world, "a.log", 0, 10, &all);
    world_start(&world);
    world_ticks(&world, 2);
    world_kill(&world);
    append_lines(&world, "a.log", 10, 20000, &all);
    world_move(&world, "a.log", "a.log.1");
    compress(&world, "a.log.1");
    (void)world_path(&world, "a.log.1.gz", path);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(truncate(path, facts.st_size / 2), 0);
    world_append(&world, "a.log", "next\n");
    world_start(&world);
    world_ticks(&world, 30);
    const char *stored = buf_text(&world.out->stored);
    size_t size = world.out->stored.size;
    assert_true(size > all.size / 4 && size < all.size);
    assert_string_equal(stored + size - 5, "next\n");
    assert_true(world_value(&world, "logwatch_damaged_files_total", "") == 1);
    assert_int_equal(world.out->events, 1);
    buf_done(&all);
    world_done(&world);
}

static void members_and_padding_are_one_file(void **state)
{
    (void)state;
    static const uint8_t zeros[512];
    char name[] = "/tmp/fengsui-gzip-XXXXXX";
    char command[200];
    uint8_t text[64];
    size_t size;
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    (void)snprintf(command, sizeof command,
                   "{ echo first | gzip; printf '\\0\\0'; echo second | gzip; } > %s", name);
    assert_int_equal(system(command), 0);
    assert_true(lseek(fd, 0, SEEK_END) > 0);
    assert_int_equal(write(fd, zeros, sizeof zeros), sizeof zeros);
    struct gzip *gzip;
    assert_int_equal(gzip_new(fd, &gzip), 0);
    assert_int_equal(gzip_read(gzip, 0, text, sizeof text, &size), 0);
    assert_int_equal(size, 13);
    assert_memory_equal(text, "first\nsecond\n", 13);
    assert_int_equal(gzip_read(gzip, 9, text, 2, &size), 0);
    assert_memory_equal(text, "on", 2);
    assert_int_equal(gzip_read(gzip, 2, text, 4, &size), 0); /* back, by beginning anew */
    assert_memory_equal(text, "rst\n", 4);
    assert_int_equal(gzip_read(gzip, 99, text, 4, &size), 0);
    assert_int_equal(size, 0);
    assert_false(gzip_is_damaged(gzip));
    gzip_free(gzip);
    (void)close(fd);
    (void)unlink(name);
}

static void a_long_way_is_gone_in_steps(void **state)
{
    (void)state;
    char name[] = "/tmp/fengsui-gzip-XXXXXX";
    char command[200];
    uint8_t text[8];
    size_t size;
    int error, calls = 0;
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    (void)snprintf(command, sizeof command,
                   "{ head -c 50000000 /dev/zero; echo end; } | gzip -1 > %s", name);
    assert_int_equal(system(command), 0);
    struct gzip *gzip;
    assert_int_equal(gzip_new(fd, &gzip), 0);
    while ((error = gzip_read(gzip, 50000000, text, sizeof text, &size)) == ERR_AGAIN)
        calls++;
    assert_int_equal(error, 0);
    assert_int_equal(size, 4);
    assert_memory_equal(text, "end\n", 4);
    assert_in_range(calls, 4, 8);
    gzip_free(gzip);
    (void)close(fd);
    (void)unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rest_is_read_from_what_it_was_compressed_to),
        cmocka_unit_test(files_that_came_and_went_are_read_in_order),
        cmocka_unit_test(a_file_that_was_held_after_its_rotation_is_read),
        cmocka_unit_test(one_is_found_among_any_number),
        cmocka_unit_test(what_cannot_be_opened_at_once_is_not_forgotten),
        cmocka_unit_test(a_death_in_the_middle_repeats_nothing),
        cmocka_unit_test(a_file_of_another_log_is_not_taken),
        cmocka_unit_test(damage_is_told_and_what_is_before_it_read),
        cmocka_unit_test(members_and_padding_are_one_file),
        cmocka_unit_test(a_long_way_is_gone_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
