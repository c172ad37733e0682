/*
 * options.h - what the collector was told: flags over collector.yml over defaults.
 *
 * Strings belong to the options and live until options_free().  Loaded whole or not at all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/config.h"
#include "proto/base/diagnosis.h"
#include "proto/base/log.h"

struct flags {
    const char *config, *data, *http, *ingest, *retention;
    bool check, version, help;
    enum log_format log_format;
    bool log_format_given;
};

struct matcher;

/* Series of which something is kept for longer or less long than of the others (options_ages.h): as
 * they are named, in the store's terms; 0: not. */
struct options_age {
    const char *match; /* as it was written */
    struct matcher **matchers;
    size_t count;
    int64_t raw_ms, rollup_5m_ms, rollup_1h_ms;
};

struct options {
    struct config *config; /* NULL without --config */
    const char *data, *http_listen, *ingest_listen, *external_url;
    const char *tls_certificate, *tls_key, *users, *alerting, *duty, *policy, *jobs;
    bool behind_proxy;
    int64_t query_threads, send_timeout_ms;
    const struct config_node *watchdog; /* the config's; NULL: none */
    const struct config_node *remote_write; /* the same */
    uint64_t remote_backlog_bytes;
    struct config_strings rule_files;
    int64_t evaluation_interval_ms;
    int64_t lookback_ms, query_timeout_ms, max_samples, max_concurrency;
    bool delayed_name_removal, experimental_functions;
    int64_t retention_raw_ms, retention_5m_ms, retention_1h_ms, retention_logs_ms; /* 0: for ever */
    struct options_age *ages; /* retention.per_series */
    size_t age_count;
    uint64_t window_bytes, quota_bytes, query_memory_bytes, queries_memory_bytes;
    int64_t series_limit_per_probe, labels_limit, series_limit;
    struct config_strings scrape_jobs; /* items NULL: any */
    const char *log_format, *log_level;
};

/* Reads the command line.  ERR_INVALID with the nearest flag in `why`. */
int flags_parse(int argc, char **argv, struct flags *ret_flags, struct diagnosis *why);
extern const char flags_help[];

/* Loads the file (if any), applies flags and defaults. */
int options_load(const struct flags *flags, struct options *ret_options, struct diagnosis *why);
void options_free(struct options *options);

/* Appends the options as a collector.yml that says all of them, defaults and flags included:
 * read again it gives the same (file names are as they were resolved).  Of users.yml, keys and
 * the other files it has the names, never what is in them; secrets of remote_write that stand in
 * collector.yml itself are "<secret>". */
void options_print(const struct options *options, struct buf *out);
