#include "probe/options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/host.h"
#include "probe/link.h"
#include "probe/options_collector.h"
#include "probe/options_policy.h"
#include "probe/options_sources.h"
#include "probe/privileges.h"
#include "probe/spool.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/units.h"

#define DEFAULT_ENDPOINT "tcp://127.0.0.1:9471"
#define DEFAULT_STATE    FENGSUI_PROBE_STATE

enum flag {
    FLAG_CONFIG = 1,
    FLAG_COLLECTOR,
    FLAG_COLLECTOR_KEY,
    FLAG_TOKEN,
    FLAG_STATE,
    FLAG_INTERVAL,
    FLAG_LOG,
    FLAG_INSTANCE,
    FLAG_JOB,
    FLAG_PROCFS,
    FLAG_SYSFS,
    FLAG_ROOTFS,
    FLAG_LOG_FORMAT,
    FLAG_LOG_LEVEL,
    FLAG_USER,
    FLAG_CAPABILITIES,
    FLAG_ONCE,
    FLAG_CHECK,
    FLAG_LIST_SOURCES,
    FLAG_VERSION,
    FLAG_HELP,
    FLAG_COUNT
};

static const struct flag_row {
    enum flag flag;
    const char *name;
    const char *value; /* NULL: takes none */
    const char *help;
} flag_rows[] = {
    {FLAG_CONFIG, "config", "FILE", "read probe.yml from here; without it, defaults"},
    {FLAG_COLLECTOR, "collector", "ENDPOINT",
     "where the collector listens (default " DEFAULT_ENDPOINT ")"},
    {FLAG_COLLECTOR_KEY, "collector-key", "KEY|FILE",
     "its public key, or the file it lies in (DATA/keys/collector.pub over there)"},
    {FLAG_TOKEN, "token", "TOKEN|FILE", "enrolment token: lets this host in without waiting"},
    {FLAG_STATE, "state", "DIR",
     "keys and spool (default " DEFAULT_STATE "); never copy it to another host"},
    {FLAG_INTERVAL, "interval", "DURATION", "between two ticks, 100ms and more (default 5s)"},
    {FLAG_LOG, "log", "GLOB", "tail these files; may be given again"},
    {FLAG_INSTANCE, "instance", "NAME", "ask for this name (default: the host name)"},
    {FLAG_JOB, "job", "NAME", "ask for this job (default node)"},
    {FLAG_PROCFS, "procfs", "DIR", "read this instead of /proc"},
    {FLAG_SYSFS, "sysfs", "DIR", "read this instead of /sys"},
    {FLAG_ROOTFS, "rootfs", "DIR", "read this instead of /"},
    {FLAG_LOG_FORMAT, "log-format", "logfmt|json", "of the probe's own log on stderr"},
    {FLAG_LOG_LEVEL, "log-level", "LEVEL", "least level of that log: debug, info, warn, error"},
    {FLAG_USER, "user", "NAME", "started by root: run as this user of /etc/passwd"},
    {FLAG_CAPABILITIES, "capabilities", "LIST",
     "what to keep of root's: dac_read_search,sys_ptrace, ..."},
    {FLAG_ONCE, "once", NULL, "measure once, print in Prometheus's text format, and exit"},
    {FLAG_CHECK, "check", NULL,
     "check flags, file and permissions; say what cannot be measured, and exit"},
    {FLAG_LIST_SOURCES, "list-sources", NULL, "print what can be measured, and exit"},
    {FLAG_VERSION, "version", NULL, "print the version, and exit"},
    {FLAG_HELP, "help", NULL, "print this, and exit"},
};

#define FLAG_ROWS (sizeof flag_rows / sizeof flag_rows[0])

