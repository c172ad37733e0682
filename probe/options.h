/*
 * options.h - what the probe was told: flags, and probe.yml, each flag over the file.
 *
 * Everything is checked here: an options struct that was made is good to run with.  Strings
 * belong to it; config nodes belong to its document.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/source/source.h"
#include "proto/base/config.h"
#include "proto/base/diagnosis.h"
#include "proto/base/log.h"
#include "proto/wire/curve.h"
#include "proto/wire/envelope.h"

#define OPTIONS_INTERVAL_LEAST_MS 100
#define OPTIONS_INTERVAL_MOST_MS  3600000
#define OPTIONS_GLOBS_MAX         64

enum options_mode {
    OPTIONS_RUN,
    OPTIONS_ONCE,
    OPTIONS_CHECK,
    OPTIONS_LIST_SOURCES,
    OPTIONS_VERSION,
    OPTIONS_HELP,
};

/* One source: what probe.yml says, and what holds once a policy has been heard. */
struct options_source {
    const struct source *source;
    const struct config_node *node; /* its part of probe.yml, or NULL */
    bool is_enabled;                /* by probe.yml */
    int64_t own_interval_ms;        /* by its map in probe.yml; 0: not said */
    bool is_on;                     /* holds */
    int64_t interval_ms;            /* holds */
    char *override;                 /* YAML: its map with a policy's options; NULL: `node` */
};

/* What a policy may ask for. */
struct options_allow {
    struct config_strings files;       /* patterns, see log/permit.h */
    bool all_sources;                  /* else: */
    const struct config_node *sources; /* a list of names; NULL: none */
    int64_t interval_least_ms;
};

struct options {
    enum options_mode mode;
    struct config *config; /* probe.yml, or an empty document */
    const char *endpoint;
    char collector_key[CURVE_TEXT_BYTES]; /* empty: none was given */
    char *token;                          /* "" without one */
    char *missing_key, *missing_token;    /* files named by probe.yml that are not there */
    const char *state;
    const char *key_file; /* NULL: STATE/probe.key */
    const char *job;
    const char *instance;
    struct label *labels;
    size_t label_count;
    double cpu_limit_percent; /* of a core; 0: none */
    int64_t interval_ms;
    const char *procfs, *sysfs, *rootfs;
    bool is_live; /* the roots are this host's own */
    uint64_t spool_limit_bytes;
    int64_t spool_age_ms;
    enum log_format log_format;
    enum log_level log_level;
    const char *globs[OPTIONS_GLOBS_MAX]; /* --log */
    size_t glob_count;
    struct options_source *sources; /* all there are; `self` last */
    size_t source_count;
    struct options_allow allow;
    char host_name[256];
    bool wants_epoch; /* no option: the run before asks for a new epoch (emitter_is_crowded) */
};

/* Of the flags alone, before anything is read: whom to run as (NULL: as whoever started it),
 * and what to keep (privileges.h).  Other flags are not judged.  ERR_INVALID, with a message.
 */
int options_identity(int argc, char **argv, const char **ret_user, uint32_t *ret_capabilities,
                     struct diagnosis *why);

/* Reads flags and file.  ERR_INVALID and the like, with a message in `why`. */
int options_read(int argc, char **argv, struct options **ret_options, struct diagnosis *why);
void options_free(struct options *options);

/* A source's interval where its own map says none: a source's own default is a default, too; a
 * slower probe slows it, a faster one leaves it. */
int64_t options_default_interval(const struct source *source, int64_t probe_interval_ms);

/* Every source this program knows, those of the host (sources.c) first; NULL: no more. */
const struct source *options_source_at(size_t index);
/* Is there a source of this name?  "log" and "self" are sources, too. */
bool options_source_exists(const char *name);
/* The nearest name of a source, or NULL. */
const char *options_nearest_source(const char *wrong);

/* The text of --help. */
void options_print_help(void);
