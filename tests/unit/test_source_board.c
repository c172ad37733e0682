/*
 * test_source_board.c - what the machine's parts say: RAID, bonds, memory errors, CPU
 * frequency, power, maker, SELinux, interrupts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/base/error.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

#define T0         INT64_C(1700000000000)
#define FILES_MOST 8

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

static void close_fixture(struct fixture *f)
{
    running_source_stop(&f->running);
    recorder_free(f->out);
    fake_tree_done(&f->tree);
}

static int start(struct fixture *f, const char *name)
{
    return running_source_start(&f->running, source_find(name), f->tree.root, NULL, f->out,
                                NULL);
}

static void tick(struct fixture *f)
{
    recorder_tick(f->out);
    assert_int_equal(running_source_tick(&f->running, T0, f->out), 0);
}

static void expect(const struct fixture *f, const char *series, double value)
{
    double got = recorder_value(f->out, series);
    if (!(got == value))
        fail_msg("%s is %.17g, not %.17g", series, got, value);
}

#define MC  "sys/devices/system/edac/mc/mc0/"
#define CPU "sys/devices/system/cpu/"
#define BAT "sys/class/power_supply/BAT0/"

static const struct board_case {
    const char *because, *source;
    struct {
        const char *path, *text;
    } files[FILES_MOST];
    struct {
        const char *series;
        double value;
    } expected[4];
    size_t count; /* of values in all */
} cases[] = {
    {"an array that has lost a disk, is rebuilding, and has a spare",
     "mdadm",
     {{"proc/mdstat", "Personalities : [raid1]\n"
                      "md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]\n"
                      "      195310144 blocks [2/1] [U_]\n"
                      "      [=>....]  recovery =  8.5% (16775552/195310144) finish=17.0min\n"
                      "      bitmap: 0/30 pages [0KB], 65536KB chunk\n\n"
                      "unused devices: <none>\n"},
      {"sys/block/md6/md/raid_disks", "2\n"},
      {"sys/block/md6/md/degraded", "1\n"},
      {"sys/block/sda/size", "7\n"}},
     {{"node_md_state{device=\"md6\",state=\"recovering\"}", 1},
      {"node_md_disks{device=\"md6\",state=\"failed\"}", 1},
      {"node_md_blocks_synced{device=\"md6\"}", 16775552},
      {"node_md_degraded{device=\"md6\"}", 1}},
     5 + 3 + 3 + 2},
    {"without redundancy all disks are wanted; what waits is at 0",
     "mdadm",
     {{"proc/mdstat",
       "md0 : active raid0 sda[0] sdb[1]\n      7 blocks super 1.2 64k chunks\n\n"
       "md1 : active raid1 sdc[0] sdd[1]\n      9 blocks [2/2] [UU]\n"
       "      resync=DELAYED\n"}},
     {{"node_md_disks_required{device=\"md0\"}", 2},
      {"node_md_disks{device=\"md0\",state=\"active\"}", 2},
      {"node_md_state{device=\"md1\",state=\"resync\"}", 1},
      {"node_md_blocks_synced{device=\"md1\"}", 0}},
     2 * 11},
    {"a bond with one dead link",
     "bonding",
     {{"sys/class/net/bonding_masters", "bond0\n"},
      {"sys/class/net/bond0/bonding/slaves", "eth0 eth1\n"},
      {"sys/class/net/bond0/lower_eth0/bonding_slave/mii_status", "up\n"},
      {"sys/class/net/bond0/slave_eth1/bonding_slave/mii_status", "down\n"}},
     {{"node_bonding_slaves{master=\"bond0\"}", 2},
      {"node_bonding_active{master=\"bond0\"}", 1}},
     2},
    {"errors by controller, row and channel; a label without '#'",
     "edac",
     {{MC "ce_count", "1\n"},
      {MC "ue_noinfo_count", "6\n"},
      {MC "csrow2/ce_count", "3\n"},
      {MC "csrow2/ch1_ce_count", "4\n"},
      {MC "csrow2/ch1_dimm_label", "mc#0csrow#2channel#1\n"}},
     {{"node_edac_correctable_errors_total{controller=\"0\"}", 1},
      {"node_edac_csrow_uncorrectable_errors_total{controller=\"0\",csrow=\"unknown\"}", 6},
      {"node_edac_csrow_correctable_errors_total{controller=\"0\",csrow=\"2\"}", 3},
      {"node_edac_channel_correctable_errors_total{channel=\"1\",controller=\"0\",csrow=\"2\","
       "dimm_label=\"mc0_csrow2_channel1\"}",
       4}},
     4},
    {"kilohertz are hertz, the governor in force is 1; cpuidle is no CPU",
     "cpufreq",
     {{CPU "cpu0/cpufreq/scaling_cur_freq", "1699981\n"},
      {CPU "cpu0/cpufreq/scaling_governor", "powersave\n"},
      {CPU "cpu0/cpufreq/scaling_available_governors", "performance powersave\n"},
      {CPU "cpuidle/cpufreq/scaling_cur_freq", "5\n"}},
     {{"node_cpu_scaling_frequency_hertz{cpu=\"0\"}", 1699981000},
      {"node_cpu_scaling_governor{cpu=\"0\",governor=\"powersave\"}", 1},
      {"node_cpu_scaling_governor{cpu=\"0\",governor=\"performance\"}", 0}},
     3},
    {"millionths, tenths, and words as labels",
     "power_supply",
     {{BAT "voltage_now", "11660000\n"},
      {BAT "temp", "298\n"},
      {BAT "status", "Not charging\n"},
      {BAT "type", "Battery\n"}},
     {{"node_power_supply_voltage_volt{power_supply=\"BAT0\"}", 11.66},
      {"node_power_supply_temp_celsius{power_supply=\"BAT0\"}", 29.8},
      {"node_power_supply_info{power_supply=\"BAT0\",status=\"Not "
       "charging\",type=\"Battery\"}",
       1}},
     3},
    {"what may not be read, or is empty, is no label",
     "dmi",
     {{"sys/class/dmi/id/sys_vendor", "Maker Inc.\n"},
      {"sys/class/dmi/id/board_name", "X1\n"},
      {"sys/class/dmi/id/chassis_version", "\n"}},
     {{"node_dmi_info{board_name=\"X1\",system_vendor=\"Maker Inc.\"}", 1}},
     1},
    {"permissive now, enforcing after the next boot",
     "selinux",
     {{"sys/fs/selinux/enforce", "0"},
      {"etc/selinux/config", "# SELINUX=disabled\nSELINUXTYPE=targeted\nSELINUX=enforcing\n"}},
     {{"node_selinux_enabled", 1},
      {"node_selinux_current_mode", 0},
      {"node_selinux_config_mode", 1}},
     3},
    {"a line by its CPUs' own numbers; ERR is of no CPU",
     "interrupts",
     {{"proc/interrupts", "           CPU0       CPU2\n"
                          "  0:         18          3   IO-APIC-edge      timer\n"
                          "NMI:         47       5031   Non-maskable   interrupts\n"
                          "ERR:          9\n"}},
     {{"node_interrupts_total{cpu=\"2\",devices=\"timer\",info=\"IO-APIC-edge\",type=\"0\"}",
       3},
      {"node_interrupts_total{cpu=\"0\",devices=\"\",info=\"Non-maskable "
       "interrupts\",type=\"NMI\"}",
       47}},
     4},
};

