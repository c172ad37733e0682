/*
 * settings.h - which files to tail, and how: the `logs:` list of probe.yml and --log.
 *
 *     logs:
 *     - path: /app/tomcat/logs/catalina.*.log
 *       encoding: gb18030
 *       multiline: '^\d{4}-\d\d-\d\d'
 *       from: end
 *       rate_limit: 200
 *       max_silence: 10m
 *       patterns: [{name: java_oom, regex: 'OutOfMemoryError'}]
 *       redact: [id-card, mobile, bank-card]
 *       redact_patterns: [{name: password, regex: '(?i)password=(?<secret>[^&\s]+)'}]
 *
 * All but the path may be left out: the encoding is found out, every line is an event, files
 * are read from their beginning, no rate is too high, no silence too long, and all kinds of
 * numbers are masked (redact.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/log/decode.h"
#include "probe/log/redact.h"
#include "probe/source/pattern.h"
#include "proto/base/diagnosis.h"

struct config;
struct config_node;
struct permit;

#define LOG_SETTINGS_MAX 256 /* entries of the list */
#define LOG_PATTERNS_MAX 64  /* of one entry */

struct log_pattern {
    char *name; /* the label `pattern` */
    struct pattern *pattern;
};

struct log_settings {
    char *glob;
    enum log_encoding encoding;
    struct pattern *first_line; /* NULL: each line is an event */
    bool from_end;
    double rate_limit;      /* lines a second; 0: none */
    int64_t max_silence_ms; /* 0: none */
    struct log_pattern *patterns;
    size_t pattern_count;
    struct redaction redaction;  /* what leaves the host only masked */
    const struct permit *permit; /* what its files must be allowed by; NULL: it is our own */
    uint64_t signature;          /* equal for entries that say the same; 0: it is our own */
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

/* The last entry goes. */
void log_settings_pop(struct log_settings_list *list);

/* An entry with a glob alone.  ERR_INVALID (not an absolute path), ERR_LIMIT, ERR_NOMEM. */
int log_settings_add(struct log_settings_list *list, const char *glob, struct diagnosis *why);

void log_settings_done(struct log_settings_list *list);

/* The first entry whose glob matches the path, or NULL. */
const struct log_settings *log_settings_for(const struct log_settings_list *list,
                                            const char *path);
