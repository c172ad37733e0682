/*
 * alerting_config.h - alerting.yml: Alertmanager's format, checked to the last key.
 *
 *     global:    smtp_smarthost smtp_from smtp_hello smtp_auth_username smtp_auth_password
 *                smtp_auth_password_file smtp_auth_secret smtp_auth_identity smtp_require_tls
 *                smtp_tls_config resolve_timeout http_config wechat_api_url wechat_api_secret
 *                wechat_api_secret_file wechat_api_corp_id, and ours:
 *                channel_down_after language
 *     templates: globs of files of {{ define }}s
 *     alertmanagers: Prometheus's list of others that are told of our alerts (forward.h)
 *     route:     receiver group_by group_wait group_interval repeat_interval matchers match
 *                match_re continue routes mute_time_intervals active_time_intervals
 *     time_intervals, mute_time_intervals: name time_intervals (interval.h)
 *     inhibit_rules: source_matchers target_matchers equal, and the older source_match
 *                source_match_re target_match target_match_re
 *     receivers: name escalation webhook_configs email_configs wechat_configs, and our own
 *                dingtalk_configs wecom_configs feishu_configs sms_configs smpp_configs
 *                program_configs
 *     contact_channels: name and one *_configs: how the persons of duty.yml are reached
 *
 * What this version does not do yet is an error that names the key, never silently ignored.
 * A loaded configuration never changes; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/duty/duty.h"
#include "collector/notify/channel.h"
#include "collector/notify/inhibit.h"
#include "collector/notify/route.h"
#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

#define RECEIVERS_MAX    ((size_t)1024)
#define INTEGRATIONS_MAX ((size_t)64) /* of one receiver */

#define CONTACT_RECEIVER_PREFIX "person/" /* and the person's id */
#define CONTACT_ADDRESS_MAX     ((size_t)200)

struct integration {
    const struct channel *channel;
    unsigned index; /* among the receiver's, from 0 in file order */
    bool send_resolved;
    unsigned per_minute;  /* messages the service takes; 0: no limit */
    const void *settings; /* the channel's */
};

struct receiver {
    const char *name;
    struct integration *integrations;
    size_t integration_count;
    const struct duty_escalation *escalation; /* NULL: no incidents; else the last integration
                                                 is channel_escalation */
    const struct duty_person *person;         /* of a "person/<id>": integrations are the ways */
    const struct template_set *templates; /* what its texts may call */
    bool is_english;                      /* global.language */
};

struct alerting;

/* path NULL: one root route to a receiver without integrations.  `duty` (NULL: nobody is known)
 * is shared, for as long as the configuration lives. */
int alerting_load(const char *path, struct duty *duty, struct alerting **ret_alerting,
                  struct diagnosis *why);
/* The same from memory; `name` stands for the path in messages. */
int alerting_parse(const char *name, struct bytes text, struct duty *duty,
                   struct alerting **ret_alerting, struct diagnosis *why);
void alerting_free(struct alerting *alerting);

const struct route *alerting_root(const struct alerting *alerting);
/* One of the file's, or "person/<id>"; NULL if there is none. */
const struct receiver *alerting_receiver(const struct alerting *alerting, const char *name);
/* When an external alert nobody speaks of any more has ended. */
int64_t alerting_resolve_timeout_ms(const struct alerting *alerting);
/* After how long without a message accepted a failing integration is down; 0: never. */
int64_t alerting_channel_down_after_ms(const struct alerting *alerting);
/* A route to the n-th receiver beside the tree, for what the tree leads nowhere (health.h): at
 * once, together by alertname, the root's other intervals, no mute times. */
const struct route *alerting_fallback(const struct alerting *alerting, size_t n);
/* All inhibit_rules in file order. */
const struct inhibit_rule *alerting_inhibit_rules(const struct alerting *alerting,
                                                  size_t *ret_count);
/* All time intervals in file order, those of the older key last (interval.h). */
const struct interval *alerting_intervals(const struct alerting *alerting, size_t *ret_count);
/* NULL: no duty.yml. */
struct duty *alerting_duty(const struct alerting *alerting);
/* The receivers "person/<id>" in duty.yml's order. */
const struct receiver *alerting_persons(const struct alerting *alerting, size_t *ret_count);
/* Alertmanagers that are told of our alerts, in file order (forward.h). */
struct forward_target;
const struct forward_target *alerting_targets(const struct alerting *alerting,
                                              size_t *ret_count);
/* All receivers in file order; persons are not among them. */
const struct receiver *alerting_receivers(const struct alerting *alerting, size_t *ret_count);
/* Appends the routes and receivers as YAML that Alertmanager's own tools read (amtool,
 * Grafana). Passwords, tokens, and of URLs all that follows the host, are "<secret>". */
void alerting_print(const struct alerting *alerting, struct buf *out);