void options_print_help(void)
{
    (void)printf(
        "fengsui-probe measures this host and sends what it sees to a collector.\n\n"
        "    fengsui-probe --once                                  what would be sent?\n"
        "    fengsui-probe --collector tcp://192.0.2.7:9471 \\\n"
        "        --collector-key /etc/fengsui/collector.pub        send it\n"
        "    fengsui-probe --config /etc/fengsui/probe.yml         the same, from a file\n\n"
        "Nothing is lost while the collector is away: batches wait in STATE/spool, and leave "
        "it\n"
        "when the collector has stored them.  SIGHUP reads the file again; a file that is not\n"
        "valid changes nothing.  Exit codes: 0 fine, 1 failed while running, 2 unusable flags\n"
        "or file.\n\n");
    for (size_t i = 0; i < FLAG_ROWS; i++) {
        char left[48];
        (void)snprintf(left, sizeof left, "--%s%s%s", flag_rows[i].name,
                       flag_rows[i].value == NULL ? "" : " ",
                       flag_rows[i].value == NULL ? "" : flag_rows[i].value);
        (void)printf("  %-26s %s\n", left, flag_rows[i].help);
    }
    (void)printf("%s\nSources:\n", host_help());
    const struct source *source;
    for (size_t i = 0; (source = options_source_at(i)) != NULL; i++)
        (void)printf("  %-26s %s\n", source->name, source->summary);
}

/* probe.yml's maps. */
struct file_spool {
    uint64_t limit;
    int64_t age_ms;
};
struct file_root {
    const struct config_node *collector, *spool, *sources, *logs, *labels, *policy;
    const char *state, *key_file, *job, *instance, *procfs, *sysfs, *rootfs, *log_format;
    int64_t interval_ms;
    double cpu_limit;
};

static const char *const log_formats[] = {"logfmt", "json", NULL};

#define AT(type, field) offsetof(struct type, field)

static const struct config_option spool_rows[] = {
    {.key = "limit",
     .type = CONFIG_SIZE,
     .offset = AT(file_spool, limit),
     .fallback = "256MiB",
     .min = (int64_t)SPOOL_LIMIT_LEAST,
     .max = INT64_MAX,
     .help = "bytes on disk at most"},
    {.key = "age",
     .type = CONFIG_DURATION,
     .offset = AT(file_spool, age_ms),
     .fallback = "7d",
     .min = 60000,
     .max = INT64_MAX,
     .help = "older batches are dropped"},
};

static const struct config_option root_rows[] = {
    {.key = "collector",
     .type = CONFIG_NODE,
     .offset = AT(file_root, collector),
     .help = "endpoint, key, token"},
    {.key = "spool", .type = CONFIG_NODE, .offset = AT(file_root, spool), .help = "limit, age"},
    {.key = "sources",
     .type = CONFIG_NODE,
     .offset = AT(file_root, sources),
     .help = "a map for each source"},
    {.key = "logs",
     .type = CONFIG_NODE,
     .offset = AT(file_root, logs),
     .help = "files to tail"},
    {.key = "policy",
     .type = CONFIG_NODE,
     .offset = AT(file_root, policy),
     .help = "what the collector may ask for"},
    {.key = "labels",
     .type = CONFIG_NODE,
     .offset = AT(file_root, labels),
     .help = "labels to ask for"},
    {.key = "state",
     .type = CONFIG_FILE,
     .offset = AT(file_root, state),
     .help = "folder of keys and spool"},
    {.key = "key_file",
     .type = CONFIG_FILE,
     .offset = AT(file_root, key_file),
     .help = "the probe's private key; the public one lies beside it"},
    {.key = "job", .type = CONFIG_STRING, .offset = AT(file_root, job), .fallback = "node"},
    {.key = "instance", .type = CONFIG_STRING, .offset = AT(file_root, instance)},
    {.key = "procfs", .type = CONFIG_FILE, .offset = AT(file_root, procfs)},
    {.key = "sysfs", .type = CONFIG_FILE, .offset = AT(file_root, sysfs)},
    {.key = "rootfs", .type = CONFIG_FILE, .offset = AT(file_root, rootfs)},
    {.key = "log_format",
     .type = CONFIG_STRING,
     .offset = AT(file_root, log_format),
     .choices = log_formats},
    {.key = "interval",
     .type = CONFIG_DURATION,
     .offset = AT(file_root, interval_ms),
     .fallback = "5s",
     .min = OPTIONS_INTERVAL_LEAST_MS,
     .max = OPTIONS_INTERVAL_MOST_MS,
     .help = "between two ticks"},
    {.key = "cpu_limit",
     .type = CONFIG_NUMBER,
     .offset = AT(file_root, cpu_limit),
     .fallback = "0.5",
     .help = "percent of a core that measuring may take at usual intervals; 0: no limit"},
};

