/*
 * scrape_settings.c - targets of the scrape source (scrape_settings.h).
 */
#include "probe/source/scrape_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/source/device_filter.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define SECRET_BYTES_MAX 4096

struct target_options {
    const char *url, *job, *instance, *keep, *drop, *bearer_token_file;
    const struct config_node *labels;
    bool honor_labels, honor_timestamps;
    int64_t timeout_ms, sample_limit, label_limit, name_limit, value_limit;
    uint64_t body_limit;
    struct source_common_options common;
};

#define AT(field) offsetof(struct target_options, field)

static const struct config_option target_table[] = {
    {"url", CONFIG_STRING, AT(url), .required = true, .help = "http://HOST:PORT/PATH"},
    {"job", CONFIG_STRING, AT(job), .required = true,
     .help = "the job its series are to have; the collector decides"},
    {"instance", CONFIG_STRING, AT(instance),
     .help = "HOSTNAME:SOMETHING, to tell two of a kind apart (default: the probe's instance)"},
    {"labels", CONFIG_NODE, AT(labels), .help = "labels for all its series"},
    {"timeout", CONFIG_DURATION, AT(timeout_ms), .fallback = "10s", .min = 10, .max = 600000,
     .help = "of the whole answer; never longer than the interval"},
    {"body_size_limit", CONFIG_SIZE, AT(body_limit), .fallback = "16MiB", .min = 1,
     .max = (int64_t)1 << 30, .help = "a larger page counts as down"},
    {"sample_limit", CONFIG_INTEGER, AT(sample_limit), .fallback = "5000", .min = 1,
     .max = 20000, .help = "a page with more kept samples counts as down"},
    {"label_limit", CONFIG_INTEGER, AT(label_limit), .fallback = "0", .min = 0,
     .max = SERIES_LABELS_MAX, .help = "labels a series (0: 64)"},
    {"label_name_length_limit", CONFIG_INTEGER, AT(name_limit), .fallback = "0", .min = 0,
     .max = NAME_BYTES_MAX, .help = "bytes (0: 1024)"},
    {"label_value_length_limit", CONFIG_INTEGER, AT(value_limit), .fallback = "0", .min = 0,
     .max = LABEL_VALUE_BYTES_MAX, .help = "bytes (0: 4096)"},
    {"keep", CONFIG_STRING, AT(keep),
     .help = "regular expression of metric names, matched whole: only these"},
    {"drop", CONFIG_STRING, AT(drop),
     .help = "regular expression of metric names, matched whole: these not"},
    {"honor_labels", CONFIG_BOOL, AT(honor_labels), .fallback = "false",
     .help = "the page's job and labels win over those given here"},
    {"honor_timestamps", CONFIG_BOOL, AT(honor_timestamps), .fallback = "true",
     .help = "times on the page are taken"},
    {"bearer_token_file", CONFIG_FILE, AT(bearer_token_file),
     .help = "its text goes out as Authorization: Bearer"},
    SOURCE_COMMON_OPTIONS(AT(common)),
};

struct scrape_options {
    const struct config_node *targets;
    struct source_common_options common;
};

static const struct config_option scrape_table[] = {
    {"targets", CONFIG_NODE, offsetof(struct scrape_options, targets),
     .help = "a list of maps: url, job and more"},
    SOURCE_COMMON_OPTIONS(offsetof(struct scrape_options, common)),
};

int scrape_targets(const struct source *source, struct config *config,
                   const struct config_node *node, const struct config_node **ret_targets,
                   struct diagnosis *why)
{
    struct scrape_options options = {0};
    char where[64];
    (void)snprintf(where, sizeof where, "sources.%s", source->name);
    int error = config_read(config, node, where, scrape_table,
                            sizeof scrape_table / sizeof *scrape_table, &options, why);
    if (error != 0)
        return error;
    const struct config_node *targets = options.targets;
    if (targets != NULL && targets->kind != CONFIG_LIST)
        return config_complain(config, targets, why, "%s.targets: expected a list of maps",
                               where);
    if (targets != NULL && targets->count > SCRAPE_TARGETS_MAX)
        return config_complain(config, targets, why, "%s.targets: %zu of them, at most %d",
                               where, targets->count, SCRAPE_TARGETS_MAX);
    *ret_targets = targets;
    return 0;
}

/* Ascending by name; job and instance are two of them. */
static int add_label(struct scrape_settings *settings, const char *name, const char *value)
{
    struct scrape_rules *rules = &settings->rules;
    size_t at = rules->label_count;
    struct label label = {bytes_of(name), bytes_of(value)};
    if (at == SERIES_LABELS_MAX || label.name.size > NAME_BYTES_MAX || label.name.size == 0 ||
        label.value.size > LABEL_VALUE_BYTES_MAX || strcmp(name, "__name__") == 0)
        return ERR_INVALID;
    for (; at > 0 && bytes_compare(settings->labels[at - 1].name, label.name) > 0; at--)
        settings->labels[at] = settings->labels[at - 1];
    if (at > 0 && bytes_equal(settings->labels[at - 1].name, label.name))
        return ERR_INVALID;
    settings->labels[at] = label;
    rules->label_count++;
    return 0;
}

