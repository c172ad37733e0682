/*
 * test_source_net.c - vmstat, pressure, sockets, netstat and their kin: old and new kernels,
 * what is not there, what goes away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

#define T0 INT64_C(1700000000000)

struct fixture {
    struct fake_tree tree;
    struct emitter *out;
    struct running_source running;
};

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.out = recorder_new()};
    fake_tree_make(&f->tree);
}

static int start(struct fixture *f, const char *name, const char *yaml)
{
    return running_source_start(&f->running, source_find(name), f->tree.root, yaml, f->out,
                                NULL);
}

static int tick(struct fixture *f)
{
    return running_source_tick(&f->running, T0, f->out);
}

static void close_fixture(struct fixture *f)
{
    running_source_stop(&f->running);
    recorder_free(f->out);
    fake_tree_done(&f->tree);
}

/* One file, one tick: what comes of it. */
static const struct once_case {
    const char *because, *source, *file, *text;
    struct {
        const char *series; /* NULL: no more */
        double value;
    } expected[4];
    size_t count; /* of values in all */
} once_cases[] = {
    {"seven fields are wanted, whatever the kernel has",
     "vmstat",
     "proc/vmstat",
     "nr_free_pages 5\npgpgin 7\npgfault 8\npgmajfault 9\nthp_fault_alloc 3\noom_kill 1\n",
     {{"node_vmstat_pgpgin", 7}, {"node_vmstat_pgmajfault", 9}, {"node_vmstat_oom_kill", 1}},
     4},
    {"kernels before 4.13 have no oom_kill, and no 0 for it",
     "vmstat",
     "proc/vmstat",
     "pgpgin 7\n",
     {{"node_vmstat_pgpgin", 7}},
     1},
    {"microseconds of waiting are seconds",
     "pressure",
     "proc/pressure/memory",
     "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n"
     "full avg10=0.00 avg60=0.00 avg300=0.00 total=20\n",
     {{"node_pressure_memory_waiting_seconds_total", 1.5},
      {"node_pressure_memory_stalled_seconds_total", 0.00002}},
     2},
    {"a whole host is never without all its CPUs: cpu has no full",
     "pressure",
     "proc/pressure/cpu",
     "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n"
     "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
     {{"node_pressure_cpu_waiting_seconds_total", 1}},
     1},
    {"memory of sockets is pages, and bytes, too",
     "sockstat",
     "proc/net/sockstat",
     "sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 2\n",
     {{"node_sockstat_sockets_used", 229},
      {"node_sockstat_TCP_inuse", 4},
      {"node_sockstat_TCP_mem", 2}},
     7},
    {"names and numbers stand in two lines; MaxConn -1 is not wanted",
     "netstat",
     "proc/net/snmp",
     "Tcp: RtoMin MaxConn InSegs InErrs NewOne\nTcp: 200 -1 57252008 5 3\n",
     {{"node_netstat_Tcp_InSegs", 57252008}, {"node_netstat_Tcp_InErrs", 5}},
     2},
    {"2.6.32 has nine columns: no RPS, no flow limit, and no 0 for them",
     "softnet",
     "proc/net/softnet_stat",
     "0000000a 00000001 00000002 00000000 00000000 00000000 00000000 00000000 00000003\n",
     {{"node_softnet_processed_total{cpu=\"0\"}", 10},
      {"node_softnet_dropped_total{cpu=\"0\"}", 1},
      {"node_softnet_cpu_collision_total{cpu=\"0\"}", 3}},
     4},
    {"since 5.14 a line names its CPU",
     "softnet",
     "proc/net/softnet_stat",
     "0000000a 0 0 0 0 0 0 0 0 0 0 00000004 00000003 00000000 00000000\n",
     {{"node_softnet_processed_total{cpu=\"3\"}", 10},
      {"node_softnet_backlog_len{cpu=\"3\"}", 4}},
     7},
    {"columns of connection tracking are known by name, summed over CPUs",
     "conntrack",
     "proc/net/stat/nf_conntrack",
     "entries clashres found new invalid drop\n21 1 2 3 0000000a 1\n21 0 0 0 00000002 0\n",
     {{"node_nf_conntrack_stat_found", 2},
      {"node_nf_conntrack_stat_invalid", 12},
      {"node_nf_conntrack_stat_drop", 1}},
     3},
    {"the heading and a cut line are no neighbours",
     "arp",
     "proc/net/arp",
     "IP address       HW type     Flags       HW address            Mask     Device\n"
     "192.0.2.1        0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0\n"
     "192.0.2.2        0x1         0x2         cc:aa:dd:ee:aa:bc     *        eth0\n"
     "192.0.2.3        0x1         0x2\n",
     {{"node_arp_entries{device=\"eth0\"}", 2}},
     1},
    {"nanoseconds on a CPU are seconds; domains are passed over",
     "schedstat",
     "proc/schedstat",
     "version 15\ntimestamp 1\ncpu0 1 0 2 3 4 5 2000000000 500000000 6\ndomain0 03 1 2 3\n",
     {{"node_schedstat_running_seconds_total{cpu=\"0\"}", 2},
      {"node_schedstat_waiting_seconds_total{cpu=\"0\"}", 0.5},
      {"node_schedstat_timeslices_total{cpu=\"0\"}", 6}},
     3},
    {"file-nr has three numbers, the middle one means nothing",
     "kernel",
     "proc/sys/fs/file-nr",
     "1024\t0\t9223372036854775807\n",
     {{"node_filefd_allocated", 1024}, {"node_filefd_maximum", 9223372036854775807.0}},
     2},
    {"waiting bytes are summed, in hexadecimal",
     "udp_queues",
     "proc/net/udp",
     "  sl  local_address rem_address   st tx_queue rx_queue tr\n"
     "   0: 00000000:0016 00000000:0000 07 00000015:00000001 00:00000000\n"
     "  12: 00000000:0017 00000000:0000 07 00000001:00000010 00:00000000\n",
     {{"node_udp_queues{ip=\"v4\",queue=\"tx\"}", 0x16},
      {"node_udp_queues{ip=\"v4\",queue=\"rx\"}", 0x11}},
     2},
    {"an older kernel counts fewer procedures, and gets no 0 for the others",
     "nfs",
     "proc/net/rpc/nfs",
     "net 3 1 2 4\nrpc 10 5 7\nproc4 3 98 51 54\n",
     {{"node_nfs_rpc_retransmissions_total", 5},
      {"node_nfs_packets_total{protocol=\"tcp\"}", 2},
      {"node_nfs_requests_total{method=\"Write\",proto=\"4\"}", 54}},
     9},
    {"what waits at a listener are connections, not bytes",
     "tcpstat",
     "proc/net/tcp",
     "  sl  local_address rem_address   st tx_queue rx_queue tr\n"
     "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000005 00:00000000\n"
     "   1: 0100007F:1F90 0100007F:C350 01 00000003:00000002 00:00000000\n"
     "   2: 0100007F:1F90 0100007F:C351 06 00000000:00000000 03:00000000\n"
     "   3: 0100007F:1F90 0100007F:C352 0C 00000000:00000000 03:00000000\n",
     {{"node_tcp_connection_states{state=\"listen\"}", 1},
      {"node_tcp_connection_states{state=\"syn_recv\"}", 1},
      {"node_tcp_connection_states{state=\"rx_queued_bytes\"}", 2},
      {"node_tcp_connection_states{state=\"tx_queued_bytes\"}", 3}},
     13},
};

