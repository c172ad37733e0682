/*
 * import_cut.h - a text of any size into requests the collector takes.
 *
 *     # TYPE a gauge                 request 1
 *     a{...} 1 1395066363000
 *     a{...} 2 1395066378000
 *     ---------------------------    after so many bytes or samples, between two lines
 *     # TYPE a gauge                 request 2: what was said of the family at hand, again
 *     a{...} 3 1395066393000
 *     # EOF                          OpenMetrics only
 *
 * The text is read on the way, so what is wrong is known with file and line before the
 * collector sees it.  One thread.
 */
#pragma once

#include <stdint.h>

#include "proto/exposition/exposition.h"

/* What a request holds at most, by a line; far below import_in.h's bounds. */
#define CUT_BYTES   ((size_t)4 << 20)
#define CUT_SAMPLES ((size_t)100000)

struct cut_request {
    struct bytes text;
    uint64_t samples;
    uint64_t first_line;   /* of the file, the first line that is not repeated */
    uint64_t header_lines; /* repeated before it */
    uint64_t last_line;
};

typedef int cut_send(void *context, const struct cut_request *request);

struct import_cut {
    struct exposition parser;
    uint8_t *line;
    struct buf text;   /* the request being made */
    struct buf family; /* the lines of the family at hand */
    size_t event_at;   /* where in `text` what follows the last event begins */
    uint64_t samples, first_line, header_lines;
    uint64_t all_samples;
    bool may_be_seconds; /* look out for timestamps of the other format */
    bool has_more;       /* than repeated lines */
    cut_send *send;
    void *context;
};

/* `source` names the text in messages. ERR_NOMEM. */
int import_cut_open(struct import_cut *cut, enum exposition_format format, bool is_sure,
                    const char *source, cut_send *send, void *context);
void import_cut_close(struct import_cut *cut);

/* The next bytes.  What `send` returns is returned; else ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM
 * with `why`. */
int import_cut_feed(struct import_cut *cut, struct bytes piece, struct diagnosis *why);
/* There are no more: sends what is left. */
int import_cut_end(struct import_cut *cut, struct diagnosis *why);
