/*
 * options_ages.c - see options_ages.h.
 */
#include "collector/options_ages.h"

#include <stdlib.h>

#include "collector/promql/engine.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

#define AGE_MS_MIN INT64_C(3600000)

struct row {
    const char *match;
    int64_t raw_ms;
};

static const struct config_option row_options[] = {
    {.key = "match", .type = CONFIG_STRING, .offset = offsetof(struct row, match)},
    {.key = "raw", .type = CONFIG_DURATION, .offset = offsetof(struct row, raw_ms),
     .fallback = "0"},
};

static int read_selector(struct config *config, const struct config_node *node,
                         const char *text, struct options_age *age, struct diagnosis *why)
{
    struct promql_error error = {0};
    bool means_something = false;
    if (text == NULL)
        return config_complain(config, node, why, "retention.per_series: match is missing");
    if (promql_parse_selector(text, &age->matchers, &age->count, &error) != 0)
        return config_complain(config, config_child(node, "match"), why,
                               "retention.per_series: match: %s", error.why.text);
    for (size_t i = 0; i < age->count; i++)
        means_something = means_something || !matcher_matches_empty(age->matchers[i]);
    if (!means_something)
        return config_complain(config, config_child(node, "match"), why,
                               "retention.per_series: match must contain at least one "
                               "non-empty matcher");
    age->match = text;
    return 0;
}

static int read_row(struct config *config, const struct config_node *node,
                    struct options *options, struct diagnosis *why)
{
    struct row row = {0};
    struct options_age *age = &options->ages[options->age_count];
    int error = config_read(config, node, "retention.per_series", row_options,
                            sizeof row_options / sizeof *row_options, &row, why);
    if (error == 0) {
        options->age_count++; /* what it holds is freed with the others */
        error = read_selector(config, node, row.match, age, why);
    }
    if (error != 0)
        return error;
    if (row.raw_ms < AGE_MS_MIN ||
        (options->retention_raw_ms > 0 && row.raw_ms >= options->retention_raw_ms))
        return config_complain(config, node, why,
                               "retention.per_series: raw must be an age of at least 1h, and "
                               "shorter than retention.raw");
    age->raw_ms = row.raw_ms;
    return 0;
}

int options_read_ages(struct config *config, const struct config_node *list,
                      struct options *options, struct diagnosis *why)
{
    int error = 0;
    if (list == NULL)
        return 0;
    if (list->kind != CONFIG_LIST)
        return config_complain(config, list, why, "retention.per_series must be a list");
    options->ages = calloc(list->count + 1, sizeof *options->ages);
    if (options->ages == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < list->count && error == 0; i++)
        error = read_row(config, list->children[i], options, why);
    return error;
}

void options_free_ages(struct options *options)
{
    for (size_t i = 0; i < options->age_count; i++)
        promql_matchers_free(options->ages[i].matchers, options->ages[i].count);
    free(options->ages);
    options->ages = NULL;
    options->age_count = 0;
}

void options_print_ages(const struct options *options, struct buf *out)
{
    char text[DURATION_TEXT_BYTES];
    if (options->age_count > 0)
        buf_put_text(out, "  per_series:\n");
    for (size_t i = 0; i < options->age_count; i++) {
        /* A quoted YAML scalar: its only special character is doubled. */
        buf_put_text(out, "  - match: '");
        for (const char *at = options->ages[i].match; *at != '\0'; at++) {
            buf_put_char(out, *at);
            if (*at == '\'')
                buf_put_char(out, '\'');
        }
        buf_printf(out, "'\n    raw: \"%s\"\n", duration_format(options->ages[i].raw_ms, text));
    }
}
