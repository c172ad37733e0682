/*
 * template_printf.c - printf as Go's fmt.Sprintf: flags + - # blank 0, width and precision
 * (also as *), argument numbers [2], and what Go prints when verb and argument do not fit:
 *
 *     %!d(string=up)    %!s(MISSING)    %!(EXTRA int=3)    %!(NOVERB)    %!d(BADINDEX)
 *
 * Not there: %p, %b of floats, hexadecimal floats, %#v of what is no text.
 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"
#include "proto/base/utf8.h"

#define WIDTH_MAX 1000

struct spec {
    bool plus, minus, sharp, space, zero;
    int width, precision; /* -1: none */
    uint32_t verb;
};

struct printer {
    struct buf *out;
    struct bytes format;
    size_t at;
    const struct value *arguments;
    size_t count, next;
    bool reordered, good_index;
};

static void format_value(struct buf *out, const struct spec *spec, const struct value *value);

/* ---- padding ----------------------------------------------------------------------------- */

static size_t characters(struct bytes text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += (text.data[i] & 0xC0) != 0x80;
    return count;
}

static void put_padded(struct buf *out, const struct spec *spec, struct bytes text,
                       bool may_be_zeros)
{
    const size_t shown = characters(text);
    const size_t missing =
        spec->width > 0 && (size_t)spec->width > shown ? (size_t)spec->width - shown : 0;
    const char fill = spec->zero && !spec->minus && may_be_zeros ? '0' : ' ';

    for (size_t i = 0; !spec->minus && i < missing; i++)
        buf_put_char(out, fill);
    buf_put(out, text.data, text.size);
    for (size_t i = 0; spec->minus && i < missing; i++)
        buf_put_char(out, ' ');
}

/* ---- whole numbers ----------------------------------------------------------------------- */

/* Digits of `number`, the last first; *at goes down to the first. */
static void put_digits(uint64_t number, unsigned base, bool capital, char **at)
{
    const char *digits = capital ? "0123456789ABCDEF" : "0123456789abcdef";
    do
        *--*at = digits[number % base];
    while ((number /= base) != 0);
}

static void format_integer(struct buf *out, const struct spec *spec, int64_t integer,
                           unsigned base)
{
    char room[WIDTH_MAX + 80], *const end = room + sizeof room, *at = end;
    const bool negative = integer < 0;
    const uint64_t number = negative ? 0 - (uint64_t)integer : (uint64_t)integer;
    int least = spec->precision;
    struct spec plain = *spec;

    plain.zero = false;
    if (spec->precision == 0 && integer == 0) {
        put_padded(out, &plain, (struct bytes){0}, false);
        return;
    }
    if (spec->zero && !spec->minus && spec->precision < 0 && spec->width > 0)
        least = spec->width - (negative || spec->plus || spec->space);
    put_digits(number, base, spec->verb == 'X', &at);
    while (end - at < least)
        *--at = '0';
    if (spec->sharp && base == 16)
        *--at = spec->verb == 'X' ? 'X' : 'x';
    if (spec->sharp && base == 2)
        *--at = 'b';
    if (spec->verb == 'O')
        *--at = 'o';
    if ((spec->sharp && (base != 8 || *at != '0') && base != 10) || spec->verb == 'O')
        *--at = '0';
    if (negative || spec->plus || spec->space)
        *--at = negative ? '-' : spec->plus ? '+' : ' ';
    put_padded(out, &plain, (struct bytes){(uint8_t *)at, (size_t)(end - at)}, false);
}

/* ---- floats ------------------------------------------------------------------------------ */

