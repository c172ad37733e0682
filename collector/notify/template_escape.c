/*
 * template_escape.c - values inside of pages, URLs, scripts and JSON.
 *
 * Actions of a page (an html mail) print what cannot become markup: text is escaped as Go's
 * html/template escapes it, and in a link (href, src ...) a value may not bring a scheme of its
 * own but http, https or mailto, and what no URL holds is percent-encoded.  safeHtml and
 * safeUrl say that a value is what it should be.
 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "collector/notify/json.h"
#include "collector/notify/template_tree.h"
#include "proto/base/error.h"
#include "proto/base/utf8.h"

typedef struct template_machine machine_type;

/* ---- characters -------------------------------------------------------------------------- */

static void put_html(struct buf *out, struct bytes text, bool is_page)
{
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        switch (c) {
        case '\0':
            buf_put_text(out, "\xef\xbf\xbd");
            break;
        case '"':
            buf_put_text(out, "&#34;");
            break;
        case '\'':
            buf_put_text(out, "&#39;");
            break;
        case '&':
            buf_put_text(out, "&amp;");
            break;
        case '<':
            buf_put_text(out, "&lt;");
            break;
        case '>':
            buf_put_text(out, "&gt;");
            break;
        case '+':
            buf_put_text(out, is_page ? "&#43;" : "+"); /* not to be read as UTF-7 */
            break;
        default:
            buf_put_u8(out, c);
            break;
        }
    }
}

static bool is_unreserved(uint8_t c)
{
    return isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~';
}

/* Percent-encodes; `kept` are further characters that stay, blanks become `blank`.  The digits
 * of a page are small, those of urlquery capital: so Go prints them. */
static void put_url(struct buf *out, struct bytes text, const char *kept, const char *blank)
{
    const bool is_page = strcmp(blank, "+") != 0;
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        if (is_unreserved(c) || (c != '\0' && strchr(kept, c) != NULL))
            buf_put_u8(out, c);
        else if (c == '%' && *kept != '\0' && i + 2 < text.size && isxdigit(text.data[i + 1]) &&
                 isxdigit(text.data[i + 2]))
            buf_put_u8(out, c);
        else if (c == ' ')
            buf_put_text(out, blank);
        else
            buf_printf(out, is_page ? "%%%02x" : "%%%02X", c);
    }
}

/* ---- where in a page ----------------------------------------------------------------------
 */

/* The value of a link's attribute that the page so far ends in; false: it ends in none. */
static bool in_link(const struct buf *page, struct bytes *ret_value)
{
    static const char *const links[] = {"href", "src", "action", "background", "cite"};
    const char *text = (const char *)page->data;
    size_t start = page->size, at, name, name_size;

    while (start > 0 && text[start - 1] != '<' && text[start - 1] != '>')
        start--;
    if (start == 0 || text[start - 1] != '<')
        return false;
    for (at = start; at < page->size;) { /* attribute after attribute */
        char quote;
        while (at < page->size && text[at] != '=')
            at++;
        for (name = at; name > start && !isspace((unsigned char)text[name - 1]);)
            name--;
        name_size = at - name;
        at++;
        if (at >= page->size || (text[at] != '"' && text[at] != '\''))
            return false;
        quote = text[at++];
        const char *close = at < page->size ? memchr(text + at, quote, page->size - at) : NULL;
        if (close != NULL) {
            at = (size_t)(close - text) + 1;
            continue;
        }
        for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
            if (strlen(links[i]) == name_size &&
                strncasecmp(links[i], text + name, name_size) == 0) {
                *ret_value = (struct bytes){(const uint8_t *)text + at, page->size - at};
                return true;
            }
        return false;
    }
    return false;
}

/* "javascript:..." would run, "http:..." leads somewhere; what has no scheme is a path. */
static bool has_bad_scheme(struct bytes url)
{
    static const char *const good[] = {"http", "https", "mailto"};
    size_t size = 0;
    while (size < url.size && url.data[size] != ':' && url.data[size] != '/')
        size++;
    if (size == url.size || url.data[size] == '/')
        return false;
    for (size_t i = 0; i < 3; i++)
        if (strlen(good[i]) == size && strncasecmp(good[i], (const char *)url.data, size) == 0)
            return false;
    return true;
}

static void put_in_link(const struct value *value, struct bytes text, struct bytes before,
                        struct buf *out)
{
    const bool in_query = before.size > 0 && (memchr(before.data, '?', before.size) != NULL ||
                                              memchr(before.data, '#', before.size) != NULL);
    struct buf url = {0};

    if (before.size == 0 && value->trait != TRAIT_URL && has_bad_scheme(text))
        buf_put_text(&url, "#ZgotmplZ");
    else
        put_url(&url, text, in_query ? "" : "!#$&*+,/:;=?@[]", "%20");
    put_html(out, buf_bytes(&url), true);
    if (!buf_ok(&url))
        out->failed = true;
    buf_done(&url);
}

void template_escape_print(const struct value *value, struct buf *out)
{
    struct buf text;
    struct bytes before;

    if (value->kind == VALUE_NIL)
        return;
    if (value->kind == VALUE_STRING && value->trait == TRAIT_HTML) {
        template_value_print(value, out);
        return;
    }
    buf_init(&text, TEMPLATE_OUTPUT_MAX);
    template_value_print(value, &text);
    if (in_link(out, &before))
        put_in_link(value, buf_bytes(&text), before, out);
    else
        put_html(out, buf_bytes(&text), true);
    if (!buf_ok(&text))
        out->failed = true;
    buf_done(&text);
}

/* ---- functions --------------------------------------------------------------------------- */