#define ROWS(table) (table), sizeof(table) / sizeof(table)[0]

static int read_labels(struct options *options, const struct config_node *node,
                       struct diagnosis *why)
{
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_MAP || node->count > SERIES_LABELS_MAX)
        return config_complain(options->config, node, why, "labels: expected a map of names");
    options->labels = calloc(node->count + 1, sizeof *options->labels);
    if (options->labels == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *child = node->children[i];
        if (child->kind != CONFIG_SCALAR || child->text[0] == '\0')
            return config_complain(options->config, child, why, "labels.%s: expected a text",
                                   child->key);
        /* Ascending by name, as everywhere on the wire. */
        size_t at = options->label_count++;
        struct label label = {bytes_of(child->key), bytes_of(child->text)};
        for (; at > 0 && bytes_compare(options->labels[at - 1].name, label.name) > 0; at--)
            options->labels[at] = options->labels[at - 1];
        options->labels[at] = label;
    }
    return 0;
}

/* Takes what the file says; flags come after it. */
static int read_file(struct options *options, const char *path, struct file_root *file,
                     struct diagnosis *why)
{
    int error = path != NULL ? config_load(path, &options->config, why)
                             : config_parse("flags", (struct bytes){0}, &options->config, why);
    if (error == 0)
        error = config_read(options->config, config_root(options->config), "", ROWS(root_rows),
                            file, why);
    struct file_spool spool = {0};
    if (error == 0)
        error =
            config_read(options->config, file->spool, "spool", ROWS(spool_rows), &spool, why);
    if (error == 0)
        error = options_collector_read(options, file->collector, why);
    if (error == 0)
        error = read_labels(options, file->labels, why);
    if (error == 0)
        error = options_policy_read(options, file->policy, why);
    if (error != 0)
        return error;
    options->spool_limit_bytes = spool.limit;
    options->spool_age_ms = spool.age_ms;
    options->interval_ms = file->interval_ms;
    options->cpu_limit_percent = file->cpu_limit;
    options->job = file->job;
    options->key_file = file->key_file;
    options->instance = file->instance != NULL ? file->instance : options->host_name;
    options->state = file->state != NULL ? file->state : DEFAULT_STATE;
    options->procfs = file->procfs;
    options->sysfs = file->sysfs;
    options->rootfs = file->rootfs;
    if (file->log_format != NULL && strcmp(file->log_format, "json") == 0)
        options->log_format = LOG_JSON;
    return 0;
}

static int take_interval(struct options *options, const char *text, struct diagnosis *why)
{
    int64_t interval_ms;
    if (duration_parse(text, &interval_ms) != 0 || interval_ms < OPTIONS_INTERVAL_LEAST_MS ||
        interval_ms > OPTIONS_INTERVAL_MOST_MS)
        return diagnose(why, ERR_INVALID,
                        "--interval: \"%s\" is no duration between 100ms and 1h", text);
    options->interval_ms = interval_ms;
    return 0;
}

