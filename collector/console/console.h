/*
 * console.h - the duty console's files (dashboards/console), inside the program.
 *
 * The page itself is asset "" and carries the version in its links; everything else is asked
 * for as "VERSION/js/main.js", so that a browser may keep it for ever: other content has
 * another address.  Built without npm (-DFENGSUI_CONSOLE=OFF) there is a page that says so, and
 * no more.
 *
 * Everything returned is constant and lives as long as the program.  Any thread.
 */
#pragma once

#include <stddef.h>

#include "proto/base/bytes.h"

struct console_asset {
    const char *path; /* "js/main.js"; "" is the page */
    const char *content_type;
    const char *etag; /* quoted, as in the header */
    struct bytes content;
};

/* 16 hex digits of XXH3 over all files. */
const char *console_version(void);

const struct console_asset *console_page(void);

/* An asset by "VERSION/PATH"; NULL if there is none, or none of that version. */
const struct console_asset *console_find(const char *versioned_path);