static void format_float(struct buf *out, const struct spec *spec, double number)
{
    char form[8], text[WIDTH_MAX + 400], shortest[VALUE_NUMBER_BYTES];
    const char verb = spec->verb == 'v' ? 'g' : (char)spec->verb;
    struct spec plain = *spec;
    const char *digits = text, *sign;
    int precision = spec->precision;

    if (!isfinite(number)) {
        plain.zero = false;
        digits = isnan(number) ? "NaN" : "Inf";
    } else if ((verb == 'g' || verb == 'G') && precision < 0) {
        digits = template_value_number_text(fabs(number), shortest);
        for (char *at = shortest; verb == 'G' && *at != '\0'; at++)
            *at = (char)toupper((unsigned char)*at);
    } else {
        (void)snprintf(form, sizeof form, "%%.*%c", verb);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof text, form, precision < 0 ? 6 : precision, fabs(number));
#pragma GCC diagnostic pop
    }
    sign = signbit(number) && !isnan(number)               ? "-"
           : spec->plus || (isinf(number) && !spec->space) ? "+"
           : spec->space                                   ? " "
                                                           : "";
    if (plain.zero && !plain.minus && *sign != '\0') { /* the sign goes before the zeros */
        buf_put_text(out, sign);
        sign = "";
        plain.width--;
    }
    struct buf whole = {0};
    buf_printf(&whole, "%s%s", sign, digits);
    put_padded(out, &plain, buf_bytes(&whole), true);
    buf_done(&whole);
}

/* ---- texts ------------------------------------------------------------------------------- */

static void put_quoted(struct buf *out, struct bytes text)
{
    static const char names[] = "abfnrtv", codes[] = "\a\b\f\n\r\t\v";
    buf_put_char(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        const char *known = c != '\0' ? strchr(codes, c) : NULL;
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (known != NULL)
            buf_printf(out, "\\%c", names[known - codes]);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_put_u8(out, c);
    }
    buf_put_char(out, '"');
}

static void put_hex(struct buf *out, const struct spec *spec, struct bytes text)
{
    const char *form = spec->verb == 'X' ? "%02X" : "%02x";
    for (size_t i = 0; i < text.size; i++) {
        if (spec->space && i > 0)
            buf_put_char(out, ' ');
        if (spec->sharp && (i == 0 || spec->space))
            buf_put_text(out, spec->verb == 'X' ? "0X" : "0x");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        buf_printf(out, form, text.data[i]);
#pragma GCC diagnostic pop
    }
}

static void format_text(struct buf *out, const struct spec *spec, struct bytes text)
{
    struct buf made = {0};

    if (spec->precision >= 0) { /* at most so many characters */
        size_t size = 0, count = 0;
        while (size < text.size &&
               ((text.data[size] & 0xC0) == 0x80 || count < (size_t)spec->precision))
            count += (text.data[size++] & 0xC0) != 0x80;
        text.size = size;
    }
    if (spec->verb == 'q' && spec->sharp && memchr(text.data, '`', text.size) == NULL)
        buf_printf(&made, "`%.*s`", (int)text.size, (const char *)text.data);
    else if (spec->verb == 'q' || (spec->verb == 'v' && spec->sharp))
        put_quoted(&made, text);
    else if (spec->verb == 'x' || spec->verb == 'X')
        put_hex(&made, spec, text);
    else
        buf_put(&made, text.data, text.size);
    put_padded(out, spec, buf_bytes(&made), true);
    if (!buf_ok(&made))
        out->failed = true;
    buf_done(&made);
}

/* ---- values ------------------------------------------------------------------------------ */

static void put_verb(struct buf *out, uint32_t verb)
{
    uint8_t bytes[4];
    buf_put(out, bytes, utf8_encode(verb, bytes));
}

static void put_bad_verb(struct buf *out, const struct spec *spec, const struct value *value)
{
    buf_put_text(out, "%!");
    put_verb(out, spec->verb);
    if (value->kind == VALUE_NIL) {
        buf_put_text(out, "(<nil>)");
        return;
    }
    buf_printf(out, "(%s=", template_value_kind_name(value->kind));
    template_value_print(value, out);
    buf_put_char(out, ')');
}

static void format_rune(struct buf *out, const struct spec *spec, int64_t integer)
{
    uint8_t bytes[4];
    struct buf made = {0};
    const uint32_t code = integer < 0 || integer > 0x10FFFF ? 0xFFFD : (uint32_t)integer;

    if (spec->verb == 'U')
        buf_printf(&made, "U+%04" PRIX64, (uint64_t)integer);
    else if (spec->verb == 'q')
        buf_printf(&made, "'%.*s'", (int)utf8_encode(code, bytes), (const char *)bytes);
    else
        buf_put(&made, bytes, utf8_encode(code, bytes));
    put_padded(out, spec, buf_bytes(&made), true);
    buf_done(&made);
}

