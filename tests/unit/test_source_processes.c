/*
 * test_source_processes.c - parsers of /proc/PID, group rules, and the processes source on a
 * made up /proc and on the host's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/source/process_parse.h"
#include "probe/source/process_rules.h"
#include "probe/source/process_scan.h"
#include "probe/source/process_users.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/wire/record.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

#define T0 INT64_C(1700000000000)

struct fixture {
    struct fake_tree tree;
    struct emitter *out;
    struct running_source running;
};

struct fake_process {
    unsigned pid;
    const char *comm;
    unsigned user_ticks, start_ticks, pages;
    const char *command_line; /* arguments separated by '|' */
};

static void write_process(const struct fixture *f, struct fake_process p)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "proc/%u/stat", p.pid);
    snprintf(
        text, sizeof text,
        "%u (%s) S 1 1 1 0 -1 4194560 100 0 2 0 %u 10 0 0 20 0 3 0 %u 40960 %u "
        "18446744073709551615 1 1 0 0 0 0 0 4096 1256 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        p.pid, p.comm, p.user_ticks, p.start_ticks, p.pages);
    fake_tree_write(&f->tree, path, text);
    snprintf(path, sizeof path, "proc/%u/comm", p.pid);
    fake_tree_write(&f->tree, path, p.comm);
    const char *command = p.command_line != NULL ? p.command_line : p.comm;
    size_t size = (size_t)snprintf(text, sizeof text, "%s", command) + 1;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '|')
            text[i] = '\0';
    snprintf(path, sizeof path, "proc/%u/cmdline", p.pid);
    fake_tree_write_bytes(&f->tree, path, text, size);
}

static void write_io(const struct fixture *f, unsigned pid, unsigned bytes)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "proc/%u/io", pid);
    snprintf(text, sizeof text, "rchar: 1\nwchar: 2\nread_bytes: %u\nwrite_bytes: %u\n", bytes,
             bytes / 2);
    fake_tree_write(&f->tree, path, text);
    snprintf(path, sizeof path, "proc/%u/status", pid);
    fake_tree_write(&f->tree, path,
                    "Uid:\t0\t33\t0\t0\nVmSwap:\t 4 kB\nvoluntary_ctxt_switches:\t150\n"
                    "nonvoluntary_ctxt_switches:\t545\n");
}

static void open_fixture(struct fixture *f, const char *yaml)
{
    *f = (struct fixture){.out = recorder_new()};
    fake_tree_make(&f->tree);
    fake_tree_write(&f->tree, "proc/stat", "cpu 1 2 3 4\nbtime 1600000000\n");
    fake_tree_write(&f->tree, "etc/passwd", "root:x:0:0:root:/:/bin/sh\nwww:x:33:33::/:\n");
    struct diagnosis why = {0};
    if (running_source_start(&f->running, source_find("processes"), f->tree.root, yaml, f->out,
                             &why) != 0)
        fail_msg("%s", why.text);
}

static void tick(struct fixture *f, int64_t now_ms)
{
    assert_int_equal(running_source_tick(&f->running, now_ms, f->out), 0);
}

static void close_fixture(struct fixture *f)
{
    running_source_stop(&f->running);
    recorder_free(f->out);
    fake_tree_done(&f->tree);
}

static double group_value(const struct fixture *f, const char *metric, const char *group)
{
    char series[256];
    snprintf(series, sizeof series, "namedprocess_namegroup_%s{groupname=\"%s\"}", metric,
             group);
    return recorder_value(f->out, series);
}

static double cpu_user(const struct fixture *f, const char *group)
{
    char series[256];
    snprintf(series, sizeof series,
             "namedprocess_namegroup_cpu_seconds_total{groupname=\"%s\",mode=\"user\"}", group);
    return recorder_value(f->out, series);
}

