/*
 * processes.c - processes by group, as process-exporter names them, and the largest of them.
 *
 * One tick:
 *     process_events   who has run another program, who has ended and how (with a capability)
 *     process_exits    what those had used that ended (with the same)
 *     process_scan     who lives, and each one's /proc/PID/stat
 *     process_rules    the group of what is new or has changed its command
 *     process_dear     io, status, open files, PSS: in turns
 *     process_groups   sums and series
 *     process_threads  their threads by name, if asked for
 *     process_ports    the ports on which they listen
 *     process_top      the largest, as a record
 *
 * Kernel threads are in no group unless the configuration says so.
 */
#include <string.h>

#include "probe/source/process_dear.h"
#include "probe/source/process_events.h"
#include "probe/source/process_exits.h"
#include "probe/source/process_family.h"
#include "probe/source/process_groups.h"
#include "probe/source/process_ports.h"
#include "probe/source/process_rules.h"
#include "probe/source/process_scan.h"
#include "probe/source/process_threads.h"
#include "probe/source/process_top.h"
#include "probe/source/process_totals.h"
#include "probe/source/process_users.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define DEFAULT_INTERVAL_MS 15000
#define DEFAULT_TOP         10
#define DEFAULT_OTHERS      "{{.Comm}}"
#define COMM_BYTES_MAX      64
#define COMMAND_BYTES_MAX   4096
#define CGROUP_BYTES_MAX    1024

struct processes_options {
    const struct config_node *groups;
    const struct config_node *expected_ports;
    const char *others;
    bool kernel_threads;
    bool proportional;
    bool events;
    bool ports, threads;
    int64_t top;
    struct source_common_options common;
};

struct processes_state {
    struct process_rules *rules;
    struct process_scan scan;
    struct process_dear dear;
    struct process_groups groups;
    struct process_totals totals;
    struct process_threads threads;
    struct process_ports ports;
    struct process_top top;
    struct user_names users;
    const struct source_env *env; /* during collect() only */
    int64_t last_ms;
    size_t top_rows;
    bool wants_kernel_threads, wants_pss, wants_events;
    struct process_events events;
    struct process_exits exits;
    uint64_t short_lived; /* ended between two looks */
    series_handle lost_handle, short_handle;
};

static const struct config_option options_table[] = {
    {"groups", CONFIG_NODE, offsetof(struct processes_options, groups),
     .help = "rules that put processes into groups"},
    {"others", CONFIG_STRING, offsetof(struct processes_options, others),
     .fallback = DEFAULT_OTHERS, .help = "group of what no rule takes; \"\" leaves it out"},
    {"kernel_threads", CONFIG_BOOL, offsetof(struct processes_options, kernel_threads),
     .fallback = "false", .help = "put kernel threads into groups too"},
    {"proportional_memory", CONFIG_BOOL, offsetof(struct processes_options, proportional),
     .fallback = "true", .help = "read smaps_rollup (PSS), in turns"},
    {"events", CONFIG_BOOL, offsetof(struct processes_options, events), .fallback = "true",
     .help = "hear of exec and exit from the kernel, where CAP_NET_ADMIN allows it"},
    {"threads", CONFIG_BOOL, offsetof(struct processes_options, threads), .fallback = "false",
     .help = "threads of each group by name"},
    {"ports", CONFIG_BOOL, offsetof(struct processes_options, ports), .fallback = "true",
     .help = "listening ports, and which group listens"},
    {"expected_ports", CONFIG_NODE, offsetof(struct processes_options, expected_ports),
     .help = "ports on which somebody should listen"},
    {"top", CONFIG_INTEGER, offsetof(struct processes_options, top), .fallback = "10",
     .max = (int64_t)TOP_MOST, .help = "rows of the top table by each measure; 0: none"},
    SOURCE_COMMON_OPTIONS(offsetof(struct processes_options, common)),
};

