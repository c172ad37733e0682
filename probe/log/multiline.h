/*
 * multiline.h - bytes of a file, cut into events of one line or several.
 *
 * Without a first-line expression every line is an event.  With one, an event is a line that
 * matches and all lines after it that do not (a Java stack trace, an entry of Oracle's alert
 * log), joined by newlines.
 *
 * Nothing is buffered: what is not complete is left in the file and read again.  A run starts
 * at an event (or inside an overlong line that is being skipped) and is cut until none is left:
 *
 *     struct cutter cutter = {.run = bytes, ...};
 *     while (cutter_next(&cutter, text, room, &event))
 *         take it;                        event.start..event.end are its bytes in the run
 *     read on from base + cutter.at       the first byte of what was not complete
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/log/decode.h"
#include "probe/source/pattern.h"
#include "proto/base/bytes.h"

#define MULTILINE_LINES_MAX 500

struct cutter {
    /* set by the caller */
    enum log_encoding encoding;
    struct pattern *first_line; /* NULL: one line an event */
    struct bytes run;
    bool is_full;  /* the run is as long as runs get: what is whole here is an overlong event */
    bool is_idle;  /* nothing came for a while: lines waiting for a continuation are an event */
    bool is_last;  /* nothing will come any more: an unterminated line is a line */
    bool skipping; /* in and out: inside an overlong line whose start was taken */
    /* out */
    size_t at;
};

struct log_event {
    size_t start, end; /* its raw bytes in the run, newline included */
    size_t text_bytes; /* written to the caller's room */
    uint32_t flags;    /* enum log_line_flag */
};

/* Decodes the next event into `text` (at least four bytes of room; longer events are cut).
 * False: no complete event is left. */
bool cutter_next(struct cutter *cutter, uint8_t *text, size_t room,
                 struct log_event *ret_event);
