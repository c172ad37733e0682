/*
 * test_process_family.c - processes that come and go between two looks: their time, who was
 * replaced, and what the kernel tells about exec and exit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/source/process_events.h"
#include "proto/base/error.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

#define T0 INT64_C(1700000000000)

struct fixture {
    struct fake_tree tree;
    struct emitter *out;
    struct running_source running;
    int64_t now_ms;
};

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.out = recorder_new(), .now_ms = T0};
    fake_tree_make(&f->tree);
    fake_tree_write(&f->tree, "proc/stat", "cpu 1 2 3 4\nbtime 1600000000\n");
    assert_int_equal(running_source_start(&f->running, source_find("processes"), f->tree.root,
                                          NULL, f->out, NULL),
                     0);
}

static void close_fixture(struct fixture *f)
{
    running_source_stop(&f->running);
    recorder_free(f->out);
    fake_tree_done(&f->tree);
}

struct life {
    unsigned pid, parent, start;
    const char *comm;
    unsigned user, child_user;
};

static void live(const struct fixture *f, struct life life)
{
    char path[64], text[512];
    (void)snprintf(path, sizeof path, "proc/%u/stat", life.pid);
    (void)snprintf(text, sizeof text,
                   "%u (%s) S %u 1 1 0 -1 4194560 0 0 0 0 %u 0 %u 0 20 0 1 0 %u 4096 1\n",
                   life.pid, life.comm, life.parent, life.user, life.child_user, life.start);
    fake_tree_write(&f->tree, path, text);
}

static void die(const struct fixture *f, unsigned pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "proc/%u", pid);
    fake_tree_remove(&f->tree, path);
}

static void tick(struct fixture *f)
{
    f->now_ms += 15000;
    assert_int_equal(running_source_tick(&f->running, f->now_ms, f->out), 0);
}

static double unseen(const struct fixture *f, const char *group)
{
    char series[256];
    (void)snprintf(series, sizeof series,
                   "process_group_children_cpu_seconds_total{groupname=\"%s\",mode=\"user\"}",
                   group);
    return recorder_value(f->out, series);
}

static double restarts(const struct fixture *f, const char *group)
{
    char series[256];
    (void)snprintf(series, sizeof series, "process_group_restarts_total{groupname=\"%s\"}",
                   group);
    return recorder_value(f->out, series);
}

#define ASSERT_NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static void time_that_nobody_saw_is_the_parents_groups(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    /* What it inherited before the first look is not counted. */
    live(&f, (struct life){20, 1, 100, "cron", 5, 5000});
    live(&f, (struct life){21, 20, 200, "backup", 50, 0});
    tick(&f);
    ASSERT_NEAR(unseen(&f, "cron"), 0);
    /* The child ended with 80 ticks, of which 50 were seen. */
    die(&f, 21);
    live(&f, (struct life){20, 1, 100, "cron", 5, 5080});
    tick(&f);
    ASSERT_NEAR(unseen(&f, "cron"), 0.3);
    /* Another one that no look saw. */
    live(&f, (struct life){20, 1, 100, "cron", 5, 5120});
    tick(&f);
    ASSERT_NEAR(unseen(&f, "cron"), 0.7);
    close_fixture(&f);
}

static void what_shows_a_look_later_is_not_counted_twice(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    live(&f, (struct life){20, 1, 100, "sh", 0, 0});
    live(&f, (struct life){21, 20, 200, "job", 40, 10});
    tick(&f);
    die(&f, 21); /* reaped after its parent was read */
    tick(&f);
    live(&f, (struct life){20, 1, 100, "sh", 0, 55});
    tick(&f);
    ASSERT_NEAR(unseen(&f, "sh"), 0.05);
    /* A parent that inherits nothing (SIGCHLD ignored) is owed nothing for ever. */
    live(&f, (struct life){22, 20, 300, "job", 100, 0});
    tick(&f);
    die(&f, 22);
    tick(&f);
    tick(&f);
    live(&f, (struct life){20, 1, 100, "sh", 0, 85});
    tick(&f);
    ASSERT_NEAR(unseen(&f, "sh"), 0.35);
    close_fixture(&f);
}

static void a_member_that_is_replaced_is_a_restart(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    live(&f, (struct life){30, 1, 100, "nginx", 0, 0});
    live(&f, (struct life){31, 30, 110, "nginx", 0, 0});
    tick(&f);
    ASSERT_NEAR(restarts(&f, "nginx"), 0);
    live(&f, (struct life){32, 30, 900, "nginx", 0, 0}); /* one more is none */
    tick(&f);
    ASSERT_NEAR(restarts(&f, "nginx"), 0);
    die(&f, 31);
    live(&f, (struct life){33, 30, 950, "nginx", 0, 0});
    tick(&f);
    ASSERT_NEAR(restarts(&f, "nginx"), 1);
    die(&f, 33); /* a pid that is used again is another process */
    live(&f, (struct life){32, 30, 990, "nginx", 0, 0});
    tick(&f);
    ASSERT_NEAR(restarts(&f, "nginx"), 2);
    for (int i = 0; i < 12; i++) /* one that comes much later is no replacement */
        tick(&f);
    live(&f, (struct life){34, 30, 9999, "nginx", 0, 0});
    tick(&f);
    ASSERT_NEAR(restarts(&f, "nginx"), 2);
    close_fixture(&f);
}

