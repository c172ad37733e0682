/*
 * alerting_words.c - how much an outside service is told, in alerting.yml.
 *
 *     disclose: number                  # severity, alias and number only: the default
 *     alias_label: alias                # which system, in words meant for outsiders
 *
 *     disclose: full                    # names, summaries, links
 *     consent: '甲方〔2026〕12号'          # the written consent that allows it
 *     text: '{{ ... }}'                 # a text of one's own, with disclose: full only
 *
 * What goes out through other people's computers must not tell where the house keeps its
 * servers; who allows more puts that in writing, and the file says where.
 */
#include <string.h>

#include "collector/notify/alerting_parts.h"
#include "proto/base/error.h"

#define CONSENT_BYTES_MAX ((size_t)200)

const char *const alerting_disclosures[] = {"number", "full", NULL};

static int check_consent(struct alerting *alerting, const struct config_node *node,
                         const char *where, const char *consent, struct diagnosis *why)
{
    if (consent == NULL || consent[strspn(consent, " \t\r\n")] == '\0')
        return config_complain(alerting->config, node, why,
                               "%s: disclose: full lets names and texts out of the house; "
                               "consent: must name the written consent to it (its number)",
                               where);
    if (strlen(consent) > CONSENT_BYTES_MAX)
        return config_complain(alerting->config, config_child(node, "consent"), why,
                               "%s.consent is longer than %zu bytes", where, CONSENT_BYTES_MAX);
    return 0;
}

int alerting_read_words(struct alerting *alerting, const struct config_node *node,
                        const char *where, const struct disclosure *disclosure,
                        struct robot_words *words, struct diagnosis *why)
{
    const struct config_node *text = config_child(node, "text");
    int error = 0;

    if (text == NULL)
        text = config_child(node, "message"); /* as Alertmanager calls it */
    words->is_english = alerting->global.is_english;
    words->tells_all = strcmp(disclosure->disclose, "full") == 0;
    if (words->tells_all)
        error = check_consent(alerting, node, where, disclosure->consent, why);
    if (error == 0 && words->text != NULL && !words->tells_all)
        error = config_complain(alerting->config, node, why,
                                "%s: a text of your own may tell everything; say so with "
                                "disclose: full",
                                where);
    if (error == 0 && words->text != NULL)
        error = alerting_check_template(alerting, text, words->text, why);
    return error;
}
