/*
 * inputs.h - are the data there by which an alert would be seen?
 *
 * For each selector of the rule, those of its series that carry the alert's labels:
 *
 *     one is fresh                                   the data speak
 *     else one's source is retired                   they will never speak again
 *     else one has stopped (its source is silent,    nobody knows: an alert must not end by it
 *          or nothing came for the window's half)
 *     else (a stale marker: it ended by itself)      the data speak
 *
 * Only series that were fresh when the alert was last seen to hold count as stopped.  An
 * aggregation over many hosts is spoken for by those that are left.  What is stale, or was not
 * seen since a restart, stays unknown while no series is there at all.
 *
 * The store knows of silence what ingest told it (store_set_absent()); so a test of rules over
 * plain samples never asks here.
 *
 * Thread: the rules thread.
 */
#pragma once

#include "collector/rules/rule_state.h"
#include "collector/store/store.h"

enum inputs_verdict { INPUTS_SPEAK, INPUTS_SILENT, INPUTS_RETIRED };

int inputs_look(struct store *store, const struct rule *rule, const struct live_alert *alert,
                int64_t lookback_ms, int64_t ts_ms, enum inputs_verdict *ret_verdict);
