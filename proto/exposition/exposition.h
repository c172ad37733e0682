/*
 * exposition.h - metrics as text: the Prometheus exposition format 0.0.4 and OpenMetrics 1.0.
 *
 *     # HELP http_requests_total Requests, by code.
 *     # TYPE http_requests_total counter
 *     http_requests_total{code="200",path="/a\"b"} 1027 1395066363000
 *     {"磁盘.温度", "槽位"="3"} 41.5
 *
 * The text may arrive in any pieces.  The parser copies one line at a time into the caller's
 * buffer and reads it there; it allocates nothing, and a sample points into that buffer until
 * the next call.
 *
 *     exposition_init(&parser, EXPOSITION_PROMETHEUS, "node.prom", line, sizeof line);
 *     while (more bytes) {
 *         struct bytes piece = ...;
 *         while ((got = exposition_next(&parser, &piece, &sample, &why)) != EXPOSITION_MORE)
 *             if (got == EXPOSITION_SAMPLE) use(&sample);
 *             else if (got < 0) tell or give up; the next call goes on with the next line
 *     }
 *     got = exposition_end(&parser, &sample, &why);
 *
 * Prometheus text is read leniently: blanks and tabs between tokens, empty lines, comments, a
 * comma before the closing brace, CRLF, a last line without newline, "# UNIT" and the types of
 * OpenMetrics.  OpenMetrics is read strictly: single spaces, no empty lines or other comments,
 * a unit that ends its family's name, "# EOF" at the end and nothing after it; exemplars are
 * checked and left out.  Both take names in quotes (any UTF-8).  Numbers are those of Go's
 * ParseFloat without hexadecimal and underscores, as in Prometheus; NaN is read as the ordinary
 * NaN 7ff8000000000001, never as the stale marker.  Timestamps are milliseconds in Prometheus
 * text; in OpenMetrics they are seconds, rounded to the nearest millisecond (where Prometheus
 * cuts, and so may be one off).  A label with an empty value is a label that is not there.
 *
 * Marks.  Neither format can say a stale marker or a NaN other than the ordinary one.  Our
 * exports say them in comments, which every other reader passes over, and a parser that is told
 * to (exposition_read_marks(); imports are, scrapes never) reads as samples of exactly these
 * bits:
 *
 *     # STALE up{job="node"} 1395066363000
 *     # NAN fff8000000000000 up{job="node"} 1395066363000
 *
 * Sources: prometheus.io/docs/instrumenting/exposition_formats (0.0.4, and 1.0.0 for quoted
 * names); the OpenMetrics 1.0 specification; Prometheus model/textparse for what both leave
 * open.  Limits on names, values and labels are the wire's (envelope.h).
 *
 * One owner at a time; no thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"
#include "proto/wire/envelope.h"

enum exposition_format { EXPOSITION_PROMETHEUS, EXPOSITION_OPENMETRICS };

/* By a Content-Type header: OpenMetrics if it says application/openmetrics-text, else (NULL and
 * empty included) Prometheus text. */
enum exposition_format exposition_format_of(const char *content_type);

/* What a scraper sends as its Accept header to be given one of the two. */
#define EXPOSITION_ACCEPT                                                                      \
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,"         \
    "*/*;q=0.1"

/* A buffer that holds any line a well-behaved exporter writes. */
#define EXPOSITION_LINE_BYTES ((size_t)32 << 10)
/* A buffer that holds any line within the wire's limits, everything in it escaped. */
#define EXPOSITION_LINE_BYTES_MAX                                                              \
    (2 * ((SERIES_LABELS_MAX + 1) * (NAME_BYTES_MAX + LABEL_VALUE_BYTES_MAX)))

/* What HELP, TYPE and UNIT lines have said about a metric family so far. */
struct exposition_family {
    struct bytes name;     /* as those lines name it: no _total, _bucket, ... */
    enum metric_type type; /* METRIC_UNKNOWN if not said */
    struct bytes unit;
    struct bytes help; /* cut after HELP_BYTES_MAX, between characters */
};

