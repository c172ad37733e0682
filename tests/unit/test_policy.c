/*
 * test_policy.c - what a collector may ask of a probe, and what stays on disk of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/policy.h"
#include "proto/base/error.h"

static char folder[] = "/tmp/test_policy.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    (void)strcpy(folder, "/tmp/test_policy.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/policy.yml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static int keep(const char *document, bool *ret_is_new)
{
    struct diagnosis why = {0};
    return policy_keep(&file_io_system, folder, bytes_of(document), ret_is_new, &why);
}

static void the_same_policy_again_is_nothing_new(void **state)
{
    struct stat status;
    bool is_new = false;
    (void)state;
    assert_int_equal(keep("intervals: {cpu: 1s}\n", &is_new), 0);
    assert_true(is_new);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(keep("intervals: {cpu: 1s}\n", &is_new), 0);
    assert_false(is_new);
    assert_int_equal(keep("intervals: {cpu: 2s}\n", &is_new), 0);
    assert_true(is_new);
}

static void what_a_policy_may_not_say_leaves_the_last_one(void **state)
{
    static const char *const refused[] = {
        "intervals: {cpu: 1ms}\n",
        "intervals: [cpu]\n",
        "logs: [{path: /etc/shadow}]\n",
        "sources: {cpu: {enabled: no}}\n",
        "command: reboot\n",
        "intervals: {cpu: 1s",
    };
    struct diagnosis why = {0};
    bool is_new;
    char *text;
    (void)state;
    assert_int_equal(keep("intervals: {cpu: 3s}\n", &is_new), 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_not_equal(keep(refused[i], &is_new), 0);
    assert_int_equal(file_read_whole(path, 1000, &text, NULL, &why), 0);
    assert_string_equal(text, "intervals: {cpu: 3s}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_policy_again_is_nothing_new, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_a_policy_may_not_say_leaves_the_last_one,
                                        make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