static void a_command_may_hold_anything(void **unused)
{
    (void)unused;
    static const struct {
        const char *because, *text, *comm;
    } cases[] = {
        {"spaces", "7 (tmux: server) S 1 2 3 0 -1 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n",
         "tmux: server"},
        {"parentheses", "7 (a) S (b)) S 1 2 3 0 -1 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
         "a) S (b)"},
        {"a newline", "7 (a\nb) R 1 2 3 0 -1 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "a\nb"},
        {"nothing", "7 () R 1 2 3 0 -1 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct process_stat stat;
        if (!process_stat_parse(span_text(cases[i].text), &stat))
            fail_msg("%s", cases[i].because);
        assert_true(span_is(stat.comm, cases[i].comm));
        assert_int_equal(stat.user_ticks, 5);
        assert_int_equal(stat.start_ticks, 13);
        assert_int_equal(stat.resident_pages, 15);
    }
}

static void a_cut_stat_is_no_stat(void **unused)
{
    (void)unused;
    const char *whole = "7 (x y) S 1 2 3 0 -1 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15";
    struct process_stat stat;
    assert_true(process_stat_parse(span_text(whole), &stat));
    for (size_t size = 0; size + 2 < strlen(whole); size++)
        assert_false(process_stat_parse(span_of(whole, size), &stat));
    assert_false(process_stat_parse(span_text("0 (x) S 1"), &stat));
}

static void limits_cgroups_and_smaps_are_read(void **unused)
{
    (void)unused;
    uint32_t files;
    uint64_t pss, swap;
    struct span path;
    assert_true(process_limits_parse(
        span_text("Limit  Soft\nMax open files            1024       4096      files\n"),
        &files));
    assert_int_equal(files, 1024);
    assert_true(process_limits_parse(span_text("Max open files unlimited unlimited"), &files));
    assert_int_equal(files, UINT32_MAX);
    assert_false(process_limits_parse(span_text("Max processes 3 4"), &files));
    assert_true(process_smaps_parse(span_text("00-ff [rollup]\nRss: 9 kB\nPss: 5 kB\n"
                                              "Pss_Anon: 3 kB\nSwapPss: 2 kB\n"),
                                    &pss, &swap));
    assert_int_equal(pss, 5);
    assert_int_equal(swap, 2);
    assert_true(process_cgroup_parse(
        span_text("4:cpu:/a\n1:name=systemd:/system.slice/x.service\n"), &path));
    assert_true(span_is(path, "/system.slice/x.service"));
    assert_true(process_cgroup_parse(span_text("0::/b:c\n4:cpu:/a\n"), &path));
    assert_true(span_is(path, "/b:c"));
    assert_false(process_cgroup_parse(span_text("nonsense\n"), &path));
}

static void users_come_from_passwd_or_stay_numbers(void **unused)
{
    (void)unused;
    struct fake_tree tree;
    struct user_names users = {0};
    fake_tree_make(&tree);
    fake_tree_write(&tree, "etc/passwd", "root:x:0:0::/:\nbad line\nx:y\nwww:x:33:33::/:\n");
    user_names_refresh(&users, tree.root);
    assert_true(bytes_equal(user_name(&users, tree.root, 33), bytes_of("www")));
    assert_true(bytes_equal(user_name(&users, tree.root, 3), bytes_of("3")));
    fake_tree_write(&tree, "etc/passwd", "renamed:x:33:33::/:\n");
    user_names_refresh(&users, tree.root);
    assert_true(bytes_equal(user_name(&users, tree.root, 33), bytes_of("renamed")));
    user_names_done(&users);
    fake_tree_done(&tree);
}

static void counters_begin_at_zero_and_outlive_members(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, NULL);
    write_process(&f, (struct fake_process){10, "java", 500, 100, 7, NULL});
    write_process(&f, (struct fake_process){11, "java", 50, 200, 3, NULL});
    write_io(&f, 10, 4000);
    tick(&f, T0);
    assert_true(cpu_user(&f, "java") == 0);
    assert_true(group_value(&f, "num_procs", "java") == 2);
    assert_true(group_value(&f, "num_threads", "java") == 6);
    assert_true(group_value(&f, "oldest_start_time_seconds", "java") == 1600000001);
    assert_true(group_value(&f, "read_bytes_total", "java") == 0);
    assert_true(recorder_value(f.out, "namedprocess_namegroup_memory_bytes{groupname=\"java\","
                                      "memtype=\"resident\"}") ==
                10.0 * (double)sysconf(_SC_PAGESIZE));
    assert_true(recorder_value(f.out, "namedprocess_namegroup_states{groupname=\"java\","
                                      "state=\"Sleeping\"}") == 2);

    write_process(&f, (struct fake_process){10, "java", 700, 100, 7, NULL});
    write_io(&f, 10, 6000);
    tick(&f, T0 + 1000);
    assert_true(cpu_user(&f, "java") == 2);
    assert_true(group_value(&f, "read_bytes_total", "java") == 2000);

    fake_tree_remove(&f.tree, "proc/10");
    tick(&f, T0 + 2000);
    assert_true(cpu_user(&f, "java") == 2);
    assert_true(group_value(&f, "num_procs", "java") == 1);
    close_fixture(&f);
}

static void a_process_born_later_counts_from_its_birth(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, NULL);
    write_process(&f, (struct fake_process){10, "sh", 500, 100, 7, NULL});
    tick(&f, T0);
    write_process(&f, (struct fake_process){12, "sh", 30, 900, 7, NULL});
    write_io(&f, 12, 512);
    tick(&f, T0 + 1000);
    assert_true(cpu_user(&f, "sh") == 0.3);
    assert_true(group_value(&f, "read_bytes_total", "sh") == 512);
    close_fixture(&f);
}

