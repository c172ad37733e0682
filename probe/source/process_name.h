/*
 * process_name.h - names of process groups from templates, as process-exporter writes them.
 *
 *     {{.Comm}}          the command as the kernel keeps it, at most 15 bytes
 *     {{.ExeBase}}       last part of the first word of the command line; Comm without one
 *     {{.ExeFull}}       first word of the command line; Comm without one
 *     {{.Username}}      the user's name
 *     {{.Cgroup}}        path of the control group
 *     {{.Matches.NAME}}  what the rule's cmdline expression caught as (?P<NAME>...)
 */
#pragma once

#include "probe/source/pattern.h"
#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

#define GROUP_NAME_BYTES_MAX 128

/* What is known of a process when it is put into a group. */
struct process_facts {
    struct bytes comm;
    struct bytes user;
    struct bytes command_line; /* arguments joined by spaces; empty for kernel threads */
    struct bytes first_argument;
    struct bytes cgroup;
};

/* Which facts a template (or rule) asks for: bits. */
enum process_fact { FACT_USER = 1, FACT_COMMAND_LINE = 2, FACT_CGROUP = 4 };

/* Checks a template.  ERR_INVALID with the reason; *ret_facts gets the facts it needs or'ed in.
 */
int name_template_check(const char *template, unsigned *ret_facts, struct diagnosis *why);

/* Expands a checked template; foreign bytes are cleaned.  `match` may be NULL.  Returns the
 * size; what does not fit is cut. */
size_t name_template_expand(const char *template, const struct process_facts *facts,
                            const struct pattern *match, char out[GROUP_NAME_BYTES_MAX]);
