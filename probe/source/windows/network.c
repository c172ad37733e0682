/*
 * network.c - what network interfaces have carried: windows_net_*, by GetIfTable2() (64-bit
 * counters).
 *
 * Physical interfaces are told, and those of teams and virtual switches that are no filter of
 * another; not the loopback.  `nic` is the interface's description as the performance counters
 * write it, so that series are called as windows_exporter's: ( ) become [ ], and # / become _.
 */
#include <string.h>
#include <winsock2.h>

#include <ws2ipdef.h>

#include <iphlpapi.h>
#include <netioapi.h>

#include <stdio.h>

#include "probe/source/device_filter.h"
#include "probe/source/source.h"
#include "probe/source/windows/told.h"
#include "proto/base/error.h"

#define BITS_A_BYTE 8.0

static const struct metric
    received = TOLD_COUNTER("windows_net_bytes_received_total", "Bytes received by interface"),
    sent = TOLD_COUNTER("windows_net_bytes_sent_total", "Bytes sent by interface"),
    both = TOLD_COUNTER("windows_net_bytes_total", "Bytes received and sent by interface"),
    packets_received = TOLD_COUNTER("windows_net_packets_received_total", "Packets received"),
    packets_sent = TOLD_COUNTER("windows_net_packets_sent_total", "Packets sent"),
    packets = TOLD_COUNTER("windows_net_packets_total", "Packets received and sent"),
    received_discarded = TOLD_COUNTER("windows_net_packets_received_discarded_total",
                                      "Inbound packets chosen to be discarded without an error"),
    received_errors = TOLD_COUNTER("windows_net_packets_received_errors_total",
                                   "Inbound packets with errors"),
    received_unknown = TOLD_COUNTER("windows_net_packets_received_unknown_total",
                                    "Inbound packets of an unknown protocol"),
    sent_discarded = TOLD_COUNTER("windows_net_packets_outbound_discarded_total",
                                  "Outbound packets chosen to be discarded without an error"),
    sent_errors = TOLD_COUNTER("windows_net_packets_outbound_errors_total",
                               "Outbound packets that errors kept from being sent"),
    bandwidth_bytes = TOLD_GAUGE("windows_net_current_bandwidth_bytes",
                                 "Speed of the interface in bytes a second"),
    bandwidth = TOLD_GAUGE("windows_net_current_bandwidth",
                           "Speed of the interface in bits a second (before windows_exporter 0.20)"),
    queue = TOLD_GAUGE("windows_net_output_queue_length_packets",
                       "Length of the output packet queue"),
    info = TOLD_GAUGE("windows_net_nic_info", "Always 1; what the interface is, as labels"),
    status = TOLD_GAUGE("windows_net_nic_operation_status",
                        "1 for the state that the interface is in");

static const char *const states[] = {"unknown", "up",      "down",       "testing",
                                     "unknown", "dormant", "notPresent", "lowerLayerDown"};

struct network_state {
    struct told told;
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
    (void)state;
    (void)out;
    return env->live ? 0 : ERR_NOTFOUND;
}

/* Filters (of packet schedulers, of antivirus) repeat what their interface counts. */
static bool is_told(const MIB_IF_ROW2 *row)
{
    return !row->InterfaceAndOperStatusFlags.FilterInterface &&
           row->Type != IF_TYPE_SOFTWARE_LOOPBACK && row->Type != IF_TYPE_TUNNEL;
}

static struct bytes name_of(const MIB_IF_ROW2 *row, char room[TOLD_TEXT_BYTES])
{
    struct bytes name = told_text(row->Description, room);
    for (size_t i = 0; i < name.size; i++) {
        const char *from = "()#/", *to = "[]__";
        const char *at = room[i] == '\0' ? NULL : strchr(from, room[i]);
        if (at != NULL)
            room[i] = to[at - from];
    }
    return name;
}

static void put_row(struct told *told, const MIB_IF_ROW2 *row, struct bytes nic)
{
    double in = (double)(row->InUcastPkts + row->InNUcastPkts);
    double outward = (double)(row->OutUcastPkts + row->OutNUcastPkts);
    const struct {
        const struct metric *metric;
        double value;
    } values[] = {
        {&received, (double)row->InOctets},
        {&sent, (double)row->OutOctets},
        {&both, (double)row->InOctets + (double)row->OutOctets},
        {&packets_received, in},
        {&packets_sent, outward},
        {&packets, in + outward},
        {&received_discarded, (double)row->InDiscards},
        {&received_errors, (double)row->InErrors},
        {&received_unknown, (double)row->InUnknownProtos},
        {&sent_discarded, (double)row->OutDiscards},
        {&sent_errors, (double)row->OutErrors},
        {&bandwidth_bytes, (double)row->TransmitLinkSpeed / BITS_A_BYTE},
        {&bandwidth, (double)row->TransmitLinkSpeed},
        {&queue, (double)row->OutQLen},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        told_one(told, values[i].metric, values[i].value, "nic", nic);
}

static void put_info(struct told *told, const MIB_IF_ROW2 *row, struct bytes nic)
{
    char alias[TOLD_TEXT_BYTES], mac[3 * IF_MAX_PHYS_ADDRESS_LENGTH + 1] = "";
    for (ULONG i = 0; i < row->PhysicalAddressLength && i < IF_MAX_PHYS_ADDRESS_LENGTH; i++)
        (void)snprintf(mac + 3 * i - (i > 0), 4, i == 0 ? "%02x" : ":%02x",
                       row->PhysicalAddress[i]);
    const struct label labels[] = {{bytes_of("friendly_name"), told_text(row->Alias, alias)},
                                   {bytes_of("mac"), bytes_of(mac)},
                                   {bytes_of("nic"), nic}};
    readings_add(&told->list, &info, 1, labels, sizeof labels / sizeof labels[0]);
    for (unsigned i = 1; i < sizeof states / sizeof states[0]; i++)
        told_two(told, &status, (unsigned)row->OperStatus == i ? 1 : 0, "nic", nic, "status",
                 bytes_of(states[i]));
}

static int network_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct network_state *network = state;
    MIB_IF_TABLE2 *table = NULL;
    (void)env;
    told_begin(&network->told);
    DWORD error = GetIfTable2(&table);
    if (error != NO_ERROR)
        told_failed(&network->told, "GetIfTable2", error);
    for (ULONG i = 0; error == NO_ERROR && i < table->NumEntries; i++) {
        char room[TOLD_TEXT_BYTES];
        const MIB_IF_ROW2 *row = &table->Table[i];
        struct bytes nic = name_of(row, room);
        if (!is_told(row) || nic.size == 0 || pattern_matches(network->exclude, nic))
            continue;
        put_row(&network->told, row, nic);
        put_info(&network->told, row, nic);
    }
    if (table != NULL)
        FreeMibTable(table);
    return told_emit(&network->told, out);
}

static const char *network_complaint(const void *state)
{
    return told_complaint(&((const struct network_state *)state)->told);
}

static void network_stop(void *state)
{
    struct network_state *network = state;
    told_done(&network->told);
    pattern_free(network->exclude);
}

static const char *const policy_options[] = {"exclude", NULL};

const struct source source_network = {
    .name = "network",
    .summary = "bytes, packets, errors and state of network interfaces",
    .state_bytes = sizeof(struct network_state),
    .configure = network_configure,
    .start = network_start,
    .collect = network_collect,
    .complaint = network_complaint,
    .stop = network_stop,
    .policy_options = policy_options,
};
