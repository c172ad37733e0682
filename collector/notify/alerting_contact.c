/*
 * alerting_contact.c - contact channels of alerting.yml, and the persons of duty.yml over them.
 *
 *     contact_channels:             # how a person is reached; {to} becomes the person's address
 *     - name: sms
 *       sms_configs: [{to: '{to}', url: 'https://sms.example/send', body: '...'}]
 *     - name: mail
 *       email_configs: [{to: '{to}'}]
 *
 * Each person becomes a receiver "person/<id>" with one integration a way, so that outbox, pace,
 * retries and `channel test` treat a person as they treat any receiver.  A channel is any of the
 * *_configs of receivers, read once for each person with the address in its place.
 */
#include <stdio.h>
#include <string.h>

#include "collector/notify/alerting_parts.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define ADDRESS_MARK "{to}"

/* ---- a channel with an address in the place of {to} -------------------------------------- */

static const char *fill_text(struct arena *arena, const char *text, const char *address)
{
    const char *mark = strstr(text, ADDRESS_MARK);
    struct buf filled = {0};
    char *copy;

    if (mark == NULL)
        return text;
    for (; mark != NULL; mark = strstr(text, ADDRESS_MARK)) {
        buf_put(&filled, text, (size_t)(mark - text));
        buf_put_text(&filled, address);
        text = mark + strlen(ADDRESS_MARK);
    }
    buf_put_text(&filled, text);
    copy = buf_ok(&filled) ? arena_alloc(arena, filled.size + 1, 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, filled.data, filled.size);
        copy[filled.size] = '\0';
    }
    buf_done(&filled);
    return copy;
}

/* NULL: no memory.  Depth is bounded by the YAML reader. */
static const struct config_node *fill_node(struct arena *arena, const struct config_node *node,
                                           const char *address)
{
    struct config_node *copy = arena_alloc(arena, 1, sizeof *copy);
    const struct config_node **children;

    if (copy == NULL)
        return NULL;
    *copy = *node;
    if (node->kind == CONFIG_SCALAR) {
        copy->text = fill_text(arena, node->text, address);
        return copy->text == NULL ? NULL : copy;
    }
    children = arena_alloc(arena, node->count + 1, sizeof(struct config_node *));
    for (size_t i = 0; children != NULL && i < node->count; i++) {
        children[i] = fill_node(arena, node->children[i], address);
        if (children[i] == NULL)
            return NULL;
    }
    copy->children = children;
    return children == NULL ? NULL : copy;
}

/* Digits, letters and what mail addresses and user ids have besides: nothing that means
 * something to a URL, a header, a JSON text or a program. */
static bool is_address(const char *text)
{
    return *text != '\0' && *text != '-' && strlen(text) <= CONTACT_ADDRESS_MAX &&
           text[strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "@._+-")] == '\0';
}

static int read_filled(struct alerting *alerting, const struct config_node *channel,
                       const char *address, struct integration *ret_integration,
                       struct diagnosis *why)
{
    struct receiver one = {0};
    const struct config_node *filled = fill_node(&alerting->arena, channel, address);
    int error = filled == NULL ? ERR_NOMEM
                               : alerting_read_integrations(alerting, filled, false, &one, why);
    if (error != 0)
        return error;
    if (one.integration_count != 1)
        return config_complain(alerting->config, channel, why,
                               "contact channel \"%s\" has %zu integrations; it needs one",
                               one.name, one.integration_count);
    *ret_integration = one.integrations[0];
    return 0;
}

/* ---- contact_channels -------------------------------------------------------------------- */

static const struct config_node *find_channel(const struct config_node *list, const char *name)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const struct config_node *at = config_child(list->children[i], "name");
        if (at != NULL && at->kind == CONFIG_SCALAR && strcmp(at->text, name) == 0)
            return list->children[i];
    }
    return NULL;
}

/* Each channel by itself, with an address that suits any kind. */
static int check_channels(struct alerting *alerting, const struct config_node *list,
                          struct diagnosis *why)
{
    if (list != NULL && list->kind != CONFIG_LIST)
        return config_complain(alerting->config, list, why, "contact_channels is a list");
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const struct config_node *channel = list->children[i];
        const struct config_node *name = config_child(channel, "name");
        struct integration integration;
        int error = read_filled(alerting, channel,
                                config_child(channel, "email_configs") != NULL
                                    ? "nobody@example.cn"
                                    : "10000",
                                &integration, why);
        if (error != 0)
            return error;
        if (name != NULL && find_channel(list, name->text) != channel)
            return config_complain(alerting->config, channel, why,
                                   "contact channel \"%s\" is there twice", name->text);
    }
    return 0;
}

