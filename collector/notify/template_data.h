/*
 * template_data.h - a message as templates see it: Alertmanager's data.
 *
 *     .Receiver .Status .Alerts .GroupLabels .CommonLabels .CommonAnnotations .ExternalURL
 *     an alert: .Status .Labels .Annotations .StartsAt .EndsAt .GeneratorURL .Fingerprint .Value
 *
 * .Alerts is the list itself, firing first; there are no methods (.Alerts.Firing).
 */
#pragma once

#include "collector/notify/channel.h"

/* Expands a template over the message, appending to `out`. */
int template_data_expand(const struct message *message, const char *text, struct buf *out,
                         struct diagnosis *why);
