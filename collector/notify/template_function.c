/*
 * template_function.c - the functions of templates, one row each, and those on texts and lists.
 *
 * They are Go's own, Prometheus's and Alertmanager's together; no name means two things.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

typedef struct template_machine machine_type;

/* ---- text -------------------------------------------------------------------------------- */

enum casing { CASE_UPPER, CASE_LOWER, CASE_TITLE };

/* ASCII letters only; others (Chinese has no case) stay. */
static int change_case(machine_type *machine, const struct value *argument, enum casing casing,
                       struct value *ret_value)
{
    struct bytes text = {0};
    uint8_t *copy;
    bool starts_word = true;
    int error = template_value_to_text(machine, argument, &text);

    if (error != 0)
        return error;
    copy = arena_alloc(machine->arena, text.size + 1, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (casing == CASE_UPPER || (casing == CASE_TITLE && starts_word))
            c = (uint8_t)(c < 0x80 ? toupper(c) : c);
        else if (casing == CASE_LOWER)
            c = (uint8_t)(c < 0x80 ? tolower(c) : c);
        starts_word = !(isalnum(c) || c == '_' || c == '\'' || c >= 0x80);
        copy[i] = c;
    }
    *ret_value = (struct value){.kind = VALUE_STRING, .as.text = {copy, text.size}};
    return 0;
}

static int to_upper(machine_type *machine, const struct value *arguments, size_t count,
                    struct value *ret_value)
{
    (void)count;
    return change_case(machine, &arguments[0], CASE_UPPER, ret_value);
}

static int to_lower(machine_type *machine, const struct value *arguments, size_t count,
                    struct value *ret_value)
{
    (void)count;
    return change_case(machine, &arguments[0], CASE_LOWER, ret_value);
}

static int title(machine_type *machine, const struct value *arguments, size_t count,
                 struct value *ret_value)
{
    (void)count;
    return change_case(machine, &arguments[0], CASE_TITLE, ret_value);
}

/* As Go's SplitHostPort: "host:9100" or "[::1]:80"; false: it has no port, or is none. */
static bool split_port(struct bytes text, struct bytes *ret_host, struct bytes *ret_port)
{
    const uint8_t *colon = NULL;
    size_t colons = 0;

    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == ':') {
            colon = text.data + i;
            colons++;
        }
    if (colon == NULL)
        return false;
    *ret_port = (struct bytes){colon + 1, text.size - (size_t)(colon + 1 - text.data)};
    if (text.data[0] == '[') {
        if (colon == text.data || colon[-1] != ']')
            return false;
        *ret_host = (struct bytes){text.data + 1, (size_t)(colon - text.data) - 2};
        return true;
    }
    *ret_host = (struct bytes){text.data, (size_t)(colon - text.data)};
    return colons == 1;
}

/* What has no port stays. */
static int strip_port(machine_type *machine, const struct value *arguments, size_t count,
                      struct value *ret_value)
{
    struct bytes text = {0}, host, port;
    int error = template_value_to_text(machine, &arguments[0], &text);
    (void)count;
    if (error != 0)
        return error;
    *ret_value = (struct value){.kind = VALUE_STRING,
                                .as.text = split_port(text, &host, &port) ? host : text};
    return 0;
}

static bool is_address(struct bytes host)
{
    char text[64];
    struct in6_addr room;
    if (host.size >= sizeof text)
        return false;
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(AF_INET, text, &room) == 1 || inet_pton(AF_INET6, text, &room) == 1;
}

/* "db1.example.org:9100" -> "db1:9100"; an address stays. */
static int strip_domain(machine_type *machine, const struct value *arguments, size_t count,
                        struct value *ret_value)
{
    struct bytes text = {0}, host, port = {0};
    struct buf out = {0};
    const uint8_t *dot;
    int error = template_value_to_text(machine, &arguments[0], &text);

