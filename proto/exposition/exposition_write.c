/* exposition_write.c - series and metadata lines of the Prometheus text format; see
 * exposition.h. */
#include <inttypes.h>

#include "proto/exposition/exposition_parts.h"

static bool is_classic(struct bytes name, bool with_colon)
{
    for (size_t i = 0; i < name.size; i++) {
        if (!exposition_is_name_byte(name.data[i], i == 0, with_colon))
            return false;
    }
    return name.size > 0;
}

static void put_escaped(struct buf *out, struct bytes text, bool with_quotes)
{
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        const char *escape = c == '\\'                 ? "\\\\"
                             : c == '\n'               ? "\\n"
                             : c == '"' && with_quotes ? "\\\""
                                                       : NULL;
        if (escape == NULL)
            continue;
        buf_put(out, text.data + from, i - from);
        buf_put_text(out, escape);
        from = i + 1;
    }
    if (text.size > from)
        buf_put(out, text.data + from, text.size - from);
}

static void put_quoted(struct buf *out, struct bytes text)
{
    buf_put_char(out, '"');
    put_escaped(out, text, true);
    buf_put_char(out, '"');
}

static void put_name(struct buf *out, struct bytes name, bool with_colon)
{
    if (is_classic(name, with_colon))
        buf_put(out, name.data, name.size);
    else
        put_quoted(out, name);
}

void exposition_put_series(struct buf *out, struct bytes name, const struct label *labels,
                           size_t count)
{
    const char *separator = "{";
    if (is_classic(name, true)) {
        buf_put(out, name.data, name.size);
    } else {
        buf_put_char(out, '{');
        put_quoted(out, name);
        separator = ",";
    }
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(labels[i].name, bytes_of("__name__")))
            continue;
        buf_put_text(out, separator);
        separator = ",";
        put_name(out, labels[i].name, false);
        buf_put_char(out, '=');
        put_quoted(out, labels[i].value);
    }
    if (*separator == ',')
        buf_put_char(out, '}');
}

static void put_time(struct buf *out, int64_t time_ms)
{
    char reversed[20];
    size_t size = 0;
    uint64_t rest = time_ms < 0 ? 0 - (uint64_t)time_ms : (uint64_t)time_ms;
    do {
        reversed[size++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    buf_put_char(out, ' ');
    if (time_ms < 0)
        buf_put_char(out, '-');
    while (size > 0)
        buf_put_char(out, reversed[--size]);
    buf_put_char(out, '\n');
}

void exposition_put_sample(struct buf *out, struct bytes series, double value, int64_t time_ms)
{
    char text[EXPOSITION_NUMBER_BYTES];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits != EXPOSITION_STALE_BITS) {
        buf_put(out, series.data, series.size);
        buf_put_char(out, ' ');
        buf_put(out, text, exposition_number_text(value, text));
        put_time(out, time_ms);
        if (value == value || bits == EXPOSITION_NAN_BITS)
            return;
        /* Others have read NaN; we go on to say which. */
        buf_printf(out, "# NAN %016" PRIx64 " ", bits);
    } else {
        buf_put_text(out, "# STALE ");
    }
    buf_put(out, series.data, series.size);
    put_time(out, time_ms);
}

static const char *type_word(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
    case METRIC_INFO: /* the format has no word for it; a gauge of 1 is what it is */
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    case METRIC_SUMMARY:
        return "summary";
    case METRIC_UNTYPED:
        return "untyped";
    case METRIC_UNKNOWN:
        break;
    }
    return NULL;
}

static void put_keyword(struct buf *out, const char *keyword, struct bytes name)
{
    buf_put_text(out, keyword);
    put_name(out, name, true);
    buf_put_char(out, ' ');
}

void exposition_put_family(struct buf *out, const struct exposition_family *family)
{
    const char *type = type_word(family->type);
    if (family->help.size > 0) {
        put_keyword(out, "# HELP ", family->name);
        put_escaped(out, family->help, false);
        buf_put_char(out, '\n');
    }
    if (type != NULL) {
        put_keyword(out, "# TYPE ", family->name);
        buf_put_text(out, type);
        buf_put_char(out, '\n');
    }
    if (family->unit.size > 0) {
        put_keyword(out, "# UNIT ", family->name);
        put_escaped(out, family->unit, false);
        buf_put_char(out, '\n');
    }
}
