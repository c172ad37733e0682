/*
 * netstat.c - what the network stack has counted, by protocol.
 *
 *     $ cat /proc/net/snmp /proc/net/netstat        $ cat /proc/net/snmp6
 *     Tcp: RtoAlgorithm ... InErrs OutRsts          Ip6InReceives          7
 *     Tcp: 1            ... 5      1003             Udp6RcvbufErrors       9
 *          -> node_netstat_Tcp_InErrs                    -> node_netstat_Udp6_RcvbufErrors
 *
 * A line of names, then a line of as many numbers.  Kernels keep adding some: whatever is there
 * counts, and node_exporter's expression says which are sent (about forty of four hundred).
 * Without IPv6 there is no snmp6.
 */
#include <stdio.h>

#include "probe/source/device_filter.h"
#include "probe/source/field_set.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

#define FIELDS                                                                                 \
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|"                     \
    "Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|"         \
    "TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|"           \
    "RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|"             \
    "SndbufErrors))$"
#define NAME_BYTES_MOST 96
#define TEXT_BYTES_MAX  256

enum { SNMP, NETSTAT, SNMP6, FILES };
static const char *const paths[FILES] = {"net/snmp", "net/netstat", "net/snmp6"};

struct netstat_state {
    struct procfile files[FILES];
    struct readbuf text;
    struct field_set fields;
    struct pattern *wanted;
};

static int netstat_configure(void *state, struct config *config, const struct config_node *node,
                             struct diagnosis *why)
{
    struct netstat_state *netstat = state;
    return field_filter_read(config, node, "sources.netstat", FIELDS, &netstat->wanted, why);
}

static int netstat_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct netstat_state *netstat = state;
    for (size_t i = NETSTAT; i < FILES; i++)
        (void)procfile_open(&netstat->files[i], env->procfs, paths[i]); /* not on every host */
    return procfile_open(&netstat->files[SNMP], env->procfs, paths[SNMP]);
}

static series_handle netstat_register(struct netstat_state *netstat, struct span protocol,
                                      struct span name, struct emitter *out)
{
    char field[TEXT_BYTES_MAX], metric_name[TEXT_BYTES_MAX + 16], help[TEXT_BYTES_MAX + 16];
    int protocol_size = (int)span_size(protocol), name_size = (int)span_size(name);
    if (protocol_size > NAME_BYTES_MOST || name_size > NAME_BYTES_MOST)
        return SERIES_NONE;
    snprintf(field, sizeof field, "%.*s_%.*s", protocol_size, protocol.at, name_size, name.at);
    if (!pattern_matches(netstat->wanted, bytes_of(field)))
        return SERIES_NONE;
    snprintf(metric_name, sizeof metric_name, "node_netstat_%s", field);
    snprintf(help, sizeof help, "Statistic %.*s%.*s.", protocol_size, protocol.at, name_size,
             name.at);
    const struct metric metric = {metric_name, METRIC_UNTYPED, help, NULL};
    return series_plain(out, &metric);
}

static void netstat_value(struct netstat_state *netstat, uint64_t protocol_hash,
                          struct span protocol, struct span name, double value,
                          struct emitter *out)
{
    enum field_state seen;
    uint64_t hash = field_hash(protocol_hash, span_bytes(name));
    struct field *field = field_set_touch(&netstat->fields, hash, &seen);
    if (field == NULL)
        return;
    if (seen == FIELD_NEW)
        field->handle = netstat_register(netstat, protocol, name, out);
    emit(out, field->handle, value);
}

/* "Tcp:" of the line's front, without the colon. */
static bool take_protocol(struct span *line, struct span *ret_protocol)
{
    if (!scan_word(line, ret_protocol) || ret_protocol->end[-1] != ':')
        return false;
    ret_protocol->end--;
    return ret_protocol->at < ret_protocol->end;
}

/* Two lines a protocol.  True: there was one at least. */
static bool read_pairs(struct netstat_state *netstat, struct span text, struct emitter *out)
{
    struct span names, values, protocol, again, name;
    double value;
    bool has_any = false;
    while (scan_line(&text, &names) && scan_line(&text, &values)) {
        if (!take_protocol(&names, &protocol) || !take_protocol(&values, &again) ||
            !bytes_equal(span_bytes(protocol), span_bytes(again)))
            break; /* cut, or another format: what follows cannot be told apart */
        has_any = true;
        uint64_t hash = field_hash(FIELD_HASH, span_bytes(protocol));
        while (scan_word(&names, &name) && scan_number(&values, &value))
            netstat_value(netstat, hash, protocol, name, value, out);
    }
    return has_any;
}

/* The protocol ends with the first 6. */
static void read_snmp6(struct netstat_state *netstat, struct span text, struct emitter *out)
{
    struct span line, word;
    double value;
    while (scan_line(&text, &line)) {
        if (!scan_word(&line, &word) || !scan_number(&line, &value))
            continue;
        const char *six = memchr(word.at, '6', span_size(word));
        if (six == NULL || six + 1 == word.end)
            continue;
        struct span protocol = {word.at, six + 1}, name = {six + 1, word.end};
        uint64_t hash = field_hash(FIELD_HASH, span_bytes(protocol));
        netstat_value(netstat, hash, protocol, name, value, out);
    }
}

static int netstat_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct netstat_state *netstat = state;
    struct span text;
    int error = procfile_read(&netstat->files[SNMP], &netstat->text, &text);
    if (error != 0)
        return error;
    field_set_begin(&netstat->fields);
    if (!read_pairs(netstat, text, out))
        return ERR_MALFORMED;
    if (procfile_read(&netstat->files[NETSTAT], &netstat->text, &text) == 0)
        (void)read_pairs(netstat, text, out);
    if (procfile_read(&netstat->files[SNMP6], &netstat->text, &text) == 0)
        read_snmp6(netstat, text, out);
    field_set_sweep(&netstat->fields, out);
    return 0;
}

static void netstat_stop(void *state)
{
    struct netstat_state *netstat = state;
    for (size_t i = 0; i < FILES; i++)
        procfile_close(&netstat->files[i]);
    readbuf_done(&netstat->text);
    field_set_done(&netstat->fields);
    pattern_free(netstat->wanted);
}

const struct source source_netstat = {
    .name = "netstat",
    .summary = "what IP, TCP, UDP and ICMP have counted: errors, drops, retransmissions",
    .needs = "/proc/net/snmp",
    .state_bytes = sizeof(struct netstat_state),
    .configure = netstat_configure,
    .start = netstat_start,
    .collect = netstat_collect,
    .stop = netstat_stop,
};