static int take_flag(struct options *options, enum flag flag, const char *value,
                     struct diagnosis *why)
{
    switch (flag) {
    case FLAG_COLLECTOR:
        options->endpoint = value;
        return link_check_endpoint(value, why);
    case FLAG_COLLECTOR_KEY:
        return curve_public_from(value, options->collector_key, why);
    case FLAG_TOKEN:
        return options_collector_token(options, value, why);
    case FLAG_STATE:
        options->state = value;
        return 0;
    case FLAG_INTERVAL:
        return take_interval(options, value, why);
    case FLAG_LOG:
        if (options->glob_count == OPTIONS_GLOBS_MAX)
            return diagnose(why, ERR_LIMIT, "--log: more than %d of them", OPTIONS_GLOBS_MAX);
        options->globs[options->glob_count++] = value;
        return 0;
    case FLAG_INSTANCE:
        options->instance = value;
        return 0;
    case FLAG_JOB:
        options->job = value;
        return 0;
    case FLAG_PROCFS:
        options->procfs = value;
        return 0;
    case FLAG_SYSFS:
        options->sysfs = value;
        return 0;
    case FLAG_ROOTFS:
        options->rootfs = value;
        return 0;
    case FLAG_LOG_FORMAT:
        options->log_format = strcmp(value, "json") == 0 ? LOG_JSON : LOG_LOGFMT;
        return strcmp(value, "json") == 0 || strcmp(value, "logfmt") == 0
                   ? 0
                   : diagnose(why, ERR_INVALID,
                              "--log-format: \"%s\" is neither logfmt nor json", value);
    case FLAG_LOG_LEVEL:
        if (log_level_of(value) < 0)
            return diagnose(why, ERR_INVALID,
                            "--log-level: \"%s\" is none of debug, info, warn, error", value);
        options->log_level = (enum log_level)log_level_of(value);
        return 0;
    default:
        return 0;
    }
}

static enum options_mode mode_of(enum flag flag, enum options_mode before)
{
    switch (flag) {
    case FLAG_ONCE:
        return OPTIONS_ONCE;
    case FLAG_CHECK:
        return OPTIONS_CHECK;
    case FLAG_LIST_SOURCES:
        return OPTIONS_LIST_SOURCES;
    case FLAG_VERSION:
        return OPTIONS_VERSION;
    case FLAG_HELP:
        return OPTIONS_HELP;
    default:
        return before;
    }
}

static int complain_of_flag(const char *argument, struct diagnosis *why)
{
    const char *names[FLAG_ROWS];
    if (strncmp(argument, "--", 2) != 0)
        return diagnose(why, ERR_INVALID, "\"%s\": expected a flag (see --help)", argument);
    for (size_t i = 0; i < FLAG_ROWS; i++)
        names[i] = flag_rows[i].name;
    const char *nearest = nearest_name(argument + 2, names, FLAG_ROWS);
    return diagnose(why, ERR_INVALID, "unknown flag \"%s\"%s%s%s", argument,
                    nearest == NULL ? " (see --help)" : " (did you mean --",
                    nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?)");
}

/* The row of --NAME or --NAME=VALUE, whole names only; *ret_value is what follows the '='. */
static const struct flag_row *find_flag(const char *argument, const char **ret_value)
{
    for (size_t i = 0; i < FLAG_ROWS; i++) {
        size_t length = strlen(flag_rows[i].name);
        if (strncmp(argument, "--", 2) != 0 ||
            strncmp(argument + 2, flag_rows[i].name, length) != 0)
            continue;
        char end = argument[2 + length];
        if (end != '\0' && end != '=')
            continue;
        *ret_value = end == '=' ? argument + 3 + length : NULL;
        return &flag_rows[i];
    }
    return NULL;
}

int options_identity(int argc, char **argv, const char **ret_user, uint32_t *ret_capabilities,
                     struct diagnosis *why)
{
    const char *user = NULL, *names = NULL;
    for (int i = 1; i < argc; i++) {
        const char *value;
        const struct flag_row *row = find_flag(argv[i], &value);
        if (row == NULL || row->value == NULL)
            continue; /* options_read() complains */
        if (value == NULL && ++i < argc)
            value = argv[i];
        if (row->flag == FLAG_USER)
            user = value;
        if (row->flag == FLAG_CAPABILITIES)
            names = value;
    }
    if (names != NULL && user == NULL)
        return diagnose(why, ERR_INVALID, "--capabilities goes with --user");
    int error = privileges_parse(names, ret_capabilities, why);
    if (error == 0)
        *ret_user = user;
    return error;
}

