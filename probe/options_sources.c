/*
 * options_sources.c - see options_sources.h.
 */
#include "probe/options_sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/journal/journal.h"
#include "probe/log/log.h"
#include "probe/self.h"
#include "probe/source/scrape.h"
#include "probe/syslog/syslog.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

#define SOURCE_NAMES_MAX 64
#define ROWS(table)      (table), sizeof(table) / sizeof(table)[0]

/* Those that are not of probe/source. */
static const struct source *const own_sources[] = {&source_log, &source_syslog, &source_journal,
                                                   &source_self};
#define OWN_SOURCES (sizeof own_sources / sizeof *own_sources)

int64_t options_default_interval(const struct source *source, int64_t probe_interval_ms)
{
    if (source->interval_ms == 0)
        return probe_interval_ms;
    if (source->interval_ms < OPTIONS_INTERVAL_LEAST_MS * 10)
        return source->interval_ms; /* its ticks are looks, not samples */
    return source->interval_ms > probe_interval_ms ? source->interval_ms : probe_interval_ms;
}

/* The map of a source that has no keys of its own. */
static int check_common(struct options *options, const struct source *source,
                        const struct config_node *node, struct diagnosis *why)
{
    static const struct config_option table[] = {SOURCE_COMMON_OPTIONS(0)};
    struct source_common_options common;
    char where[64];
    (void)snprintf(where, sizeof where, "sources.%s", source->name);
    return node == NULL ? 0
                        : config_read(options->config, node, where, ROWS(table), &common, why);
}

/* Whether, and how often; what the map does not say stays as it is. */
static int read_common(const struct options *options, const struct source *source,
                       const struct config_node *node, struct source_common_options *common,
                       struct diagnosis *why)
{
    const struct config_node *enabled = NULL, *interval = NULL;

    if (node != NULL && node->kind == CONFIG_MAP) {
        enabled = config_child(node, "enabled");
        interval = config_child(node, "interval");
    }
    /* The source's own table checks the whole map; here only these two are wanted. */
    if (enabled != NULL && enabled->kind == CONFIG_SCALAR &&
        (strcmp(enabled->text, "false") == 0 || strcmp(enabled->text, "no") == 0 ||
         strcmp(enabled->text, "off") == 0))
        common->enabled = false;
    else if (enabled != NULL)
        common->enabled = true; /* anything else is complained of by the table */
    if (interval != NULL && interval->kind == CONFIG_SCALAR &&
        (duration_parse(interval->text, &common->interval_ms) != 0 ||
         common->interval_ms < OPTIONS_INTERVAL_LEAST_MS))
        return config_complain(options->config, interval, why,
                               "sources.%s.interval: \"%s\" is no duration of 100ms or more",
                               source->name, interval->text);
    return 0;
}

static int add_source(struct options *options, const struct source *source,
                      const struct config_node *node, struct source_common_options common,
                      struct diagnosis *why)
{
    int error = read_common(options, source, node, &common, why);
    if (error == 0 && source->configure == NULL)
        error = check_common(options, source, node, why);
    if (error != 0)
        return error;
    options->sources[options->source_count++] = (struct options_source){
        .source = source,
        .node = node,
        .is_enabled = common.enabled,
        .own_interval_ms = common.interval_ms,
        .is_on = common.enabled,
        .interval_ms = common.interval_ms != 0
                           ? common.interval_ms
                           : options_default_interval(source, options->interval_ms)};
    return 0;
}

/* Each target is a source of its own; what is said of all of them comes first. */
static int add_targets(struct options *options, const struct source *source,
                       const struct config_node *node, struct diagnosis *why)
{
    struct source_common_options common = {true, 0};
    const struct config_node *targets;

    int error = scrape_targets(source, options->config, node, &targets, why);
    if (error == 0)
        error = read_common(options, source, node, &common, why);
    for (size_t i = 0; error == 0 && targets != NULL && i < targets->count; i++) {
        error = add_source(options, source, targets->children[i], common, why);
        if (error == 0 && !common.enabled) {
            struct options_source *added = &options->sources[options->source_count - 1];
            added->is_enabled = added->is_on = false;
        }
    }
    return error;
}

/* Listening is asked for by saying where. */
static int add_syslog(struct options *options, const struct config_node *node,
                      struct diagnosis *why)
{
    struct source_common_options common = {config_child(node, "listen") != NULL, 0};
    return add_source(options, &source_syslog, node, common, why);
}

const struct source *options_source_at(size_t index)
{
    size_t count = 0;
    while (sources[count] != NULL)
        count++;
    if (index < count)
        return sources[index];
    return index - count < OWN_SOURCES ? own_sources[index - count] : NULL;
}

bool options_source_exists(const char *name)
{
    const struct source *source;
    for (size_t i = 0; (source = options_source_at(i)) != NULL; i++)
        if (strcmp(source->name, name) == 0)
            return true;
    return false;
}

const char *options_nearest_source(const char *wrong)
{
    const char *names[SOURCE_NAMES_MAX];
    const struct source *source;
    size_t count = 0;
    for (; count < SOURCE_NAMES_MAX && (source = options_source_at(count)) != NULL; count++)
        names[count] = source->name;
    return nearest_name(wrong, names, count);
}

int options_sources_read(struct options *options, const struct config_node *node,
                         const struct config_node *logs, struct diagnosis *why)
{
    const struct source_common_options usual = {true, 0};
    size_t count = 0, room = OWN_SOURCES;
    int error = 0;

    for (; sources[count] != NULL; count++)
        room += sources[count]->has_targets ? SCRAPE_TARGETS_MAX : 1;
    for (size_t i = 0; node != NULL && i < node->count; i++) {
        const char *key = node->children[i]->key;
        if (key == NULL)
            return config_complain(options->config, node, why, "sources: expected a map");
        if (options_source_exists(key) && strcmp(key, source_log.name) != 0)
            continue;
        const char *nearest = options_nearest_source(key);
        return config_complain(options->config, node->children[i], why,
                               "unknown source \"%s\"%s%s%s", key,
                               nearest == NULL ? "" : " (did you mean \"",
                               nearest == NULL ? "" : nearest, nearest == NULL ? "" : "\"?)");
    }
    options->sources = calloc(room, sizeof *options->sources);
    if (options->sources == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    for (size_t i = 0; error == 0 && i < count; i++)
        if (sources[i]->has_targets)
            error = add_targets(options, sources[i], config_child(node, sources[i]->name), why);
        else
            error =
                add_source(options, sources[i], config_child(node, sources[i]->name),
                           (struct source_common_options){!sources[i]->is_optional, 0}, why);
    /* Before the log files: a file waits, a datagram that finds the socket full is lost. */
    if (error == 0)
        error = add_syslog(options, config_child(node, source_syslog.name), why);
    if (error == 0) /* the same lines often are in files: it is asked for */
        error = add_source(options, &source_journal, config_child(node, source_journal.name),
                           (struct source_common_options){false, 0}, why);
    if (error == 0)
        error = add_source(options, &source_log, logs, usual, why);
    if (error == 0) /* last: it tells how the others did */
        error =
            add_source(options, &source_self, config_child(node, source_self.name), usual, why);
    return error;
}
