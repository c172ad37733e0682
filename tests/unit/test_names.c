/*
 * test_names.c - names by pattern: those that glob(3) gives, and no more than can be borne.
 */
#include "probe/log/names.h"

#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/log_world.h"

static void touch(const struct world *world, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", world->folder, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void make_folder(const struct world *world, const char *name)
{
    char path[128];
    assert_int_equal(mkdir(world_path(world, name, path), 0755), 0);
}

static void the_names_are_those_of_glob(void **state)
{
    static const char *const patterns[] = {
        "*.log",   "a?.log",   "[ab]*.log",   "*",          ".*.log",
        "*/*.log", "*/x/*",    "x*/**/c.log", "none/*",     "a\\*b",
        "a\\**",   "x1/c.log", "*/./*.log",   "x1//*.log",  "[!a]*",
        "*.log/*", "[",        "x1/../*",     "link/*.log", "\\[*",
    };
    static const char *const files[] = {"a1.log", "a2.log",  "b.log", ".hidden.log",
                                        "a*b",    "a*c",     "[",     "x1/c.log",
                                        "x1/x/d", "x2/c.log"};
    struct world world;
    char pattern[256], path[128];
    (void)state;
    world_make(&world, "*.log");
    make_folder(&world, "x1");
    make_folder(&world, "x1/x");
    make_folder(&world, "x2");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        touch(&world, files[i]);
    assert_int_equal(symlink("x1", world_path(&world, "link", path)), 0);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct names names;
        glob_t expected = {0};
        print_message("%s\n", patterns[i]);
        (void)snprintf(pattern, sizeof pattern, "%s/%s", world.folder, patterns[i]);
        int error = glob(pattern, 0, NULL, &expected);
        assert_true(error == 0 || error == GLOB_NOMATCH);
        assert_int_equal(names_find(pattern, NULL, NULL, &names), 0);
        /* What is named in full is looked at by the caller. */
        size_t there = 0;
        for (size_t k = 0; k < names.count; k++) {
            struct stat found;
            if (lstat(names.paths[k], &found) != 0)
                continue;
            assert_true(there < expected.gl_pathc);
            bool is_there = false;
            for (size_t e = 0; e < expected.gl_pathc; e++)
                is_there |= strcmp(names.paths[k], expected.gl_pathv[e]) == 0;
            assert_true(is_there);
            assert_true(k == 0 || strcmp(names.paths[k - 1], names.paths[k]) < 0);
            there++;
        }
        assert_int_equal(there, error == 0 ? expected.gl_pathc : 0);
        assert_false(names.is_cut);
        names_done(&names);
        globfree(&expected);
    }
    world_done(&world);
}

static void a_full_folder_is_cut_short_and_says_so(void **state)
{
    struct world world;
    struct names names;
    char name[32], pattern[128];
    (void)state;
    world_make(&world, "00000?.log");
    for (size_t i = 0; i < NAMES_LOOKED_MAX + 10; i++) {
        (void)snprintf(name, sizeof name, "%06zu.log", i);
        touch(&world, name);
    }
    assert_int_equal(names_find(world_path(&world, "*.log", pattern), NULL, NULL, &names), 0);
    assert_true(names.is_cut);
    assert_int_equal(names.count, NAMES_FOUND_MAX);
    assert_true(names.count + names.excess <= NAMES_LOOKED_MAX);
    names_done(&names);
    /* The source goes on with what it has, and says what it does. */
    world_start(&world);
    world_ticks(&world, 3);
    const char *complaint = source_log.complaint(world.state);
    assert_non_null(complaint);
    assert_non_null(strstr(complaint, "00000?.log"));
    double told = 0;
    for (size_t i = 0; i < world.out->series_count; i++)
        if (strncmp(world.out->series[i].name, "logwatch_patterns_cut", 21) == 0)
            told = world.out->series[i].value;
    assert_true(told == 1);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_names_are_those_of_glob),
        cmocka_unit_test(a_full_folder_is_cut_short_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