static int mark(machine_type *machine, const struct value *argument, enum value_trait trait,
                struct value *ret_value)
{
    struct bytes text = {0};
    int error = template_value_to_text(machine, argument, &text);
    if (error == 0)
        *ret_value = (struct value){.kind = VALUE_STRING, .trait = trait, .as.text = text};
    return error;
}

int template_safe_html(machine_type *machine, const struct value *arguments, size_t count,
                       struct value *ret_value)
{
    (void)count;
    return mark(machine, &arguments[0], TRAIT_HTML, ret_value);
}

int template_safe_url(machine_type *machine, const struct value *arguments, size_t count,
                      struct value *ret_value)
{
    (void)count;
    return mark(machine, &arguments[0], TRAIT_URL, ret_value);
}

/* The arguments as print() joins them. */
static int whole_text(machine_type *machine, const struct value *arguments, size_t count,
                      struct bytes *ret_text)
{
    const struct template_function *print = template_function_find(bytes_of("print"));
    struct value text = {0};
    int error = print->call(machine, arguments, count, &text);
    if (error == 0)
        *ret_text = text.as.text;
    return error;
}

int template_html(machine_type *machine, const struct value *arguments, size_t count,
                  struct value *ret_value)
{
    struct bytes text = {0};
    struct buf out = {0};
    int error = whole_text(machine, arguments, count, &text);
    if (error != 0)
        return error;
    put_html(&out, text, false);
    return template_value_keep(machine, &out, ret_value);
}

int template_js(machine_type *machine, const struct value *arguments, size_t count,
                struct value *ret_value)
{
    struct bytes text = {0};
    struct buf out = {0};
    int error = whole_text(machine, arguments, count, &text);
    if (error != 0)
        return error;
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        if (c == '\\' || c == '\'' || c == '"')
            buf_printf(&out, "\\%c", c);
        else if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == '=')
            buf_printf(&out, "\\u%04X", c);
        else
            buf_put_u8(&out, c);
    }
    return template_value_keep(machine, &out, ret_value);
}

int template_url_query(machine_type *machine, const struct value *arguments, size_t count,
                       struct value *ret_value)
{
    struct bytes text = {0};
    struct buf out = {0};
    int error = whole_text(machine, arguments, count, &text);
    if (error != 0)
        return error;
    put_url(&out, text, "", "+");
    return template_value_keep(machine, &out, ret_value);
}

static int hex_digit(uint8_t c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

int template_url_unescape(machine_type *machine, const struct value *arguments, size_t count,
                          struct value *ret_value)
{
    struct bytes text = {0};
    struct buf out = {0};
    int error = template_value_to_text(machine, &arguments[0], &text);
    (void)count;
    for (size_t i = 0; error == 0 && i < text.size; i++) {
        const uint8_t c = text.data[i];
        const int high = c == '%' && i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
        const int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
        if (c != '%') {
            buf_put_u8(&out, c == '+' ? ' ' : c);
        } else if (low >= 0) {
            buf_put_u8(&out, (uint8_t)(high * 16 + low));
            i += 2;
        } else {
            error = diagnose(machine->why, ERR_INVALID, "invalid URL escape");
        }
    }
    if (error != 0) {
        buf_done(&out);
        return error;
    }
    return template_value_keep(machine, &out, ret_value);
}

/* ---- JSON -------------------------------------------------------------------------------- */

#define JSON_DEPTH_MAX 16

static void put_json(struct buf *out, const struct value *value, unsigned depth)
{
    char number[VALUE_NUMBER_BYTES];
    const bool is_list = value->kind == VALUE_LIST;
    const size_t count = is_list                    ? value->as.list.count
                         : value->kind == VALUE_MAP ? value->as.map.count
                                                    : 0;
    switch (depth == JSON_DEPTH_MAX ? VALUE_NIL : value->kind) {
    case VALUE_BOOL:
        buf_put_text(out, value->as.boolean ? "true" : "false");
        return;
    case VALUE_INTEGER:
        buf_printf(out, "%" PRId64, value->as.integer);
        return;
    case VALUE_DURATION:
        buf_printf(out, "%" PRId64 "000000", value->as.duration_ms);
        return;
    case VALUE_FLOAT:
        buf_put_text(out, isfinite(value->as.real)
                              ? template_value_number_text(value->as.real, number)
                              : "null");
        return;
    case VALUE_STRING:
        json_put_string(out, value->as.text);
        return;
    case VALUE_LABELS:
        json_put_labels(out, value->as.labels);
        return;
    case VALUE_TIME: {
        struct buf text = {0};
        template_time_format(value, bytes_of("2006-01-02T15:04:05.999999999Z07:00"), &text);
        json_put_string(out, buf_bytes(&text));
        buf_done(&text);
        return;
    }
    case VALUE_LIST:
    case VALUE_MAP:
        buf_put_char(out, is_list ? '[' : '{');
        for (size_t i = 0; i < count; i++) {
            buf_put_text(out, i > 0 ? "," : "");
            if (!is_list) {
                json_put_text(out, value->as.map.fields[i].name);
                buf_put_char(out, ':');
            }
            put_json(out, is_list ? &value->as.list.items[i] : &value->as.map.fields[i].value,
                     depth + 1);
        }
        buf_put_char(out, is_list ? ']' : '}');
        return;
    default:
        buf_put_text(out, "null");
        return;
    }
}

int template_to_json(machine_type *machine, const struct value *arguments, size_t count,
                     struct value *ret_value)
{
    struct buf out;
    (void)count;
    buf_init(&out, TEMPLATE_OUTPUT_MAX);
    put_json(&out, &arguments[0], 0);
    return template_value_keep(machine, &out, ret_value);
}
