/*
 * settings.h - which files to tail, and how: the `logs:` list of probe.yml and --log.
 *
 *     logs:
 *     - path: /app/tomcat/logs/catalina.*.log
 *       encoding: gb18030
 *       multiline: '^\d{4}-\d\d-\d\d'
 *       from: end
 *       rate_limit: 200
 *       send: errors
 *       templates: 100
 *       max_silence: 10m
 *       patterns: [{name: java_oom, regex: 'OutOfMemoryError'}]
 *       redact: [id-card, mobile, bank-card]
 *       redact_patterns: [{name: password, regex: '(?i)password=(?<secret>[^&\s]+)'}]
 *
 *     - path: /var/log/nginx/access.log
 *       format: combined
 *       vhosts: [www.example.org]
 *       send: none
 *
 * All but the path may be left out: the encoding is found out, every line is an event, files
 * are read from their beginning, no rate is too high, no silence too long, and all kinds of
 * numbers are masked (redact.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/log/access.h"
#include "probe/log/decode.h"
#include "probe/log/redact.h"
#include "probe/log/templates.h"
#include "probe/source/pattern.h"
#include "proto/base/config.h"
#include "proto/base/diagnosis.h"

struct permit;
struct prefilter;

#define LOG_SETTINGS_MAX   256 /* entries of the list */
#define LOG_PATTERNS_MAX   64  /* of one entry */
#define LOG_SILENCE_MAX_MS ((int64_t)366 * 86400 * 1000)

struct log_pattern {
    char *name; /* the label `pattern` */
    struct pattern *pattern;
};

/* Which lines leave the host; all are counted. */
enum log_send { LOG_SEND_ALL, LOG_SEND_ERRORS, LOG_SEND_NONE };

extern const char *const log_send_names[]; /* "all", "errors", "none", NULL */

/* What may be said of lines wherever they come from: rows of a table, read into this. */
struct log_line_options {
    const char *encoding;
    const char *send;
    int64_t templates;
    double rate_limit;
    int64_t max_silence_ms;
    const struct config_node *patterns;
    struct config_strings redact;
    const struct config_node *redact_patterns;
};

/* Rows for a struct log_line_options at `at` of the table's target. */
#define LOG_LINE_OPTIONS(at)                                                                   \
    {.key = "encoding",                                                                        \
     .type = CONFIG_STRING,                                                                    \
     .offset = (at) + offsetof(struct log_line_options, encoding),                             \
     .fallback = "auto",                                                                       \
     .choices = log_encoding_names,                                                            \
     .help = "what the bytes are"},                                                            \
        {.key = "send",                                                                        \
         .type = CONFIG_STRING,                                                                \
         .offset = (at) + offsetof(struct log_line_options, send),                             \
         .fallback = "all",                                                                    \
         .choices = log_send_names,                                                            \
         .help = "which lines leave the host: all, errors, none; all are counted"},            \
        {.key = "templates",                                                                   \
         .type = CONFIG_INTEGER,                                                               \
         .offset = (at) + offsetof(struct log_line_options, templates),                        \
         .fallback = "0",                                                                      \
         .min = 0,                                                                             \
         .max = TEMPLATES_MAX,                                                                 \
         .help = "kinds of lines that are told apart and counted; 0: none"},                   \
        {.key = "rate_limit",                                                                  \
         .type = CONFIG_NUMBER,                                                                \
         .offset = (at) + offsetof(struct log_line_options, rate_limit),                       \
         .help = "lines a second; more are counted and dropped, errors never"},                \
        {.key = "max_silence",                                                                 \
         .type = CONFIG_DURATION,                                                              \
         .offset = (at) + offsetof(struct log_line_options, max_silence_ms),                   \
         .min = 1000,                                                                          \
         .max = LOG_SILENCE_MAX_MS,                                                            \
         .help = "exported beside the time of the last line"},                                 \
        {.key = "patterns",                                                                    \
         .type = CONFIG_NODE,                                                                  \
         .offset = (at) + offsetof(struct log_line_options, patterns),                         \
         .help = "what to count: a list of {name, regex}"},                                    \
        {.key = "redact",                                                                      \
         .type = CONFIG_STRINGS,                                                               \
         .offset = (at) + offsetof(struct log_line_options, redact),                           \
         .help = "what to mask: id-card, mobile, bank-card (all by default), or none"},        \
    {                                                                                          \
        .key = "redact_patterns", .type = CONFIG_NODE,                                         \
        .offset = (at) + offsetof(struct log_line_options, redact_patterns),                   \
        .help = "what else to mask: a list of {name, regex}; a group (?<secret>...) alone"     \
    }

struct log_settings {
    char *glob; /* NULL: no files */
    enum log_encoding encoding;
    struct pattern *first_line; /* NULL: each line is an event */
    bool from_end;
    enum log_send send;
    size_t templates;               /* told apart, at most; 0: none are */
    struct access_settings *access; /* its lines are requests; NULL: they are not */
    double rate_limit;              /* lines a second; 0: none */
    int64_t max_silence_ms;         /* 0: none */
    struct log_pattern *patterns;
    size_t pattern_count;
    struct prefilter *prefilter; /* which of them may match; NULL: all */
    struct redaction redaction;  /* what leaves the host only masked */
    const struct permit *permit; /* what its files must be allowed by; NULL: it is our own */
    uint64_t signature;          /* equal for entries that say the same; 0: it is our own */
    bool is_cut;                 /* more names than are looked through (names.h): */
    int64_t scan_again_ms;       /* then not so often, from this tick on */
    bool has_scanned;            /* from: end means files that were there before this */
};

struct log_settings_list {
    struct log_settings *items;
    size_t count;
};

/* Reads a list of entries, or one entry.  ERR_INVALID with file and line in `why`, ERR_NOMEM;
 * the list then holds what came before. */
int log_settings_read(struct log_settings_list *list, struct config *config,
                      const struct config_node *node, struct diagnosis *why);

/* Takes what `options` of `node` says into settings that are zero.  ERR_INVALID with file and
 * line in `why`, ERR_NOMEM; log_settings_clear() is due in any case. */
int log_settings_take(struct log_settings *settings, struct config *config,
                      const struct config_node *node, const struct log_line_options *options,
                      struct diagnosis *why);

/* Frees what settings hold; they are not the settings of a list. */
void log_settings_clear(struct log_settings *settings);

/* The last entry goes. */
void log_settings_pop(struct log_settings_list *list);

/* An entry with a glob alone.  ERR_INVALID (not an absolute path), ERR_LIMIT, ERR_NOMEM. */
int log_settings_add(struct log_settings_list *list, const char *glob, struct diagnosis *why);

void log_settings_done(struct log_settings_list *list);

/* The first entry whose glob matches the path, or NULL. */
const struct log_settings *log_settings_for(const struct log_settings_list *list,
                                            const char *path);
