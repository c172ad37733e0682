/*
 * alerting_parts.h - between the files that read alerting.yml; for nobody else.
 */
#pragma once

#include "collector/notify/alerting_config.h"
#include "collector/notify/interval.h"
#include "collector/notify/robot_text.h"
#include "collector/notify/template.h"
#include "proto/base/arena.h"
#include "proto/base/config.h"

struct global_settings {
    struct email_settings email; /* what email_configs start from */
    const struct config_node *email_tls;
    const struct config_node *http_config; /* what webhook_configs start from */
    const char *wechat_api_url, *wechat_api_secret, *wechat_api_secret_file,
        *wechat_api_corp_id; /* what wechat_configs start from */
    const char *language;
    bool is_english; /* language: en */
    int64_t channel_down_after_ms;
    int64_t resolve_timeout_ms; /* of posted alerts; those of our rules end when they end */
};

struct forward_target; /* forward.h */

struct alerting {
    struct config *config;
    struct template_set *templates; /* our own and those of `templates`; in the arena */
    char **template_texts;          /* the files that `templates` named; owned */
    size_t template_text_count;
    struct forward_target *targets; /* `alertmanagers`; in the arena */
    size_t target_count;
    struct arena arena; /* receivers, integrations, settings */
    struct global_settings global;
    struct duty *duty; /* a reference; NULL: no duty.yml */
    struct receiver *receivers;
    size_t receiver_count;
    struct receiver *persons;
    size_t person_count;
    struct route *root;
    struct route *fallbacks; /* one a receiver */
    struct inhibit_rule *inhibit_rules;
    size_t inhibit_rule_count;
    struct interval *intervals;
    size_t interval_count;
    struct regex **regexes; /* of channels' settings; owned */
    size_t regex_count;
};

/* Reads `global` and `receivers` into alerting->global and ->receivers. */
int alerting_read_global(struct alerting *alerting, const struct config_node *node,
                         struct diagnosis *why);
int alerting_read_receivers(struct alerting *alerting, const struct config_node *node,
                            struct diagnosis *why);

/* Reads what a receiver, or a contact channel, has of *_configs, and its name; `may_escalate`:
 * it may name an escalation. */
int alerting_read_integrations(struct alerting *alerting, const struct config_node *node,
                               bool may_escalate, struct receiver *receiver,
                               struct diagnosis *why);
/* Reads `contact_channels` (NULL: there are none) and makes ->persons. */
int alerting_read_contacts(struct alerting *alerting, const struct config_node *list,
                           struct diagnosis *why);
/* The escalation a receiver names; NULL: none. */
int alerting_read_escalation(struct alerting *alerting, const struct config_node *node,
                             const char *name, struct receiver *receiver,
                             struct diagnosis *why);

/* Reads `inhibit_rules` into alerting->inhibit_rules. */
int alerting_read_inhibit_rules(struct alerting *alerting, const struct config_node *node,
                                struct diagnosis *why);
/* Reads `time_intervals` and `mute_time_intervals` (the older name) into ->intervals. */
int alerting_read_intervals(struct alerting *alerting, const struct config_node *intervals,
                            const struct config_node *mute_intervals, struct diagnosis *why);
/* The intervals a route names under `key`; they live as long as the configuration. */
int alerting_find_intervals(struct alerting *alerting, const struct config_node *route,
                            const char *key, const struct config_strings *names,
                            const struct interval *const **ret_found, struct diagnosis *why);
/* Appends matchers: a list of texts (or one), and the old maps of label to value and to
 * pattern; each may be NULL. */
int alerting_read_matchers(struct alerting *alerting, const struct config_node *texts,
                           const struct config_node *match, const struct config_node *match_re,
                           struct matcher ***matchers, size_t *count, struct diagnosis *why);

/* One entry of a receiver's *_configs list; the caller sets the index. */
typedef int alerting_read_integration(struct alerting *alerting, const struct config_node *node,
                                      struct integration *integration, struct diagnosis *why);
alerting_read_integration alerting_read_dingtalk, alerting_read_wecom, alerting_read_feishu,
    alerting_read_program, alerting_read_sms, alerting_read_smpp, alerting_read_wechat,
    alerting_read_email;

/* What the channels to outside services share (alerting_words.c). */
struct disclosure {
    const char *disclose, *consent;
};
extern const char *const alerting_disclosures[];
#define DISCLOSURE_OPTIONS(at_disclosure, at_words)                                            \
    {.key = "disclose", .type = CONFIG_STRING,                                                 \
     .offset = (at_disclosure) + offsetof(struct disclosure, disclose), .fallback = "number",  \
     .choices = alerting_disclosures,                                                          \
     .help = "number: severity, alias and number only; full: all"},                            \
        {.key = "consent", .type = CONFIG_STRING,                                              \
         .offset = (at_disclosure) + offsetof(struct disclosure, consent),                     \
         .help = "number of the written consent; needed with disclose: full"},                 \
        {.key = "alias_label", .type = CONFIG_STRING,                                          \
         .offset = (at_words) + offsetof(struct robot_words, alias_label),                     \
         .fallback = "alias", .help = "label with a name of the system that outsiders may read"}
/* Checks them, and words->text, which the caller has read. */
int alerting_read_words(struct alerting *alerting, const struct config_node *node,
                        const char *where, const struct disclosure *disclosure,
                        struct robot_words *words, struct diagnosis *why);

/* Makes alerting->templates: what this program says by itself, then the files of the globs, in
 * their order.  `globs` may be NULL. */
int alerting_read_templates(struct alerting *alerting, const struct config_strings *globs,
                            struct diagnosis *why);
/* Reads `alertmanagers` into alerting->targets. */
int alerting_read_targets(struct alerting *alerting, const struct config_node *list,
                          struct diagnosis *why);

/* ---- HTTP clients (alerting_http.c) */

/* http_config of an integration; NULL: the global one.  A time limit of 0 becomes 10 s. */
int alerting_read_http(struct alerting *alerting, const struct config_node *node,
                       struct http_settings *http, struct diagnosis *why);
/* `text` parses as a template; the message names `node`. */
int alerting_check_template(struct alerting *alerting, const struct config_node *node,
                            const char *text, struct diagnosis *why);
/* Takes a regular expression that settings point to; frees it on ERR_NOMEM, too. */
int alerting_keep_regex(struct alerting *alerting, struct regex *regex);