static void format_whole(struct buf *out, const struct spec *spec, const struct value *value)
{
    const int64_t integer =
        value->kind == VALUE_DURATION ? value->as.duration_ms * 1000000 : value->as.integer;
    switch (spec->verb) {
    case 'v':
    case 'd':
        format_integer(out, spec, integer, 10);
        return;
    case 'b':
        format_integer(out, spec, integer, 2);
        return;
    case 'o':
    case 'O':
        format_integer(out, spec, integer, 8);
        return;
    case 'x':
    case 'X':
        format_integer(out, spec, integer, 16);
        return;
    case 'c':
    case 'q':
    case 'U':
        format_rune(out, spec, integer);
        return;
    default:
        put_bad_verb(out, spec, value);
        return;
    }
}

/* A list prints its items with the same verb. */
static void format_list(struct buf *out, const struct spec *spec, const struct value *value)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < value->as.list.count; i++) {
        const struct value *item = &value->as.list.items[i];
        if (i > 0)
            buf_put_char(out, ' ');
        if (item->kind == VALUE_LIST || item->kind == VALUE_MAP)
            template_value_print(item, out);
        else
            format_value(out, spec, item);
    }
    buf_put_char(out, ']');
}

/* %v and %s of what has no digits of its own. */
static void format_printed(struct buf *out, const struct spec *spec, const struct value *value)
{
    struct buf made = {0};
    if (value->kind == VALUE_NIL)
        buf_put_text(&made, "<nil>");
    else
        template_value_print(value, &made);
    put_padded(out, spec, buf_bytes(&made), false);
    buf_done(&made);
}

static void format_value(struct buf *out, const struct spec *spec, const struct value *value)
{
    const uint32_t verb = spec->verb;
    const bool is_ascii = verb < 0x80;

    if (verb == 'T') {
        format_text(
            out,
            &(struct spec){
                .width = spec->width, .precision = -1, .verb = 's', .minus = spec->minus},
            bytes_of(value->kind == VALUE_NIL ? "<nil>"
                                              : template_value_kind_name(value->kind)));
    } else if (value->kind == VALUE_LIST) {
        format_list(out, spec, value);
    } else if (value->kind == VALUE_STRING && is_ascii && strchr("vsxXq", (int)verb) != NULL) {
        format_text(out, spec, value->as.text);
    } else if (value->kind == VALUE_FLOAT && is_ascii && strchr("veEfFgG", (int)verb) != NULL) {
        format_float(out, spec, value->as.real);
    } else if (value->kind == VALUE_BOOL && verb == 't') {
        format_printed(out, spec, value);
    } else if (value->kind == VALUE_INTEGER || (value->kind == VALUE_DURATION && verb == 'd')) {
        format_whole(out, spec, value);
    } else if (value->kind != VALUE_FLOAT && value->kind != VALUE_STRING &&
               (verb == 'v' ||
                (verb == 's' && value->kind != VALUE_BOOL && value->kind != VALUE_NIL))) {
        format_printed(out, spec, value);
    } else {
        put_bad_verb(out, spec, value);
    }
}

/* ---- the format -------------------------------------------------------------------------- */

static int peek(const struct printer *printer)
{
    return printer->at < printer->format.size ? printer->format.data[printer->at] : -1;
}

/* [3]: the third argument is next. */
static void read_index(struct printer *printer)
{
    size_t number = 0, at = printer->at + 1;
    if (peek(printer) != '[')
        return;
    printer->reordered = true;
    while (at < printer->format.size && isdigit(printer->format.data[at]) && number < 10000)
        number = number * 10 + (size_t)(printer->format.data[at++] - '0');
    if (at >= printer->format.size || printer->format.data[at] != ']' || number == 0 ||
        number > printer->count) {
        printer->good_index = false;
        while (at < printer->format.size && printer->format.data[at] != ']')
            at++;
        printer->at = at < printer->format.size ? at + 1 : printer->at + 1;
        return;
    }
    printer->next = number - 1;
    printer->at = at + 1;
}