/* ---- persons ----------------------------------------------------------------------------- */

/* What duty.yml names is there; a mistake is named with its line in that file. */
static int check_names(struct alerting *alerting, const struct config_node *list,
                       struct diagnosis *why)
{
    const size_t room = list == NULL ? 0 : list->count;
    const char **names = arena_alloc(&alerting->arena, room + 1, sizeof *names);
    size_t count = 0;

    if (names == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < room; i++)
        if (config_child(list->children[i], "name") != NULL)
            names[count++] = config_child(list->children[i], "name")->text;
    return duty_check_channels(alerting->duty, names, count, why);
}

static int read_way(struct alerting *alerting, const struct config_node *list,
                    const struct duty_person *person, size_t way,
                    struct integration *integration, struct diagnosis *why)
{
    const struct duty_way *at = &person->ways[way];
    const struct config_node *channel = find_channel(list, at->channel);
    struct diagnosis inner = {0};
    int error;

    must(channel != NULL); /* check_names() */
    if (!is_address(at->address))
        return diagnose(why, ERR_INVALID,
                        "duty.yml: \"%s\" of person %s is no address: letters, digits and @ . _ "
                        "+ - make one, %zu bytes at most",
                        at->address, person->id, CONTACT_ADDRESS_MAX);
    error = read_filled(alerting, channel, at->address, integration, &inner);
    integration->index = (unsigned)way;
    if (error == 0 || error == ERR_NOMEM)
        return error;
    return diagnose(why, error, "%s (with the address of person %s)", inner.text, person->id);
}

static int read_person(struct alerting *alerting, const struct config_node *list,
                       const struct duty_person *person, struct receiver *receiver,
                       struct diagnosis *why)
{
    const size_t name_bytes = strlen(CONTACT_RECEIVER_PREFIX) + strlen(person->id) + 1;
    char *name = arena_alloc(&alerting->arena, name_bytes, 1);
    int error = 0;

    receiver->integrations =
        arena_alloc(&alerting->arena, person->way_count + 1, sizeof *receiver->integrations);
    if (name == NULL || receiver->integrations == NULL)
        return ERR_NOMEM;
    (void)snprintf(name, name_bytes, CONTACT_RECEIVER_PREFIX "%s", person->id);
    receiver->name = name;
    receiver->person = person;
    receiver->templates = alerting->templates;
    receiver->is_english = alerting->global.is_english;
    for (size_t i = 0; error == 0 && i < person->way_count; i++) {
        error = read_way(alerting, list, person, i, &receiver->integrations[i], why);
        receiver->integration_count += error == 0;
    }
    return error;
}

int alerting_read_contacts(struct alerting *alerting, const struct config_node *list,
                           struct diagnosis *why)
{
    int error = check_channels(alerting, list, why);
    size_t count = 0;

    if (error == 0 && alerting->duty != NULL)
        error = check_names(alerting, list, why);
    if (error != 0 || alerting->duty == NULL)
        return error;
    while (duty_person_at(alerting->duty, count) != NULL)
        count++;
    alerting->persons = arena_alloc(&alerting->arena, count + 1, sizeof *alerting->persons);
    if (alerting->persons == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++) {
        error = read_person(alerting, list, duty_person_at(alerting->duty, i),
                            &alerting->persons[i], why);
        alerting->person_count += error == 0;
    }
    return error;
}

/* ---- the escalation of a receiver -------------------------------------------------------- */

int alerting_read_escalation(struct alerting *alerting, const struct config_node *node,
                             const char *name, struct receiver *receiver,
                             struct diagnosis *why)
{
    if (name == NULL)
        return 0;
    if (alerting->duty == NULL)
        return config_complain(alerting->config, config_child(node, "escalation"), why,
                               "escalation \"%s\" is duty.yml's, and collector.yml names no "
                               "`duty:` file",
                               name);
    receiver->escalation = duty_escalation(alerting->duty, name);
    if (receiver->escalation == NULL)
        return config_complain(alerting->config, config_child(node, "escalation"), why,
                               "duty.yml has no escalation \"%s\"", name);
    if (receiver->integration_count >= INTEGRATIONS_MAX)
        return config_complain(alerting->config, node, why,
                               "more than %zu integrations in one receiver", INTEGRATIONS_MAX);
    receiver->integrations[receiver->integration_count++] =
        (struct integration){.channel = &channel_escalation, .send_resolved = true};
    return 0;
}
