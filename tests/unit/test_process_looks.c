/*
 * test_process_looks.c - what the processes source reads again, and when: who rests, who is
 * classified anew, and who listens on which port.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/source/process_deleted.h"
#include "probe/source/process_socket.h"
#include "probe/source/socket_line.h"
#include "proto/wire/record.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

#define T0      INT64_C(1700000000000)
#define LOOK_MS 15000
#define NO_EXEC 0x40u

struct world {
    struct fake_tree tree;
    struct emitter *out;
    struct running_source running;
    int64_t now_ms;
};

struct actor {
    unsigned pid;
    const char *comm;
    unsigned flags, ticks, threads, pages;
};

static void write_below(const struct world *w, unsigned pid, const char *file, const char *text)
{
    char path[96];
    (void)snprintf(path, sizeof path, "proc/%u/%s", pid, file);
    fake_tree_write(&w->tree, path, text);
}

static void write_stat(const struct world *w, struct actor actor)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "%u (%s) S 1 1 1 0 -1 %u 100 0 2 0 %u 10 0 0 20 0 %u 0 100 40960 %u 0 1 1\n",
                   actor.pid, actor.comm, actor.flags, actor.ticks, actor.threads, actor.pages);
    write_below(w, actor.pid, "stat", text);
}

/* `yaml`: of the source. */
static void begin(struct world *w, const char *yaml)
{
    struct diagnosis why = {0};
    *w = (struct world){.out = recorder_new(), .now_ms = T0};
    fake_tree_make(&w->tree);
    fake_tree_write(&w->tree, "proc/stat", "cpu 1 2 3 4\nbtime 1600000000\n");
    fake_tree_write(&w->tree, "proc/self/schedstat", "1000 1 1\n");
    fake_tree_write(&w->tree, "proc/net/tcp", "");
    fake_tree_write(&w->tree, "proc/net/udp", "");
    if (running_source_start(&w->running, source_find("processes"), w->tree.root, yaml, w->out,
                             &why) != 0)
        fail_msg("%s", why.text);
    w->running.env.interval_ms = LOOK_MS;
}

static void look(struct world *w, unsigned times)
{
    for (unsigned i = 0; i < times; i++, w->now_ms += LOOK_MS)
        assert_int_equal(running_source_tick(&w->running, w->now_ms, w->out), 0);
}

static void end(struct world *w)
{
    running_source_stop(&w->running);
    recorder_free(w->out);
    fake_tree_done(&w->tree);
}

static double cpu_of(const struct world *w, const char *group)
{
    char series[128];
    (void)snprintf(series, sizeof series,
                   "namedprocess_namegroup_cpu_seconds_total{groupname=\"%s\",mode=\"user\"}",
                   group);
    return recorder_value(w->out, series);
}

static double members_of(const struct world *w, const char *group)
{
    char series[128];
    (void)snprintf(series, sizeof series, "namedprocess_namegroup_num_procs{groupname=\"%s\"}",
                   group);
    return recorder_value(w->out, series);
}

static double resident_of(const struct world *w, const char *group)
{
    char series[128];
    (void)snprintf(series, sizeof series,
                   "namedprocess_namegroup_memory_bytes{groupname=\"%s\",memtype=\"resident\"}",
                   group);
    return recorder_value(w->out, series) / (double)sysconf(_SC_PAGESIZE);
}

static void link_socket(const struct world *w, unsigned pid, const char *target)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/proc/%u/fd", w->tree.root, pid);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/proc/%u/fd/3", w->tree.root, pid);
    assert_int_equal(symlink(target, path), 0);
}

/* ---- who rests ------------------------------------------------------------------------- */

static void who_does_not_run_is_not_read_until_it_does(void **unused)
{
    struct world w;
    (void)unused;
    begin(&w, NULL);
    write_stat(&w, (struct actor){10, "sleeper", 0, 500, 1, 7});
    write_below(&w, 10, "schedstat", "5000 3 12\n");
    look(&w, 8);
    /* A kernel never shows this; it tells whether stat was read. */
    write_stat(&w, (struct actor){10, "sleeper", 0, 600, 1, 9});
    look(&w, 1);
    assert_true(cpu_of(&w, "sleeper") == 0);
    assert_true(members_of(&w, "sleeper") == 1);
    write_below(&w, 10, "schedstat", "6000 3 13\n");
    look(&w, 1);
    assert_true(cpu_of(&w, "sleeper") == 1);
    assert_true(resident_of(&w, "sleeper") == 9);
    end(&w);
}

