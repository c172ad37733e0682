/*
 * fuzz_exposition.c - any text, in any pieces: the samples are within the limits, the pieces
 * make no difference, what is written again reads back the same, and each error has its one
 * line.
 *
 * The first byte says which format, whether marks are read, and how large the pieces are.
 */
#include <stdint.h>

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/utf8.h"
#include "proto/exposition/exposition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINE_BYTES ((size_t)4 << 10)

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void check_sample(const struct exposition_sample *sample, bool has_marks)
{
    must(sample->name.size > 0 && sample->name.size <= NAME_BYTES_MAX);
    must(utf8_is_valid(sample->name) && sample->label_count <= SERIES_LABELS_MAX);
    for (size_t i = 0; i < sample->label_count; i++) {
        const struct label *label = &sample->labels[i];
        must(utf8_is_valid(label->name) && utf8_is_valid(label->value));
        must(label->name.size > 0 && label->value.size > 0);
        must(i == 0 || bytes_compare(label[-1].name, label->name) < 0);
    }
    must(has_marks || sample->value == sample->value ||
         bits_of(sample->value) == UINT64_C(0x7ff8000000000001));
}

static void print_sample(struct buf *out, const struct exposition_sample *sample)
{
    char number[EXPOSITION_NUMBER_BYTES];
    struct buf series = {0};
    exposition_put_series(&series, sample->name, sample->labels, sample->label_count);
    if (sample->has_time) {
        exposition_put_sample(out, buf_bytes(&series), sample->value, sample->time_ms);
    } else {
        buf_put(out, series.data, series.size);
        buf_put_char(out, ' ');
        buf_put(out, number, exposition_number_text(sample->value, number));
        buf_put_char(out, '\n');
    }
    buf_done(&series);
}

static void take(int got, const struct exposition *parser,
                 const struct exposition_sample *sample, struct diagnosis *why,
                 struct buf *samples, struct buf *errors)
{
    if (got == EXPOSITION_SAMPLE) {
        check_sample(sample, parser->reads_marks);
        print_sample(samples, sample);
    } else if (got == EXPOSITION_METADATA) {
        must(exposition_family(parser)->name.size > 0);
        must(utf8_is_valid(exposition_family(parser)->help));
    } else {
        must(got == EXPOSITION_MORE || got == ERR_MALFORMED || got == ERR_LIMIT);
        must((got < 0) == (why->text[0] != '\0') && strchr(why->text, '\n') == NULL);
        buf_put_text(errors, why->text);
        why->text[0] = '\0';
    }
}

static void read_text(enum exposition_format format, bool marks, struct bytes text,
                      size_t piece_size, size_t capacity, struct buf *samples,
                      struct buf *errors)
{
    static uint8_t line[4 * LINE_BYTES];
    struct exposition parser;
    struct exposition_sample sample;
    struct diagnosis why = {0};
    int got = 0;
    exposition_init(&parser, format, "f", line, capacity);
    if (marks)
        exposition_read_marks(&parser);
    for (size_t at = 0; at < text.size; at += piece_size) {
        struct bytes piece = {text.data + at,
                              text.size - at < piece_size ? text.size - at : piece_size};
        do {
            got = exposition_next(&parser, &piece, &sample, &why);
            take(got, &parser, &sample, &why, samples, errors);
        } while (got != EXPOSITION_MORE);
    }
    do {
        got = exposition_end(&parser, &sample, &why);
        take(got, &parser, &sample, &why, samples, errors);
    } while (got > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum exposition_format format =
        data[0] & 1 ? EXPOSITION_OPENMETRICS : EXPOSITION_PROMETHEUS;
    bool marks = (data[0] & 2) != 0;
    size_t piece_size = 1 + (data[0] >> 2);
    struct bytes text = {data + 1, size - 1};
    struct buf whole = {0}, pieces = {0}, again = {0};
    struct buf whole_errors = {0}, pieces_errors = {0}, again_errors = {0};

    read_text(format, marks, text, text.size + 1, LINE_BYTES, &whole, &whole_errors);
    read_text(format, marks, text, piece_size, LINE_BYTES, &pieces, &pieces_errors);
    must(bytes_equal(buf_bytes(&whole), buf_bytes(&pieces)));
    must(bytes_equal(buf_bytes(&whole_errors), buf_bytes(&pieces_errors)));
    /* A mark of a NaN is two lines, which are two samples when read back. */
    read_text(EXPOSITION_PROMETHEUS, false, buf_bytes(&whole), 64, 4 * LINE_BYTES, &again,
              &again_errors);
    must(marks || bytes_equal(buf_bytes(&whole), buf_bytes(&again)));
    must(again_errors.size == 0);
    buf_done(&whole);
    buf_done(&pieces);
    buf_done(&again);
    buf_done(&whole_errors);
    buf_done(&pieces_errors);
    buf_done(&again_errors);
    return 0;
}
