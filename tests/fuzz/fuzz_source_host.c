/*
 * fuzz_source_host.c - whole sources on files of any content.
 *
 * The first byte chooses a source and its file; the rest is the file, given in three ticks:
 * whole, cut in half, whole again.  Properties: nothing breaks, a tick never emits a series
 * without a name, and the same content gives the same number of values.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/must.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *source, *file;
    const char *beside, *text; /* another one that the source wants, too; NULL: none */
} targets[] = {
    {"cpu", "proc/stat", NULL, NULL},
    {"memory", "proc/meminfo", NULL, NULL},
    {"load", "proc/loadavg", NULL, NULL},
    {"disk", "proc/diskstats", NULL, NULL},
    {"network", "proc/net/dev", NULL, NULL},
    {"os", "etc/os-release", NULL, NULL},
    {"network_class", "sys/class/net/eth0/operstate", NULL, NULL},
    {"network_class", "sys/class/net/eth0/flags", NULL, NULL},
    {"disk", "run/udev/data/b8:0", NULL, NULL},
    {"processes", "proc/7/stat", NULL, NULL},
    {"processes", "proc/stat", NULL, NULL},
    {"vmstat", "proc/vmstat", NULL, NULL},
    {"pressure", "proc/pressure/io", NULL, NULL},
    {"netstat", "proc/net/snmp", NULL, NULL},
    {"netstat", "proc/net/netstat", "proc/net/snmp", "Ip: Forwarding\nIp: 1\n"},
    {"netstat", "proc/net/snmp6", "proc/net/snmp", "Ip: Forwarding\nIp: 1\n"},
    {"sockstat", "proc/net/sockstat", NULL, NULL},
    {"tcpstat", "proc/net/tcp", NULL, NULL},
    {"udp_queues", "proc/net/udp6", NULL, NULL},
    {"softnet", "proc/net/softnet_stat", NULL, NULL},
    {"arp", "proc/net/arp", NULL, NULL},
    {"conntrack", "proc/net/stat/nf_conntrack", NULL, NULL},
    {"schedstat", "proc/schedstat", NULL, NULL},
    {"interrupts", "proc/interrupts", NULL, NULL},
    {"kernel", "proc/sys/fs/file-nr", NULL, NULL},
    {"mdadm", "proc/mdstat", NULL, NULL},
    {"hwmon", "sys/class/hwmon/hwmon0/temp1_label", NULL, NULL},
    {"hwmon", "sys/class/hwmon/hwmon0/name", NULL, NULL},
    {"thermal_zone", "sys/class/thermal/thermal_zone0/type",
     "sys/class/thermal/thermal_zone0/temp", "1\n"},
    {"power_supply", "sys/class/power_supply/AC/model_name", NULL, NULL},
    {"cpufreq", "sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors", NULL, NULL},
    {"edac", "sys/devices/system/edac/mc/mc0/csrow0/ch0_dimm_label",
     "sys/devices/system/edac/mc/mc0/csrow0/ch0_ce_count", "1\n"},
    {"bonding", "sys/class/net/bonding_masters", NULL, NULL},
    {"bonding", "sys/class/net/b/bonding/slaves", "sys/class/net/bonding_masters", "b\n"},
    {"dmi", "sys/class/dmi/id/board_name", NULL, NULL},
    {"timex", "sys/devices/system/clocksource/clocksource0/available_clocksource", NULL, NULL},
    {"selinux", "etc/selinux/config", "sys/fs/selinux/enforce", "1\n"},
    {"textfile", "text/x.prom", NULL, NULL},
    {"nfs", "proc/net/rpc/nfs", NULL, NULL},
    {"rapl", "sys/class/powercap/intel-rapl:0/name",
     "sys/class/powercap/intel-rapl:0/energy_uj", "1\n"},
};

#define TARGETS (sizeof targets / sizeof *targets)

/* One a target, made when it is first wanted: making and removing folders costs more than all
 * the rest. */
static struct fake_tree trees[TARGETS];
static bool has_tree[TARGETS];

static void remove_trees(void)
{
    for (size_t i = 0; i < TARGETS; i++)
        if (has_tree[i])
            fake_tree_done(&trees[i]);
}

static const struct fake_tree *tree_of(size_t which)
{
    static bool is_registered;
    if (!is_registered)
        must(atexit(remove_trees) == 0);
    is_registered = true;
    if (has_tree[which])
        return &trees[which];
    fake_tree_make(&trees[which]);
    has_tree[which] = true;
    fake_tree_write(&trees[which], "proc/stat", "btime 1\n");
    fake_tree_write(&trees[which], "proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n");
    if (targets[which].beside != NULL)
        fake_tree_write(&trees[which], targets[which].beside, targets[which].text);
    return &trees[which];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t which = data[0] % TARGETS;
    const struct fake_tree *tree = tree_of(which);
    const char *file = targets[which].file;
    char yaml[128] = "";
    struct running_source running;
    struct emitter *out = recorder_new();
    fake_tree_write_bytes(tree, file, data + 1, size - 1);
    if (strcmp(targets[which].source, "textfile") == 0)
        snprintf(yaml, sizeof yaml, "{directories: [%s/text]}", tree->root);
    if (running_source_start(&running, source_find(targets[which].source), tree->root,
                             yaml[0] != '\0' ? yaml : NULL, out, NULL) == 0) {
        int first = running_source_tick(&running, 1000, out);
        size_t count = recorder_count(out);
        fake_tree_write_bytes(tree, file, data + 1, (size - 1) / 2);
        (void)running_source_tick(&running, 2000, out);
        fake_tree_write_bytes(tree, file, data + 1, size - 1);
        int third = running_source_tick(&running, 3000, out);
        must((first == 0) == (third == 0));
        must(first != 0 || recorder_count(out) >= count);
    }
    running_source_stop(&running);
    recorder_free(out);
    return 0;
}
