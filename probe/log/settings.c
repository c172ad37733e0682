/*
 * settings.c - see settings.h.
 */
#include "probe/log/settings.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "probe/log/prefilter.h"
#include "proto/base/config.h"
#include "proto/base/error.h"
#include "proto/base/path.h"

/* An entry as the configuration has it. */
struct entry {
    const char *path;
    const char *multiline;
    const char *from;
    const char *format;
    const char *vhost;
    struct config_strings vhosts;
    struct log_line_options lines;
};

static const char *const starts[] = {"beginning", "end", NULL};
const char *const log_send_names[] = {"all", "errors", "none", NULL};

static const struct config_option options[] = {
    {.key = "path",
     .type = CONFIG_STRING,
     .offset = offsetof(struct entry, path),
     .required = true,
     .help = "absolute path or glob of the files"},
    {.key = "multiline",
     .type = CONFIG_STRING,
     .offset = offsetof(struct entry, multiline),
     .help = "an event begins with a line that matches"},
    {.key = "from",
     .type = CONFIG_STRING,
     .offset = offsetof(struct entry, from),
     .fallback = "beginning",
     .choices = starts,
     .help = "where to begin in files that were there before the probe"},
    {.key = "format",
     .type = CONFIG_STRING,
     .offset = offsetof(struct entry, format),
     .help = "of an access log: a name, or the server's log_format"},
    {.key = "vhost",
     .type = CONFIG_STRING,
     .offset = offsetof(struct entry, vhost),
     .help = "the virtual host of all lines of an access log"},
    {.key = "vhosts",
     .type = CONFIG_STRINGS,
     .offset = offsetof(struct entry, vhosts),
     .help = "virtual hosts that count by name; the first 32 by default"},
    LOG_LINE_OPTIONS(offsetof(struct entry, lines)),
};

struct pattern_entry {
    const char *name;
    const char *regex;
};

static const struct config_option pattern_options[] = {
    {.key = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct pattern_entry, name),
     .required = true,
     .help = "value of the label pattern"},
    {.key = "regex",
     .type = CONFIG_STRING,
     .offset = offsetof(struct pattern_entry, regex),
     .required = true,
     .help = "Perl's syntax, matches anywhere in the line"},
};

_Static_assert(LOG_PATTERNS_MAX <= PREFILTER_PATTERNS_MAX, "each pattern has a bit");

#define COUNT(table) (sizeof(table) / sizeof *(table))

static int compile(struct config *config, const struct config_node *node, const char *regex,
                   struct pattern **ret_pattern, struct diagnosis *why)
{
    struct diagnosis reason = {{0}};
    int error = pattern_new(regex, ret_pattern, &reason);
    if (error == 0 || error == ERR_NOMEM)
        return error;
    return config_complain(config, node, why, "%s", reason.text);
}

static int read_pattern(struct log_settings *settings, struct config *config,
                        const struct config_node *node, struct diagnosis *why)
{
    struct pattern_entry entry = {0};
    int error = config_read(config, node, "patterns", pattern_options, COUNT(pattern_options),
                            &entry, why);
    if (error != 0)
        return error;
    for (size_t i = 0; i < settings->pattern_count; i++)
        if (strcmp(settings->patterns[i].name, entry.name) == 0)
            return config_complain(config, node, why, "there are two patterns named \"%s\"",
                                   entry.name);
    struct log_pattern *pattern = &settings->patterns[settings->pattern_count];
    error = compile(config, node, entry.regex, &pattern->pattern, why);
    if (error != 0)
        return error;
    /* Without memory it is asked for every line. */
    if (settings->prefilter != NULL)
        (void)prefilter_add(settings->prefilter, settings->pattern_count, entry.regex);
    settings->pattern_count++;
    pattern->name = strdup(entry.name);
    return pattern->name == NULL ? ERR_NOMEM : 0;
}

static int read_patterns(struct log_settings *settings, struct config *config,
                         const struct config_node *node, struct diagnosis *why)
{
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_LIST)
        return config_complain(config, node, why, "patterns must be a list of {name, regex}");
    if (node->count > LOG_PATTERNS_MAX)
        return config_complain(config, node, why, "more than %d patterns", LOG_PATTERNS_MAX);
    settings->patterns = calloc(node->count + 1, sizeof *settings->patterns);
    if (settings->patterns == NULL)
        return ERR_NOMEM;
    (void)prefilter_new(&settings->prefilter);
    for (size_t i = 0; i < node->count; i++) {
        int error = read_pattern(settings, config, node->children[i], why);
        if (error != 0)
            return error;
    }
    return 0;
}