static void put_event(uint32_t words[20], uint32_t what, uint32_t pid, uint32_t tgid,
                      uint32_t status)
{
    memset(words, 0, 20 * sizeof *words);
    words[4] = words[5] = 1;
    words[9] = what;
    words[13] = pid;
    words[14] = tgid;
    words[15] = status;
}

static void an_event_is_of_a_whole_process_or_of_none(void **state)
{
    static const struct {
        const char *because;
        uint32_t what, pid, tgid, status;
        enum process_event_kind kind;
    } cases[] = {
        {"exec", 2, 7, 7, 0, PROCESS_EVENT_EXEC},
        {"exec of a thread is the process's", 2, 9, 7, 0, PROCESS_EVENT_EXEC},
        {"the end of a process", 0x80000000u, 7, 7, 256, PROCESS_EVENT_EXIT},
        {"the end of a thread", 0x80000000u, 9, 7, 0, PROCESS_EVENT_OTHER},
        {"a fork", 1, 7, 7, 0, PROCESS_EVENT_OTHER},
    };
    uint32_t words[20];
    struct process_event event;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_event(words, cases[i].what, cases[i].pid, cases[i].tgid, cases[i].status);
        struct bytes message = {(const uint8_t *)words, sizeof words};
        assert_true(process_event_parse(message, &event));
        if (event.kind != cases[i].kind ||
            (event.kind != PROCESS_EVENT_OTHER && event.pid != 7) ||
            (event.kind == PROCESS_EVENT_EXIT && event.status != cases[i].status))
            fail_msg("%s", cases[i].because);
        assert_false(process_event_parse((struct bytes){message.data, 59}, &event));
    }
    words[4] = 3; /* another connector's */
    assert_false(
        process_event_parse((struct bytes){(const uint8_t *)words, sizeof words}, &event));
}

struct heard {
    pid_t pid;
    unsigned execs, exits;
    uint32_t status;
};

static void hear(void *context, const struct process_event *event)
{
    struct heard *heard = context;
    if ((pid_t)event->pid != heard->pid)
        return;
    heard->execs += event->kind == PROCESS_EVENT_EXEC;
    heard->exits += event->kind == PROCESS_EVENT_EXIT;
    heard->status = event->status;
}

static pid_t run(const char *command)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

static void the_kernel_tells_of_exec_and_exit(void **state)
{
    struct process_events events = {0};
    struct heard heard = {.pid = 0};
    (void)state;
    if (process_events_open(&events) != 0) {
        print_message("not permitted here\n");
        process_events_close(&events);
        return;
    }
    heard.pid = run("exit 3");
    (void)process_events_read(&events, hear, &heard);
    if (!events.is_heard) {
        print_message("another namespace: the kernel is silent\n");
    } else {
        assert_int_equal(heard.execs, 1);
        assert_int_equal(heard.exits, 1);
        assert_int_equal(heard.status, 3 << 8);
        /* Too many for the socket: told once, and it goes on. */
        int small = 1;
        (void)setsockopt(events.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        for (int i = 0; i < 40; i++)
            (void)run("exit 0");
        assert_false(process_events_read(&events, hear, &heard));
        assert_true(events.lost > 0);
        /* Other processes of a busy host may fill it again: what is lost is told, and tried anew. */
        int large = 1 << 20;
        (void)setsockopt(events.fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
        bool is_whole = false;
        for (int tries = 0; tries < 50 && !is_whole; tries++) {
            (void)process_events_read(&events, hear, &heard);
            heard = (struct heard){.pid = run("kill -9 $$")};
            is_whole = process_events_read(&events, hear, &heard);
        }
        assert_true(is_whole);
        assert_int_equal(heard.exits, 1);
        assert_int_equal(heard.status & 0x7f, 9);
    }
    process_events_close(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_that_nobody_saw_is_the_parents_groups),
        cmocka_unit_test(what_shows_a_look_later_is_not_counted_twice),
        cmocka_unit_test(a_member_that_is_replaced_is_a_restart),
        cmocka_unit_test(an_event_is_of_a_whole_process_or_of_none),
        cmocka_unit_test(the_kernel_tells_of_exec_and_exit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
