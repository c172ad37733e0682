/*
 * template_data.h - a message as templates see it: Alertmanager's data.
 *
 *     .Receiver .Status .Alerts .GroupLabels .CommonLabels .CommonAnnotations .ExternalURL
 *     an alert: .Status .Labels .Annotations .StartsAt .EndsAt .GeneratorURL .Fingerprint .Value
 *
 * .Alerts is the list itself, firing first, and knows .Firing and .Resolved; label sets know
 * .SortedPairs .Names .Values .Remove.  Times are in UTC.  .Value is ours alone.
 */
#pragma once

#include "collector/notify/channel.h"

/* Expands a template over the message, appending to `out`; it may call message->templates.
 * `is_html`: what actions print is escaped for a page. */
int template_data_expand(const struct message *message, const char *text, bool is_html,
                         struct buf *out, struct diagnosis *why);