static void a_pid_used_again_is_another_process(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, NULL);
    write_process(&f, (struct fake_process){10, "sh", 500, 100, 7, NULL});
    tick(&f, T0);
    write_process(&f, (struct fake_process){10, "sh", 20, 5000, 7, NULL});
    tick(&f, T0 + 1000);
    assert_true(cpu_user(&f, "sh") == 0.2);
    close_fixture(&f);
}

static void a_counter_that_goes_back_adds_nothing(void **unused)
{
    (void)unused;
    uint32_t held = 100;
    uint64_t total = 0;
    process_step(&held, 90, &total);
    assert_int_equal(total, 0);
    process_step(&held, 130, &total);
    assert_int_equal(total, 30);
    held = UINT32_MAX - 1;
    total = 0;
    process_step(&held, (uint64_t)UINT32_MAX + 9, &total);
    assert_int_equal(total, 10);
}

static void exec_moves_a_process_to_its_new_group(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, NULL);
    write_process(&f, (struct fake_process){10, "bash", 500, 100, 7, NULL});
    tick(&f, T0);
    write_process(&f, (struct fake_process){10, "nginx", 600, 100, 7, NULL});
    tick(&f, T0 + 1000);
    assert_true(group_value(&f, "num_procs", "bash") == 0);
    assert_true(group_value(&f, "num_procs", "nginx") == 1);
    assert_true(cpu_user(&f, "nginx") == 1);
    close_fixture(&f);
}

static void rules_go_by_comm_command_line_user_and_cgroup(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, "groups:\n"
                     "  - {name: db, comm: [oracle, tnslsnr]}\n"
                     "  - {name: 'web {{.Matches.app}}', cmdline: 'app=(?P<app>\\w+)'}\n"
                     "  - {name: '{{.Cgroup}}', cgroup: '^/system'}\n"
                     "  - {name: 'exe {{.ExeBase}}', cmdline: '^/opt/'}\n"
                     "  - {name: absent, comm: none}\n"
                     "others: ''\n");
    write_process(&f, (struct fake_process){10, "tnslsnr", 0, 1, 7, NULL});
    write_process(&f, (struct fake_process){11, "java", 0, 1, 7, "java|-Dapp=oss|x"});
    write_process(&f, (struct fake_process){12, "sshd", 0, 1, 7, NULL});
    fake_tree_write(&f.tree, "proc/12/cgroup", "0::/system.slice/ssh.service\n");
    write_process(&f, (struct fake_process){13, "tool", 0, 1, 7, "/opt/x/tool|-v"});
    write_process(&f, (struct fake_process){14, "other", 0, 1, 7, NULL});
    tick(&f, T0);
    assert_true(group_value(&f, "num_procs", "db") == 1);
    assert_true(group_value(&f, "num_procs", "web oss") == 1);
    assert_true(group_value(&f, "num_procs", "/system.slice/ssh.service") == 1);
    assert_true(group_value(&f, "num_procs", "exe tool") == 1);
    assert_true(group_value(&f, "num_procs", "absent") == 0);
    assert_true(isnan(group_value(&f, "num_procs", "other")));
    close_fixture(&f);
}

