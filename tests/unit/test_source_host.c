/*
 * test_source_host.c - cpu, memory, load, disk, network and their kin: on small trees (busy,
 * cut short, absent, changing) and on the host the test runs on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

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

static int start(struct fixture *f, const char *name)
{
    return running_source_start(&f->running, source_find(name), f->tree.root, NULL, f->out,
                                NULL);
}

static void close_fixture(struct fixture *f)
{
    running_source_stop(&f->running);
    recorder_free(f->out);
    fake_tree_done(&f->tree);
}

#define assert_value(f, series, expected)                                                      \
    do {                                                                                       \
        double got_ = recorder_value((f)->out, series);                                        \
        if (!(got_ == (expected)))                                                             \
            fail_msg("%s is %.17g, not %.17g", series, got_, (double)(expected));              \
    } while (0)

static const char stat_new[] = "cpu  10 0 0 0 0 0 0 0 0 0\n"
                               "cpu0 44490 19 21045 1087069 220 1 3410 2 3 1\n"
                               "cpu1 1 2 3 4 5 6 7 8 9 10\n"
                               "intr 8885917 17 0 0\nctxt 38014093\nbtime 1418183276\n"
                               "processes 26442\nprocs_running 2\nprocs_blocked 1\n"
                               "softirq 5057579 250191\n";

static void cpu_times_are_seconds_by_mode(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/stat", stat_new);
    assert_int_equal(start(&f, "cpu"), 0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}", 444.9);
    assert_value(&f, "node_cpu_seconds_total{cpu=\"0\",mode=\"steal\"}", 0.02);
    assert_value(&f, "node_cpu_guest_seconds_total{cpu=\"1\",mode=\"nice\"}", 0.1);
    assert_value(&f, "node_context_switches_total", 38014093);
    assert_value(&f, "node_boot_time_seconds", 1418183276);
    assert_value(&f, "node_forks_total", 26442);
    assert_value(&f, "node_procs_blocked", 1);
    assert_int_equal(recorder_count(f.out), 2 * 10 + 6);
    close_fixture(&f);
}

static void idle_time_never_goes_back_unless_the_cpu_was_plugged_anew(void **unused)
{
    (void)unused;
    struct fixture f;
    const char *idle = "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"}";
    const char *user = "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}";
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/stat", "cpu0 500 0 0 1000 0\n");
    assert_int_equal(start(&f, "cpu"), 0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    fake_tree_write(&f.tree, "proc/stat", "cpu0 600 0 0 990 0\n");
    assert_int_equal(running_source_tick(&f.running, T0 + 1000, f.out), 0);
    assert_value(&f, idle, 10);
    assert_value(&f, user, 6);
    fake_tree_write(&f.tree, "proc/stat", "cpu0 3 0 0 5 0\n");
    assert_int_equal(running_source_tick(&f.running, T0 + 2000, f.out), 0);
    assert_value(&f, idle, 0.05);
    assert_value(&f, user, 0.03);
    close_fixture(&f);
}

static void a_cpu_that_goes_offline_ends(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/stat", stat_new);
    assert_int_equal(start(&f, "cpu"), 0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    fake_tree_write(&f.tree, "proc/stat", "cpu0 1 2 3 4 5 6 7\n");
    assert_int_equal(running_source_tick(&f.running, T0 + 1000, f.out), 0);
    assert_true(recorder_ended(f.out, "node_cpu_seconds_total{cpu=\"1\",mode=\"user\"}"));
    assert_false(recorder_ended(f.out, "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}"));
    close_fixture(&f);
}

static void a_2_6_kernel_has_no_guest_nice(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/stat", "cpu0 1 2 3 4 5 6 7 8 9\n");
    assert_int_equal(start(&f, "cpu"), 0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"user\"}", 0.09);
    assert_false(recorder_has(f.out, "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"nice\"}"));
    close_fixture(&f);
}

static void memory_is_named_as_the_kernel_names_it(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/meminfo",
                    "MemTotal:        3742148 kB\nMemFree: 225472 kB\nMemAvailable: 7 kB\n"
                    "Active(anon):    2020004 kB\nHugePages_Total:       3\n");
    assert_int_equal(start(&f, "memory"), 0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_memory_MemTotal_bytes", 3742148 * 1024.0);
    assert_value(&f, "node_memory_Active_anon_bytes", 2020004 * 1024.0);
    assert_value(&f, "node_memory_HugePages_Total", 3);
    assert_value(&f, "node_memory_MemAvailable_bytes", 7 * 1024.0);
    assert_int_equal(recorder_count(f.out), 5);
    close_fixture(&f);
}

static void missing_available_memory_is_estimated_and_says_so(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/sys/vm/min_free_kbytes", "100\n");
    fake_tree_write(&f.tree, "proc/meminfo",
                    "MemFree: 1000 kB\nBuffers: 200 kB\nCached: 3000 kB\nSReclaimable: 50 kB\n"
                    "Shmem: 400 kB\n");
    assert_int_equal(start(&f, "memory"), 0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_memory_MemAvailable_bytes", 3750 * 1024.0);
    assert_value(&f, "node_memory_MemAvailable_estimated", 1);
    close_fixture(&f);
}

static void disks_have_what_their_kernel_counts(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(
        &f.tree, "proc/diskstats",
        "   8       0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 "
        "63877960 2 9653880 82621804\n"
        "   8       1 sda1 250 0 2000 36 0 0 0 0 0 36 36\n"
        "   8      32 sdc 126552 141 1657779 14 11822 1895 172905 1007 0 10730 17070 18851 0 "
        "125173784 11130 1555 1944\n"
        "   8       3 sdd3 340 13 2818 52\n");
    fake_tree_write(
        &f.tree, "run/udev/data/b8:0",
        "S:disk/by-id/x\nE:ID_MODEL=DISK 9000\nE:ID_SERIAL_SHORT=S1\nE:ID_SERIAL=LONG\n"
        "E:ID_ATA_ROTATION_RATE_RPM=7200\nE:ID_FS_TYPE=ext4\n");
    fake_tree_write(&f.tree, "sys/block/sda/queue/rotational", "1\n");
    assert_int_equal(start(&f, "disk"), 0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_disk_read_bytes_total{device=\"sda\"}", 513713216512.0);
    assert_value(&f, "node_disk_io_now{device=\"sda\"}", 2);
    assert_value(&f, "node_disk_flush_requests_time_seconds_total{device=\"sdc\"}", 1.944);
    assert_value(&f, "node_disk_ata_rotation_rate_rpm{device=\"sda\"}", 7200);
    assert_value(&f,
                 "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",model=\"DISK 9000\","
                 "path=\"\",revision=\"\",rotational=\"1\",serial=\"S1\",wwn=\"\"}",
                 1);
    assert_false(recorder_has(f.out, "node_disk_discards_completed_total{device=\"sda\"}"));
    assert_false(recorder_has(f.out, "node_disk_io_now{device=\"sda1\"}"));

    fake_tree_write(&f.tree, "proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n");
    assert_int_equal(running_source_tick(&f.running, T0 + 1000, f.out), 0);
    assert_value(&f, "node_disk_reads_completed_total{device=\"sda\"}", 1);
    assert_true(recorder_ended(f.out, "node_disk_flush_requests_total{device=\"sdc\"}"));
    assert_true(recorder_has(f.out, "node_disk_ata_rotation_rate_rpm{device=\"sda\"}"));
    close_fixture(&f);
}

static void network_names_may_touch_their_numbers_and_hold_colons(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/net/dev",
                    "Inter-|   Receive  |  Transmit\n face |bytes packets |bytes\n"
                    "  eth0:68210035 520993 1 2 3 4 5 6 9315587 43451 7 8 9 10 11 12\n"
                    "eth0:1: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n"
                    "broken: 1 2 3\n");
    assert_int_equal(start(&f, "network"), 0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_network_receive_bytes_total{device=\"eth0\"}", 68210035);
    assert_value(&f, "node_network_receive_multicast_total{device=\"eth0\"}", 6);
    assert_value(&f, "node_network_transmit_compressed_total{device=\"eth0\"}", 12);
    assert_value(&f, "node_network_transmit_bytes_total{device=\"eth0:1\"}", 2);
    assert_int_equal(recorder_count(f.out), 32);
    fake_tree_write(&f.tree, "proc/net/dev", "Inter-|\n face |\n");
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_true(recorder_ended(f.out, "node_network_receive_bytes_total{device=\"eth0\"}"));
    close_fixture(&f);
}

static void devices_are_left_out_by_expression(void **unused)
{
    (void)unused;
    struct fixture f;
    struct diagnosis why = {0};
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/net/dev",
                    "a\nb\nveth1: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n"
                    "eth0: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n");
    assert_int_equal(running_source_start(&f.running, source_find("network"), f.tree.root,
                                          "exclude: '^veth'\ninterval: 1s\n", f.out, &why),
                     0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_int_equal(recorder_count(f.out), 16);
    running_source_stop(&f.running);
    assert_int_equal(running_source_start(&f.running, source_find("network"), f.tree.root,
                                          "exclude: '^(veth'\n", f.out, &why),
                     ERR_INVALID);
    assert_non_null(strstr(why.text, "test.yml:1:"));
    running_source_stop(&f.running);
    why.text[0] = '\0';
    assert_int_equal(running_source_start(&f.running, source_find("network"), f.tree.root,
                                          "exclud: x\n", f.out, &why),
                     ERR_INVALID);
    assert_non_null(strstr(why.text, "exclude"));
    close_fixture(&f);
}

static void a_lost_link_shows_at_once(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "sys/class/net/bonding_masters", "bond0\n");
    fake_tree_write(&f.tree, "sys/class/net/eth0/operstate", "up\n");
    fake_tree_write(&f.tree, "sys/class/net/eth0/flags", "0x1003\n");
    fake_tree_write(&f.tree, "sys/class/net/eth0/speed", "1000\n");
    fake_tree_write(&f.tree, "sys/class/net/eth0/carrier", "1\n");
    assert_int_equal(start(&f, "network_class"), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_network_up{device=\"eth0\"}", 1);
    assert_value(&f, "node_network_speed_bytes{device=\"eth0\"}", 125000000);
    assert_value(&f, "node_network_flags{device=\"eth0\"}", 4099);
    assert_int_equal(recorder_count(f.out), 5);
    const char *info = "node_network_info{address=\"\",adminstate=\"up\",broadcast=\"\","
                       "device=\"eth0\",duplex=\"\",ifalias=\"\",operstate=\"up\"}";
    assert_value(&f, info, 1);
    fake_tree_write(&f.tree, "sys/class/net/eth0/operstate", "down\n");
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_network_up{device=\"eth0\"}", 0);
    assert_true(recorder_ended(f.out, info));
    fake_tree_remove(&f.tree, "sys/class/net/eth0");
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_true(recorder_ended(f.out, "node_network_carrier{device=\"eth0\"}"));
    close_fixture(&f);
}

static void the_distribution_is_read_again_when_it_changes(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "etc/os-release",
                    "PRETTY_NAME=\"Some \\\"OS\\\" 7\"\nID=some\nVERSION_ID='7.4'\n");
    assert_int_equal(start(&f, "os"), 0);
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_os_version{id=\"some\",id_like=\"\",name=\"\"}", 7.4);
    fake_tree_write(&f.tree, "etc/os-release", "ID=some\nVERSION_ID=8\nNAME=x\n");
    assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
    assert_value(&f, "node_os_version{id=\"some\",id_like=\"\",name=\"x\"}", 8);
    assert_true(recorder_ended(f.out, "node_os_version{id=\"some\",id_like=\"\",name=\"\"}"));
    close_fixture(&f);
}

/* Each source that reads one file: without it, it is left out; with half of it, it fails or
 * emits less, and nothing breaks. */
