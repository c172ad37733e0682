/*
 * client_parts.h - what client.c and transfer.c share of talking to a collector.
 */
#pragma once

#include <curl/curl.h>

#include "collector/ctl/ctl.h"

/* The URL of a path with its parameters; on the heap. */
char *client_url(const struct ctl *ctl, CURL *curl, const char *path,
                 const struct parameter *parameters, size_t count);
/* Who asks; NULL without a token. */
struct curl_slist *client_headers(const struct ctl *ctl);
/* Prints a text to stderr.  What a server says may hold what a host or a log said: nothing of
 * it steers the terminal. */
void client_complain(const char *text);