static void bad_rules_are_refused_with_their_line(void **unused)
{
    (void)unused;
    static const char *const bad[] = {
        "top: 3\ngroups:\n  - {comm: x}\n",
        "top: 3\ngroups:\n  - {name: '{{.Nope}}'}\n",
        "top: 3\ngroups:\n  - {name: x, cmdline: '('}\n",
        "top: 3\n\nothers: '{{.Comm'\n",
        "top: 3\n\ngroups: x\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct running_source running;
        struct emitter *out = recorder_new();
        struct diagnosis why = {0};
        assert_int_equal(
            running_source_start(&running, source_find("processes"), NULL, bad[i], out, &why),
            ERR_INVALID);
        if (strstr(why.text, "test.yml:3:") == NULL)
            fail_msg("%s gave \"%s\"", bad[i], why.text);
        running_source_stop(&running);
        recorder_free(out);
    }
}

static void an_empty_group_lingers_and_then_ends(void **unused)
{
    (void)unused;
    struct fixture f;
    const char *procs = "namedprocess_namegroup_num_procs{groupname=\"cron\"}";
    open_fixture(&f, NULL);
    write_process(&f, (struct fake_process){10, "cron", 0, 1, 7, NULL});
    tick(&f, T0);
    fake_tree_remove(&f.tree, "proc/10");
    tick(&f, T0 + 1000);
    assert_true(recorder_value(f.out, procs) == 0);
    tick(&f, T0 + 60 * 60 * 1000);
    assert_true(recorder_ended(f.out, procs));
    close_fixture(&f);
}

static void names_without_end_share_the_overflow_group(void **unused)
{
    (void)unused;
    struct fixture f;
    char comm[32];
    open_fixture(&f, NULL);
    for (unsigned i = 0; i < 1010; i++) {
        snprintf(comm, sizeof comm, "name%u", i);
        write_process(&f, (struct fake_process){10 + i, comm, 0, 1, 7, NULL});
    }
    tick(&f, T0);
    assert_true(group_value(&f, "num_procs", "name999") == 1);
    assert_true(isnan(group_value(&f, "num_procs", "name1000")));
    assert_true(group_value(&f, "num_procs", "(overflow)") == 10);
    close_fixture(&f);
}

static void kernel_threads_are_in_no_group_unless_wanted(void **unused)
{
    (void)unused;
    const char *stat = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 1 0 0 20 0 1 0 2 0 0 0\n";
    static const char *const yaml[] = {NULL, "kernel_threads: true\n"};
    for (int wanted = 0; wanted < 2; wanted++) {
        struct fixture f;
        open_fixture(&f, yaml[wanted]);
        fake_tree_write(&f.tree, "proc/2/stat", stat);
        write_process(&f, (struct fake_process){10, "sh", 0, 1, 7, NULL});
        tick(&f, T0);
        assert_true(group_value(&f, "num_procs", "sh") == 1);
        assert_int_equal(isnan(group_value(&f, "num_procs", "kthreadd")), !wanted);
        close_fixture(&f);
    }
}

static void a_name_that_is_no_utf8_is_made_readable(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, NULL);
    write_process(&f, (struct fake_process){10, "a\xff(\n) b", 0, 1, 7, NULL});
    tick(&f, T0);
    assert_true(group_value(&f, "num_procs", "a\xef\xbf\xbd( ) b") == 1);
    close_fixture(&f);
}

