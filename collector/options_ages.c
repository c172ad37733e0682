/*
 * options_ages.c - see options_ages.h.
 */
#include "collector/options_ages.h"

#include <stdlib.h>

#include "collector/promql/engine.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

#define AGE_MS_MIN INT64_C(3600000)

static const struct config_option row_options[] = {
    {.key = "match", .type = CONFIG_STRING, .offset = offsetof(struct options_age, match)},
    {.key = "raw", .type = CONFIG_DURATION, .offset = offsetof(struct options_age, raw_ms),
     .fallback = "0"},
    {.key = "rollup_5m", .type = CONFIG_DURATION, .offset = offsetof(struct options_age, rollup_5m_ms),
     .fallback = "0"},
    {.key = "rollup_1h", .type = CONFIG_DURATION, .offset = offsetof(struct options_age, rollup_1h_ms),
     .fallback = "0"},
};

static int read_selector(struct config *config, const struct config_node *node,
                         struct options_age *age, struct diagnosis *why)
{
    struct promql_error error = {0};
    bool means_something = false;
    if (age->match == NULL)
        return config_complain(config, node, why, "retention.per_series: match is missing");
    if (promql_parse_selector(age->match, &age->matchers, &age->count, &error) != 0)
        return config_complain(config, config_child(node, "match"), why,
                               "retention.per_series: match: %s", error.why.text);
    for (size_t i = 0; i < age->count; i++)
        means_something = means_something || !matcher_matches_empty(age->matchers[i]);
    if (!means_something)
        return config_complain(config, config_child(node, "match"), why,
                               "retention.per_series: match must contain at least one "
                               "non-empty matcher");
    return 0;
}

/* An age of a row that is named must be below that of the others; 0: for ever. */
static int check_age(struct config *config, const struct config_node *node, const char *key,
                     int64_t age_ms, int64_t others_ms, struct diagnosis *why)
{
    if (config_child(node, key) == NULL ||
        (age_ms >= AGE_MS_MIN && (others_ms == 0 || age_ms < others_ms)))
        return 0;
    return config_complain(config, node, why,
                           "retention.per_series: %s must be an age of at least 1h, and "
                           "shorter than retention.%s",
                           key, key);
}

static int check_ages(struct config *config, const struct config_node *node,
                      const struct options_age *row, const struct options *options,
                      struct diagnosis *why)
{
    const bool has_tier = row->rollup_5m_ms != 0 || row->rollup_1h_ms != 0;
    int error = check_age(config, node, "raw", row->raw_ms, options->retention_raw_ms, why);
    if (error == 0)
        error = check_age(config, node, "rollup_5m", row->rollup_5m_ms, options->retention_5m_ms,
                          why);
    if (error == 0)
        error = check_age(config, node, "rollup_1h", row->rollup_1h_ms, options->retention_1h_ms,
                          why);
    if (error == 0 && row->raw_ms == 0 && !has_tier)
        error = config_complain(config, node, why,
                                "retention.per_series: give raw, or rollup_5m and rollup_1h");
    if (error == 0 && row->raw_ms != 0 && has_tier)
        error = config_complain(config, node, why,
                                "retention.per_series: where raw is given nothing is rolled up: "
                                "leave out rollup_5m and rollup_1h");
    return error;
}

static int read_row(struct config *config, const struct config_node *node,
                    struct options *options, struct diagnosis *why)
{
    struct options_age *age = &options->ages[options->age_count];
    int error = config_read(config, node, "retention.per_series", row_options,
                            sizeof row_options / sizeof *row_options, age, why);
    if (error != 0)
        return error;
    options->age_count++; /* what it holds is freed with the others */
    error = read_selector(config, node, age, why);
    return error == 0 ? check_ages(config, node, age, options, why) : error;
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

static void print_age(const char *key, int64_t age_ms, struct buf *out)
{
    char text[DURATION_TEXT_BYTES];
    if (age_ms != 0)
        buf_printf(out, "    %s: \"%s\"\n", key, duration_format(age_ms, text));
}

void options_print_ages(const struct options *options, struct buf *out)
{
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
        buf_put_text(out, "'\n");
        print_age("raw", options->ages[i].raw_ms, out);
        print_age("rollup_5m", options->ages[i].rollup_5m_ms, out);
        print_age("rollup_1h", options->ages[i].rollup_1h_ms, out);
    }
}
