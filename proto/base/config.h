/*
 * config.h - YAML files as trees that remember their lines, read through tables.
 *
 * A program declares each map of its configuration as a table of rows; one call checks the map
 * against the table (unknown keys, wrong types, bad values) and fills a struct:
 *
 *     static const struct config_option http_options[] = {
 *         {"listen", CONFIG_STRING, offsetof(struct http_config, listen), .fallback =
 *          "127.0.0.1:9470", .help = "address and port"},
 *         {"tls", CONFIG_NODE, offsetof(struct http_config, tls), .help = "cert and key"},
 *     };
 *
 * Every error is one line that names file, line, key and reason, with the nearest valid key:
 *     /etc/fengsui/collector.yml:7: unknown key "listn" in http (did you mean "listen"?)
 *
 * Lifetime: strings and nodes handed out belong to the document and live until config_free().
 * Not thread-safe while loading; a loaded document is never changed and may be read anywhere.
 * Limits: CONFIG_FILE_BYTES_MAX, nesting CONFIG_DEPTH_MAX, CONFIG_NODES_MAX nodes; aliases and
 * anchors are refused (they are how a small file becomes a huge one).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

#define CONFIG_FILE_BYTES_MAX ((size_t)16 << 20)
#define CONFIG_DEPTH_MAX      32
#define CONFIG_NODES_MAX      ((size_t)1000000)

enum config_kind { CONFIG_SCALAR, CONFIG_MAP, CONFIG_LIST };

struct config_node {
    enum config_kind kind;
    unsigned line;           /* from 1 */
    const char *key;         /* in a map: its key; else NULL */
    unsigned key_line;       /* line of the key; 0 without one */
    const char *text;        /* scalar: its value, NUL-terminated, may hold no NUL itself */
    bool quoted;             /* scalar: written in quotes or as a block, so never null/bool/number */
    const struct config_node *const *children; /* map and list, in file order */
    size_t count;
};

struct config;

/* Reads one YAML document.  An empty file is an empty map.  `name` of config_parse() stands in
 * messages for the path. */
int config_load(const char *path, struct config **ret_config, struct diagnosis *why);
int config_parse(const char *name, struct bytes text, struct config **ret_config,
                 struct diagnosis *why);
void config_free(struct config *config);

const struct config_node *config_root(const struct config *config);
/* The path given to config_load(), or the name. */
const char *config_name(const struct config *config);

/* The child of a map by key, or NULL.  NULL node is allowed. */
const struct config_node *config_child(const struct config_node *map, const char *key);

enum config_type {
    CONFIG_STRING,   /* const char * */
    CONFIG_FILE,     /* const char *: a path, made relative to the config's folder */
    CONFIG_BOOL,     /* bool */
    CONFIG_INTEGER,  /* int64_t, min..max where min < max */
    CONFIG_NUMBER,   /* double */
    CONFIG_DURATION, /* int64_t, milliseconds, min..max where min < max */
    CONFIG_SIZE,     /* uint64_t, bytes */
    CONFIG_STRINGS,  /* struct config_strings: a list of strings (or one string) */
    CONFIG_FILES,    /* struct config_strings, each as CONFIG_FILE */
    CONFIG_NODE,     /* const struct config_node *: the caller reads it by another table */
};

struct config_strings {
    const char *const *items;
    size_t count;
};

struct config_option {
    const char *key;
    enum config_type type;
    size_t offset;        /* of the field in the target struct */
    const char *fallback; /* as it would be written; NULL: leave the field as it is */
    bool required;
    int64_t min;
    int64_t max;
    const char *const *choices; /* CONFIG_STRING: NULL-terminated list of what is allowed */
    const char *help;
};

/* Checks the map `node` (NULL: as an empty map) against the table and fills `target`.  `where`
 * names the map in messages ("http", "" for the root).  ERR_INVALID with a full message in
 * `why`; the target may then be half filled. */
int config_read(struct config *config, const struct config_node *node, const char *where,
                const struct config_option *options, size_t count, void *target,
                struct diagnosis *why);

/* A message about one node: "FILE:LINE: " and the printf text.  Returns ERR_INVALID. */
int config_complain(const struct config *config, const struct config_node *node,
                    struct diagnosis *why, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