static void pages_are_looked_at_now_and_then_all_the_same(void **unused)
{
    struct world w;
    (void)unused;
    begin(&w, NULL);
    write_stat(&w, (struct actor){10, "sleeper", 0, 500, 1, 7});
    write_below(&w, 10, "schedstat", "5000 3 12\n");
    look(&w, 8);
    write_stat(&w, (struct actor){10, "sleeper", 0, 500, 1, 2}); /* swapped out */
    look(&w, 1);
    assert_true(resident_of(&w, "sleeper") == 7);
    look(&w, 600000 / LOOK_MS);
    assert_true(resident_of(&w, "sleeper") == 2);
    end(&w);
}

static void threads_and_kernels_that_count_nothing_keep_everybody_awake(void **unused)
{
    struct world w;
    (void)unused;
    begin(&w, NULL);
    write_stat(&w, (struct actor){10, "threads", 0, 500, 2, 7}); /* of its first thread alone */
    write_below(&w, 10, "schedstat", "5000 3 12\n");
    write_stat(&w, (struct actor){11, "uncounted", 0, 500, 1, 7});
    write_below(&w, 11, "schedstat", "0 0 0\n");
    look(&w, 8);
    write_stat(&w, (struct actor){10, "threads", 0, 600, 2, 7});
    write_stat(&w, (struct actor){11, "uncounted", 0, 600, 1, 7});
    look(&w, 1);
    assert_true(cpu_of(&w, "threads") == 1);
    assert_true(cpu_of(&w, "uncounted") == 1);
    end(&w);
}

static void a_resting_pid_used_again_is_another_process(void **unused)
{
    struct world w;
    (void)unused;
    begin(&w, NULL);
    write_stat(&w, (struct actor){10, "old", 0, 500, 1, 7});
    write_below(&w, 10, "schedstat", "5000 3 12\n");
    look(&w, 8);
    fake_tree_remove(&w.tree, "proc/10");
    look(&w, 1);
    assert_true(members_of(&w, "old") == 0);
    write_stat(&w, (struct actor){10, "new", 0, 30, 1, 7});
    look(&w, 1);
    assert_true(members_of(&w, "new") == 1);
    end(&w);
}

/* ---- who is classified anew ------------------------------------------------------------ */

#define BY_COMMAND                                                                             \
    "groups:\n"                                                                                \
    "  - {name: app, cmdline: '-Dapp'}\n"                                                      \
    "others: '{{.Comm}}'\n"

static void an_exec_under_the_same_name_is_seen_without_events(void **unused)
{
    struct world w;
    (void)unused;
    begin(&w, BY_COMMAND);
    write_stat(&w, (struct actor){10, "java", NO_EXEC, 500, 2, 7});
    write_below(&w, 10, "cmdline", "java");
    look(&w, 1);
    assert_true(members_of(&w, "java") == 1);
    write_stat(&w, (struct actor){10, "java", 0, 500, 2, 7});
    fake_tree_write_bytes(&w.tree, "proc/10/cmdline", "java\0-Dapp=x", 13);
    look(&w, 1);
    assert_true(members_of(&w, "java") == 0);
    assert_true(members_of(&w, "app") == 1);
    end(&w);
}

static void a_command_line_that_changes_is_read_again_in_turns(void **unused)
{
    struct world w;
    (void)unused;
    begin(&w, BY_COMMAND);
    write_stat(&w, (struct actor){10, "java", 0, 500, 2, 7});
    fake_tree_write_bytes(&w.tree, "proc/10/cmdline", "java\0-Dapp=x", 13);
    look(&w, 1);
    assert_true(members_of(&w, "app") == 1);
    fake_tree_write(&w.tree, "proc/10/cmdline", "stopping");
    look(&w, 2);
    assert_true(members_of(&w, "app") == 0);
    assert_true(members_of(&w, "java") == 1);
    end(&w);
}

static void what_may_not_be_read_is_counted(void **unused)
{
    struct world w;
    (void)unused;
    begin(&w, NULL);
    write_stat(&w, (struct actor){10, "shy", 0, 500, 2, 7});
    write_below(&w, 10, "io", "nothing to see\n");
    write_below(&w, 11, "stat", "11 (cut");
    look(&w, 1);
    assert_true(recorder_value(w.out, "namedprocess_scrape_errors") == 0);
    assert_true(recorder_value(w.out, "namedprocess_scrape_partial_errors") == 1);
    assert_true(recorder_value(w.out, "namedprocess_scrape_procread_errors") == 1);
    assert_true(recorder_value(w.out, "namedprocess_io_unreadable") == 1);
    end(&w);
}