/* Digits, or * for an argument; -1: neither.  *bad: the argument is no width. */
static int read_size(struct printer *printer, bool *bad)
{
    int size = -1;
    if (peek(printer) == '*') {
        const struct value *given =
            printer->next < printer->count ? &printer->arguments[printer->next] : NULL;
        printer->at++;
        printer->next++;
        if (given != NULL && given->kind == VALUE_INTEGER && given->as.integer >= -WIDTH_MAX &&
            given->as.integer <= WIDTH_MAX)
            return (int)given->as.integer;
        *bad = true;
        return -1;
    }
    while (isdigit(peek(printer))) {
        size = (size < 0 ? 0 : size) * 10 + (peek(printer) - '0');
        size = size > WIDTH_MAX ? WIDTH_MAX : size;
        printer->at++;
    }
    return size;
}

static void read_flags(struct printer *printer, struct spec *spec)
{
    for (;; printer->at++)
        switch (peek(printer)) {
        case '+':
            spec->plus = true;
            break;
        case '-':
            spec->minus = true;
            break;
        case '#':
            spec->sharp = true;
            break;
        case ' ':
            spec->space = true;
            break;
        case '0':
            spec->zero = true;
            break;
        default:
            return;
        }
}

static void read_sizes(struct printer *printer, struct spec *spec)
{
    bool bad = false;

    read_index(printer);
    spec->width = read_size(printer, &bad);
    if (bad)
        buf_put_text(printer->out, "%!(BADWIDTH)");
    else if (spec->width < -1) {
        spec->minus = true;
        spec->width = -spec->width;
    }
    if (peek(printer) == '.') {
        printer->at++;
        bad = false;
        read_index(printer);
        spec->precision = read_size(printer, &bad);
        if (bad)
            buf_put_text(printer->out, "%!(BADPREC)");
        else if (spec->precision < 0)
            spec->precision = 0;
    }
    read_index(printer);
}

/* After a %. */
static void print_one(struct printer *printer)
{
    struct spec spec = {.width = -1, .precision = -1};
    size_t size;

    printer->good_index = true;
    read_flags(printer, &spec);
    read_sizes(printer, &spec);
    size = printer->at < printer->format.size
               ? utf8_decode(printer->format.data + printer->at,
                             printer->format.data + printer->format.size, &spec.verb)
               : 0;
    if (size == 0) {
        buf_put_text(printer->out, "%!(NOVERB)");
        printer->at = printer->format.size;
        return;
    }
    printer->at += size;
    if (spec.verb == '%') {
        buf_put_char(printer->out, '%');
        return;
    }
    if (printer->good_index && printer->next < printer->count) {
        format_value(printer->out, &spec, &printer->arguments[printer->next++]);
        return;
    }
    buf_put_text(printer->out, "%!");
    put_verb(printer->out, spec.verb);
    buf_put_text(printer->out, printer->good_index ? "(MISSING)" : "(BADINDEX)");
}

static void put_extra(const struct printer *printer)
{
    buf_put_text(printer->out, "%!(EXTRA ");
    for (size_t i = printer->next; i < printer->count; i++) {
        const struct value *value = &printer->arguments[i];
        buf_put_text(printer->out, i > printer->next ? ", " : "");
        if (value->kind == VALUE_NIL) {
            buf_put_text(printer->out, "<nil>");
            continue;
        }
        buf_printf(printer->out, "%s=", template_value_kind_name(value->kind));
        template_value_print(value, printer->out);
    }
    buf_put_char(printer->out, ')');
}

int template_printf(struct template_machine *machine, const struct value *arguments,
                    size_t count, struct value *ret_value)
{
    struct buf out;
    struct printer printer = {.out = &out, .arguments = arguments + 1, .count = count - 1};

    if (arguments[0].kind != VALUE_STRING)
        return diagnose(machine->why, ERR_INVALID, "printf: the format is no string");
    buf_init(&out, TEMPLATE_OUTPUT_MAX);
    printer.format = arguments[0].as.text;
    while (printer.at < printer.format.size) {
        const uint8_t c = printer.format.data[printer.at++];
        if (c == '%')
            print_one(&printer);
        else
            buf_put_u8(&out, c);
    }
    if (!printer.reordered && printer.next < printer.count)
        put_extra(&printer);
    return template_value_keep(machine, &out, ret_value);
}
