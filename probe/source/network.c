/*
 * network.c - what network interfaces have carried.
 *
 *     $ cat /proc/net/dev
 *     Inter-|   Receive                                                |  Transmit
 *      face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets ...
 *       eth0: 68210035 520993    0    0    0     0          0         0 9315587 43451 0 ...
 *
 * 2.6 kernels write no space after the colon, and an alias has a colon in its name ("eth0:1:"),
 * so the name ends at the last colon.  Eight numbers received, eight sent.
 */
#include "probe/source/device_filter.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define COLUMNS        16

#define COUNTER(name)                                                                          \
    {                                                                                          \
        "node_network_" name "_total", METRIC_COUNTER, "Network device statistic " name ".",   \
            NULL                                                                               \
    }
static const struct metric columns[COLUMNS] = {
    COUNTER("receive_bytes"),       COUNTER("receive_packets"),   COUNTER("receive_errs"),
    COUNTER("receive_drop"),        COUNTER("receive_fifo"),      COUNTER("receive_frame"),
    COUNTER("receive_compressed"),  COUNTER("receive_multicast"), COUNTER("transmit_bytes"),
    COUNTER("transmit_packets"),    COUNTER("transmit_errs"),     COUNTER("transmit_drop"),
    COUNTER("transmit_fifo"),       COUNTER("transmit_colls"),    COUNTER("transmit_carrier"),
    COUNTER("transmit_compressed"),
};

struct interface {
    bool is_excluded;
    series_handle handles[COLUMNS];
};

struct network_state {
    struct procfile file;
    struct readbuf text;
    struct tracked interfaces;
    struct pattern *exclude;
};

static int network_configure(void *state, struct config *config, const struct config_node *node,
                             struct diagnosis *why)
{
    struct network_state *network = state;
    return device_filter_read(config, node, "sources.network", NULL, &network->exclude, why);
}

static int network_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct network_state *network = state;
    network->interfaces.value_bytes = sizeof(struct interface);
    network->interfaces.limit = INTERFACES_MAX;
    return procfile_open(&network->file, env->procfs, "net/dev");
}

static void interface_register(struct network_state *network, struct interface *interface,
                               struct bytes name, struct emitter *out)
{
    series_clear(interface->handles, COLUMNS);
    interface->is_excluded = pattern_matches(network->exclude, name);
    if (interface->is_excluded)
        return;
    for (size_t i = 0; i < COLUMNS; i++)
        interface->handles[i] = series_one(out, &columns[i], "device", name);
}

/* False: not a line of the table's body. */
static bool network_line(struct span line, struct bytes *ret_name, uint64_t values[COLUMNS])
{
    const char *colon = memrchr(line.at, ':', span_size(line));
    if (colon == NULL)
        return false;
    struct span name = span_trim((struct span){line.at, colon});
    line.at = colon + 1;
    for (size_t i = 0; i < COLUMNS; i++)
        if (!scan_u64(&line, &values[i]))
            return false;
    *ret_name = span_bytes(name);
    return name.at < name.end;
}

static void interface_gone(void *value, void *context)
{
    struct interface *interface = value;
    series_end(context, interface->handles, COLUMNS);
}

static int network_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct network_state *network = state;
    struct span text, line;
    struct bytes name;
    uint64_t values[COLUMNS];
    bool is_new;
    int error = procfile_read(&network->file, &network->text, &text);
    if (error != 0)
        return error;

    /* Two lines of heading always come; without them the file was cut. */
    if (!scan_line(&text, &line) || !scan_line(&text, &line))
        return ERR_MALFORMED;
    tracked_begin(&network->interfaces);
    while (scan_line(&text, &line)) {
        if (!network_line(line, &name, values))
            continue;
        struct interface *interface = tracked_touch(&network->interfaces, name, &is_new);
        if (interface == NULL)
            continue;
        if (is_new)
            interface_register(network, interface, name, out);
        if (interface->is_excluded)
            continue;
        for (size_t i = 0; i < COLUMNS; i++)
            emit(out, interface->handles[i], (double)values[i]);
    }
    tracked_sweep(&network->interfaces, interface_gone, out);
    return 0;
}

static void network_stop(void *state)
{
    struct network_state *network = state;
    procfile_close(&network->file);
    readbuf_done(&network->text);
    tracked_done(&network->interfaces, NULL, NULL);
    pattern_free(network->exclude);
}

static const char *const policy_options[] = {"exclude", NULL};

const struct source source_network = {
    .name = "network",
    .summary = "bytes, packets, errors and drops of network interfaces",
    .state_bytes = sizeof(struct network_state),
    .configure = network_configure,
    .start = network_start,
    .collect = network_collect,
    .stop = network_stop,
    .policy_options = policy_options,
};