/* ---- what nobody finds ------------------------------------------------------------------ */

static void deleted_files_that_are_open_are_counted(void **unused)
{
    static const struct {
        const char *because, *target;
        bool counts;
    } links[] = {
        {"a deleted file", "/var/log/app.log (deleted)", true},
        {"a file", "/var/log/app.log", false},
        {"memory", "/memfd:wayland (deleted)", false},
        {"shared memory", "/dev/shm/x (deleted)", false},
        {"System V's", "/SYSV00000000 (deleted)", false},
        {"a socket", "socket:[77] (deleted)", false},
        {"the suffix alone", " (deleted)", false},
    };
    struct world w;
    (void)unused;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (process_deleted_link(span_text(links[i].target)) != links[i].counts)
            fail_msg("%s", links[i].because);
    begin(&w, NULL);
    write_stat(&w, (struct actor){10, "app", 0, 500, 2, 7});
    link_socket(&w, 10, "/var/log/app.log (deleted)");
    look(&w, 1);
    assert_true(recorder_value(w.out, "process_group_deleted_files{groupname=\"app\"}") == 1);
    fake_tree_remove(&w.tree, "proc/10/fd");
    link_socket(&w, 10, "/var/log/app.log");
    look(&w, 8);
    assert_true(recorder_value(w.out, "process_group_deleted_files{groupname=\"app\"}") == 0);
    end(&w);
}

/* ---- threads --------------------------------------------------------------------------- */

static void write_thread(const struct world *w, unsigned tid, const char *name, unsigned ticks)
{
    char file[64], text[512];
    (void)snprintf(file, sizeof file, "task/%u/stat", tid);
    (void)snprintf(text, sizeof text,
                   "%u (%s) S 1 1 1 0 -1 0 100 0 2 0 %u 10 0 0 20 0 3 0 %u 40960 7 0 1 1\n",
                   tid, name, ticks, 90 + tid);
    write_below(w, 10, file, text);
}

static double thread_value(const struct world *w, const char *series, const char *before,
                           const char *name)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "namedprocess_namegroup_thread_%s{groupname=\"java\",%sthreadname=\"%s\"}",
                   series, before, name);
    return recorder_value(w->out, text);
}

#define USER "mode=\"user\","
#define READ "iomode=\"read\","

static void threads_are_counted_by_name_and_outlive_themselves(void **unused)
{
    struct world w;
    (void)unused;
    begin(&w, "threads: true\n");
    write_stat(&w, (struct actor){10, "java", 0, 500, 3, 7});
    write_thread(&w, 10, "java", 100);
    write_thread(&w, 11, "GC", 200);
    write_thread(&w, 12, "GC", 300);
    write_below(&w, 10, "task/12/io", "read_bytes: 100\nwrite_bytes: 7\n");
    look(&w, 1);
    assert_true(thread_value(&w, "count", "", "GC") == 2);
    assert_true(thread_value(&w, "count", "", "java") == 1);
    assert_true(thread_value(&w, "cpu_seconds_total", USER, "GC") == 0);
    assert_true(thread_value(&w, "io_bytes_total", READ, "GC") == 0);

    write_thread(&w, 11, "GC", 250);
    write_thread(&w, 12, "GC", 350);
    write_below(&w, 10, "task/12/io", "read_bytes: 164\nwrite_bytes: 7\n");
    look(&w, 1);
    assert_true(thread_value(&w, "cpu_seconds_total", USER, "GC") == 1);
    assert_true(thread_value(&w, "io_bytes_total", READ, "GC") == 64);

    fake_tree_remove(&w.tree, "proc/10/task/12");
    write_thread(&w, 13, "GC", 50); /* began since: all of it counts */
    look(&w, 1);
    assert_true(thread_value(&w, "count", "", "GC") == 2);
    assert_true(thread_value(&w, "cpu_seconds_total", USER, "GC") == 1.5);
    end(&w);
}

/* ---- who listens ----------------------------------------------------------------------- */

#define HEADING                                                                                \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "      \
    "timeout inode\n"