static void the_top_table_holds_the_largest_with_their_texts(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f, "top: 1\n");
    write_process(&f, (struct fake_process){10, "busy", 0, 100, 5, "busy|--loop"});
    write_process(&f, (struct fake_process){11, "large", 0, 200, 900, NULL});
    write_process(&f, (struct fake_process){12, "idle", 0, 300, 6, NULL});
    write_process(&f, (struct fake_process){13, "disk", 0, 300, 6, NULL});
    for (unsigned pid = 10; pid <= 13; pid++)
        write_io(&f, pid, 0);
    tick(&f, T0);
    uint32_t kind;
    assert_int_equal(recorder_record(f.out, &kind).size, 0);
    write_process(&f, (struct fake_process){10, "busy", 150, 100, 5, "busy|--loop"});
    write_io(&f, 13, 8000);
    tick(&f, T0 + 2000);

    struct arena arena;
    struct process_table table;
    arena_init(&arena, 1 << 20);
    struct bytes record = recorder_record(f.out, &kind);
    assert_int_equal(kind, RECORD_PROCESS_TABLE);
    assert_int_equal(record_decode_processes(record, &arena, &table), 0);
    assert_int_equal(table.process_count, 4);
    assert_int_equal(table.count, 3);
    assert_int_equal(table.rows[0].pid, 10);
    assert_true(fabs(table.rows[0].cpu_seconds_per_second - 0.75) < 1e-6);
    assert_true(bytes_equal(table.rows[0].command_line, bytes_of("busy --loop")));
    assert_true(bytes_equal(table.rows[0].user, bytes_of("www")));
    assert_true(bytes_equal(table.rows[0].group, bytes_of("busy")));
    assert_int_equal(table.rows[0].start_ms, INT64_C(1600000001000));
    assert_int_equal(table.rows[1].pid, 11);
    assert_int_equal(table.rows[1].resident_bytes, 900 * (uint64_t)sysconf(_SC_PAGESIZE));
    assert_int_equal(table.rows[2].pid, 13);
    assert_true(table.rows[2].read_bytes_per_second == 4000);
    arena_reset(&arena);
    close_fixture(&f);
}

static void this_test_finds_itself_and_its_child(void **unused)
{
    (void)unused;
    struct emitter *out = recorder_new();
    struct running_source running;
    char comm[64], series[256];
    FILE *file = fopen("/proc/self/comm", "r");
    assert_non_null(file);
    assert_non_null(fgets(comm, sizeof comm, file));
    fclose(file);
    comm[strcspn(comm, "\n")] = '\0';
    snprintf(series, sizeof series, "namedprocess_namegroup_num_procs{groupname=\"%s\"}", comm);

    assert_int_equal(
        running_source_start(&running, source_find("processes"), NULL, NULL, out, NULL), 0);
    int64_t now_ms = clock_unix_ms(&clock_system);
    assert_int_equal(running_source_tick(&running, now_ms, out), 0);
    double before = recorder_value(out, series);
    assert_true(before >= 1);
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(running_source_tick(&running, now_ms + 1000, out), 0);
    assert_true(recorder_value(out, series) == before + 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(running_source_tick(&running, now_ms + 2000, out), 0);
    assert_true(recorder_value(out, series) == before);
    running_source_stop(&running);
    recorder_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_may_hold_anything),
        cmocka_unit_test(a_cut_stat_is_no_stat),
        cmocka_unit_test(limits_cgroups_and_smaps_are_read),
        cmocka_unit_test(users_come_from_passwd_or_stay_numbers),
        cmocka_unit_test(counters_begin_at_zero_and_outlive_members),
        cmocka_unit_test(a_process_born_later_counts_from_its_birth),
        cmocka_unit_test(a_pid_used_again_is_another_process),
        cmocka_unit_test(a_counter_that_goes_back_adds_nothing),
        cmocka_unit_test(exec_moves_a_process_to_its_new_group),
        cmocka_unit_test(rules_go_by_comm_command_line_user_and_cgroup),
        cmocka_unit_test(bad_rules_are_refused_with_their_line),
        cmocka_unit_test(an_empty_group_lingers_and_then_ends),
        cmocka_unit_test(names_without_end_share_the_overflow_group),
        cmocka_unit_test(kernel_threads_are_in_no_group_unless_wanted),
        cmocka_unit_test(a_name_that_is_no_utf8_is_made_readable),
        cmocka_unit_test(the_top_table_holds_the_largest_with_their_texts),
        cmocka_unit_test(this_test_finds_itself_and_its_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
