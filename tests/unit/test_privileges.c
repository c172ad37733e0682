/*
 * test_privileges.c - whom the probe becomes when root starts it.
 *
 * Becoming somebody is done by a child: what it has given away it does not get back.
 */
#include "probe/privileges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/error.h"

struct world {
    char root[64];
};

static void put(const struct world *world, const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/etc/%s", world->root, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    char etc[80];
    assert_non_null(world);
    (void)strcpy(world->root, "/tmp/fengsui-privileges-XXXXXX");
    assert_non_null(mkdtemp(world->root));
    (void)snprintf(etc, sizeof etc, "%s/etc", world->root);
    assert_int_equal(mkdir(etc, 0755), 0);
    put(world, "passwd",
        "root:x:0:0:root:/root:/bin/sh\nbroken:x:12\nletters:x:1a:1::/:/bin/sh\n"
        "probe-2:x:61:62::/:/bin/sh\nprobe:x:41001:41002:Fengsui:/:/sbin/nologin\n");
    put(world, "group", "adm:x:41004:syslog,probe\nprobe:x:41002:\nother:x:41005:probe-2\n");
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    char path[128];
    static const char *const names[] = {"etc/passwd", "etc/group", "etc", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", world->root, names[i]);
        (void)remove(path);
    }
    free(world);
    return 0;
}

static void capabilities_go_by_name(void **state)
{
    static const struct {
        const char *because, *names;
        int error;
        uint32_t mask;
    } cases[] = {
        {"none is none", "", 0, 0},
        {"nothing said is none", NULL, 0, 0},
        {"one", "sys_ptrace", 0, UINT32_C(1) << 19},
        {"both", "dac_read_search,sys_ptrace", 0, UINT32_C(1) << 19 | UINT32_C(1) << 2},
        {"syslog below 1024, and events", "net_bind_service,net_admin", 0,
         UINT32_C(1) << 10 | UINT32_C(1) << 12},
        {"the probe has no use for others", "sys_admin", ERR_INVALID, 0},
        {"a beginning is no name", "sys_ptrac", ERR_INVALID, 0},
        {"nor is nothing between commas", ",sys_ptrace", ERR_INVALID, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t mask = 0;
        struct diagnosis why = {0};
        print_message("%s\n", cases[i].because);
        assert_int_equal(privileges_parse(cases[i].names, &mask, &why), cases[i].error);
        assert_int_equal(mask, cases[i].mask);
    }
}

static void a_user_is_found_by_its_whole_name(void **state)
{
    struct world *world = *state;
    uint32_t uid = 0, gid = 0;
    struct diagnosis why = {0};
    assert_int_equal(privileges_find_user(world->root, "probe", &uid, &gid, &why), 0);
    assert_int_equal(uid, 41001);
    assert_int_equal(gid, 41002);
    static const char *const strangers[] = {"prob", "broken", "letters", ""};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        assert_int_equal(privileges_find_user(world->root, strangers[i], &uid, &gid, &why),
                         ERR_NOTFOUND);
    assert_int_equal(uid, 41001);
}

/* What a child is after it has become `probe`, as exit code: 0 all as it should be. */
static int child(const struct world *world, uint32_t mask)
{
    struct diagnosis why = {0};
    gid_t groups[8];
    char line[256], wanted[64];
    if (privileges_drop(world->root, "probe", mask, &why) != 0)
        return 1;
    if (getuid() != 41001 || geteuid() != 41001 || getgid() != 41002)
        return 2;
    if (getgroups(8, groups) != 2 || groups[0] + groups[1] != 41002 + 41004)
        return 3;
    (void)snprintf(wanted, sizeof wanted, "CapEff:\t%016x\n", mask);
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "CapEff:", 7) == 0 && strcmp(line, wanted) != 0)
            return 4;
    if (status != NULL)
        (void)fclose(status);
    if (setuid(0) == 0)
        return 5;
    /* Once more, as a SIGHUP might: it is that user already. */
    return privileges_drop(world->root, "probe", mask, &why) == 0 ? 0 : 6;
}

static void root_becomes_the_user_with_its_groups_and_no_more_than_asked(void **state)
{
    struct world *world = *state;
    static const uint32_t masks[] = {0, UINT32_C(1) << 2 | UINT32_C(1) << 19};
    if (geteuid() != 0) {
        print_message("skip: not root\n");
        skip();
    }
    /* Another user must be able to read it. */
    assert_int_equal(chmod(world->root, 0755), 0);
    for (size_t i = 0; i < 2; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(world, masks[i]));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capabilities_go_by_name),
        cmocka_unit_test_setup_teardown(a_user_is_found_by_its_whole_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            root_becomes_the_user_with_its_groups_and_no_more_than_asked, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