static int processes_configure(void *state, struct config *config,
                               const struct config_node *node, struct diagnosis *why)
{
    struct processes_state *ps = state;
    struct processes_options options = {.others = DEFAULT_OTHERS,
                                        .proportional = true,
                                        .events = true,
                                        .ports = true,
                                        .top = DEFAULT_TOP};
    if (node != NULL) {
        int error = config_read(config, node, "sources.processes", options_table,
                                sizeof options_table / sizeof *options_table, &options, why);
        if (error != 0)
            return error;
    }
    ps->top_rows = (size_t)options.top;
    ps->wants_kernel_threads = options.kernel_threads;
    ps->wants_pss = options.proportional;
    ps->wants_events = options.events;
    ps->threads.is_on = options.threads;
    ps->ports.is_on = options.ports;
    int error = process_ports_expect(&ps->ports, config, options.expected_ports, why);
    if (error != 0)
        return error;
    return process_rules_new(config, options.groups, config_child(node, "others"),
                             options.others, &ps->rules, why);
}

/* Unix time of boot, from the btime line of /proc/stat. */
static int read_boot_time(const struct source_env *env, double *ret_seconds)
{
    struct readbuf buf = {0};
    struct span text, line;
    uint64_t seconds = 0;
    int error = procfile_read_path(env->procfs, "stat", &buf, &text);
    if (error == 0) {
        error = ERR_MALFORMED;
        while (error != 0 && scan_line(&text, &line))
            if (scan_text(&line, "btime ") && scan_u64(&line, &seconds))
                error = 0;
    }
    readbuf_done(&buf);
    if (error == 0)
        *ret_seconds = (double)seconds;
    return error;
}

/* Not to hear of events is no fault, and said once. */
static void start_events(struct processes_state *ps, const struct source_env *env,
                         struct emitter *out)
{
    static const struct metric lost = {"process_events_lost_total", METRIC_COUNTER,
                                       "Times that more processes began and ended than the "
                                       "kernel's events of them could wait.",
                                       NULL};
    static const struct metric short_lived = {"process_short_lived_total", METRIC_COUNTER,
                                              "Processes that began and ended between two "
                                              "looks.",
                                              NULL};
    if (!ps->wants_events || !env->live)
        return;
    int error = process_events_open(&ps->events);
    if (error != 0) {
        log_info("processes",
                 "no events of exec and exit (%s); processes are found by looking, and what "
                 "short-lived ones used by what their parents inherit",
                 error == ERR_REFUSED ? "they need CAP_NET_ADMIN" : "not in this namespace");
        return;
    }
    ps->groups.has_events = true;
    error = process_exits_open(&ps->exits);
    if (error != 0)
        log_info(
            "processes",
            "no account of processes that end (%s); what short-lived ones used is known by "
            "what their parents inherit",
            error == ERR_REFUSED ? "this namespace may not have it"
                                 : "the kernel has no taskstats");
    ps->lost_handle = series_plain(out, &lost);
    ps->short_handle = series_plain(out, &short_lived);
}

static int processes_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct processes_state *ps = state;
    double boot_seconds = 0;
    int error = ps->rules != NULL
                    ? 0
                    : process_rules_new(NULL, NULL, NULL, DEFAULT_OTHERS, &ps->rules, NULL);
    if (error == 0)
        error = read_boot_time(env, &boot_seconds);
    if (error == 0)
        error = process_scan_open(&ps->scan, env->procfs);
    if (error == 0)
        error = process_top_start(&ps->top, ps->top_rows, boot_seconds);
    if (error != 0)
        return error;
    process_groups_start(&ps->groups, boot_seconds);
    if (ps->ports.is_on) {
        process_ports_start(&ps->ports, env);
        ps->top.ports_of = process_ports_of;
        ps->top.ports_context = &ps->ports;
    }
    start_events(ps, env, out);
    process_totals_start(&ps->totals);
    process_threads_start(&ps->threads);
    process_dear_start(&ps->dear, &ps->scan, ps->wants_pss);
    for (size_t i = 0; i < process_rules_count(ps->rules); i++) {
        const char *name = process_rules_fixed_name(ps->rules, i);
        if (name != NULL)
            (void)process_groups_get(&ps->groups, bytes_of(name), true);
    }
    return 0;
}

static struct bytes copy_text(struct span text, char *room, size_t capacity)
{
    size_t size = span_size(text) < capacity ? span_size(text) : capacity;
    memcpy(room, text.at, size);
    return (struct bytes){(const uint8_t *)room, size};
}

