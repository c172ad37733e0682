/*
 * options.c - collector.yml by tables.
 */
#include "collector/options.h"

#include <assert.h>
#include <string.h>

#include "collector/options_ages.h"
#include "proto/base/config_print.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

#define YEAR_MS (INT64_C(365) * 86400000)
#define COUNT(table) (sizeof table / sizeof table[0])

/* The root's maps, each read by its own table below. */
struct sections {
    const struct config_node *http, *ingest, *rules, *promql, *retention;
};

struct tls {
    const char *certificate, *key;
};

struct root {
    struct options options;
    struct sections sections;
    const struct config_node *tls, *per_series;
    const char *retention_raw, *retention_5m, *retention_1h, *retention_logs;
};

/* The options come first, so that tables whose rows are all AT() read them alone, too. */
#define AT(field)      offsetof(struct root, options.field)
#define SECTION(field) offsetof(struct root, sections.field)

static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

static const struct config_option root_options[] = {
    {.key = "data", .type = CONFIG_FILE, .offset = AT(data), .help = "where all is kept"},
    {.key = "external_url", .type = CONFIG_STRING, .offset = AT(external_url),
     .help = "how people reach the console; in notifications"},
    {.key = "http", .type = CONFIG_NODE, .offset = SECTION(http)},
    {.key = "ingest", .type = CONFIG_NODE, .offset = SECTION(ingest)},
    {.key = "rules", .type = CONFIG_NODE, .offset = SECTION(rules)},
    {.key = "promql", .type = CONFIG_NODE, .offset = SECTION(promql)},
    {.key = "retention", .type = CONFIG_NODE, .offset = SECTION(retention)},
    {.key = "alerting", .type = CONFIG_FILE, .offset = AT(alerting),
     .help = "alerting.yml: routes and receivers"},
    {.key = "duty", .type = CONFIG_FILE, .offset = AT(duty),
     .help = "duty.yml: persons, rosters, escalations"},
    {.key = "policy", .type = CONFIG_FILE, .offset = AT(policy),
     .help = "policy.yml: what probes are asked to do"},
    {.key = "jobs", .type = CONFIG_FILE, .offset = AT(jobs),
     .help = "jobs.yml: what is expected to report when it has run"},
    {.key = "watchdog", .type = CONFIG_NODE, .offset = AT(watchdog)},
    {.key = "remote_write", .type = CONFIG_NODE, .offset = AT(remote_write)},
    {.key = "quota", .type = CONFIG_SIZE, .offset = AT(quota_bytes), .fallback = "0",
     .help = "most the data folder may take; 0: the file system"},
    {.key = "remote_write_backlog", .type = CONFIG_SIZE, .offset = AT(remote_backlog_bytes),
     .fallback = "16GiB", .help = "most that waits for receivers on disk; then the oldest goes"},
    {.key = "series_limit", .type = CONFIG_INTEGER, .offset = AT(series_limit), .fallback = "0",
     .min = 0, .max = INT64_C(1000000000), .help = "active series; 0: 10 million"},
    {.key = "log_format", .type = CONFIG_STRING, .offset = AT(log_format),
     .fallback = "logfmt", .choices = log_formats},
    {.key = "log_level", .type = CONFIG_STRING, .offset = AT(log_level), .fallback = "info",
     .choices = log_levels},
};

static const struct config_option http_options[] = {
    {.key = "listen", .type = CONFIG_STRING, .offset = AT(http_listen),
     .fallback = "127.0.0.1:9470"},
    {.key = "tls", .type = CONFIG_NODE, .offset = offsetof(struct root, tls)},
    {.key = "users", .type = CONFIG_FILE, .offset = AT(users), .help = "users.yml"},
    {.key = "behind_proxy", .type = CONFIG_BOOL, .offset = AT(behind_proxy),
     .fallback = "false", .help = "a proxy does users and TLS"},
    {.key = "query_threads", .type = CONFIG_INTEGER, .offset = AT(query_threads),
     .fallback = "0", .min = 0, .max = 256},
    {.key = "send_timeout", .type = CONFIG_DURATION, .offset = AT(send_timeout_ms),
     .fallback = "1m", .min = 100, .max = 86400000,
     .help = "a client that takes less than 16KiB/s of an answer for so long is let go"},
};

