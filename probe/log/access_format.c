/*
 * access_format.c - see access_format.h: from a server's words to steps.
 */
#include "probe/log/access_format.h"

#include <ctype.h>
#include <string.h>

#include "proto/base/error.h"

struct word {
    const char *name;
    enum access_field field;
};

static const struct word nginx_words[] = {
    {"request", ACCESS_REQUEST},
    {"request_method", ACCESS_METHOD},
    {"status", ACCESS_STATUS},
    {"body_bytes_sent", ACCESS_SENT},
    {"bytes_sent", ACCESS_SENT},
    {"request_length", ACCESS_RECEIVED},
    {"request_time", ACCESS_SECONDS},
    {"upstream_response_time", ACCESS_UPSTREAM_SECONDS},
    {"host", ACCESS_VHOST},
    {"http_host", ACCESS_VHOST},
    {"server_name", ACCESS_SITE},
    {"time_local", ACCESS_TIME_LOCAL},
    {"time_iso8601", ACCESS_TIME_ISO},
    {"msec", ACCESS_TIME_UNIX},
    /* no variables of nginx's: squid's native format is written with them below */
    {"squid_elapsed", ACCESS_MILLISECONDS},
    {"squid_result", ACCESS_RESULT},
    {NULL, ACCESS_SKIP},
};

/* Behind the percent sign, modifiers left out. */
static const struct word apache_words[] = {
    {"v", ACCESS_VHOST},
    {"V", ACCESS_VHOST},
    {"r", ACCESS_REQUEST},
    {"m", ACCESS_METHOD},
    {"s", ACCESS_STATUS},
    {"b", ACCESS_SENT},
    {"B", ACCESS_SENT},
    {"O", ACCESS_SENT},
    {"I", ACCESS_RECEIVED},
    {"D", ACCESS_MICROSECONDS},
    {"T", ACCESS_SECONDS},
    {"{s}T", ACCESS_SECONDS},
    {"{ms}T", ACCESS_MILLISECONDS},
    {"{us}T", ACCESS_MICROSECONDS},
    {"{Host}i", ACCESS_VHOST},
    {NULL, ACCESS_SKIP},
};

static const struct word column_words[] = {
    {"date", ACCESS_DATE_UTC},     {"time", ACCESS_CLOCK_UTC},
    {"cs-host", ACCESS_VHOST},     {"s-sitename", ACCESS_SITE},
    {"s-siteid", ACCESS_SITE},     {"cs-method", ACCESS_METHOD},
    {"sc-status", ACCESS_STATUS},  {"sc-bytes", ACCESS_SENT},
    {"cs-bytes", ACCESS_RECEIVED}, {"time-taken", ACCESS_MILLISECONDS},
    {"s-reason", ACCESS_RESULT},   {NULL, ACCESS_SKIP},
};

#define COMMON   "$remote_addr $ident $remote_user [$time_local] \"$request\" $status $bytes_sent"
#define COMBINED COMMON " \"$http_referer\" \"$http_user_agent\""

static const struct {
    const char *name;
    const char *format; /* NULL: columns */
} known[] = {
    {"common", COMMON},
    {"combined", COMBINED},
    {"vhost_combined", "$host:$server_port " COMBINED},
    {"nginx_timed", COMBINED " $request_time $upstream_response_time"},
    {"squid", "$msec $squid_elapsed $remote_addr $squid_result/$status $bytes_sent "
              "$request_method $request_uri $remote_user $hierarchy $content_type"},
    {"w3c", NULL},
    {"iis", NULL},
    {"httperr", NULL},
};

static enum access_field field_of(const struct word *words, const char *name, size_t size)
{
    for (; words->name != NULL; words++)
        if (strlen(words->name) == size && memcmp(words->name, name, size) == 0)
            return words->field;
    return ACCESS_SKIP;
}

static bool put_literal(struct access_format *format, char byte)
{
    bool is_space = byte == ' ' || byte == '\t';
    if (format->literal_bytes == ACCESS_LITERAL_BYTES_MAX)
        return false;
    struct access_step *step = format->count > 0 ? &format->steps[format->count - 1] : NULL;
    size_t size = step != NULL ? step->literal_size : format->prefix_size;
    if (is_space && size > 0 && format->literals[format->literal_bytes - 1] == ' ')
        return true; /* a run of them is one */
    if (size == UINT8_MAX)
        return false;
    format->literals[format->literal_bytes++] = is_space ? ' ' : byte;
    if (step != NULL)
        step->literal_size++;
    else
        format->prefix_size++;
    return true;
}

