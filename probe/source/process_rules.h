/*
 * process_rules.h - which group a process belongs to.
 *
 *     sources:
 *       processes:
 *         groups:
 *           - name: oracle
 *             comm: [oracle, tnslsnr]
 *             user: oracle
 *           - name: "tomcat {{.Matches.app}}"
 *             cmdline: 'catalina\.base=/app/(?P<app>\w+)'
 *           - name: "{{.Cgroup}}"
 *             cgroup: '^/system\.slice/'
 *         others: "{{.Comm}}"        # what no rule takes; "" leaves it out
 *
 * The first rule all of whose conditions hold takes the process.  A rule whose name holds no
 * variable is watched even while it has no member: namedprocess_namegroup_num_procs 0 is how
 * one alerts on a process that is not there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe/source/process_name.h"
#include "proto/base/config.h"

struct process_rules;

/* `groups` is the list (NULL: no rules), `others` the template for the rest ("": none).
 * ERR_INVALID with file, line and reason; ERR_NOMEM. */
int process_rules_new(struct config *config, const struct config_node *groups,
                      const struct config_node *others_node, const char *others,
                      struct process_rules **ret_rules, struct diagnosis *why);
void process_rules_free(struct process_rules *rules);

/* Facts (enum process_fact bits) that the rules look at besides comm. */
unsigned process_rules_facts(const struct process_rules *rules);

/* Name of the group, its size returned; 0: none. */
size_t process_rules_name(const struct process_rules *rules, const struct process_facts *facts,
                          char out[GROUP_NAME_BYTES_MAX]);

/* The i-th rule's name if it holds no variable, else NULL; i < process_rules_count(). */
size_t process_rules_count(const struct process_rules *rules);
const char *process_rules_fixed_name(const struct process_rules *rules, size_t i);