#define LISTENS_ON_1521                                                                        \
    "   0: 00000000:05F1 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0       " \
    " 0 "                                                                                      \
    "77 1 0000000000000000 100 0 0 10 0\n"

static void a_port_has_the_group_of_who_listens_and_ends_with_it(void **unused)
{
    static const char series[] =
        "listen_port_up{port=\"1521\",protocol=\"tcp\",service=\"%s\"}";
    char lsnr[96], worker[96];
    struct world w;
    (void)unused;
    (void)snprintf(lsnr, sizeof lsnr, series, "tnslsnr");
    (void)snprintf(worker, sizeof worker, series, "worker");
    begin(&w, NULL);
    write_stat(&w, (struct actor){10, "tnslsnr", 0, 500, 2, 7});
    write_stat(&w, (struct actor){11, "worker", 0, 500, 2, 7});
    link_socket(&w, 10, "socket:[77]");
    link_socket(&w, 11, "socket:[78]");
    fake_tree_write(&w.tree, "proc/net/tcp", HEADING LISTENS_ON_1521);
    look(&w, 1);
    assert_true(recorder_value(w.out, lsnr) == 1);
    assert_true(recorder_value(w.out, "listen_port_backlog{port=\"1521\",protocol=\"tcp\","
                                      "service=\"tnslsnr\"}") == 3);

    /* Its owner ends; who has inherited the socket is found. */
    fake_tree_remove(&w.tree, "proc/10");
    fake_tree_remove(&w.tree, "proc/11/fd");
    link_socket(&w, 11, "socket:[77]");
    look(&w, 1);
    assert_true(recorder_ended(w.out, lsnr));
    assert_true(recorder_value(w.out, worker) == 1);

    fake_tree_write(&w.tree, "proc/net/tcp", HEADING);
    look(&w, 1);
    assert_true(recorder_ended(w.out, worker));
    end(&w);
}

static void an_expected_port_on_which_nobody_listens_is_a_zero(void **unused)
{
    static const char series[] =
        "listen_port_up{port=\"1521\",protocol=\"tcp\",service=\"db\"}";
    struct world w;
    (void)unused;
    begin(&w, "expected_ports: [{port: 1521, service: db}, {port: 161, protocol: udp, service: "
              "snmp}]\n");
    write_stat(&w, (struct actor){10, "tnslsnr", 0, 500, 2, 7});
    look(&w, 1);
    assert_true(recorder_value(w.out, series) == 0);
    assert_true(
        recorder_value(w.out,
                       "listen_port_up{port=\"161\",protocol=\"udp\",service=\"snmp\"}") == 0);
    fake_tree_write(&w.tree, "proc/net/tcp", HEADING LISTENS_ON_1521);
    fake_tree_write(&w.tree, "proc/net/udp",
                    "   7: 00000000:00A1 00000000:0000 07 00000000:00000000 00:00000000 "
                    "00000000     0        0 80 2 0\n"
                    "   8: 00000000:C001 00000000:0000 07 00000000:00000000 00:00000000 "
                    "00000000     0        0 81 2 0\n"); /* a client's */
    look(&w, 1);
    assert_true(recorder_value(w.out, series) == 1);
    assert_true(
        recorder_value(w.out,
                       "listen_port_up{port=\"161\",protocol=\"udp\",service=\"snmp\"}") == 1);
    assert_false(
        recorder_has(w.out, "listen_port_up{port=\"49153\",protocol=\"udp\",service=\"\"}"));
    end(&w);
}

static void a_port_is_expected_once(void **unused)
{
    static const char yaml[] = "expected_ports: [{port: 53, protocol: udp}, {port: 53}, "
                               "{port: 53, protocol: udp}]\n";
    struct world w = {.out = recorder_new()};
    struct diagnosis why = {0};
    (void)unused;
    fake_tree_make(&w.tree);
    assert_int_not_equal(running_source_start(&w.running, source_find("processes"), w.tree.root,
                                              yaml, w.out, &why),
                         0);
    assert_non_null(strstr(why.text, "udp port 53 is expected twice"));
    end(&w);
}