static const struct config_option tls_options[] = {
    {.key = "cert", .type = CONFIG_FILE, .offset = offsetof(struct tls, certificate),
     .required = true},
    {.key = "key", .type = CONFIG_FILE, .offset = offsetof(struct tls, key), .required = true},
};

static const struct config_option ingest_options[] = {
    {.key = "listen", .type = CONFIG_STRING, .offset = AT(ingest_listen),
     .fallback = "tcp://127.0.0.1:9471"},
    {.key = "window", .type = CONFIG_SIZE, .offset = AT(window_bytes), .fallback = "1MiB",
     .help = "unacknowledged bytes a probe may have under way"},
    {.key = "series_limit", .type = CONFIG_INTEGER, .offset = AT(series_limit_per_probe),
     .fallback = "500000", .min = 1, .max = 10000000, .help = "series a probe may have"},
    {.key = "labels_limit", .type = CONFIG_INTEGER, .offset = AT(labels_limit),
     .fallback = "64", .min = 3, .max = 64, .help = "labels a series may have"},
    {.key = "scrape_jobs", .type = CONFIG_STRINGS, .offset = AT(scrape_jobs),
     .help = "jobs that probes may ask for what they scrape (default: any)"},
};

static const struct config_option rules_options[] = {
    {.key = "evaluation_interval", .type = CONFIG_DURATION, .offset = AT(evaluation_interval_ms),
     .fallback = "15s", .min = 100, .max = 86400000},
    {.key = "files", .type = CONFIG_FILES, .offset = AT(rule_files)},
};

static const struct config_option promql_options[] = {
    {.key = "lookback", .type = CONFIG_DURATION, .offset = AT(lookback_ms), .fallback = "5m",
     .min = 1000, .max = 86400000},
    {.key = "timeout", .type = CONFIG_DURATION, .offset = AT(query_timeout_ms),
     .fallback = "2m", .min = 100, .max = 86400000},
    {.key = "max_samples", .type = CONFIG_INTEGER, .offset = AT(max_samples),
     .fallback = "50000000", .min = 1, .max = INT64_C(1000000000000)},
    {.key = "max_concurrency", .type = CONFIG_INTEGER, .offset = AT(max_concurrency),
     .fallback = "20", .min = 1, .max = 1000},
    {.key = "max_memory", .type = CONFIG_SIZE, .offset = AT(query_memory_bytes),
     .fallback = "1GiB", .help = "of one query"},
    {.key = "max_total_memory", .type = CONFIG_SIZE, .offset = AT(queries_memory_bytes),
     .fallback = "4GiB", .help = "of all queries together; rules have their own"},
    {.key = "delayed_name_removal", .type = CONFIG_BOOL, .offset = AT(delayed_name_removal),
     .fallback = "false"},
    {.key = "experimental_functions", .type = CONFIG_BOOL,
     .offset = AT(experimental_functions), .fallback = "true"},
};

static const struct config_option retention_options[] = {
    {.key = "raw", .type = CONFIG_STRING, .offset = offsetof(struct root, retention_raw),
     .fallback = "90d"},
    {.key = "rollup_5m", .type = CONFIG_STRING, .offset = offsetof(struct root, retention_5m),
     .fallback = "400d"},
    {.key = "rollup_1h", .type = CONFIG_STRING, .offset = offsetof(struct root, retention_1h),
     .fallback = "forever"},
    {.key = "logs", .type = CONFIG_STRING, .offset = offsetof(struct root, retention_logs),
     .fallback = "180d"},
    {.key = "per_series", .type = CONFIG_NODE, .offset = offsetof(struct root, per_series)},
};

static int parse_age(const char *where, const char *text, int64_t *ret_ms, struct diagnosis *why)
{
    int64_t ms;
    if (strcmp(text, "forever") == 0) {
        *ret_ms = 0;
        return 0;
    }
    if (duration_parse(text, &ms) != 0 || ms < 3600000 || ms > 1000 * YEAR_MS)
        return diagnose(why, ERR_INVALID,
                        "%s: \"%s\" is not an age of at least 1h such as 90d or 1y, nor forever",
                        where, text);
    *ret_ms = ms;
    return 0;
}

