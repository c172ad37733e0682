/*
 * access_line.c - see access_format.h: from a line to a hit.
 */
#include <string.h>

#include "probe/log/access_format.h"
#include "proto/base/civil.h"

#define MS_PER_SECOND 1000

/* ---- numbers and times ------------------------------------------------------------------ */

static bool is_dash(struct bytes text)
{
    return text.size == 0 || (text.size == 1 && text.data[0] == '-');
}

static bool take_whole(struct bytes text, uint64_t *ret_number)
{
    uint64_t number = 0;
    *ret_number = 0;
    if (is_dash(text))
        return true;
    if (text.size > 18)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = text.data[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

/* Digits with a point among them, from *at on. */
static bool take_decimal(struct bytes text, size_t *at, double *ret_number)
{
    static const double parts[] = {1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9};
    uint64_t number = 0;
    size_t digits = 0, behind = 0;
    bool has_point = false;
    for (; *at < text.size; *at += 1) {
        unsigned digit = text.data[*at] - (unsigned)'0';
        if (text.data[*at] == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (digit > 9)
            break;
        if (++digits > 18)
            return false;
        number = number * 10 + digit;
        behind += has_point;
    }
    if (digits == 0 || behind >= sizeof parts / sizeof *parts)
        return false;
    *ret_number = (double)number * parts[behind];
    return true;
}

static bool take_seconds(struct bytes text, double unit, double *ret_seconds)
{
    size_t at = 0;
    double number;
    if (is_dash(text))
        return true;
    if (!take_decimal(text, &at, &number) || at != text.size)
        return false;
    *ret_seconds = number * unit;
    return true;
}

/* A number a server that was asked; a dash for one that did not answer. */
static bool take_sum(struct bytes text, double *ret_seconds)
{
    double sum = -1, one;
    for (size_t at = 0; at < text.size;) {
        uint8_t byte = text.data[at];
        if (byte == ',' || byte == ':' || byte == ' ' || byte == '-') {
            at++;
            continue;
        }
        if (!take_decimal(text, &at, &one))
            return false;
        sum = (sum < 0 ? 0 : sum) + one;
    }
    *ret_seconds = sum;
    return true;
}

/* `digits` digits at `at`; -1: others. */
static int64_t digits_at(struct bytes text, size_t at, size_t digits)
{
    int64_t number = 0;
    if (at + digits > text.size)
        return -1;
    for (size_t i = at; i < at + digits; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

static bool take_day(int64_t year, int64_t month, int64_t day, int64_t *ts_ms)
{
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    *ts_ms += civil_days(year, (int)month, (int)day) * CIVIL_DAY_MS;
    return true;
}

/* 13:55:36 at `at`. */
static bool take_clock(struct bytes text, size_t at, int64_t *ts_ms)
{
    int64_t hour = digits_at(text, at, 2), minute = digits_at(text, at + 3, 2),
            second = digits_at(text, at + 6, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    *ts_ms += ((hour * 60 + minute) * 60 + second) * MS_PER_SECOND;
    return true;
}

/* -0700 or -07:00 at `at`, Z, or nothing: taken as UTC. */
static bool take_zone(struct bytes text, size_t at, int64_t *ts_ms)
{
    if (at >= text.size || text.data[at] == 'Z')
        return true;
    size_t colon = at + 3 < text.size && text.data[at + 3] == ':';
    int64_t hours = digits_at(text, at + 1, 2), minutes = digits_at(text, at + 3 + colon, 2);
    if (hours < 0 || minutes < 0 || (text.data[at] != '+' && text.data[at] != '-'))
        return false;
    int64_t offset_ms = (hours * 60 + minutes) * 60 * MS_PER_SECOND;
    *ts_ms += text.data[at] == '+' ? -offset_ms : offset_ms;
    return true;
}

static bool take_time_local(struct bytes text, int64_t *ts_ms)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t month = 0;
    if (text.size < 20)
        return false;
    for (int64_t i = 0; i < 12; i++)
        if (memcmp(text.data + 3, names + 3 * i, 3) == 0)
            month = i + 1;
    return take_day(digits_at(text, 7, 4), month, digits_at(text, 0, 2), ts_ms) &&
           take_clock(text, 12, ts_ms) && take_zone(text, 21, ts_ms);
}

static bool take_date(struct bytes text, int64_t *ts_ms)
{
    return take_day(digits_at(text, 0, 4), digits_at(text, 5, 2), digits_at(text, 8, 2), ts_ms);
}

static bool take_unix(struct bytes text, int64_t *ts_ms)
{
    double seconds = 0;
    if (!take_seconds(text, 1, &seconds) || seconds > 1e11)
        return false;
    *ts_ms = (int64_t)(seconds * MS_PER_SECOND);
    return true;
}

/* ---- fields ----------------------------------------------------------------------------- */

/* "GET /x HTTP/1.1"; what is no request (a TLS hello on a plain port) has no method. */
static void take_request(struct bytes text, struct access_hit *hit)
{
    size_t size = 0;
    while (size < text.size && text.data[size] >= 'A' && text.data[size] <= 'Z')
        size++;
    if (size > 0 && size < text.size && text.data[size] == ' ')
        hit->method = (struct bytes){text.data, size};
}

static bool take_status(struct bytes text, struct access_hit *hit)
{
    uint64_t status;
    if (!take_whole(text, &status) || (status != 0 && (status < 100 || status > 999)))
        return false;
    hit->status = (uint32_t)status;
    return true;
}

static bool take_field(enum access_field field, struct bytes text, struct access_hit *hit)
{
    switch (field) {
    case ACCESS_SKIP:
        return true;
    case ACCESS_SITE:
        if (hit->vhost.size == 0 && !is_dash(text))
            hit->vhost = text;
        return true;
    case ACCESS_VHOST:
        if (!is_dash(text))
            hit->vhost = text;
        return true;
    case ACCESS_REQUEST:
        take_request(text, hit);
        return true;
    case ACCESS_METHOD:
        hit->method = is_dash(text) ? (struct bytes){0} : text;
        return true;
    case ACCESS_STATUS:
        return take_status(text, hit);
    case ACCESS_SENT:
        return take_whole(text, &hit->sent_bytes);
    case ACCESS_RECEIVED:
        return take_whole(text, &hit->received_bytes);
    case ACCESS_SECONDS:
        return take_seconds(text, 1, &hit->seconds);
    case ACCESS_MILLISECONDS:
        return take_seconds(text, 1e-3, &hit->seconds);
    case ACCESS_MICROSECONDS:
        return take_seconds(text, 1e-6, &hit->seconds);
    case ACCESS_UPSTREAM_SECONDS:
        return take_sum(text, &hit->upstream_seconds);
    case ACCESS_RESULT:
        hit->result = is_dash(text) ? (struct bytes){0} : text;
        return true;
    case ACCESS_TIME_LOCAL:
        return take_time_local(text, &hit->ts_ms);
    case ACCESS_TIME_ISO:
        return take_date(text, &hit->ts_ms) && take_clock(text, 11, &hit->ts_ms) &&
               take_zone(text, 19, &hit->ts_ms);
    case ACCESS_TIME_UNIX:
        return take_unix(text, &hit->ts_ms);
    case ACCESS_DATE_UTC:
        return take_date(text, &hit->ts_ms);
    case ACCESS_CLOCK_UTC:
        return take_clock(text, 0, &hit->ts_ms);
    }
    return false;
}

/* ---- the line --------------------------------------------------------------------------- */

/* Where the literal ends if it stands at `at`; 0: it does not. */
static size_t match_literal(struct bytes line, size_t at, const char *literal, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at >= line.size || line.data[at] != (uint8_t)literal[i])
            return 0;
        at++;
        while (literal[i] == ' ' && at < line.size && line.data[at] == ' ')
            at++;
    }
    return at;
}

/* Is the space at `at` one between two numbers of upstream servers? */
static bool is_in_list(struct bytes line, size_t at)
{
    return (at > 0 && (line.data[at - 1] == ',' || line.data[at - 1] == ':')) ||
           (at + 1 < line.size && line.data[at + 1] == ':');
}

/* The end of a field that begins at `at`, and *ret_next behind the text that follows it. */
static bool find_end(const struct access_format *format, const struct access_step *step,
                     struct bytes line, size_t at, size_t *ret_end, size_t *ret_next)
{
    const char *literal = format->literals + step->literal;
    if (step->literal_size == 0) {
        size_t end = at;
        while (end < line.size &&
               (line.data[end] != ' ' ||
                (step->field == ACCESS_UPSTREAM_SECONDS && is_in_list(line, end))))
            end++;
        *ret_end = *ret_next = end;
        return true;
    }
    for (size_t from = at; from < line.size; from++) {
        const uint8_t *found = memchr(line.data + from, literal[0], line.size - from);
        if (found == NULL)
            return false;
        from = (size_t)(found - line.data);
        size_t slashes = 0;
        while (literal[0] == '"' && from - slashes > at &&
               line.data[from - slashes - 1] == '\\')
            slashes++;
        bool is_kept = slashes % 2 == 1 || (step->field == ACCESS_UPSTREAM_SECONDS &&
                                            literal[0] == ' ' && is_in_list(line, from));
        size_t next = is_kept ? 0 : match_literal(line, from, literal, step->literal_size);
        if (next != 0) {
            *ret_end = from;
            *ret_next = next;
            return true;
        }
    }
    return false;
}

enum access_answer access_format_line(const struct access_format *format, struct bytes line,
                                      struct access_hit *ret_hit)
{
    struct access_hit hit = {.seconds = -1, .upstream_seconds = -1};
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    if (line.size == 0 || (format->has_columns && line.data[0] == '#'))
        return ACCESS_COMMENT;
    size_t at = match_literal(line, 0, format->literals, format->prefix_size);
    if (format->count == 0 || (format->prefix_size > 0 && at == 0))
        return ACCESS_BAD;
    for (size_t i = 0; i < format->count; i++) {
        size_t end, next;
        if (!find_end(format, &format->steps[i], line, at, &end, &next))
            return ACCESS_BAD;
        if (!take_field((enum access_field)format->steps[i].field,
                        (struct bytes){line.data + at, end - at}, &hit))
            return ACCESS_BAD;
        at = next;
    }
    /* Columns are all there is; other formats may have been given more at their end. */
    if (format->has_columns && at != line.size)
        return ACCESS_BAD;
    *ret_hit = hit;
    return ACCESS_HIT;
}
