/*
 * policy.h - what the collector asks a probe to do, kept on disk.
 *
 * A policy is a part of probe.yml's own language, made for this host by the collector:
 *
 *     interval: 1s                              # between two ticks, where probe.yml names none
 *     sources:
 *       cpu: {interval: 1s}                     # holds over probe.yml
 *       network_class: {enabled: false}
 *       processes: {top: 20}                    # options that a source lets a policy set
 *     logs:                                     # beside those of probe.yml
 *     - path: /app/tomcat/logs/catalina.*.log
 *
 * An empty document takes the policy back: probe.yml alone holds again.  It can pace, switch
 * and tune the sources that this host has, and name log files, all within what probe.yml allows
 * (options.h, struct options_allow); it can neither run a command nor name an address.
 *
 * What does not parse is refused whole, and the last policy stays.  Of one that parses, what
 * this host does not allow or cannot do is refused part by part, with a reason for a person;
 * the rest holds.
 *
 * The last good one lies in STATE/policy.yml with its version, so that a probe that starts
 * without its collector goes on with it.
 *
 * Thread: the loop's.
 */
#pragma once

#include "probe/log/permit.h"
#include "probe/log/settings.h"
#include "probe/options.h"
#include "proto/base/diagnosis.h"
#include "proto/base/file.h"

#define POLICY_REFUSALS_MAX 32

/* A part that does not hold, and why. */
struct policy_refusal {
    char part[160]; /* "sources.cpu.interval", "logs./var/log/messages" */
    char reason[256];
};

struct policy {
    uint64_t version; /* 0: there has never been one */
    struct config *config;
    int64_t interval_ms;               /* 0: not said */
    const struct config_node *sources; /* a map, or NULL */
    const struct config_node *logs;    /* a list, or NULL */
    struct policy_refusal refusals[POLICY_REFUSALS_MAX];
    size_t refusal_count; /* may be more than there is room for */
    uint64_t refusal_changes;
};

/* ERR_INVALID, ERR_NOMEM, with a message in `why`. */
int policy_parse(uint64_t version, struct bytes document, struct policy **ret_policy,
                 struct diagnosis *why);
void policy_free(struct policy *policy); /* NULL is allowed */

/* Settles what holds: is_on and interval_ms of every source, from probe.yml and the policy.
 * Begins the list of refusals anew. */
void policy_obey(struct policy *policy, struct options *options);

/* The log entries that hold, to be read under `permit`; adds to the refusals.  ERR_NOMEM. */
int policy_logs(struct policy *policy, const struct permit *permit,
                struct log_settings_list *ret_list);

/* One more part that does not hold. */
void policy_refuse(struct policy *policy, const char *section, const char *name,
                   const char *reason);
/* Those there is room for. */
size_t policy_refusals_kept(const struct policy *policy);

/* The policy kept in `state`; version 0 and empty if there is none. */
int policy_load(const char *state, struct policy **ret_policy, struct diagnosis *why);
/* Keeps a document that has parsed.  ERR_IO, ERR_FULL. */
int policy_keep(const struct file_io *io, const char *state, uint64_t version,
                struct bytes document, struct diagnosis *why);