/* No list: all numbers.  `none` stands alone. */
static int read_redact(struct log_settings *settings, struct config *config,
                       const struct config_node *node, const struct config_strings *names,
                       struct diagnosis *why)
{
    const struct config_node *list = config_child(node, "redact");
    settings->redaction.numbers = list == NULL ? REDACT_NUMBERS : 0;
    if (list != NULL && names->count == 0)
        return config_complain(config, list, why,
                               "redact: an empty list; write none to mask no numbers");
    for (size_t i = 0; i < names->count; i++) {
        enum redact_kind kind = REDACT_ID_CARD;
        if (strcmp(names->items[i], "none") == 0 && names->count == 1)
            return 0;
        while (kind < REDACT_PATTERN && strcmp(names->items[i], redact_kind_name(kind)) != 0)
            kind++;
        if (kind == REDACT_PATTERN)
            return config_complain(config, list, why,
                                   "redact: \"%s\" is none of id-card, mobile, bank-card, nor "
                                   "none alone",
                                   names->items[i]);
        settings->redaction.numbers |= 1U << kind;
    }
    return 0;
}

static int read_redact_patterns(struct redaction *redaction, struct config *config,
                                const struct config_node *node, struct diagnosis *why)
{
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_LIST || node->count > REDACT_PATTERNS_MAX)
        return config_complain(config, node, why,
                               "redact_patterns must be a list of at most %d of {name, regex}",
                               REDACT_PATTERNS_MAX);
    redaction->patterns = calloc(node->count + 1, sizeof *redaction->patterns);
    if (redaction->patterns == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < node->count; i++) {
        struct pattern_entry entry = {0};
        int error = config_read(config, node->children[i], "redact_patterns", pattern_options,
                                COUNT(pattern_options), &entry, why);
        if (error == 0)
            error =
                compile(config, node->children[i], entry.regex, &redaction->patterns[i], why);
        if (error != 0)
            return error;
        redaction->pattern_count++;
    }
    return 0;
}

static struct log_settings *append(struct log_settings_list *list)
{
    struct log_settings *grown = realloc(list->items, (list->count + 1) * sizeof *list->items);
    if (grown == NULL)
        return NULL;
    list->items = grown;
    grown[list->count] = (struct log_settings){0};
    return &grown[list->count++];
}

/* A hash of what is written. */
static uint64_t sign(const struct config_node *node, uint64_t seed)
{
    uint64_t hash = seed + 1 + (uint64_t)node->kind;
    if (node->key != NULL)
        hash = XXH3_64bits_withSeed(node->key, strlen(node->key) + 1, hash);
    if (node->kind == CONFIG_SCALAR)
        return XXH3_64bits_withSeed(node->text, strlen(node->text) + 1, hash);
    for (size_t i = 0; i < node->count; i++)
        hash = sign(node->children[i], hash);
    return hash;
}

int log_settings_take(struct log_settings *settings, struct config *config,
                      const struct config_node *node, const struct log_line_options *lines,
                      struct diagnosis *why)
{
    if (!(lines->rate_limit >= 0 && lines->rate_limit <= 1e9))
        return config_complain(config, node, why, "rate_limit must be 0..1e9 lines a second");
    if (!log_encoding_named(lines->encoding, &settings->encoding))
        return config_complain(config, node, why, "unknown encoding \"%s\"", lines->encoding);
    while (lines->send != NULL && strcmp(log_send_names[settings->send], lines->send) != 0)
        settings->send++;
    settings->templates = (size_t)lines->templates;
    settings->rate_limit = lines->rate_limit;
    settings->max_silence_ms = lines->max_silence_ms;
    int error = read_patterns(settings, config, lines->patterns, why);
    if (error == 0)
        error = read_redact(settings, config, node, &lines->redact, why);
    if (error == 0)
        error = read_redact_patterns(&settings->redaction, config, lines->redact_patterns, why);
    return error;
}

/* Names as hosts have them; compared in lower case. */
static int read_vhosts(struct access_settings *access, const struct config_strings *names)
{
    if (names->count == 0)
        return 0;
    access->vhosts = calloc(names->count, sizeof *access->vhosts);
    for (size_t i = 0; access->vhosts != NULL && i < names->count; i++) {
        char *name = strdup(names->items[i]);
        if (name == NULL)
            return ERR_NOMEM;
        for (char *at = name; *at != '\0'; at++)
            *at = (char)tolower((unsigned char)*at);
        access->vhosts[access->vhost_count++] = name;
    }
    return access->vhosts == NULL ? ERR_NOMEM : 0;
}