static void one_look_gives_what_the_kernel_says(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof once_cases / sizeof *once_cases; i++) {
        const struct once_case *c = &once_cases[i];
        struct fixture f;
        open_fixture(&f);
        fake_tree_write(&f.tree, c->file, c->text);
        if (start(&f, c->source, NULL) != 0 || tick(&f) != 0)
            fail_msg("%s: %s does not run", c->because, c->source);
        for (size_t k = 0; k < 4 && c->expected[k].series != NULL; k++) {
            double got = recorder_value(f.out, c->expected[k].series);
            if (!(got == c->expected[k].value))
                fail_msg("%s: %s is %.17g, not %.17g", c->because, c->expected[k].series, got,
                         c->expected[k].value);
        }
        if (recorder_count(f.out) != c->count)
            fail_msg("%s: %zu values, not %zu", c->because, recorder_count(f.out), c->count);
        close_fixture(&f);
    }
}

static void what_a_host_lacks_is_left_out_and_cut_files_do_no_harm(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof once_cases / sizeof *once_cases; i++) {
        const struct once_case *c = &once_cases[i];
        struct fixture f;
        open_fixture(&f);
        if (start(&f, c->source, NULL) != ERR_NOTFOUND)
            fail_msg("%s starts without %s", c->source, c->file);
        running_source_stop(&f.running);
        for (size_t size = 0; size < strlen(c->text); size += size < 64 ? 1 : 7) {
            fake_tree_write_bytes(&f.tree, c->file, c->text, size);
            if (start(&f, c->source, NULL) == 0)
                (void)tick(&f);
            running_source_stop(&f.running);
        }
        assert_int_equal(start(&f, c->source, NULL), 0);
        close_fixture(&f);
    }
}

