/*
 * test_guard.c - a server that is gone holds up neither the loop nor what lies elsewhere, and
 * costs no line when it is back.
 *
 * Mounts come from a table that is written here, and are asked through a gate that is opened
 * and shut: a shut gate is a statfs() that does not come back.
 */
#include "probe/log/guard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/log_world.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_shut;
    int asked, waiting;
    char shut_for[128]; /* only for this folder; empty: all */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void ask_gate(const char *point)
{
    (void)pthread_mutex_lock(&gate.lock);
    gate.asked++;
    gate.waiting++;
    while (gate.is_shut && (gate.shut_for[0] == '\0' || strcmp(gate.shut_for, point) == 0))
        (void)pthread_cond_wait(&gate.changed, &gate.lock);
    gate.waiting--;
    (void)pthread_cond_broadcast(&gate.changed);
    (void)pthread_mutex_unlock(&gate.lock);
}

static void shut(const char *only)
{
    (void)pthread_mutex_lock(&gate.lock);
    gate.is_shut = true;
    (void)snprintf(gate.shut_for, sizeof gate.shut_for, "%s", only);
    (void)pthread_mutex_unlock(&gate.lock);
}

/* Opens the gate, and waits until all have passed. */
static void open_gate(void)
{
    (void)pthread_mutex_lock(&gate.lock);
    gate.is_shut = false;
    (void)pthread_cond_broadcast(&gate.changed);
    while (gate.waiting > 0)
        (void)pthread_cond_wait(&gate.changed, &gate.lock);
    (void)pthread_mutex_unlock(&gate.lock);
}

static int times_asked(void)
{
    (void)pthread_mutex_lock(&gate.lock);
    int asked = gate.asked;
    (void)pthread_mutex_unlock(&gate.lock);
    return asked;
}

/* Until the mount's thread has told: the gate is passed a little before. */
static bool answers_soon(struct guard *guard, struct guard_mount *mount)
{
    for (int i = 0; i < 2000; i++) {
        guard_begin(guard);
        if (guard_answers(mount))
            return true;
        (void)usleep(5000);
    }
    return false;
}

static void put_mounts(const struct world *world, const char *const *points)
{
    char path[128];
    FILE *file = fopen(world_path(world, "mounts", path), "we");
    assert_non_null(file);
    (void)fputs("/dev/sda1 / ext4 rw 0 0\n", file);
    for (size_t i = 0; points[i] != NULL; i++)
        (void)fprintf(file, "server:/x %s%s nfs4 rw,hard 0 0\n", world->folder, points[i]);
    assert_int_equal(fclose(file), 0);
}

/* ---- the facts -------------------------------------------------------------------------- */

static void a_path_is_found_by_folder_and_through_links(void **state)
{
    struct world world;
    struct guard *guard;
    char path[128], target[128];
    (void)state;
    world_make(&world, "a.log");
    put_mounts(&world, (const char *const[]){"/nfs", "/nfs/deep", NULL});
    assert_int_equal(mkdir(world_path(&world, "local", path), 0755), 0);
    assert_int_equal(
        symlink(world_path(&world, "nfs/logs", target), world_path(&world, "local/away", path)),
        0);
    assert_int_equal(symlink("../local/away", world_path(&world, "local/again", path)), 0);
    assert_int_equal(symlink("../nfs/logs", world_path(&world, "local/up", path)), 0);
    assert_int_equal(symlink("./..//./nfs/x/..", world_path(&world, "local/dots", path)), 0);
    assert_int_equal(symlink("loop", world_path(&world, "loop", path)), 0);
    assert_int_equal(guard_new(world.folder, ask_gate, &guard), 0);

    struct guard_mount *nfs = guard_find(guard, world_path(&world, "nfs/a.log", path));
    struct guard_mount *deep = guard_find(guard, world_path(&world, "nfs/deep/*.log", path));
    assert_non_null(nfs);
    assert_non_null(deep);
    assert_ptr_not_equal(nfs, deep);
    static const struct {
        const char *because, *path;
        bool is_nfs;
    } cases[] = {
        {"a name that only begins like the mount's", "nfs2/a.log", false},
        {"a folder beside it", "local/a.log", false},
        {"a link into it", "local/away/a.log", true},
        {"a link to a link", "local/again/x/*.log", true},
        {"a link by the folder above", "local/up/a.log", true},
        {"a link with dots of every kind", "local/dots/a.log", true},
        {"dots without a link", "local/../nfs/./a.log", true},
        {"the mount itself", "nfs", true},
        {"a link to itself", "loop/a.log", false},
        {"nothing", "none/a.log", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].because);
        assert_ptr_equal(guard_find(guard, world_path(&world, cases[i].path, path)),
                         cases[i].is_nfs ? nfs : NULL);
    }
    /* Unmounted: nobody is asked for it any more. */
    put_mounts(&world, (const char *const[]){NULL});
    guard_look(guard);
    assert_null(guard_find(guard, world_path(&world, "nfs/a.log", path)));
    guard_free(guard);
    world_done(&world);
}

