/*
 * expand.h - from an element of a result to the labels of alerts and recorded series.
 *
 * Results are in the arena given.  Values are cut at LABEL_VALUE_BYTES_MAX.
 * A template that fails shows its reason in its place, as Prometheus does:
 *     <error expanding template: ...>
 */
#pragma once

#include "collector/notify/template.h"
#include "collector/rules/alert_state.h"
#include "collector/rules/outputs.h"
#include "collector/rules/rule_file.h"

/* `environment` says what query(), externalURL() and $externalLabels give.  A template that
 * fails leaves its error in its place, and is added to *template_errors. */

/* The element's labels without the name, the rule's labels over them, and alertname. */
int expand_labels(const struct rule *rule, const struct labels *element, double value,
                  const struct template_environment *environment, struct arena *arena,
                  size_t *template_errors, const struct labels **ret_labels,
                  struct diagnosis *why);
int expand_annotations(const struct rule *rule, const struct labels *element, double value,
                       const struct template_environment *environment, struct arena *arena,
                       size_t *template_errors, const struct labels **ret_annotations);
/* The element's labels with the rule's name and labels. */
int expand_record_labels(const struct rule *rule, const struct labels *element,
                         struct arena *arena, const struct labels **ret_labels);
/* Adds ALERTS{alertstate=...} 1 and ALERTS_FOR_STATE (seconds since when). */
int expand_add_alert_series(struct outputs *outputs, const struct labels *labels,
                            const struct alert_life *life, int64_t ts_ms, struct arena *arena,
                            struct output_samples *samples);
