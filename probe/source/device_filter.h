/*
 * device_filter.h - which devices a source leaves out, or which fields of a table it sends: one
 * regular expression from probe.yml.
 *
 *     sources:
 *       disk: {exclude: '^(ram|loop|sr)\d+$'}
 *       vmstat: {fields: '^(oom_kill|pgpg|pswp|pg.*fault).*'}
 *
 * Asked once for each device or field that appears, never again.
 */
#pragma once

#include "probe/source/pattern.h"
#include "proto/base/config.h"

/* Reads the map's one key of its own, `exclude`, or takes the fallback (NULL: nothing is left
 * out).  `where` names the map in messages.  ERR_INVALID with file and line in `why`. */
int device_filter_read(struct config *config, const struct config_node *node, const char *where,
                       const char *fallback, struct pattern **ret_exclude,
                       struct diagnosis *why);

/* The same with the key `fields`: what is sent.  Never NULL; an empty expression sends all. */
int field_filter_read(struct config *config, const struct config_node *node, const char *where,
                      const char *fallback, struct pattern **ret_wanted, struct diagnosis *why);

/* Compiles `expression`, complaining about the node it came from.  NULL or empty: *ret_pattern
 * is NULL, which never matches. */
int device_filter_compile(struct config *config, const struct config_node *node,
                          const char *key, const char *expression, struct pattern **ret_pattern,
                          struct diagnosis *why);

/* The same; the expression must match the whole text, as node_exporter and Prometheus have it.
 */
int device_filter_compile_whole(struct config *config, const struct config_node *node,
                                const char *key, const char *expression,
                                struct pattern **ret_pattern, struct diagnosis *why);
