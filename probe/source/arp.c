/*
 * arp.c - how many neighbours each interface knows.
 *
 *     $ cat /proc/net/arp
 *     IP address       HW type     Flags       HW address            Mask     Device
 *     192.168.1.1      0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0
 *
 * A table that is full (net.ipv4.neigh.default.gc_thresh3) loses new neighbours, and a host
 * that cannot be reached from others any more looks like a broken cable.
 */
#include "probe/source/device_filter.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define COLUMNS        6

static const struct metric entries = {"node_arp_entries", METRIC_GAUGE, "ARP entries by device",
                                      NULL};

struct interface {
    series_handle handle; /* SERIES_NONE: left out */
    uint64_t count;
};

struct arp_state {
    struct procfile file;
    struct readbuf text;
    struct tracked interfaces;
    struct pattern *exclude;
    struct emitter *out; /* while lines are read */
};

static int arp_configure(void *state, struct config *config, const struct config_node *node,
                         struct diagnosis *why)
{
    struct arp_state *arp = state;
    return device_filter_read(config, node, "sources.arp", NULL, &arp->exclude, why);
}

static int arp_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct arp_state *arp = state;
    arp->interfaces.value_bytes = sizeof(struct interface);
    arp->interfaces.limit = INTERFACES_MAX;
    return procfile_open(&arp->file, env->procfs, "net/arp");
}

static void arp_line(void *context, struct span line)
{
    struct arp_state *arp = context;
    struct span word = {0}, more;
    bool is_new;
    size_t words = 0;
    while (words < COLUMNS && scan_word(&line, &word))
        words++;
    /* The heading has more words, a cut line fewer. */
    if (words < COLUMNS || scan_word(&line, &more))
        return;
    struct interface *interface = tracked_touch(&arp->interfaces, span_bytes(word), &is_new);
    if (interface == NULL)
        return;
    if (is_new)
        interface->handle = pattern_matches(arp->exclude, span_bytes(word))
                                ? SERIES_NONE
                                : series_one(arp->out, &entries, "device", span_bytes(word));
    interface->count++;
}

static void interface_gone(void *value, void *context)
{
    struct interface *interface = value;
    series_end(context, &interface->handle, 1);
}

static int arp_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct arp_state *arp = state;
    arp->out = out;
    for (size_t i = 0; i < arp->interfaces.count; i++)
        ((struct interface *)tracked_at(&arp->interfaces, i))->count = 0;
    tracked_begin(&arp->interfaces);
    int error = procfile_lines(&arp->file, &arp->text, arp_line, arp);
    if (error != 0)
        return error;
    tracked_sweep(&arp->interfaces, interface_gone, out);
    for (size_t i = 0; i < arp->interfaces.count; i++) {
        const struct interface *interface = tracked_at(&arp->interfaces, i);
        emit(out, interface->handle, (double)interface->count);
    }
    return 0;
}

static void arp_stop(void *state)
{
    struct arp_state *arp = state;
    procfile_close(&arp->file);
    readbuf_done(&arp->text);
    tracked_done(&arp->interfaces, NULL, NULL);
    pattern_free(arp->exclude);
}

const struct source source_arp = {
    .name = "arp",
    .summary = "neighbours known to each network interface",
    .needs = "/proc/net/arp",
    .state_bytes = sizeof(struct arp_state),
    .configure = arp_configure,
    .start = arp_start,
    .collect = arp_collect,
    .stop = arp_stop,
};
