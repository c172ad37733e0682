/*
 * expand_query.h - query() in the templates of rules.
 *
 *     {{ range query "node_filesystem_avail_bytes > 0" }}{{ .Labels.instance }} {{ .Value }}{{
 * end }}
 *
 * The expression is evaluated at the time of the evaluation that expands the template, over
 * what is committed by then; its limits are those of the rule's own expression.
 *
 * Thread: the rules thread.
 */
#pragma once

#include "collector/notify/template.h"
#include "collector/rules/evaluate.h"

struct expand_query {
    const struct evaluation_options *options;
    const struct round *round;
};

/* What templates of this round see; `query` must live as long as it. */
struct template_environment expand_environment(const struct expand_query *query);
