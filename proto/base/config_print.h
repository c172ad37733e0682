/*
 * config_print.h - a node of a configuration as YAML again.
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