/* Command line with its NULs as spaces; the first argument is a part of it. */
static void read_command_line(struct process_scan *scan, uint32_t pid,
                              char room[COMMAND_BYTES_MAX], struct process_facts *facts,
                              uint32_t *ret_hash)
{
    struct span text;
    if (process_read(scan, pid, "cmdline", &text) != 0)
        return;
    *ret_hash = process_hash(text);
    while (text.at < text.end && text.end[-1] == '\0')
        text.end--;
    facts->command_line = copy_text(text, room, COMMAND_BYTES_MAX);
    size_t size = facts->command_line.size;
    const char *end = size > 0 ? memchr(room, '\0', size) : NULL;
    facts->first_argument =
        (struct bytes){facts->command_line.data, end != NULL ? (size_t)(end - room) : size};
    for (size_t i = 0; i < size; i++)
        if (room[i] == '\0')
            room[i] = ' ';
}

static void classify(void *context, struct process *process, const struct process_stat *stat)
{
    struct processes_state *ps = context;
    unsigned wanted = process_rules_facts(ps->rules);
    struct process_facts facts = {0};
    char comm[COMM_BYTES_MAX], command[COMMAND_BYTES_MAX], cgroup[CGROUP_BYTES_MAX];
    char name[GROUP_NAME_BYTES_MAX];
    struct span text, path;

    process->group = NULL;
    process->command_hash = 0;
    if (process->is_kernel && !ps->wants_kernel_threads)
        return;
    /* Copies: what stat points to is overwritten by the next read. */
    facts.comm = copy_text(stat->comm, comm, sizeof comm);
    if ((wanted & FACT_USER) != 0)
        facts.user = user_name(&ps->users, ps->env->rootfs, process->user);
    if ((wanted & FACT_COMMAND_LINE) != 0)
        read_command_line(&ps->scan, process->pid, command, &facts, &process->command_hash);
    if ((wanted & FACT_CGROUP) != 0 &&
        process_read(&ps->scan, process->pid, "cgroup", &text) == 0 &&
        process_cgroup_parse(text, &path))
        facts.cgroup = copy_text(path, cgroup, sizeof cgroup);
    size_t size = process_rules_name(ps->rules, &facts, name);
    if (size > 0)
        process->group =
            process_groups_get(&ps->groups, (struct bytes){(const uint8_t *)name, size}, false);
}

static void take_event(void *context, const struct process_event *event)
{
    struct processes_state *ps = context;
    struct process *row = process_family_find(ps->scan.rows, ps->scan.count, event->pid);
    if (event->kind == PROCESS_EVENT_EXIT)
        process_exits_hear(&ps->exits, event->pid);
    if (row == NULL) {
        ps->short_lived += event->kind == PROCESS_EVENT_EXIT && ps->scan.has_run;
    } else if (event->kind == PROCESS_EVENT_EXEC) {
        row->has_exec = true;
    } else if (row->group != NULL) {
        unsigned reason = (event->status & 0x7f) != 0     ? GROUP_EXIT_SIGNAL
                          : (event->status & 0xff00) != 0 ? GROUP_EXIT_ERROR
                                                          : GROUP_EXIT_OK;
        row->group->exits[reason - GROUP_EXIT_OK]++;
        row->group->has_exited = true;
        row->group->last_status = event->status;
    }
}

static void hear_events(struct processes_state *ps, struct emitter *out)
{
    if (!ps->events.is_open)
        return;
    if (!process_events_read(&ps->events, take_event, ps))
        for (size_t i = 0; i < ps->scan.count; i++)
            ps->scan.rows[i].has_exec = true; /* who knows */
    process_exits_read(&ps->exits);
    emit(out, ps->lost_handle, (double)(ps->events.lost + ps->exits.lost));
    emit(out, ps->short_handle, (double)ps->short_lived);
}

/* The group of a process that no look has seen: the one of its own name, if there is such a
 * group, else that of who started it.  Its command line is not known. */
