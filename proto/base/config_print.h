/*
 * config_print.h - a node of a configuration, or what was read from one, as YAML again.
 *
 * One line, in flow style: {path: "/app/a.log", patterns: [{name: "oom", regex: "x"}]}.  Texts
 * are quoted, and whatever YAML does not take as it is goes as an escape, so that reading gives
 * the same tree.  (Whether a text was quoted is not kept: the table that reads it decides what
 * it is.)
 */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/config.h"

void config_print(const struct config_node *node, struct buf *out);

/* What the table's rows hold in `source` (which a config_read() of the same table filled), one
 * "key: value" a line behind `indent` blanks, as config_read() would read it again.  Left out:
 * CONFIG_NODE rows, strings and lists that are NULL. */
void config_print_values(const struct config_option *options, size_t count, const void *source,
                         unsigned indent, struct buf *out);