/* The flags are walked twice, because the file comes before the flags that override it: first
 * only the file and the mode are looked for. */
static int walk_flags(int argc, char **argv, struct options *options, bool is_first,
                      const char **config_path, struct diagnosis *why)
{
    int error = 0;
    for (int i = 1; error == 0 && i < argc; i++) {
        const char *value;
        const struct flag_row *row = find_flag(argv[i], &value);
        if (row == NULL)
            return complain_of_flag(argv[i], why);
        if (row->value == NULL && value != NULL)
            return diagnose(why, ERR_INVALID, "--%s takes no value", row->name);
        if (row->value != NULL && value == NULL) {
            if (++i == argc)
                return diagnose(why, ERR_INVALID, "--%s needs a value: %s", row->name,
                                row->value);
            value = argv[i];
        }
        if (row->flag == FLAG_CONFIG)
            *config_path = value;
        options->mode = mode_of(row->flag, options->mode);
        if (!is_first)
            error = take_flag(options, row->flag, value, why);
    }
    return error;
}

/* What follows from everything that was said. */
static int complete(struct options *options, struct diagnosis *why)
{
    options->is_live =
        options->procfs == NULL && options->sysfs == NULL && options->rootfs == NULL;
    if (options->procfs == NULL)
        options->procfs = "/proc";
    if (options->sysfs == NULL)
        options->sysfs = "/sys";
    if (options->rootfs == NULL)
        options->rootfs = "/";
    if (options->instance[0] == '\0' || strlen(options->instance) > LABEL_VALUE_BYTES_MAX)
        return diagnose(why, ERR_INVALID, "the instance's name is empty or too long");
    if (options->mode == OPTIONS_RUN && options->collector_key[0] == '\0' &&
        options->missing_key != NULL)
        return diagnose(why, ERR_INVALID,
                        "%s: missing; it is the collector's DATA/keys/collector.pub",
                        options->missing_key);
    if (options->mode == OPTIONS_RUN && options->collector_key[0] == '\0')
        return diagnose(why, ERR_INVALID,
                        "the collector's public key is missing: --collector-key KEY|FILE "
                        "(on the collector: DATA/keys/collector.pub)");
    return 0;
}

int options_read(int argc, char **argv, struct options **ret_options, struct diagnosis *why)
{
    const char *path = NULL;
    struct file_root file = {0};
    struct options *options = calloc(1, sizeof *options);

    if (options == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    options->endpoint = DEFAULT_ENDPOINT;
    options->log_level = LOG_INFO_LEVEL;
    if (!host_name(options->host_name, sizeof options->host_name))
        (void)strcpy(options->host_name, "localhost");
    int error = walk_flags(argc, argv, options, true, &path, why);
    if (error == 0)
        error = read_file(options, path, &file, why);
    if (error == 0)
        error = walk_flags(argc, argv, options, false, &path, why);
    if (error == 0)
        error = complete(options, why);
    if (error == 0 && options->token == NULL && (options->token = strdup("")) == NULL)
        error = diagnose(why, ERR_NOMEM, "out of memory");
    if (error == 0)
        error = options_sources_read(options, file.sources, file.logs, why);
    if (error != 0) {
        options_free(options);
        return error;
    }
    *ret_options = options;
    return 0;
}

void options_free(struct options *options)
{
    if (options == NULL)
        return;
    config_free(options->config);
    free(options->token);
    free(options->missing_key);
    free(options->missing_token);
    free(options->labels);
    for (size_t i = 0; i < options->source_count; i++)
        free(options->sources[i].override);
    free(options->sources);
    free(options);
}