static void who_begins_to_listen_during_a_walk_is_looked_for_again(void **unused)
{
    struct world w;
    struct process_group group = {0};
    struct process row = {.pid = 10, .group = &group, .kept_fd = -1, .start_ticks = 5};
    struct port_socket socket = {.inode = 77, .port = 1521};
    /* The walk has passed the process, and is nearly over. */
    struct process_ports ports = {.sockets = &socket, .count = 1, .has_run = true,
                                  .is_walking = true, .walk_round = 1, .walk_pid = 11,
                                  .given_up_ms = T0};
    char procfs[128];
    (void)unused;
    begin(&w, NULL);
    write_stat(&w, (struct actor){10, "tnslsnr", 0, 500, 2, 7});
    link_socket(&w, 10, "socket:[77]");
    (void)snprintf(procfs, sizeof procfs, "%s/proc", w.tree.root);
    struct process_scan scan = {0};
    assert_int_equal(process_scan_open(&scan, procfs), 0);
    scan.rows = &row;
    scan.count = 1;
    process_socket_walk(&ports, &scan, T0);
    assert_int_equal(socket.pid, 0);
    process_socket_walk(&ports, &scan, T0 + LOOK_MS);
    assert_int_equal(socket.pid, 10);
    scan.rows = NULL;
    scan.count = 0;
    process_scan_close(&scan);
    end(&w);
}

static void the_top_table_tells_ports(void **unused)
{
    struct world w;
    struct arena arena;
    struct process_table table;
    uint32_t kind;
    (void)unused;
    begin(&w, NULL);
    write_stat(&w, (struct actor){10, "tnslsnr", 0, 500, 2, 7});
    link_socket(&w, 10, "socket:[77]");
    fake_tree_write(&w.tree, "proc/net/tcp", HEADING LISTENS_ON_1521);
    look(&w, 2);
    arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(record_decode_processes(recorder_record(w.out, &kind), &arena, &table), 0);
    assert_int_equal(table.count, 1);
    assert_true(bytes_equal(table.rows[0].ports, bytes_of("1521")));
    arena_reset(&arena);
    end(&w);
}

static void links_and_lines_are_read_whole_or_not(void **unused)
{
    static const struct {
        const char *because, *text;
        bool is_socket;
        uint64_t inode;
    } links[] = {
        {"a socket", "socket:[4026531840]", true, 4026531840},
        {"a pipe has numbers, too", "pipe:[77]", false, 0},
        {"a file may be called so", "socket:[77] (deleted)", false, 0},
        {"no number", "socket:[]", false, 0},
        {"cut", "socket:[77", false, 0},
    };
    struct socket_line line;
    struct socket_owner owner;
    (void)unused;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        uint64_t inode = 0;
        if (process_socket_link(span_text(links[i].text), &inode) != links[i].is_socket ||
            inode != links[i].inode)
            fail_msg("%s", links[i].because);
    }
    assert_true(socket_line_parse(span_text(LISTENS_ON_1521), &line));
    assert_true(socket_line_owner(&line, &owner));
    assert_int_equal(owner.port, 1521);
    assert_int_equal(owner.remote_port, 0);
    assert_int_equal(owner.inode, 77);
    assert_true(
        socket_line_parse(span_text("0: 00000000:05F1 00000000:0000 0A 0:3 00:0"), &line));
    assert_false(socket_line_owner(&line, &owner));
    assert_true(socket_line_parse(span_text("0: 0:1FFFF 0:0 0A 0:3 00:0 0 0 0 77"),
                                  &line)); /* no such port */
    assert_false(socket_line_owner(&line, &owner));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_does_not_run_is_not_read_until_it_does),
        cmocka_unit_test(pages_are_looked_at_now_and_then_all_the_same),
        cmocka_unit_test(threads_and_kernels_that_count_nothing_keep_everybody_awake),
        cmocka_unit_test(a_resting_pid_used_again_is_another_process),
        cmocka_unit_test(an_exec_under_the_same_name_is_seen_without_events),
        cmocka_unit_test(a_command_line_that_changes_is_read_again_in_turns),
        cmocka_unit_test(what_may_not_be_read_is_counted),
        cmocka_unit_test(deleted_files_that_are_open_are_counted),
        cmocka_unit_test(threads_are_counted_by_name_and_outlive_themselves),
        cmocka_unit_test(a_port_has_the_group_of_who_listens_and_ends_with_it),
        cmocka_unit_test(an_expected_port_on_which_nobody_listens_is_a_zero),
        cmocka_unit_test(a_port_is_expected_once),
        cmocka_unit_test(who_begins_to_listen_during_a_walk_is_looked_for_again),
        cmocka_unit_test(the_top_table_tells_ports),
        cmocka_unit_test(links_and_lines_are_read_whole_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