/* An age in the file: the message names its line. */
static int read_age(struct config *config, const struct config_node *section, const char *key,
                    const char *text, int64_t *ret_ms, struct diagnosis *why)
{
    struct diagnosis reason = {0};
    int error = parse_age(key, text, ret_ms, &reason);
    const struct config_node *node = config_child(section, key);
    if (error != 0 && node != NULL)
        return config_complain(config, node, why, "retention.%s", reason.text);
    return error == 0 ? 0 : diagnose(why, error, "%s", reason.text);
}

static int read_sections(struct config *config, struct root *root, struct diagnosis *why)
{
    const struct sections *in = &root->sections;
    struct tls tls = {0};
    int error = config_read(config, in->http, "http", http_options, COUNT(http_options), root,
                            why);
    if (error == 0 && root->tls != NULL)
        error = config_read(config, root->tls, "http.tls", tls_options, COUNT(tls_options), &tls,
                            why);
    root->options.tls_certificate = tls.certificate;
    root->options.tls_key = tls.key;
    if (error == 0)
        error = config_read(config, in->ingest, "ingest", ingest_options, COUNT(ingest_options),
                            root, why);
    if (error == 0)
        error = config_read(config, in->rules, "rules", rules_options, COUNT(rules_options),
                            root, why);
    if (error == 0)
        error = config_read(config, in->promql, "promql", promql_options, COUNT(promql_options),
                            root, why);
    if (error == 0)
        error = config_read(config, in->retention, "retention", retention_options,
                            COUNT(retention_options), root, why);
    if (error == 0)
        error = read_age(config, in->retention, "raw", root->retention_raw,
                         &root->options.retention_raw_ms, why);
    if (error == 0)
        error = read_age(config, in->retention, "rollup_5m", root->retention_5m,
                         &root->options.retention_5m_ms, why);
    if (error == 0)
        error = read_age(config, in->retention, "rollup_1h", root->retention_1h,
                         &root->options.retention_1h_ms, why);
    if (error == 0)
        error = read_age(config, in->retention, "logs", root->retention_logs,
                         &root->options.retention_logs_ms, why);
    if (error == 0)
        error = options_read_ages(config, root->per_series, &root->options, why);
    return error;
}

static int apply_flags(const struct flags *flags, struct options *options, struct diagnosis *why)
{
    if (flags->data != NULL)
        options->data = flags->data;
    if (options->data == NULL)
        options->data = "/var/lib/fengsui";
    if (flags->http != NULL)
        options->http_listen = flags->http;
    if (flags->ingest != NULL)
        options->ingest_listen = flags->ingest;
    if (flags->log_format_given)
        options->log_format = flags->log_format == LOG_JSON ? "json" : "logfmt";
    if (flags->retention != NULL)
        return parse_age("--retention", flags->retention, &options->retention_raw_ms, why);
    return 0;
}

/* --retention says how long samples are kept, in whatever form: roll-ups outlive them only where
 * the file says so. */
static void keep_no_longer(struct root *root)
{
    const struct config_node *section = root->sections.retention;
    if (config_child(section, "rollup_5m") == NULL)
        root->options.retention_5m_ms = root->options.retention_raw_ms;
    if (config_child(section, "rollup_1h") == NULL)
        root->options.retention_1h_ms = root->options.retention_raw_ms;
}

int options_load(const struct flags *flags, struct options *ret_options, struct diagnosis *why)
{
    struct root root = {0};
    struct config *config = NULL;
    int error = flags->config != NULL
                    ? config_load(flags->config, &config, why)
                    : config_parse("defaults", (struct bytes){NULL, 0}, &config, why);
    if (error != 0)
        return error;
    error = config_read(config, config_root(config), "", root_options, COUNT(root_options),
                        &root, why);
    if (error == 0)
        error = read_sections(config, &root, why);
    if (error == 0)
        error = apply_flags(flags, &root.options, why);
    if (error == 0 && flags->retention != NULL)
        keep_no_longer(&root);
    if (error != 0) {
        options_free_ages(&root.options);
        config_free(config);
        return error;
    }
    root.options.config = config;
    *ret_options = root.options;
    return 0;
}