    (void)count;
    if (error != 0)
        return error;
    *ret_value = (struct value){.kind = VALUE_STRING, .as.text = text};
    if (!split_port(text, &host, &port)) {
        host = text;
        port.size = 0;
    }
    if (host.size == 0 || is_address(host))
        return 0;
    dot = memchr(host.data, '.', host.size);
    buf_put(&out, host.data, dot == NULL ? host.size : (size_t)(dot - host.data));
    if (port.size > 0) {
        buf_put_char(&out, ':');
        buf_put(&out, port.data, port.size);
    }
    return template_value_keep(machine, &out, ret_value);
}

static int trim_space(machine_type *machine, const struct value *arguments, size_t count,
                      struct value *ret_value)
{
    struct bytes text = {0};
    int error = template_value_to_text(machine, &arguments[0], &text);
    (void)count;
    if (error != 0)
        return error;
    while (text.size > 0 && isspace(text.data[0]))
        text = (struct bytes){text.data + 1, text.size - 1};
    while (text.size > 0 && isspace(text.data[text.size - 1]))
        text.size--;
    *ret_value = (struct value){.kind = VALUE_STRING, .as.text = text};
    return 0;
}

static int string_slice(machine_type *machine, const struct value *arguments, size_t count,
                        struct value *ret_value)
{
    struct value *items = arena_alloc(machine->arena, count + 1, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        items[i] = arguments[i];
    *ret_value = (struct value){.kind = VALUE_LIST, .as.list = {items, count}};
    return 0;
}

static int print_values(machine_type *machine, const struct value *arguments, size_t count,
                        bool is_line, struct value *ret_value)
{
    struct buf joined;

    buf_init(&joined, TEMPLATE_OUTPUT_MAX);
    for (size_t i = 0; i < count; i++) {
        bool text_beside = i > 0 && (arguments[i - 1].kind == VALUE_STRING ||
                                     arguments[i].kind == VALUE_STRING);
        if (i > 0 && (is_line || !text_beside))
            buf_put_char(&joined, ' ');
        template_value_print(&arguments[i], &joined);
    }
    if (is_line)
        buf_put_char(&joined, '\n');
    return template_value_keep(machine, &joined, ret_value);
}

static int print(machine_type *machine, const struct value *arguments, size_t count,
                 struct value *ret_value)
{
    return print_values(machine, arguments, count, false, ret_value);
}

static int print_line(machine_type *machine, const struct value *arguments, size_t count,
                      struct value *ret_value)
{
    return print_values(machine, arguments, count, true, ret_value);
}

/* join LIST SEPARATOR (Alertmanager's order: separator first). */
static int join(machine_type *machine, const struct value *arguments, size_t count,
                struct value *ret_value)
{
    struct buf joined;
    struct bytes separator = {0};
    int error = template_value_to_text(machine, &arguments[0], &separator);
    (void)count;
    if (error != 0)
        return error;
    if (arguments[1].kind != VALUE_LIST)
        return diagnose(machine->why, ERR_INVALID, "join: the second argument is no list");
    buf_init(&joined, TEMPLATE_OUTPUT_MAX);
    for (size_t i = 0; i < arguments[1].as.list.count; i++) {
        if (i > 0)
            buf_put(&joined, separator.data, separator.size);
        template_value_print(&arguments[1].as.list.items[i], &joined);
    }
    return template_value_keep(machine, &joined, ret_value);
}

static const struct template_function functions[] = {
    {"humanize", 1, 1, template_humanize, "1234567 -> 1.235M"},
    {"humanize1024", 1, 1, template_humanize_1024, "1048576 -> 1Mi"},
    {"humanizeDuration", 1, 1, template_humanize_duration, "3725 -> 1h 2m 5s"},
    {"humanizePercentage", 1, 1, template_humanize_percentage, "0.1234 -> 12.34%"},
    {"humanizeTimestamp", 1, 1, template_humanize_timestamp,
     "Unix seconds -> date and time, UTC"},
    {"printf", 1, 32, template_printf, "Go's fmt.Sprintf"},
    {"print", 0, 32, print, "Go's fmt.Sprint"},
    {"println", 0, 32, print_line, "Go's fmt.Sprintln"},
    {"title", 1, 1, title, "capital first letters"},
    {"toUpper", 1, 1, to_upper, "capital letters"},
    {"toLower", 1, 1, to_lower, "small letters"},
    {"trimSpace", 1, 1, trim_space, "without blanks at both ends"},
    {"stripPort", 1, 1, strip_port, "host:port -> host"},
    {"stripDomain", 1, 1, strip_domain, "host.domain:port -> host:port"},
    {"stringSlice", 0, 32, string_slice, "its arguments as a list"},
    {"reReplaceAll", 3, 3, template_replace, "pattern, replacement, text"},
    {"match", 2, 2, template_match, "does the pattern match somewhere in the text"},
    {"join", 2, 2, join, "separator, list"},
    {"and", 1, 32, template_last, "the first false argument, or the last"},
    {"or", 1, 32, template_last, "the first true argument, or the last"},
    {"not", 1, 1, template_not, "the opposite"},
    {"eq", 2, 32, template_equal, "equal to any of the others"},
    {"ne", 2, 2, template_not_equal, "not equal"},
    {"lt", 2, 2, template_less, "less"},
    {"le", 2, 2, template_at_most, "less or equal"},
    {"gt", 2, 2, template_greater, "greater"},
    {"ge", 2, 2, template_at_least, "greater or equal"},
    {"query", 1, 1, template_query_call, "samples of a PromQL expression, at this time"},
    {"first", 1, 1, template_first, "the first sample"},
    {"value", 1, 1, template_value_of_sample, "a sample's value"},
    {"label", 2, 2, template_label, "name, sample: its label"},
    {"strvalue", 1, 1, template_string_value, "a text sample's text"},
    {"sortByLabel", 2, 2, template_sort_by_label, "name, samples: in order of that label"},
    {"graphLink", 1, 1, template_graph_link, "path of the graph of an expression"},
    {"tableLink", 1, 1, template_table_link, "path of the table of an expression"},
    {"args", 0, 32, template_args, "its arguments as arg0, arg1 ... of a map"},
    {"tmpl", 2, 2, template_tmpl, "name, data: what a named template says"},
    {"pathPrefix", 0, 0, template_path_prefix, "the path of the console's URL"},
    {"externalURL", 0, 0, template_external_url, "the console's URL"},
    {"toTime", 1, 1, template_to_time, "Unix seconds -> a time"},
    {"toDuration", 1, 1, template_to_duration, "seconds -> a duration"},
    {"parseDuration", 1, 1, template_parse_duration, "\"1h30m\" -> seconds"},
    {"now", 0, 0, template_now, "Unix seconds of now"},
    {"date", 2, 2, template_date, "layout, time"},
    {"tz", 2, 2, template_tz, "zone, time: the same moment there"},
    {"since", 1, 1, template_since, "how long ago a time was"},
    {"safeHtml", 1, 1, template_safe_html, "markup that is not escaped"},
    {"safeUrl", 1, 1, template_safe_url, "a URL of any scheme"},
    {"html", 1, 32, template_html, "escaped for a page"},
    {"js", 1, 32, template_js, "escaped for a string of JavaScript"},
    {"urlquery", 1, 32, template_url_query, "escaped for a URL's query"},
    {"urlQueryEscape", 1, 1, template_url_query, "the same, under Prometheus's name"},
    {"urlUnescape", 1, 1, template_url_unescape, "the opposite"},
    {"toJson", 1, 1, template_to_json, "as JSON"},
    {"slice", 1, 4, template_slice, "a part of a text or list: from, to"},
    {"len", 1, 1, template_length, "bytes of a text, items of a list"},
    {"index", 1, 32, template_index, "item of a list by number, of a map by key"},
};

#define FUNCTION_COUNT (sizeof functions / sizeof functions[0])

const struct template_function *template_function_find(struct bytes name)
{
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        if (bytes_equal(bytes_of(functions[i].name), name))
            return &functions[i];
    return NULL;
}

const char *template_function_near(const char *name)
{
    const char *names[FUNCTION_COUNT];
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        names[i] = functions[i].name;
    return nearest_name(name, names, FUNCTION_COUNT);
}