static struct process_group *group_of_unseen(void *context, const struct process_exit *exit)
{
    struct processes_state *ps = context;
    char name[GROUP_NAME_BYTES_MAX];
    struct process_facts facts = {
        .comm = {(const uint8_t *)exit->name, exit->name_size},
        .user = user_name(&ps->users, ps->env->rootfs, exit->user),
    };
    size_t size = process_rules_name(ps->rules, &facts, name);
    struct process_group *group =
        process_groups_find(&ps->groups, (struct bytes){(const uint8_t *)name, size});
    if (group != NULL)
        return group;
    const struct process *parent =
        process_family_find(ps->scan.rows, ps->scan.count, exit->parent);
    if (parent == NULL)
        parent = process_family_find(ps->scan.spare, ps->scan.count_before, exit->parent);
    return parent != NULL ? parent->group : NULL;
}

static int processes_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct processes_state *ps = state;
    int64_t elapsed_ms =
        ps->last_ms > 0 && env->now_ms > ps->last_ms ? env->now_ms - ps->last_ms : 0;
    bool is_first = !ps->scan.has_run;
    ps->env = env;
    user_names_refresh(&ps->users, env->rootfs);
    hear_events(ps, out);
    int error = process_scan_run(&ps->scan, (double)elapsed_ms / MS_PER_SEC, classify, ps);
    if (error != 0)
        return error;
    ps->last_ms = env->now_ms;
    process_exits_settle(&ps->exits, &ps->scan, group_of_unseen, ps);
    process_dear_run(&ps->dear, &ps->scan, env->interval_ms, elapsed_ms);
    process_groups_emit(&ps->groups, &ps->scan, env->now_ms, out);
    process_totals_emit(&ps->totals, &ps->scan, env, out);
    int threads_error = process_threads_emit(&ps->threads, &ps->scan, out);
    int ports_error = process_ports_emit(&ps->ports, &ps->scan, env, out);
    /* The first tick knows no rates. */
    if (!is_first)
        error = process_top_emit(&ps->top, &ps->scan, &ps->users, env->rootfs, out);
    return error != 0 ? error : threads_error != 0 ? threads_error : ports_error;
}

static const char *reason_of(int error)
{
    return error == ERR_REFUSED ? "it needs CAP_NET_ADMIN in the host's own namespaces"
                                : "not of this kernel, or not in this namespace";
}

/* --check: what the kernel does not tell us of processes that come and go.  What the rights of
 * this user hide is said with them (host_report_rights()). */
static int processes_check(void *state, const struct source_env *env, struct diagnosis *why)
{
    struct processes_state *ps = state;
    int error = process_scan_open(&ps->scan, env->procfs);
    if (error != 0)
        return diagnose(why, error, "%s",
                        error == ERR_NOTFOUND ? "no /proc" : error_text(error));
    if (!ps->wants_events || !env->live)
        return 0;
    int events = process_events_open(&ps->events);
    int exits = process_exits_open(&ps->exits);
    if (events != 0 && exits != 0)
        (void)diagnose(why, 0, "no events of exec and exit, nor an account of exits: %s",
                       reason_of(events));
    else if (events != 0)
        (void)diagnose(why, 0, "no events of exec and exit: %s", reason_of(events));
    else if (exits != 0)
        (void)diagnose(why, 0, "no account of what processes had used when they ended: %s",
                       reason_of(exits));
    return 0;
}

static void processes_stop(void *state)
{
    struct processes_state *ps = state;
    process_events_close(&ps->events);
    process_exits_close(&ps->exits);
    process_scan_close(&ps->scan);
    process_groups_done(&ps->groups);
    process_totals_done(&ps->totals);
    process_threads_done(&ps->threads);
    process_ports_done(&ps->ports);
    process_top_done(&ps->top);
    process_rules_free(ps->rules);
    user_names_done(&ps->users);
}

static const char *const policy_options[] = {
    "groups",  "others", "kernel_threads", "proportional_memory",
    "threads", "ports",  "expected_ports", "top",
    NULL};

const struct source source_processes = {
    .name = "processes",
    .summary = "processes by group, and a table of the largest",
    .state_bytes = sizeof(struct processes_state),
    .interval_ms = DEFAULT_INTERVAL_MS,
    .configure = processes_configure,
    .start = processes_start,
    .collect = processes_collect,
    .check = processes_check,
    .stop = processes_stop,
    .policy_options = policy_options,
};
