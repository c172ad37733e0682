/*
 * nfs.c - what this host has asked of NFS servers, and how often it had to ask again.
 *
 *     $ cat /proc/net/rpc/nfs
 *     net 70 70 69 45                       packets, by UDP, by TCP; TCP connections
 *     rpc 1218785755 374636 1218815394      calls, retransmissions, authentication refreshes
 *     proc3 22 0 1061909262 48906 ...       how many procedures, then the calls of each
 *
 * The kernel numbers procedures and only ever adds some at the end; newer ones than are named
 * here are not sent, and older kernels have fewer: no 0 stands for what they do not count.
 * Retransmissions that rise are a server, or a network, that does not answer.
 */
#include "probe/source/procfile.h"
#include "probe/source/readings.h"
#include "probe/source/scan.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

static const struct metric packets = {
    "node_nfs_packets_total", METRIC_COUNTER,
    "Total NFSd network packets (sent+received) by protocol type.", NULL};
static const struct metric connections = {"node_nfs_connections_total", METRIC_COUNTER,
                                          "Total number of NFSd TCP connections.", NULL};
static const struct metric calls[] = {
    {"node_nfs_rpcs_total", METRIC_COUNTER, "Total number of RPCs performed.", NULL},
    {"node_nfs_rpc_retransmissions_total", METRIC_COUNTER,
     "Number of RPC transmissions performed.", NULL},
    {"node_nfs_rpc_authentication_refreshes_total", METRIC_COUNTER,
     "Number of RPC authentication refreshes performed.", NULL},
};
static const struct metric requests = {"node_nfs_requests_total", METRIC_COUNTER,
                                       "Number of NFS procedures invoked.", NULL};

/* Linux fs/nfs: nfs_procedures, nfs3_procedures, nfs4_procedures; names are node_exporter's. */
static const char *const procedures2[] = {"Null",     "GetAttr", "SetAttr", "Root",    "Lookup",
                                          "ReadLink", "Read",    "WrCache", "Write",   "Create",
                                          "Remove",   "Rename",  "Link",    "SymLink", "MkDir",
                                          "RmDir",    "ReadDir", "FsStat",  NULL};
static const char *const procedures3[] = {
    "Null",    "GetAttr",     "SetAttr", "Lookup", "Access",   "ReadLink", "Read",   "Write",
    "Create",  "MkDir",       "SymLink", "MkNod",  "Remove",   "RmDir",    "Rename", "Link",
    "ReadDir", "ReadDirPlus", "FsStat",  "FsInfo", "PathConf", "Commit",   NULL};
static const char *const procedures4[] = {"Null",
                                          "Read",
                                          "Write",
                                          "Commit",
                                          "Open",
                                          "OpenConfirm",
                                          "OpenNoattr",
                                          "OpenDowngrade",
                                          "Close",
                                          "Setattr",
                                          "FsInfo",
                                          "Renew",
                                          "SetClientID",
                                          "SetClientIDConfirm",
                                          "Lock",
                                          "Lockt",
                                          "Locku",
                                          "Access",
                                          "Getattr",
                                          "Lookup",
                                          "LookupRoot",
                                          "Remove",
                                          "Rename",
                                          "Link",
                                          "Symlink",
                                          "Create",
                                          "Pathconf",
                                          "StatFs",
                                          "ReadLink",
                                          "ReadDir",
                                          "ServerCaps",
                                          "DelegReturn",
                                          "GetACL",
                                          "SetACL",
                                          "FsLocations",
                                          "ReleaseLockowner",
                                          "Secinfo",
                                          "FsidPresent",
                                          "ExchangeID",
                                          "CreateSession",
                                          "DestroySession",
                                          "Sequence",
                                          "GetLeaseTime",
                                          "ReclaimComplete",
                                          "GetDeviceInfo",
                                          "LayoutGet",
                                          "LayoutCommit",
                                          "LayoutReturn",
                                          "SecinfoNoName",
                                          "TestStateID",
                                          "FreeStateID",
                                          "GetDeviceList",
                                          "BindConnToSession",
                                          "DestroyClientID",
                                          "Seek",
                                          "Allocate",
                                          "DeAllocate",
                                          "LayoutStats",
                                          "Clone",
                                          NULL};

static const struct version {
    const char *word, *proto;
    const char *const *procedures;
} versions[] = {
    {"proc2", "2", procedures2},
    {"proc3", "3", procedures3},
    {"proc4", "4", procedures4},
};

struct nfs_state {
    struct procfile file;
    struct readbuf text;
    struct readings list;
};

static int nfs_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    return procfile_open(&((struct nfs_state *)state)->file, env->procfs, "net/rpc/nfs");
}

static void read_procedures(struct readings *list, const struct version *version,
                            struct span line)
{
    double value;
    if (!scan_number(&line, &value)) /* how many there are; the line tells that, too */
        return;
    for (size_t i = 0; version->procedures[i] != NULL && scan_number(&line, &value); i++)
        readings_add_two(list, &requests, value, "method", bytes_of(version->procedures[i]),
                         "proto", bytes_of(version->proto));
}

static void read_net(struct readings *list, struct span line)
{
    double all, udp, tcp, connected;
    if (!scan_number(&line, &all) || !scan_number(&line, &udp) || !scan_number(&line, &tcp) ||
        !scan_number(&line, &connected))
        return;
    readings_add_one(list, &packets, udp, "protocol", bytes_of("udp"));
    readings_add_one(list, &packets, tcp, "protocol", bytes_of("tcp"));
    readings_add(list, &connections, connected, NULL, 0);
}

static int nfs_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct nfs_state *nfs = state;
    struct span text, line, word;
    double value;
    int error = procfile_read(&nfs->file, &nfs->text, &text);
    if (error != 0)
        return error;
    readings_begin(&nfs->list);
    while (scan_line(&text, &line)) {
        if (!scan_word(&line, &word))
            continue;
        if (span_is(word, "net"))
            read_net(&nfs->list, line);
        for (size_t i = 0; span_is(word, "rpc") && i < sizeof calls / sizeof *calls; i++)
            if (scan_number(&line, &value))
                readings_add(&nfs->list, &calls[i], value, NULL, 0);
        for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
            if (span_is(word, versions[i].word))
                read_procedures(&nfs->list, &versions[i], line);
    }
    return nfs->list.count > 0 ? readings_emit(&nfs->list, out) : ERR_MALFORMED;
}

static void nfs_stop(void *state)
{
    struct nfs_state *nfs = state;
    procfile_close(&nfs->file);
    readbuf_done(&nfs->text);
    readings_done(&nfs->list);
}

const struct source source_nfs = {
    .name = "nfs",
    .summary = "calls to NFS servers, by procedure, and retransmissions",
    .needs = "/proc/net/rpc/nfs: an NFS client",
    .state_bytes = sizeof(struct nfs_state),
    .interval_ms = 15000,
    .start = nfs_start,
    .collect = nfs_collect,
    .stop = nfs_stop,
};
