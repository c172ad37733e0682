/*
 * recording.h - scrapes of one exporter, as record.py kept them.
 *
 *     #SCRAPE <unix ms> <body bytes>\n<body>   again and again
 */
#pragma once

#include "tests/bench/tsgen/series_set.h"

struct recording {
    struct series_set set;
    size_t scrape_count;
    int64_t *scrape_ms;
};

/* Reads the file whole; a cut-off last scrape is left out.  ERR_IO, ERR_MALFORMED, ERR_NOMEM,
 * ERR_LIMIT. */
int recording_read(const char *path, struct recording *ret_recording, struct diagnosis *why);
void recording_done(struct recording *recording);

/* Finds decimals, unit and number of different values of every series. */
void recording_classify(struct recording *recording);