/* False: too many, or nothing stands between two of them. */
static bool put_field(struct access_format *format, enum access_field field)
{
    if (format->count == ACCESS_STEPS_MAX ||
        (format->count > 0 && format->steps[format->count - 1].literal_size == 0))
        return false;
    format->steps[format->count++] = (struct access_step){
        .field = (uint8_t)field, .literal = (uint16_t)format->literal_bytes};
    return true;
}

static size_t word_size(const char *text)
{
    size_t size = 0;
    while (isalnum((unsigned char)text[size]) || text[size] == '_')
        size++;
    return size;
}

/* A variable at `text`, $name or ${name}; its size, or 0: none. */
static size_t take_nginx(struct access_format *format, const char *text)
{
    bool is_braced = text[1] == '{';
    const char *name = text + 1 + is_braced;
    size_t size = word_size(name);
    if (size == 0 || (is_braced && name[size] != '}') ||
        !put_field(format, field_of(nginx_words, name, size)))
        return 0;
    return size + 1 + 2 * (size_t)is_braced;
}

/* A directive at `text`: %, statuses and < or > that say when, {...}, ^, a letter or two. */
static size_t take_apache(struct access_format *format, const char *text)
{
    size_t at = 1;
    char word[32];
    size_t size = 0;
    while (text[at] != '\0' && strchr("<>!,0123456789", text[at]) != NULL)
        at++;
    if (text[at] == '{') {
        const char *end = strchr(text + at, '}');
        if (end == NULL)
            return 0;
        for (; text + at <= end; at++)
            if (size < sizeof word - 3)
                word[size++] = text[at];
    }
    if (text[at] == '^') /* %^ti, %^to */
        at++;
    if (!isalpha((unsigned char)text[at]))
        return 0;
    word[size++] = text[at++];
    if (text[at - 2] == '^' && isalpha((unsigned char)text[at]))
        at++;
    /* %t brings its brackets along. */
    bool is_time = size == 1 && word[0] == 't';
    if (is_time && !put_literal(format, '['))
        return 0;
    if (!put_field(format, is_time ? ACCESS_TIME_LOCAL : field_of(apache_words, word, size)))
        return 0;
    return !is_time || put_literal(format, ']') ? at : 0;
}

static int compile(const char *text, struct access_format *format, struct diagnosis *why)
{
    char mark = strchr(text, '$') != NULL ? '$' : '%';
    for (const char *at = text; *at != '\0';) {
        if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
            at++; /* as it stands in a server's configuration */
        else if (*at == mark && at[1] != mark) {
            size_t size = mark == '$' ? take_nginx(format, at) : take_apache(format, at);
            if (size == 0)
                return diagnose(
                    why, ERR_INVALID,
                    "format: not understood at \"%.20s\": a field needs a name, and "
                    "text before the next one",
                    at);
            at += size;
            continue;
        } else if (*at == mark)
            at++;
        if (!put_literal(format, *at++))
            return diagnose(why, ERR_INVALID, "format: longer than %d bytes of text",
                            ACCESS_LITERAL_BYTES_MAX);
    }
    for (size_t i = 0; i < format->count; i++)
        if (format->steps[i].field == ACCESS_STATUS)
            return 0;
    return diagnose(why, ERR_INVALID, "format: without the answer's status");
}

int access_format_read(const char *text, struct access_format *ret_format,
                       struct diagnosis *why)
{
    *ret_format = (struct access_format){0};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(text, known[i].name) != 0)
            continue;
        ret_format->has_columns = known[i].format == NULL;
        return ret_format->has_columns ? 0 : compile(known[i].format, ret_format, why);
    }
    if (strpbrk(text, "$%") == NULL)
        return diagnose(why, ERR_INVALID,
                        "format: \"%s\" is none of common, combined, vhost_combined, "
                        "nginx_timed, squid, w3c, iis, httperr, and no log_format either",
                        text);
    return compile(text, ret_format, why);
}

bool access_format_columns(struct access_format *format, struct bytes line)
{
    static const char start[] = "#Fields:";
    size_t at = sizeof start - 1;
    if (line.size < at || memcmp(line.data, start, at) != 0)
        return false;
    *format = (struct access_format){.has_columns = true};
    while (at < line.size) {
        const char *name = (const char *)line.data + at;
        size_t size = 0;
        while (at + size < line.size && !isspace(line.data[at + size]))
            size++;
        if (size > 0 && ((format->count > 0 && !put_literal(format, ' ')) ||
                         !put_field(format, field_of(column_words, name, size)))) {
            *format = (struct access_format){.has_columns = true};
            return true;
        }
        at += size + 1;
    }
    return true;
}