static void fields_are_chosen_by_expression(void **unused)
{
    (void)unused;
    struct fixture f;
    struct diagnosis why = {0};
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/vmstat", "nr_free_pages 5\npgpgin 7\n");
    assert_int_equal(start(&f, "vmstat", "{fields: '^nr_'}"), 0);
    assert_int_equal(tick(&f), 0);
    assert_true(recorder_value(f.out, "node_vmstat_nr_free_pages") == 5);
    assert_int_equal(recorder_count(f.out), 1);
    running_source_stop(&f.running);
    assert_int_equal(running_source_start(&f.running, source_find("netstat"), f.tree.root,
                                          "{fields: '(('}", f.out, &why),
                     ERR_INVALID);
    assert_non_null(strstr(why.text, "fields"));
    close_fixture(&f);
}

static void a_field_that_goes_away_ends_and_its_neighbours_do_not(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/vmstat", "pgpgin 1\npswpin 2\noom_kill 3\n");
    assert_int_equal(start(&f, "vmstat", NULL), 0);
    assert_int_equal(tick(&f), 0);
    fake_tree_write(&f.tree, "proc/vmstat", "pgpgin 4\noom_kill 5\n");
    recorder_tick(f.out);
    assert_int_equal(tick(&f), 0);
    assert_true(recorder_ended(f.out, "node_vmstat_pswpin"));
    assert_true(recorder_value(f.out, "node_vmstat_oom_kill") == 5);
    fake_tree_write(&f.tree, "proc/vmstat", "pswpin 6\npgpgin 7\noom_kill 8\n");
    recorder_tick(f.out);
    assert_int_equal(tick(&f), 0);
    assert_true(recorder_value(f.out, "node_vmstat_pswpin") == 6);
    assert_true(recorder_value(f.out, "node_vmstat_oom_kill") == 8);
    close_fixture(&f);
}

static void an_interface_without_neighbours_ends(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/net/arp",
                    "192.0.2.1 0x1 0x2 cc:aa:dd:ee:aa:bb * eth0\n"
                    "192.0.2.2 0x1 0x2 cc:aa:dd:ee:aa:bb * veth1\n");
    assert_int_equal(start(&f, "arp", "{exclude: ^veth}"), 0);
    assert_int_equal(tick(&f), 0);
    assert_int_equal(recorder_count(f.out), 1);
    fake_tree_write(&f.tree, "proc/net/arp", "");
    recorder_tick(f.out);
    assert_int_equal(tick(&f), 0);
    assert_true(recorder_ended(f.out, "node_arp_entries{device=\"eth0\"}"));
    close_fixture(&f);
}

