/*
 * log_entry.c - a log file as policy.yml names it: an entry of probe.yml's `logs`, checked here
 * so that a mistake is told to who writes it, with file and line, and not by sixty probes.
 *
 * The keys are those of probe/log/settings.c, and `enabled: false`, which takes back what an
 * earlier rule said of the path.  Not among them is `redact`: only the host itself may let its
 * numbers leave unmasked.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "collector/policy/policy_parts.h"
#include "proto/base/error.h"

#define PATTERNS_MAX   64
#define TEMPLATES_MAX  256
#define VHOSTS_MAX     32
#define REDACTIONS_MAX 32
#define SILENCE_MAX_MS (INT64_C(366) * 86400 * 1000)

struct entry {
    const char *path, *encoding, *multiline, *from, *send, *format, *vhost;
    struct config_strings vhosts;
    double rate_limit;
    int64_t max_silence_ms, templates;
    bool enabled;
    const struct config_node *patterns, *redact_patterns;
};

static const char *const encodings[] = {"auto",     "utf-8",    "utf8",  "gb18030",
                                        "gbk",      "gb2312",   "cp936", "utf-16",
                                        "utf-16le", "utf-16be", NULL};
static const char *const starts[] = {"beginning", "end", NULL};
static const char *const sends[] = {"all", "errors", "none", NULL};

static const struct config_option rows[] = {
    {.key = "path",
     .type = CONFIG_STRING,
     .offset = offsetof(struct entry, path),
     .required = true},
    {.key = "encoding",
     .type = CONFIG_STRING,
     .offset = offsetof(struct entry, encoding),
     .choices = encodings},
    {.key = "multiline", .type = CONFIG_STRING, .offset = offsetof(struct entry, multiline)},
    {.key = "from",
     .type = CONFIG_STRING,
     .offset = offsetof(struct entry, from),
     .choices = starts},
    {.key = "send",
     .type = CONFIG_STRING,
     .offset = offsetof(struct entry, send),
     .choices = sends},
    {.key = "templates",
     .type = CONFIG_INTEGER,
     .offset = offsetof(struct entry, templates),
     .fallback = "0",
     .min = 0,
     .max = TEMPLATES_MAX},
    {.key = "format", .type = CONFIG_STRING, .offset = offsetof(struct entry, format)},
    {.key = "vhost", .type = CONFIG_STRING, .offset = offsetof(struct entry, vhost)},
    {.key = "vhosts", .type = CONFIG_STRINGS, .offset = offsetof(struct entry, vhosts)},
    {.key = "rate_limit", .type = CONFIG_NUMBER, .offset = offsetof(struct entry, rate_limit)},
    {.key = "max_silence",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct entry, max_silence_ms),
     .min = 1000,
     .max = SILENCE_MAX_MS},
    {.key = "patterns", .type = CONFIG_NODE, .offset = offsetof(struct entry, patterns)},
    {.key = "redact_patterns",
     .type = CONFIG_NODE,
     .offset = offsetof(struct entry, redact_patterns)},
    {.key = "enabled",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct entry, enabled),
     .fallback = "true"},
};

struct pattern {
    const char *name, *regex;
};

static const struct config_option pattern_rows[] = {
    {.key = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct pattern, name),
     .required = true},
    {.key = "regex",
     .type = CONFIG_STRING,
     .offset = offsetof(struct pattern, regex),
     .required = true},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* Would the probe's PCRE2 take it?  Its options do not matter for that. */
static int check_regex(struct config *config, const struct config_node *node, const char *regex,
                       struct diagnosis *why)
{
    int number;
    PCRE2_SIZE offset;
    PCRE2_UCHAR text[128];
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED, 0, &number, &offset, NULL);
    if (code != NULL) {
        pcre2_code_free(code);
        return 0;
    }
    pcre2_get_error_message(number, text, sizeof text);
    return config_complain(config, node, why, "bad regular expression at character %zu: %s",
                           (size_t)offset + 1, (const char *)text);
}