static int read_access(struct log_settings *settings, struct config *config,
                       const struct config_node *node, const struct entry *entry,
                       struct diagnosis *why)
{
    struct diagnosis reason = {0};
    if (entry->format == NULL && (entry->vhost != NULL || entry->vhosts.count > 0))
        return config_complain(config, node, why, "vhost and vhosts go with format");
    if (entry->format == NULL)
        return 0;
    if (entry->vhosts.count > ACCESS_VHOSTS_MAX)
        return config_complain(config, node, why, "more than %d vhosts", ACCESS_VHOSTS_MAX);
    if (entry->multiline != NULL)
        return config_complain(config, node, why, "a request is a line: no multiline");
    settings->access = calloc(1, sizeof *settings->access);
    if (settings->access == NULL)
        return ERR_NOMEM;
    if (access_format_read(entry->format, &settings->access->format, &reason) != 0)
        return config_complain(config, node, why, "%s", reason.text);
    if (entry->vhost != NULL && (settings->access->vhost = strdup(entry->vhost)) == NULL)
        return ERR_NOMEM;
    return read_vhosts(settings->access, &entry->vhosts);
}

static int read_entry(struct log_settings_list *list, struct config *config,
                      const struct config_node *node, struct diagnosis *why)
{
    struct entry entry = {0};
    int error = config_read(config, node, "logs", options, COUNT(options), &entry, why);
    if (error != 0)
        return error;
    if (path_root_size(entry.path) == 0)
        return config_complain(config, node, why, "path \"%s\" is not absolute", entry.path);
    struct log_settings *settings = append(list);
    if (settings == NULL)
        return ERR_NOMEM;
    settings->signature = sign(node, 0);
    settings->from_end = strcmp(entry.from, "end") == 0;
    settings->glob = strdup(entry.path);
    if (settings->glob == NULL)
        return ERR_NOMEM;
    path_settle(settings->glob);
    if (entry.multiline != NULL)
        error = compile(config, node, entry.multiline, &settings->first_line, why);
    if (error == 0)
        error = read_access(settings, config, node, &entry, why);
    return error == 0 ? log_settings_take(settings, config, node, &entry.lines, why) : error;
}

int log_settings_read(struct log_settings_list *list, struct config *config,
                      const struct config_node *node, struct diagnosis *why)
{
    if (node == NULL)
        return 0;
    if (node->kind != CONFIG_LIST)
        return read_entry(list, config, node, why);
    if (list->count + node->count > LOG_SETTINGS_MAX)
        return config_complain(config, node, why, "more than %d entries", LOG_SETTINGS_MAX);
    for (size_t i = 0; i < node->count; i++) {
        int error = read_entry(list, config, node->children[i], why);
        if (error != 0)
            return error;
    }
    return 0;
}

int log_settings_add(struct log_settings_list *list, const char *glob, struct diagnosis *why)
{
    if (path_root_size(glob) == 0)
        return diagnose(why, ERR_INVALID, "log path \"%s\" is not absolute", glob);
    if (list->count >= LOG_SETTINGS_MAX)
        return diagnose(why, ERR_LIMIT, "more than %d log paths", LOG_SETTINGS_MAX);
    struct log_settings *settings = append(list);
    if (settings == NULL)
        return ERR_NOMEM;
    settings->redaction.numbers = REDACT_NUMBERS;
    settings->glob = strdup(glob);
    if (settings->glob == NULL)
        return ERR_NOMEM;
    path_settle(settings->glob);
    return 0;
}

void log_settings_clear(struct log_settings *settings)
{
    for (size_t k = 0; k < settings->pattern_count; k++) {
        free(settings->patterns[k].name);
        pattern_free(settings->patterns[k].pattern);
    }
    for (size_t k = 0; k < settings->redaction.pattern_count; k++)
        pattern_free(settings->redaction.patterns[k]);
    free(settings->redaction.patterns);
    prefilter_free(settings->prefilter);
    free(settings->patterns);
    if (settings->access != NULL)
        access_settings_clear(settings->access);
    free(settings->access);
    pattern_free(settings->first_line);
    free(settings->glob);
    *settings = (struct log_settings){0};
}

void log_settings_pop(struct log_settings_list *list)
{
    log_settings_clear(&list->items[--list->count]);
}

void log_settings_done(struct log_settings_list *list)
{
    while (list->count > 0)
        log_settings_pop(list);
    free(list->items);
    *list = (struct log_settings_list){0};
}

const struct log_settings *log_settings_for(const struct log_settings_list *list,
                                            const char *path)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].glob != NULL &&
            fnmatch(list->items[i].glob, path, FNM_PATHNAME | FNM_PERIOD) == 0)
            return &list->items[i];
    return NULL;
}
