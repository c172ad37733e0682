/*
 * channel_escalation.c - not a way out: the mark that a group is told by an incident.
 *
 * It stands among a receiver's integrations so that news, ends, silences and repetition are
 * decided for people as for everybody else (dedup.h); what there is to say goes to the incident
 * (incident_plan.h) instead of the outbox.
 */
#include "collector/notify/channel.h"
#include "proto/base/error.h"

static int never(const void *settings, const struct message *message, struct buf *body)
{
    (void)settings, (void)message, (void)body;
    return ERR_INVALID;
}

const struct channel channel_escalation = {.name = "escalation", .compose = never};