/* `what` is the key, with at most `most` (of PATTERNS_MAX) entries. */
static int check_patterns(struct config *config, const struct config_node *node,
                          const char *what, size_t most, struct diagnosis *why)
{
    struct pattern patterns[PATTERNS_MAX] = {0};
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_LIST || node->count > most)
        return config_complain(config, node, why,
                               "%s must be a list of at most %zu of {name, regex}", what, most);
    for (size_t i = 0; i < node->count; i++) {
        int error = config_read(config, node->children[i], what, pattern_rows,
                                COUNT(pattern_rows), &patterns[i], why);
        if (error == 0)
            error = check_regex(config, config_child(node->children[i], "regex"),
                                patterns[i].regex, why);
        if (error != 0)
            return error;
        for (size_t k = 0; k < i; k++)
            if (strcmp(patterns[k].name, patterns[i].name) == 0)
                return config_complain(config, node->children[i], why,
                                       "there are two patterns named \"%s\"", patterns[i].name);
    }
    return 0;
}

/* Absolute, and without parts that lead elsewhere: no probe takes anything else. */
static bool path_is_plain(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *at = path + 1;; at += strcspn(at, "/") + 1) {
        size_t size = strcspn(at, "/");
        if (size == 0 || (size == 1 && at[0] == '.') || (size == 2 && memcmp(at, "..", 2) == 0))
            return false;
        if (at[size] == '\0')
            return true;
    }
}

/* A name of probe/log/access_format.h, or a server's own words, of which only the probe knows
 * whether it reads them: what it refuses is told as any refusal. */
static bool is_format(const char *format)
{
    static const char *const names[] = {"common", "combined", "vhost_combined", "nginx_timed",
                                        "squid",  "w3c",      "iis",            "httperr"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(names[i], format) == 0)
            return true;
    return strpbrk(format, "$%") != NULL;
}

static int check_access(struct config *config, const struct config_node *node,
                        const struct entry *entry, struct diagnosis *why)
{
    if (entry->format == NULL && (entry->vhost != NULL || entry->vhosts.count > 0))
        return config_complain(config, node, why, "logs: vhost and vhosts go with format");
    if (entry->format == NULL)
        return 0;
    if (!is_format(entry->format))
        return config_complain(config, config_child(node, "format"), why,
                               "logs: format: \"%s\" is none of common, combined, "
                               "vhost_combined, nginx_timed, squid, w3c, iis, httperr, and no "
                               "log_format either",
                               entry->format);
    if (entry->multiline != NULL)
        return config_complain(config, node, why, "logs: a request is a line: no multiline");
    if (entry->vhosts.count > VHOSTS_MAX)
        return config_complain(config, config_child(node, "vhosts"), why,
                               "logs: more than %d vhosts", VHOSTS_MAX);
    return 0;
}

int policy_check_log(struct config *config, const struct config_node *node,
                     struct diagnosis *why)
{
    struct entry entry = {0};
    int error = config_read(config, node, "logs", rows, COUNT(rows), &entry, why);
    if (error != 0)
        return error;
    const struct config_node *path = config_child(node, "path");
    if (!path_is_plain(entry.path))
        return config_complain(config, path, why,
                               "logs: path \"%s\" is not absolute, or has empty, \".\" or "
                               "\"..\" parts",
                               entry.path);
    if (!(entry.rate_limit >= 0 && entry.rate_limit <= 1e9))
        return config_complain(config, config_child(node, "rate_limit"), why,
                               "logs: rate_limit must be 0..1e9 lines a second");
    if (entry.multiline != NULL)
        error = check_regex(config, config_child(node, "multiline"), entry.multiline, why);
    if (error == 0)
        error = check_access(config, node, &entry, why);
    if (error == 0)
        error = check_patterns(config, entry.patterns, "patterns", PATTERNS_MAX, why);
    if (error == 0)
        error = check_patterns(config, entry.redact_patterns, "redact_patterns", REDACTIONS_MAX,
                               why);
    return error;
}

const char *policy_log_path(const struct config_node *node)
{
    return config_child(node, "path")->text;
}

bool policy_log_is_taken_back(const struct config_node *node)
{
    const struct config_node *enabled = config_child(node, "enabled");
    return enabled != NULL &&
           (strcmp(enabled->text, "false") == 0 || strcmp(enabled->text, "no") == 0 ||
            strcmp(enabled->text, "off") == 0);
}
