/*
 * relabel.h - Prometheus's relabelling: rules that keep, drop and rewrite the labels of a series.
 *
 *     write_relabel_configs:
 *       - {source_labels: [__name__], regex: "node_.*", action: keep}
 *       - {target_label: site, replacement: unicom}
 *
 * Actions: replace, keep, drop, keepequal, dropequal, hashmod (MD5, as there: shards are the
 * same), labelmap, labeldrop, labelkeep, lowercase and uppercase (ASCII letters alone).
 *
 * Rules never change once read; any thread may apply them.  Each thread brings its scratch.
 */
#pragma once

#include "collector/series/labels.h"
#include "proto/base/config.h"

#define RELABEL_RULES_MAX 256

struct relabel;

/* `list` NULL: *ret_rules is NULL, which keeps every series as it is.  Texts are the config's.
 * ERR_INVALID with file, line and key in `why`, ERR_NOMEM. */
int relabel_read(struct config *config, const struct config_node *list,
                 struct relabel **ret_rules, struct diagnosis *why);
void relabel_free(struct relabel *rules); /* NULL is allowed */

struct relabel_scratch {
    struct labels_builder builder;
    struct arena arena; /* what the result points to */
    struct buf joined, text, target;
};
void relabel_scratch_init(struct relabel_scratch *scratch);
void relabel_scratch_done(struct relabel_scratch *scratch);

/* *ret_labels: what becomes of the labels, valid until the scratch is used again; NULL: the series
 * is dropped.  ERR_NOMEM, ERR_LIMIT and ERR_MALFORMED for labels that cannot be. */
int relabel_apply(const struct relabel *rules, const struct labels *labels,
                  struct relabel_scratch *scratch, const struct labels **ret_labels);
