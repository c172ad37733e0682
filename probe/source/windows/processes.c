/*
 * processes.c - processes by group, as process-exporter names them on Linux, the largest of them,
 * and, where asked for, each as windows_exporter's windows_process_* (sources.processes.each).
 *
 * Rules, groups and the table are those of Linux (process_rules.h, process_groups.h, process_top.h);
 * process_scan.c here fills the table.
 */
#include <string.h>

#include "probe/source/process_groups.h"
#include "probe/source/process_rules.h"
#include "probe/source/process_top.h"
#include "probe/source/source.h"
#include "probe/source/windows/ntapi.h"
#include "probe/source/windows/process_each.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define DEFAULT_INTERVAL_MS 15000
#define DEFAULT_TOP         10
#define DEFAULT_OTHERS      "{{.Comm}}"
#define COMM_BYTES_MAX      256
#define COMMAND_BYTES_MAX   4096

struct processes_options {
    const struct config_node *groups;
    const char *others;
    bool kernel_threads, each;
    int64_t top;
    struct source_common_options common;
};

struct processes_state {
    struct process_rules *rules;
    struct process_scan scan;
    struct process_groups groups;
    struct process_top top;
    struct process_each each;
    struct user_names users;
    const struct source_env *env; /* during collect() only */
    int64_t last_ms;
    size_t top_rows;
    bool wants_kernel_threads, wants_each;
};

static const struct config_option options_table[] = {
    {"groups", CONFIG_NODE, offsetof(struct processes_options, groups),
     .help = "rules that put processes into groups"},
    {"others", CONFIG_STRING, offsetof(struct processes_options, others),
     .fallback = DEFAULT_OTHERS, .help = "group of what no rule takes; \"\" leaves it out"},
    {"kernel_threads", CONFIG_BOOL, offsetof(struct processes_options, kernel_threads),
     .fallback = "false", .help = "put the process System into a group too"},
    {"each", CONFIG_BOOL, offsetof(struct processes_options, each), .fallback = "false",
     .help = "windows_process_* of every process"},
    {"top", CONFIG_INTEGER, offsetof(struct processes_options, top), .fallback = "10",
     .max = (int64_t)TOP_MOST, .help = "rows of the top table by each measure; 0: none"},
    SOURCE_COMMON_OPTIONS(offsetof(struct processes_options, common)),
};

static int processes_configure(void *state, struct config *config, const struct config_node *node,
                               struct diagnosis *why)
{
    struct processes_state *ps = state;
    struct processes_options options = {.others = DEFAULT_OTHERS, .top = DEFAULT_TOP};
    if (node != NULL) {
        int error = config_read(config, node, "sources.processes", options_table,
                                sizeof options_table / sizeof *options_table, &options, why);
        if (error != 0)
            return error;
    }
    ps->top_rows = (size_t)options.top;
    ps->wants_kernel_threads = options.kernel_threads;
    ps->wants_each = options.each;
    return process_rules_new(config, options.groups, config_child(node, "others"), options.others,
                             &ps->rules, why);
}

static int processes_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct processes_state *ps = state;
    double boot_seconds = ntapi_boot_seconds();
    (void)out;
    int error = env->live ? 0 : ERR_NOTFOUND;
    if (error == 0 && ps->rules == NULL)
        error = process_rules_new(NULL, NULL, NULL, DEFAULT_OTHERS, &ps->rules, NULL);
    if (error == 0)
        error = process_scan_open(&ps->scan, env->procfs);
    if (error == 0)
        error = process_top_start(&ps->top, ps->top_rows, boot_seconds);
    if (error != 0)
        return error;
    process_groups_start(&ps->groups, boot_seconds);
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

/* The program's path, with or without quotes, as the rules' ExeFull and ExeBase want it: with
 * slashes, which are turned in `room`. */
static struct bytes first_argument(char *room, size_t size)
{
    bool is_quoted = size > 0 && room[0] == '"';
    char *from = room + is_quoted, *end = memchr(from, is_quoted ? '"' : ' ', size - is_quoted);
    size_t length = end != NULL ? (size_t)(end - from) : size - is_quoted;
    for (size_t i = 0; i < length; i++)
        if (from[i] == '\\')
            from[i] = '/';
    return (struct bytes){(const uint8_t *)from, length};
}

static void classify(void *context, struct process *process, const struct process_stat *stat)
{
    struct processes_state *ps = context;
    unsigned wanted = process_rules_facts(ps->rules);
    struct process_facts facts = {0};
    char comm[COMM_BYTES_MAX], command[COMMAND_BYTES_MAX], first[COMMAND_BYTES_MAX];
    char name[GROUP_NAME_BYTES_MAX];
    struct span text;

    process->group = NULL;
    if (process->is_kernel && !ps->wants_kernel_threads)
        return;
    facts.comm = copy_text(stat->comm, comm, sizeof comm);
    if ((wanted & FACT_USER) != 0)
        facts.user = user_name(&ps->users, ps->env->rootfs, process->user);
    if ((wanted & FACT_COMMAND_LINE) != 0 &&
        process_read(&ps->scan, process->pid, "cmdline", &text) == 0) {
        facts.command_line = copy_text(text, command, sizeof command);
        (void)copy_text(text, first, sizeof first);
        facts.first_argument = first_argument(first, facts.command_line.size);
    }
    size_t size = process_rules_name(ps->rules, &facts, name);
    if (size > 0)
        process->group =
            process_groups_get(&ps->groups, (struct bytes){(const uint8_t *)name, size}, false);
}

static int processes_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct processes_state *ps = state;
    int64_t elapsed_ms =
        ps->last_ms > 0 && env->now_ms > ps->last_ms ? env->now_ms - ps->last_ms : 0;
    bool is_first = !ps->scan.has_run;
    ps->env = env;
    int error = process_scan_run(&ps->scan, (double)elapsed_ms / MS_PER_SEC, classify, ps);
    if (error != 0)
        return error;
    ps->last_ms = env->now_ms;
    process_groups_emit(&ps->groups, &ps->scan, env->now_ms, out);
    if (ps->wants_each)
        error = process_each_emit(&ps->each, &ps->scan, out);
    /* The first tick knows no rates. */
    return error != 0 || is_first
               ? error
               : process_top_emit(&ps->top, &ps->scan, &ps->users, env->rootfs, out);
}

static void processes_stop(void *state)
{
    struct processes_state *ps = state;
    process_scan_close(&ps->scan);
    process_groups_done(&ps->groups);
    process_top_done(&ps->top);
    process_each_done(&ps->each);
    process_rules_free(ps->rules);
    user_names_done(&ps->users);
}

static const char *const policy_options[] = {"groups", "others", "kernel_threads",
                                             "each",   "top",    NULL};

const struct source source_processes = {
    .name = "processes",
    .summary = "processes by group, and a table of the largest",
    .state_bytes = sizeof(struct processes_state),
    .interval_ms = DEFAULT_INTERVAL_MS,
    .configure = processes_configure,
    .start = processes_start,
    .collect = processes_collect,
    .stop = processes_stop,
    .policy_options = policy_options,
};