static void connection_tracking_is_noticed_when_its_module_comes(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/sys/fs/file-nr", "1 0 2\n");
    assert_int_equal(start(&f, "kernel", NULL), 0);
    assert_int_equal(tick(&f), 0);
    assert_false(recorder_has(f.out, "node_nf_conntrack_entries"));
    fake_tree_write(&f.tree, "proc/sys/net/netfilter/nf_conntrack_count", "12\n");
    recorder_tick(f.out);
    assert_int_equal(tick(&f), 0);
    assert_true(recorder_value(f.out, "node_nf_conntrack_entries") == 12);
    close_fixture(&f);
}

/* More sockets than a buffer holds: the sum is of all of them. */
static void a_long_table_is_read_to_its_end(void **unused)
{
    (void)unused;
    enum { SOCKETS = 3000 };
    struct fixture f;
    char *text = malloc(SOCKETS * 80), *at = text;
    open_fixture(&f);
    for (int i = 0; i < SOCKETS; i++)
        at += sprintf(at, "%4d: 00000000:%04X 00000000:0000 01 00000001:00000002 00:00000000\n",
                      i, i);
    fake_tree_write(&f.tree, "proc/net/tcp", text);
    assert_int_equal(start(&f, "tcpstat", NULL), 0);
    assert_int_equal(tick(&f), 0);
    assert_true(recorder_value(f.out, "node_tcp_connection_states{state=\"established\"}") ==
                SOCKETS);
    assert_true(
        recorder_value(f.out, "node_tcp_connection_states{state=\"rx_queued_bytes\"}") ==
        2 * SOCKETS);
    free(text);
    close_fixture(&f);
}

static double listeners(void)
{
    struct emitter *out = recorder_new();
    struct running_source running;
    assert_int_equal(
        running_source_start(&running, source_find("tcpstat"), NULL, NULL, out, NULL), 0);
    assert_int_equal(running_source_tick(&running, T0, out), 0);
    double count = recorder_value(out, "node_tcp_connection_states{state=\"listen\"}");
    running_source_stop(&running);
    recorder_free(out);
    return count;
}

static int listen_on_loopback(int family)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(family, SOCK_STREAM, 0);
    const struct sockaddr *address =
        family == AF_INET ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
    socklen_t size = family == AF_INET ? sizeof v4 : sizeof v6;
    if (fd >= 0 && (bind(fd, address, size) != 0 || listen(fd, 1) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Others may come and go on this host: what is ours is in every look, and a hundred are more
 * than chance. */
static void the_kernel_is_asked_for_both_families(void **unused)
{
    (void)unused;
    enum { OURS = 100 };
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t k = 0; k < 2; k++) {
        int fds[OURS];
        double before = listeners();
        for (size_t i = 0; i < OURS; i++)
            fds[i] = listen_on_loopback(families[k]);
        if (fds[0] >= 0)
            assert_true(listeners() >= before + OURS / 2);
        for (size_t i = 0; i < OURS; i++)
            if (fds[i] >= 0)
                close(fds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_look_gives_what_the_kernel_says),
        cmocka_unit_test(what_a_host_lacks_is_left_out_and_cut_files_do_no_harm),
        cmocka_unit_test(fields_are_chosen_by_expression),
        cmocka_unit_test(a_field_that_goes_away_ends_and_its_neighbours_do_not),
        cmocka_unit_test(an_interface_without_neighbours_ends),
        cmocka_unit_test(connection_tracking_is_noticed_when_its_module_comes),
        cmocka_unit_test(a_long_table_is_read_to_its_end),
        cmocka_unit_test(the_kernel_is_asked_for_both_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