static void absent_files_leave_sources_out_and_cut_ones_do_no_harm(void **unused)
{
    (void)unused;
    static const struct {
        const char *source, *file, *content;
    } cases[] = {
        {"cpu", "proc/stat", stat_new},
        {"load", "proc/loadavg", "0.42 0.31 0.27 2/1187 24601\n"},
        {"memory", "proc/meminfo", "MemTotal: 12 kB\nMemFree: 3 kB\n"},
        {"disk", "proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n"},
        {"network", "proc/net/dev", "a\nb\neth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        open_fixture(&f);
        assert_int_equal(start(&f, cases[i].source), ERR_NOTFOUND);
        running_source_stop(&f.running);
        fake_tree_write(&f.tree, cases[i].file, cases[i].content);
        assert_int_equal(start(&f, cases[i].source), 0);
        assert_int_equal(running_source_tick(&f.running, T0, f.out), 0);
        size_t whole = recorder_count(f.out);
        assert_true(whole > 0);
        for (size_t size = strlen(cases[i].content); size-- > 0;) {
            fake_tree_write_bytes(&f.tree, cases[i].file, cases[i].content, size);
            (void)running_source_tick(&f.running, T0, f.out);
            assert_true(recorder_count(f.out) <= whole);
        }
        assert_int_equal(recorder_count(f.out), 0);
        close_fixture(&f);
    }
}

static void this_host_can_be_read_twice_at_once(void **unused)
{
    (void)unused;
    static const char *const names[] = {"cpu",   "memory", "load",          "network",
                                        "uname", "os",     "network_class", "filesystem"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct emitter *out = recorder_new();
        struct running_source a, b;
        assert_int_equal(running_source_start(&a, source_find(names[i]), NULL, NULL, out, NULL),
                         0);
        assert_int_equal(running_source_start(&b, source_find(names[i]), NULL, NULL, out, NULL),
                         0);
        assert_int_equal(running_source_tick(&a, T0, out), 0);
        size_t count = recorder_count(out), series = recorder_series(out);
        assert_int_equal(running_source_tick(&b, T0, out), 0);
        assert_true(count > 0);
        assert_int_equal(recorder_series(out), series);
        running_source_stop(&a);
        running_source_stop(&b);
        recorder_free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_times_are_seconds_by_mode),
        cmocka_unit_test(idle_time_never_goes_back_unless_the_cpu_was_plugged_anew),
        cmocka_unit_test(a_cpu_that_goes_offline_ends),
        cmocka_unit_test(a_2_6_kernel_has_no_guest_nice),
        cmocka_unit_test(memory_is_named_as_the_kernel_names_it),
        cmocka_unit_test(missing_available_memory_is_estimated_and_says_so),
        cmocka_unit_test(disks_have_what_their_kernel_counts),
        cmocka_unit_test(network_names_may_touch_their_numbers_and_hold_colons),
        cmocka_unit_test(devices_are_left_out_by_expression),
        cmocka_unit_test(a_lost_link_shows_at_once),
        cmocka_unit_test(the_distribution_is_read_again_when_it_changes),
        cmocka_unit_test(absent_files_leave_sources_out_and_cut_ones_do_no_harm),
        cmocka_unit_test(this_host_can_be_read_twice_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
