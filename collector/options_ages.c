/*
 * options_ages.c - see options_ages.h.
 */
#include "collector/options_ages.h"

#include <stdlib.h>
#include <string.h>

#include "collector/promql/engine.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

#define AGE_MS_MIN INT64_C(3600000)
#define AGE_MS_MAX (INT64_C(1000) * 365 * 86400 * 1000)
#define ROWS_MAX   60

/* A row as it is written. */
struct row {
    const char *match, *raw, *rollup_5m, *rollup_1h;
};

static const struct config_option row_options[] = {
    {.key = "match", .type = CONFIG_STRING, .offset = offsetof(struct row, match)},
    {.key = "raw", .type = CONFIG_STRING, .offset = offsetof(struct row, raw)},
    {.key = "rollup_5m", .type = CONFIG_STRING, .offset = offsetof(struct row, rollup_5m)},
    {.key = "rollup_1h", .type = CONFIG_STRING, .offset = offsetof(struct row, rollup_1h)},
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

/* NULL: it is not named. */
static int read_age(struct config *config, const struct config_node *node, const char *key,
                    const char *text, bool is_tier, int64_t *ret_ms, struct diagnosis *why)
{
    *ret_ms = 0;
    if (text == NULL)
        return 0;
    if (strcmp(text, "forever") == 0) {
        *ret_ms = STORE_FOREVER;
        return 0;
    }
    if (is_tier && strcmp(text, "none") == 0) {
        *ret_ms = STORE_NEVER;
        return 0;
    }
    if (duration_parse(text, ret_ms) == 0 && *ret_ms >= AGE_MS_MIN && *ret_ms <= AGE_MS_MAX)
        return 0;
    return config_complain(config, config_child(node, key), why,
                           "retention.per_series: %s: \"%s\" is not an age of at least 1h such as "
                           "90d or 1y, nor forever%s",
                           key, text, is_tier ? ", nor none" : "");
}

/* A tier that stands beside the samples' age must outlive them, or it would never be made. */
static int check_tier(struct config *config, const struct config_node *node, const char *key,
                      int64_t age_ms, int64_t raw_ms, struct diagnosis *why)
{
    if (raw_ms == 0 || age_ms <= 0 || age_ms > raw_ms)
        return 0;
    return config_complain(config, config_child(node, key), why,
                           "retention.per_series: %s must be longer than raw, or none: samples are "
                           "rolled up when they expire",
                           key);
}

static int check_ages(struct config *config, const struct config_node *node,
                      const struct options_age *row, struct diagnosis *why)
{
    if (row->raw_ms == 0 && row->rollup_5m_ms == 0 && row->rollup_1h_ms == 0)
        return config_complain(config, node, why,
                               "retention.per_series: give raw, rollup_5m or rollup_1h");
    if (row->raw_ms == STORE_FOREVER &&
        (row->rollup_5m_ms > 0 || row->rollup_1h_ms > 0))
        return config_complain(config, node, why,
                               "retention.per_series: samples that are kept forever are never "
                               "rolled up: leave out rollup_5m and rollup_1h");
    int error = check_tier(config, node, "rollup_5m", row->rollup_5m_ms, row->raw_ms, why);
    return error == 0
               ? check_tier(config, node, "rollup_1h", row->rollup_1h_ms, row->raw_ms, why)
               : error;
}

static int read_row(struct config *config, const struct config_node *node,
                    struct options *options, struct diagnosis *why)
{
    struct options_age *age = &options->ages[options->age_count];
    struct row row = {0};
    int error = config_read(config, node, "retention.per_series", row_options,
                            sizeof row_options / sizeof *row_options, &row, why);
    if (error != 0)
        return error;
    options->age_count++; /* what it holds is freed with the others */
    age->match = row.match;
    error = read_selector(config, node, age, why);
    if (error == 0)
        error = read_age(config, node, "raw", row.raw, false, &age->raw_ms, why);
    if (error == 0)
        error = read_age(config, node, "rollup_5m", row.rollup_5m, true, &age->rollup_5m_ms, why);
    if (error == 0)
        error = read_age(config, node, "rollup_1h", row.rollup_1h, true, &age->rollup_1h_ms, why);
    return error == 0 ? check_ages(config, node, age, why) : error;
}

int options_read_ages(struct config *config, const struct config_node *list,
                      struct options *options, struct diagnosis *why)
{
    int error = 0;
    if (list == NULL)
        return 0;
    if (list->kind != CONFIG_LIST)
        return config_complain(config, list, why, "retention.per_series must be a list");
    if (list->count > ROWS_MAX)
        return config_complain(config, list, why, "retention.per_series: at most %d entries",
                               ROWS_MAX);
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

struct store_retention options_store_age(const struct options *options, size_t i)
{
    const struct options_age *age = &options->ages[i];
    const bool is_alone = age->rollup_5m_ms == 0 && age->rollup_1h_ms == 0;
    const bool is_shorter =
        age->raw_ms != 0 && age->raw_ms < (options->retention_raw_ms == 0
                                               ? STORE_FOREVER
                                               : options->retention_raw_ms);
    const int64_t none_ms = is_alone && is_shorter ? STORE_NEVER : 0;
    return (struct store_retention){.selection = {age->matchers, age->count},
                                    .raw_ms = age->raw_ms,
                                    .rollup_5m_ms = is_alone ? none_ms : age->rollup_5m_ms,
                                    .rollup_1h_ms = is_alone ? none_ms : age->rollup_1h_ms};
}

static void print_age(const char *key, int64_t age_ms, struct buf *out)
{
    char text[DURATION_TEXT_BYTES];
    if (age_ms != 0)
        buf_printf(out, "    %s: \"%s\"\n", key,
                   age_ms == STORE_FOREVER ? "forever"
                   : age_ms == STORE_NEVER  ? "none"
                                                 : duration_format(age_ms, text));
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