static void parts_are_read_as_node_exporter_reads_them(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct board_case *c = &cases[i];
        struct fixture f;
        open_fixture(&f);
        if (start(&f, c->source) != ERR_NOTFOUND)
            fail_msg("%s starts on a host without such a thing", c->source);
        running_source_stop(&f.running);
        for (size_t k = 0; k < FILES_MOST && c->files[k].path != NULL; k++)
            fake_tree_write(&f.tree, c->files[k].path, c->files[k].text);
        if (start(&f, c->source) != 0)
            fail_msg("%s: %s does not start", c->because, c->source);
        tick(&f);
        for (size_t k = 0; k < 4 && c->expected[k].series != NULL; k++)
            expect(&f, c->expected[k].series, c->expected[k].value);
        if (recorder_count(f.out) != c->count)
            fail_msg("%s: %zu values, not %zu", c->because, recorder_count(f.out), c->count);
        close_fixture(&f);
    }
}

static void an_array_that_is_removed_ends(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/mdstat", "md0 : active raid0 sda[0]\n      7 blocks\n");
    assert_int_equal(start(&f, "mdadm"), 0);
    tick(&f);
    expect(&f, "node_md_blocks{device=\"md0\"}", 7);
    fake_tree_write(&f.tree, "proc/mdstat", "Personalities : \nunused devices: <none>\n");
    tick(&f);
    assert_true(recorder_ended(f.out, "node_md_blocks{device=\"md0\"}"));
    assert_int_equal(recorder_count(f.out), 0);
    close_fixture(&f);
}

static void a_cpu_that_is_unplugged_takes_its_interrupts_along(void **unused)
{
    (void)unused;
    struct fixture f;
    const char *gone =
        "node_interrupts_total{cpu=\"1\",devices=\"\",info=\"Timer\",type=\"LOC\"}";
    const char *left =
        "node_interrupts_total{cpu=\"0\",devices=\"\",info=\"Timer\",type=\"LOC\"}";
    open_fixture(&f);
    fake_tree_write(&f.tree, "proc/interrupts", "  CPU0 CPU1\nLOC: 5 6 Timer\n");
    assert_int_equal(start(&f, "interrupts"), 0);
    tick(&f);
    expect(&f, gone, 6);
    fake_tree_write(&f.tree, "proc/interrupts", "  CPU0\nLOC: 7 Timer\n");
    tick(&f);
    assert_true(recorder_ended(f.out, gone));
    expect(&f, left, 7);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_read_as_node_exporter_reads_them),
        cmocka_unit_test(an_array_that_is_removed_ends),
        cmocka_unit_test(a_cpu_that_is_unplugged_takes_its_interrupts_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
