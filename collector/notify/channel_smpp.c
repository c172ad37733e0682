/*
 * channel_smpp.c - a text message through a carrier's SMPP server: what it says.
 *
 * How it is sent is smpp_pool.h's matter.  The signature that carriers demand comes first, then
 * severity and number, so that the first part has all three.
 */
#include "collector/notify/smpp.h"
#include "proto/base/error.h"

static int smpp_compose(const void *settings, const struct message *message, struct buf *body)
{
    const struct smpp_settings *smpp = settings;
    return robot_text_compose(&smpp->words, message, body);
}

static size_t text_limit(const struct smpp_settings *smpp)
{
    size_t signature = smpp->signature == NULL ? 0 : strlen(smpp->signature);
    return smpp->words.text_bytes_max - signature;
}

static size_t smpp_fit(const void *settings, const struct bytes *bodies, size_t count)
{
    return robot_text_fit(bodies, count, text_limit(settings));
}

static int smpp_join(const void *settings, const struct bytes *bodies, size_t count,
                     struct buf *out)
{
    const struct smpp_settings *smpp = settings;
    int error;

    if (smpp->signature != NULL)
        buf_put_text(out, smpp->signature);
    error = robot_text_join(&smpp->words, bodies, count, text_limit(smpp), out);
    while (error == 0 && out->size > 0 && out->data[out->size - 1] == '\n')
        out->size--; /* it costs a character of 70 */
    return error;
}

const struct channel channel_smpp = {
    .name = "smpp",
    .compose = smpp_compose,
    .fit = smpp_fit,
    .join = smpp_join,
    .is_session = true,
};