int scrape_settings_labels(struct scrape_settings *settings, struct config *config,
                           const struct config_node *node, const struct scrape_names *names,
                           struct diagnosis *why)
{
    const struct config_node *labels = names->labels;
    settings->rules.labels = settings->labels;
    int error = add_label(settings, "job", names->job);
    if (error == 0 && names->instance != NULL && names->instance[0] != '\0')
        error = add_label(settings, "instance", names->instance);
    if (error != 0 || names->job[0] == '\0')
        return config_complain(config, node, why, "a target's job or instance is not usable");
    if (labels != NULL && labels->kind != CONFIG_MAP)
        return config_complain(config, labels, why, "labels: expected a map of names");
    for (size_t i = 0; labels != NULL && i < labels->count; i++) {
        const struct config_node *child = labels->children[i];
        if (child->kind != CONFIG_SCALAR || child->text[0] == '\0' ||
            add_label(settings, child->key, child->text) != 0)
            return config_complain(config, child, why,
                                   "labels.%s: expected a text; job and instance have keys of "
                                   "their own",
                                   child->key);
    }
    return 0;
}

static int put_token(struct buf *out, const char *path, struct diagnosis *why)
{
    char *text;
    int error = file_read_whole(path, SECRET_BYTES_MAX, &text, NULL, why);
    if (error != 0)
        return error;
    size_t size = strcspn(text, "\r\n");
    buf_put_text(out, "Authorization: Bearer ");
    buf_put(out, text, size);
    buf_put_text(out, "\r\n");
    explicit_bzero(text, strlen(text));
    free(text);
    return 0;
}

static int make_request(struct scrape_settings *settings, const char *path,
                        const struct target_options *options, struct diagnosis *why)
{
    struct buf *out = &settings->request;
    bool is_v6 = strchr(settings->host, ':') != NULL;

    buf_printf(out, "GET %s%s HTTP/1.1\r\nHost: %s%s%s:%s\r\n", path[0] == '/' ? "" : "/", path,
               is_v6 ? "[" : "", settings->host, is_v6 ? "]" : "", settings->port);
    buf_printf(out,
               "User-Agent: fengsui-probe/" FENGSUI_VERSION "\r\nAccept: " EXPOSITION_ACCEPT
               "\r\nX-Prometheus-Scrape-Timeout-Seconds: %g\r\nConnection: close\r\n",
               (double)settings->timeout_ms / 1e3);
    if (options->bearer_token_file != NULL) {
        int error = put_token(out, options->bearer_token_file, why);
        if (error != 0)
            return error;
    }
    buf_put_text(out, "\r\n");
    return buf_ok(out) ? 0 : diagnose(why, ERR_NOMEM, "out of memory");
}

static void take_rules(struct scrape_rules *rules, const struct target_options *options)
{
    rules->honor_labels = options->honor_labels;
    rules->honor_timestamps = options->honor_timestamps;
    rules->sample_limit = (size_t)options->sample_limit;
    rules->label_limit = (size_t)options->label_limit;
    rules->name_bytes_limit = (size_t)options->name_limit;
    rules->value_bytes_limit = (size_t)options->value_limit;
}

int scrape_settings_read(struct scrape_settings *settings, struct config *config,
                         const struct config_node *node, struct diagnosis *why)
{
    struct target_options options = {0};
    struct diagnosis reason = {0};
    const char *path = NULL;

    if (node == NULL)
        return 0;
    int error = config_read(config, node, "sources.scrape.targets", target_table,
                            sizeof target_table / sizeof *target_table, &options, why);
    if (error != 0)
        return error;
    if (http_url_split(options.url, settings->host, settings->port, &path, &reason) != 0)
        return config_complain(config, node, why, "url \"%s\": %s", options.url, reason.text);
    settings->url = options.url;
    settings->timeout_ms = options.timeout_ms;
    settings->body_limit_bytes = options.body_limit;
    take_rules(&settings->rules, &options);
    error = scrape_settings_labels(
        settings, config, node,
        &(struct scrape_names){options.job, options.instance, options.labels}, why);
    if (error == 0)
        error = device_filter_compile_whole(config, node, "keep", options.keep,
                                            &settings->rules.keep, why);
    if (error == 0)
        error = device_filter_compile_whole(config, node, "drop", options.drop,
                                            &settings->rules.drop, why);
    if (error == 0 && asprintf(&settings->title, "scrape %s", options.url + 7) < 0)
        error = diagnose(why, ERR_NOMEM, "out of memory");
    return error == 0 ? make_request(settings, path, &options, why) : error;
}

void scrape_settings_done(struct scrape_settings *settings)
{
    if (settings->request.data != NULL) /* it may hold a token */
        explicit_bzero(settings->request.data, settings->request.size);
    buf_done(&settings->request);
    pattern_free(settings->rules.keep);
    pattern_free(settings->rules.drop);
    free(settings->title);
    *settings = (struct scrape_settings){0};
}