struct exposition_sample {
    struct bytes name;          /* 1..NAME_BYTES_MAX */
    const struct label *labels; /* ascending by name, each once, values not empty */
    size_t label_count;         /* at most SERIES_LABELS_MAX */
    double value;
    int64_t time_ms; /* 0 without has_time */
    bool has_time;
    /* The family of the metadata lines before it, if the name is one of that family's; else
     * NULL: nothing is known. */
    const struct exposition_family *family;
};

enum exposition_event {
    EXPOSITION_MORE,    /* the piece is used up */
    EXPOSITION_SAMPLE,  /* *ret_sample is one */
    EXPOSITION_METADATA /* a line changed exposition_family() */
};

/* Fields are the parser's own. */
struct exposition {
    enum exposition_format format;
    const char *source; /* for messages, or NULL */
    uint8_t *line;
    size_t line_capacity, line_size;
    uint64_t line_number; /* of the line last begun, from 1 */
    bool is_inside;       /* a line has begun and not ended */
    bool is_skipped;      /* it is too long; wait for its end */
    bool is_over;         /* "# EOF" was read */
    bool reads_marks;
    struct exposition_family family;
    struct label labels[SERIES_LABELS_MAX];
    uint8_t family_name[NAME_BYTES_MAX], unit[NAME_BYTES_MAX], help[HELP_BYTES_MAX];
};

/* `source` names the text in messages ("node.prom:14: ..."; NULL: "line 14: ..."), and it and
 * the buffer `line`, of `capacity` bytes, live as long as the parser is used.  A longer line is
 * an error of its own.  May be called again to begin another text. */
void exposition_init(struct exposition *parser, enum exposition_format format,
                     const char *source, uint8_t *line, size_t capacity);

/* Reads marks in Prometheus text from here on; until the next init. */
static inline void exposition_read_marks(struct exposition *parser)
{
    parser->reads_marks = true;
}

/* Reads on to the next event, moving *piece past what it took.  EXPOSITION_MORE when the piece
 * is used up; an event leaves *ret_sample untouched unless it is a sample.  Errors say line and
 * reason in `why` and cost just that line: ERR_MALFORMED, ERR_LIMIT (too long, too many). */
int exposition_next(struct exposition *parser, struct bytes *piece,
                    struct exposition_sample *ret_sample, struct diagnosis *why);

/* The text ends here: what a last line without newline holds, then EXPOSITION_MORE.  Call it
 * until it is that or an error.  ERR_MALFORMED where OpenMetrics lacks its "# EOF". */
int exposition_end(struct exposition *parser, struct exposition_sample *ret_sample,
                   struct diagnosis *why);

/* The family of the last metadata line; its bytes change with the next one. */
static inline const struct exposition_family *exposition_family(const struct exposition *parser)
{
    return &parser->family;
}

/* Lines begun so far: the number of the line the last event came from. */
static inline uint64_t exposition_line(const struct exposition *parser)
{
    return parser->line_number;
}

/* A number as both formats write it.  ERR_MALFORMED; ERR_LIMIT if it is out of range. */
int exposition_number(struct bytes text, double *ret_value);

/* ---- writing --------------------------------------------------------------------------- */

/* name{label="value",...}, quoted where a name is not of the classic alphabet.  `labels` may
 * hold
 * __name__; it is left out. */
void exposition_put_series(struct buf *out, struct bytes name, const struct label *labels,
                           size_t count);

/* One sample as `series` (from exposition_put_series()) VALUE TIME, with a mark where the
 * format needs one. */
void exposition_put_sample(struct buf *out, struct bytes series, double value, int64_t time_ms);

#define EXPOSITION_NUMBER_BYTES 32
/* The fewest digits that read back as the same number; NaN, +Inf, -Inf.  Returns the size; not
 * NUL-terminated. */
size_t exposition_number_text(double value, char text[EXPOSITION_NUMBER_BYTES]);

/* The HELP, TYPE and UNIT lines (in this order, each only if it says something) of a family in
 * Prometheus text. */
void exposition_put_family(struct buf *out, const struct exposition_family *family);
