/*
 * app.h - the collector's parts, as its HTTP handlers and its own metrics see them.
 *
 * Filled by main.c before the server opens; pointers are fixed for the life of the process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/duty/book.h"
#include "collector/duty_watch.h"
#include "collector/notify/notify.h"
#include "collector/promql/engine.h"
#include "collector/rules/rules.h"
#include "collector/store/store.h"
#include "proto/base/buf.h"

struct ingest;
struct jobs;
struct remote;
struct watchdog;

struct app {
    struct store *store;
    struct ingest *ingest;
    struct rules *rules;
    struct notify *notify;
    struct jobs *jobs;
    struct watchdog *watchdog;
    struct remote *remote; /* write out */
    struct duty_book *duty; /* who is on duty: duty.yml in force, and swaps */
    struct duty_watch *duty_watch;
    struct promql_options promql; /* of queries that come in by HTTP */
    struct arena_total query_memory; /* its total */
    int64_t query_timeout_ms;
    int64_t retention_ms; /* of samples; 0: for ever */
    const char *external_url;
    int64_t started_ms;
    /* Asks main to re-read the configuration; any thread.  0 or an error with `why`. */
    int (*reload)(struct app *app, struct diagnosis *why);
    /* Appends the configuration in force (options_print()); any thread. */
    void (*print_config)(struct app *app, struct buf *out);
    _Atomic int64_t configured_ms; /* when the configuration in force was read */
    _Atomic bool config_refused;   /* the last attempt to read it again */
    /* Appends the own metrics of the HTTP side; NULL while there is none.  Loop thread. */
    void (*print_http_metrics)(struct app *app, struct buf *out);
    _Atomic bool ready; /* set by main once everything runs */
    void *main; /* main's own */
};
