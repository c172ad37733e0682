/*
 * scrape_settings.h - one target of the scrape source, as probe.yml has it.
 */
#pragma once

#include "probe/http/http_get.h"
#include "probe/source/scrape.h"
#include "probe/source/scrape_series.h"

struct scrape_settings {
    const char *url; /* the configuration's */
    char *title;     /* "scrape HOST:PORT/PATH" */
    char host[HTTP_HOST_BYTES];
    char port[HTTP_PORT_BYTES];
    struct buf request; /* what is sent */
    int64_t timeout_ms;
    uint64_t body_limit_bytes;
    struct scrape_rules rules;
    struct label labels[SERIES_LABELS_MAX];
};

/* Reads a target's map; NULL: leaves everything empty.  Zeroed before; scrape_settings_done()
 * frees what it holds, after an error too.  ERR_INVALID with file, line and key in `why`,
 * ERR_NOMEM. */
int scrape_settings_read(struct scrape_settings *settings, struct config *config,
                         const struct config_node *node, struct diagnosis *why);
void scrape_settings_done(struct scrape_settings *settings);

/* What all series of a target are to be called. */
struct scrape_names {
    const char *job, *instance;       /* instance NULL or "": the probe's */
    const struct config_node *labels; /* a map, or NULL */
};

/* Puts them into the rules, ascending.  ERR_INVALID with file, line and key in `why`. */
int scrape_settings_labels(struct scrape_settings *settings, struct config *config,
                           const struct config_node *node, const struct scrape_names *names,
                           struct diagnosis *why);
