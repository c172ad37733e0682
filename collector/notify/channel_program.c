/*
 * channel_program.c - a program on this host: a modem, a siren, a script of the duty room.
 *
 * It reads the webhook's JSON, version 4, from its standard input; program.h says how it runs
 * and what its exit code means.  The message id is in FENGSUI_MESSAGE_ID: the same again after
 * a retry.
 */
#include "collector/notify/channel.h"

static int program_compose(const void *settings, const struct message *message,
                           struct buf *body)
{
    static const struct webhook_settings all_alerts = {0};
    (void)settings;
    return channel_webhook.compose(&all_alerts, message, body);
}

const struct channel channel_program = {
    .name = "program",
    .compose = program_compose,
    .is_program = true,
};
