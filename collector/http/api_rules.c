/*
 * api_rules.c - /api/v1/rules with its filters and pages, /api/v1/alerts.
 */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "collector/http/api_parts.h"
#include "proto/base/error.h"

static bool read_type(const struct http_request *request, struct http_response *response,
                      struct rules_filter *filter)
{
    const char *type = http_parameter(request, "type");
    filter->alerting = type == NULL || *type == '\0' || strcasecmp(type, "alert") == 0;
    filter->recording = type == NULL || *type == '\0' || strcasecmp(type, "record") == 0;
    if (filter->alerting || filter->recording)
        return true;
    reply_error(response, API_BAD_DATA,
                "invalid parameter \"type\": not supported value \"%s\"", type);
    return false;
}

/* Go's ParseBool. */
static bool read_exclude(const struct http_request *request, struct http_response *response,
                         struct rules_filter *filter)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    const char *text = http_parameter(request, "exclude_alerts");
    if (text == NULL || *text == '\0')
        return true;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcmp(text, yes[i]) == 0)
            filter->exclude_alerts = true;
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0)
            return true;
    }
    reply_error(response, API_BAD_DATA,
                "invalid parameter \"exclude_alerts\": error converting exclude_alerts: "
                "strconv.ParseBool: parsing \"%s\": invalid syntax",
                text);
    return false;
}

static bool read_page(const struct http_request *request, struct http_response *response,
                      struct rules_filter *filter)
{
    const char *limit = http_parameter(request, "group_limit");
    char *end = NULL;
    filter->next_token = http_parameter(request, "group_next_token");
    if (filter->next_token != NULL && *filter->next_token == '\0')
        filter->next_token = NULL;
    if (limit == NULL || *limit == '\0') {
        if (filter->next_token == NULL)
            return true;
        reply_invalid(response, "group_next_token",
                      "group_limit needs to be present in order to paginate over the groups");
        return false;
    }
    errno = 0;
    long value = strtol(limit, &end, 10);
    if (*end != '\0' || errno != 0 || value > INT32_MAX || value < INT32_MIN) {
        reply_error(
            response, API_BAD_DATA,
            "invalid parameter \"group_limit\": group_limit needs to be a valid number: "
            "strconv.ParseInt: parsing \"%s\": %s",
            limit, *end != '\0' ? "invalid syntax" : "value out of range");
        return false;
    }
    if (value <= 0) {
        reply_invalid(response, "group_limit", "group_limit needs to be greater than 0");
        return false;
    }
    filter->group_limit = (size_t)value;
    return true;
}

/* All values of a repeated parameter; malloc'd. */
static int gather(const struct http_request *request, const char *name,
                  struct rules_texts *texts)
{
    size_t count = 0;
    size_t at = 0;
    while (http_parameter_next(request, name, &at) != NULL)
        count++;
    if (count == 0)
        return 0;
    const char **items = calloc(count, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    at = 0;
    for (size_t i = 0; i < count; i++)
        items[i] = http_parameter_next(request, name, &at);
    *texts = (struct rules_texts){items, count};
    return 0;
}

static int by_labels(void *context, const struct labels *labels, bool *ret_wanted)
{
    const struct selectors *selectors = context;
    *ret_wanted = selectors->count == 0;
    for (size_t i = 0; i < selectors->count && !*ret_wanted; i++)
        *ret_wanted =
            matchers_match(selectors->items[i].matchers, selectors->items[i].count, labels);
    return 0;
}

static void answer_rules(struct http_request *request, struct http_response *response,
                         struct rules_filter *filter)
{
    struct buf printed = {0};
    int error = gather(request, "rule_name[]", &filter->names);
    if (error == 0)
        error = gather(request, "rule_group[]", &filter->groups);
    if (error == 0)
        error = gather(request, "file[]", &filter->files);
    if (error == 0)
        error = rules_print_json(app_of(request)->rules, filter, &printed);
    if (error == ERR_NOTFOUND) {
        buf_done(&printed);
        reply_error(
            response, API_BAD_DATA,
            "invalid parameter \"group_next_token\": invalid group_next_token '%s'. were "
            "rule groups changed?",
            filter->next_token);
    } else {
        api_answer_printed(response, error, &printed);
    }
    free(filter->names.items);
    free(filter->groups.items);
    free(filter->files.items);
}

void api_rules(struct http_request *request, struct http_response *response)
{
    struct rules_filter filter = {.alerting = false};
    struct selectors selectors = {0};
    if (!read_type(request, response, &filter) || !read_page(request, response, &filter) ||
        !read_exclude(request, response, &filter) ||
        !api_selectors(request, response, SELECTOR_ERRORS_BARE, &selectors))
        return;
    if (selectors.count > 0) {
        filter.by_labels = by_labels;
        filter.context = &selectors;
    }
    answer_rules(request, response, &filter);
    api_selectors_free(&selectors);
}

void api_alerts(struct http_request *request, struct http_response *response)
{
    struct buf printed = {0};
    int error = rules_print_alerts_json(app_of(request)->rules, &printed);
    api_answer_printed(response, error, &printed);
}
