/*
 * bonding.c - how many links of a bond are there, and how many of them work.
 *
 *     $ cat /sys/class/net/bonding_masters
 *     bond0 dmz int
 *     $ cat /sys/class/net/int/bonding/slaves
 *     eth5 eth1
 *     $ cat /sys/class/net/int/lower_eth5/bonding_slave/mii_status     (slave_eth5 before 3.14)
 *     up
 *
 * A bond that has lost a link works on, and nobody notices before the second goes.
 */
#include <stdio.h>

#include "probe/source/sysfile.h"
#include "proto/base/error.h"

#define PATH_BYTES 256
#define NAME_MOST  63 /* an interface's has 15 */

static const struct metric slaves = {"node_bonding_slaves", METRIC_GAUGE,
                                     "Number of configured slaves per bonding interface.",
                                     NULL};
static const struct metric active = {"node_bonding_active", METRIC_GAUGE,
                                     "Number of active slaves per bonding interface.", NULL};

static int bonding_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct sysfs_source *source = state;
    char room[SYSFILE_BYTES];
    struct span text;
    int error = sysfs_source_open(source, env, "class/net");
    if (error == 0 && !sysfile_text(source->fd, "bonding_masters", room, &text))
        error = ERR_NOTFOUND;
    return error;
}

static bool link_is_up(int fd, struct span master, struct span slave)
{
    static const char *const forms[] = {"lower", "slave"};
    char path[PATH_BYTES], room[SYSFILE_BYTES];
    struct span text;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        snprintf(path, sizeof path, "%.*s/%s_%.*s/bonding_slave/mii_status",
                 (int)span_size(master), master.at, forms[i], (int)span_size(slave), slave.at);
        if (sysfile_text(fd, path, room, &text))
            return span_is(text, "up");
    }
    return false;
}

static void add_bond(struct sysfs_source *source, struct span master)
{
    char path[PATH_BYTES], room[SYSFILE_BYTES], label[SYSFILE_BYTES];
    struct span text = {0}, slave;
    double configured = 0, working = 0;
    snprintf(path, sizeof path, "%.*s/bonding/slaves", (int)span_size(master), master.at);
    if (sysfile_text(source->fd, path, room, &text)) {
        while (scan_word(&text, &slave)) {
            if (span_size(slave) > NAME_MOST)
                continue;
            configured++;
            working += link_is_up(source->fd, master, slave);
        }
    }
    struct bytes name = sysfile_label(master, label);
    readings_add_one(&source->list, &slaves, configured, "master", name);
    readings_add_one(&source->list, &active, working, "master", name);
}

static int bonding_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct sysfs_source *source = state;
    char room[SYSFILE_BYTES];
    struct span text, master;
    readings_begin(&source->list);
    /* An empty file is no file to sysfile_text(): the last bond was removed. */
    if (sysfile_text(source->fd, "bonding_masters", room, &text))
        while (scan_word(&text, &master))
            if (span_size(master) <= NAME_MOST)
                add_bond(source, master);
    return readings_emit(&source->list, out);
}

const struct source source_bonding = {
    .name = "bonding",
    .summary = "links of bonded interfaces, configured and working",
    .needs = "/sys/class/net/bonding_masters: a bonded interface",
    .state_bytes = sizeof(struct sysfs_source),
    .start = bonding_start,
    .collect = bonding_collect,
    .stop = sysfs_source_stop,
};