void options_free(struct options *options)
{
    options_free_ages(options);
    config_free(options->config);
    *options = (struct options){0};
}

static void print_age(struct buf *out, const char *key, int64_t age_ms)
{
    char text[DURATION_TEXT_BYTES];
    buf_printf(out, "  %s: \"%s\"\n", key,
               age_ms == 0 ? "forever" : duration_format(age_ms, text));
}

static bool is_secret(const char *key)
{
    static const char *const secrets[] = {"password", "credentials", "bearer_token", "key"};
    for (size_t i = 0; key != NULL && i < COUNT(secrets); i++)
        if (strcmp(secrets[i], key) == 0)
            return true;
    return false;
}

/* A URL may hold a password before its host. */
static bool has_userinfo(const char *key, const char *text)
{
    const char *host = key != NULL && strcmp(key, "url") == 0 ? strstr(text, "://") : NULL;
    return host != NULL && memchr(host + 3, '@', strcspn(host + 3, "/?#")) != NULL;
}

/* As config_print(), without what nobody is to read.  All of `headers` is taken for such. */
static void print_without_secrets(const struct config_node *node, bool hides, struct buf *out)
{
    const bool is_map = node->kind == CONFIG_MAP;
    if (node->kind == CONFIG_SCALAR) {
        if (hides || is_secret(node->key) || has_userinfo(node->key, node->text))
            buf_put_text(out, "\"<secret>\"");
        else
            config_print(node, out);
        return;
    }
    buf_put_char(out, is_map ? '{' : '[');
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *child = node->children[i];
        buf_put_text(out, i > 0 ? ", " : "");
        if (is_map) { /* a text as config_print() writes it, whatever is in it */
            const struct config_node key = {.text = child->key, .quoted = true};
            config_print(&key, out);
            buf_put_text(out, ": ");
        }
        bool is_header = child->key != NULL && strcmp(child->key, "headers") == 0;
        print_without_secrets(child, hides || is_header, out);
    }
    buf_put_char(out, is_map ? '}' : ']');
}

void options_print(const struct options *options, struct buf *out)
{
    const struct {
        const char *name;
        const struct config_option *rows;
        size_t count;
    } sections[] = {
        {"http", http_options, COUNT(http_options)},
        {"ingest", ingest_options, COUNT(ingest_options)},
        {"rules", rules_options, COUNT(rules_options)},
        {"promql", promql_options, COUNT(promql_options)},
    };
    const struct tls tls = {options->tls_certificate, options->tls_key};
    static_assert(offsetof(struct root, options) == 0, "AT() is an offset into struct options");
    config_print_values(root_options, COUNT(root_options), options, 0, out);
    for (size_t i = 0; i < COUNT(sections); i++) {
        buf_printf(out, "%s:\n", sections[i].name);
        config_print_values(sections[i].rows, sections[i].count, options, 2, out);
        if (sections[i].rows == http_options && tls.certificate != NULL) {
            buf_put_text(out, "  tls:\n");
            config_print_values(tls_options, COUNT(tls_options), &tls, 4, out);
        }
    }
    if (options->watchdog != NULL) {
        buf_put_text(out, "watchdog: ");
        config_print(options->watchdog, out);
        buf_put_char(out, '\n');
    }
    if (options->remote_write != NULL) {
        buf_put_text(out, "remote_write: ");
        print_without_secrets(options->remote_write, false, out);
        buf_put_char(out, '\n');
    }
    buf_put_text(out, "retention:\n");
    print_age(out, "raw", options->retention_raw_ms);
    print_age(out, "rollup_5m", options->retention_5m_ms);
    print_age(out, "rollup_1h", options->retention_1h_ms);
    print_age(out, "logs", options->retention_logs_ms);
    options_print_ages(options, out);
}
