/*
 * access_format.h - one line of a web server's or proxy's access log, as what was asked and
 * answered.
 *
 * A format is a name, or the server's own words for it:
 *
 *     common, combined    NCSA's, as Apache and nginx write them; what follows is passed over
 *     vhost_combined      combined behind Apache's %v:%p
 *     nginx_timed         combined, then $request_time $upstream_response_time
 *     squid               squid's native format
 *     w3c, iis            W3C extended: columns by the #Fields line above them, times in UTC
 *     httperr             the same, of HTTP.sys
 *     $remote_addr ...    what nginx's log_format says, literally
 *     %h %l %u ...        what Apache's LogFormat says
 *
 * A format is compiled into steps, each a field and the text behind it; reading is one pass
 * over the line and allocates nothing.  A field ends where the text behind it begins; inside
 * quotes a backslash keeps the next byte.  A space stands for one or more.
 *
 * Sources of the formats: nginx, ngx_http_log_module and variables' documentation; Apache,
 * mod_log_config; squid, logformat; W3C, Extended Log File Format (WD-logfile-960323) and the
 * fields that IIS and HTTP.sys write.
 *
 * No state but the format's; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

#define ACCESS_STEPS_MAX         64
#define ACCESS_LITERAL_BYTES_MAX 512

enum access_field {
    ACCESS_SKIP,
    ACCESS_VHOST,
    ACCESS_SITE, /* names the host only where nothing better does */
    ACCESS_REQUEST,
    ACCESS_METHOD,
    ACCESS_STATUS,
    ACCESS_SENT,
    ACCESS_RECEIVED,
    ACCESS_SECONDS,
    ACCESS_MILLISECONDS,
    ACCESS_MICROSECONDS,
    ACCESS_UPSTREAM_SECONDS, /* 0.010, 0.200 : 0.003: of all servers asked in turn */
    ACCESS_RESULT,
    ACCESS_TIME_LOCAL, /* 10/Oct/2000:13:55:36 -0700 */
    ACCESS_TIME_ISO,   /* 2000-10-10T13:55:36-07:00 */
    ACCESS_TIME_UNIX,  /* 971211336.512 */
    ACCESS_DATE_UTC,   /* 2000-10-10 */
    ACCESS_CLOCK_UTC,  /* 20:55:36 */
};

struct access_step {
    uint8_t field;
    uint8_t literal_size; /* of the text behind it; 0: the line's end */
    uint16_t literal;     /* where that begins in the format's literals */
};

struct access_format {
    bool has_columns; /* W3C: the steps come from the file */
    size_t count;     /* 0: no columns are known yet */
    struct access_step steps[ACCESS_STEPS_MAX];
    size_t prefix_size; /* of the literals: text before the first field */
    size_t literal_bytes;
    char literals[ACCESS_LITERAL_BYTES_MAX];
};

/* One line.  Texts point into it. */
struct access_hit {
    struct bytes vhost, method, result; /* empty: not said */
    uint32_t status;                    /* 0: not said */
    uint64_t sent_bytes, received_bytes;
    double seconds, upstream_seconds; /* negative: not said */
    int64_t ts_ms;                    /* Unix time; 0: not said */
};

enum access_answer { ACCESS_HIT, ACCESS_BAD, ACCESS_COMMENT };

/* ERR_INVALID with the reason in `why`. */
int access_format_read(const char *text, struct access_format *ret_format,
                       struct diagnosis *why);

/* Takes a line of W3C's that begins with #: a #Fields line sets the columns.  True: it was one.
 * Too many columns, or more than one space between them, are as no columns. */
bool access_format_columns(struct access_format *format, struct bytes line);

/* Reads a line (without its newline).  ACCESS_COMMENT: nothing was asked; W3C's # and empty
 * lines. */
enum access_answer access_format_line(const struct access_format *format, struct bytes line,
                                      struct access_hit *ret_hit);