static void what_hangs_is_waited_for_once_and_does_not_touch_others(void **state)
{
    struct world world;
    struct guard *guard;
    char path[128];
    const char *point;
    (void)state;
    world_make(&world, "a.log");
    put_mounts(&world, (const char *const[]){"/one", "/two", NULL});
    assert_int_equal(guard_new(world.folder, ask_gate, &guard), 0);
    struct guard_mount *one = guard_find(guard, world_path(&world, "one/a", path));
    struct guard_mount *two = guard_find(guard, world_path(&world, "two/a", path));
    assert_true(answers_soon(guard, one));

    shut(world_path(&world, "one", path));
    int before = times_asked();
    guard_begin(guard);
    assert_false(guard_answers(one));
    assert_false(guard_answers(one)); /* once a tick */
    assert_true(answers_soon(guard, two));
    assert_int_equal(guard_hanging(guard, &point), 1);
    assert_string_equal(point, path);
    for (int i = 0; i < 20; i++) {
        guard_begin(guard);
        assert_false(guard_answers(one));
    }
    /* One question is enough; two was asked as often as it had to be. */
    assert_true(times_asked() - before < 20);
    open_gate();
    assert_true(answers_soon(guard, one));
    assert_int_equal(guard_hanging(guard, &point), 0);
    guard_free(guard);
    world_done(&world);
}

static void a_guard_that_is_freed_leaves_its_thread_to_the_mount(void **state)
{
    struct world world;
    struct guard *guard;
    char path[128];
    (void)state;
    world_make(&world, "a.log");
    put_mounts(&world, (const char *const[]){"/one", NULL});
    assert_int_equal(guard_new(world.folder, ask_gate, &guard), 0);
    shut("");
    guard_begin(guard);
    assert_false(guard_answers(guard_find(guard, world_path(&world, "one/a", path))));
    guard_free(guard); /* comes back although the mount does not */
    open_gate();
    world_done(&world);
}

/* Ticks until `expected` is stored: what was asked for may be answered a tick later. */
static void ticks_until_stored(struct world *world, const char *expected)
{
    for (int i = 0; i < 500 && world->out->stored.size < strlen(expected); i++) {
        world_ticks(world, 1);
        (void)usleep(2000);
    }
    world_assert_stored(world, expected);
}

static void lines_wait_where_they_are_while_the_server_is_gone(void **state)
{
    struct world world;
    (void)state;
    world_make(&world, "a.log");
    put_mounts(&world, (const char *const[]){"", NULL});
    world.ask = ask_gate;
    world_append(&world, "a.log", "1\n");
    world_start(&world);
    ticks_until_stored(&world, "1\n");
    assert_null(source_log.complaint(world.state));

    shut("");
    world_append(&world, "a.log", "2\n");
    world_rotate(&world);
    world_append(&world, "a.log", "3\n");
    world_ticks(&world, 10);
    world_assert_stored(&world, "1\n");
    assert_non_null(strstr(source_log.complaint(world.state), world.folder));
    open_gate();
    ticks_until_stored(&world, "1\n2\n3\n");
    assert_null(source_log.complaint(world.state));
    world_done(&world);
}

static void a_probe_that_starts_meanwhile_reads_on_where_it_was(void **state)
{
    struct world world;
    (void)state;
    world_make(&world, "a.log");
    put_mounts(&world, (const char *const[]){"", NULL});
    world.ask = ask_gate;
    world_append(&world, "a.log", "1\n");
    world_start(&world);
    ticks_until_stored(&world, "1\n");
    world_kill(&world);
    world_append(&world, "a.log", "2\n");
    shut("");
    world_start(&world);
    world_ticks(&world, 5);
    world_assert_stored(&world, "1\n");
    open_gate();
    ticks_until_stored(&world, "1\n2\n");
    world_ticks(&world, 3);
    world_assert_stored(&world, "1\n2\n");
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_found_by_folder_and_through_links),
        cmocka_unit_test(what_hangs_is_waited_for_once_and_does_not_touch_others),
        cmocka_unit_test(a_guard_that_is_freed_leaves_its_thread_to_the_mount),
        cmocka_unit_test(lines_wait_where_they_are_while_the_server_is_gone),
        cmocka_unit_test(a_probe_that_starts_meanwhile_reads_on_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
