/*
 * alerting_print.c - the configuration in force, as Alertmanager's YAML.
 *
 * It is what /api/v2/status shows: amtool parses it to draw and test routes, Grafana lists the
 * receivers.  So it must be valid for Alertmanager 0.25 on; every text stands in double
 * quotes.  What could be a secret is not shown: many robots' keys stand in the path
 * or query of a webhook's URL.
 */
#include "collector/notify/alerting_parts.h"
#include "collector/notify/wechat.h"
#include "proto/base/units.h"

#define SECRET "<secret>"

static void indent(struct buf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        buf_put_text(out, "  ");
}

static void put_text(struct buf *out, unsigned depth, const char *key, const char *text)
{
    if (text == NULL || *text == '\0')
        return;
    indent(out, depth);
    buf_printf(out, "%s: ", key);
    route_put_quoted(out, bytes_of(text));
    buf_put_char(out, '\n');
}

static void put_duration(struct buf *out, unsigned depth, const char *key, int64_t ms)
{
    char text[DURATION_TEXT_BYTES];
    indent(out, depth);
    buf_printf(out, "%s: %s\n", key, duration_format(ms, text));
}

static void put_matchers(struct buf *out, unsigned depth, const char *key,
                         struct matcher *const *matchers, size_t count)
{
    if (count == 0)
        return;
    indent(out, depth);
    buf_printf(out, "%s:\n", key);
    for (size_t i = 0; i < count; i++) {
        struct buf text = {0};
        route_put_matcher(&text, matchers[i]);
        indent(out, depth);
        buf_put_text(out, "- ");
        route_put_quoted(out, buf_bytes(&text));
        buf_put_char(out, '\n');
        buf_done(&text);
    }
}

static void put_names(struct buf *out, const char *const *names, size_t count)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_put_text(out, i > 0 ? ", " : "");
        route_put_quoted(out, bytes_of(names[i]));
    }
    buf_put_text(out, "]\n");
}

static void put_group_by(struct buf *out, unsigned depth, const struct route *route)
{
    if (!route->group_by_all && route->group_by_count == 0)
        return;
    indent(out, depth);
    buf_put_text(out, "group_by: ");
    if (route->group_by_all)
        buf_put_text(out, "[\"...\"]\n");
    else
        put_names(out, route->group_by, route->group_by_count);
}

static void put_intervals(struct buf *out, unsigned depth, const char *key,
                          const struct interval *const *intervals, size_t count)
{
    if (count == 0)
        return;
    indent(out, depth);
    buf_printf(out, "%s:\n", key);
    for (size_t i = 0; i < count; i++) {
        indent(out, depth);
        buf_put_text(out, "- ");
        route_put_quoted(out, bytes_of(intervals[i]->name));
        buf_put_char(out, '\n');
    }
}

/* The keys of a route; the caller has begun the line of the first (the receiver). */
static void put_route(struct buf *out, unsigned depth, const struct route *route)
{
    buf_put_text(out, "receiver: ");
    route_put_quoted(out, bytes_of(route->receiver->name));
    buf_put_char(out, '\n');
    put_group_by(out, depth, route);
    put_matchers(out, depth, "matchers", route->matchers, route->matcher_count);
    indent(out, depth);
    buf_printf(out, "continue: %s\n", route->goes_on ? "true" : "false");
    put_duration(out, depth, "group_wait", route->group_wait_ms);
    put_duration(out, depth, "group_interval", route->group_interval_ms);
    put_duration(out, depth, "repeat_interval", route->repeat_interval_ms);
    put_intervals(out, depth, "mute_time_intervals", route->mute_intervals,
                  route->mute_interval_count);
    put_intervals(out, depth, "active_time_intervals", route->active_intervals,
                  route->active_interval_count);
    if (route->child_count == 0)
        return;
    indent(out, depth);
    buf_put_text(out, "routes:\n");
    for (size_t i = 0; i < route->child_count; i++) { /* at most ROUTE_DEPTH_MAX deep */
        indent(out, depth);
        buf_put_text(out, "- ");
        put_route(out, depth + 1, route->children[i]);
    }
}

/* http://user:key@host/path?key=1 becomes http://host/<secret>. */
static void put_url(struct buf *out, const struct webhook_settings *settings)
{
    const char *url = settings->url != NULL ? settings->url : "http://url_file/";
    const char *host = strstr(url, "://");
    struct buf shown = {0};
    if (host != NULL) {
        host += 3;
        const size_t size = strcspn(host, "/?#");
        const char *at = memchr(host, '@', size);
        const char *start = at != NULL ? at + 1 : host;
        buf_put(&shown, url, (size_t)(host - url));
        buf_put(&shown, start, (size_t)(host + size - start));
    }
    buf_put_text(&shown, "/" SECRET);
    put_text(out, 2, "- url", buf_text(&shown));
    buf_done(&shown);
}

static void put_webhook(struct buf *out, const struct integration *integration)
{
    const struct webhook_settings *settings = integration->settings;
    put_url(out, settings);
    indent(out, 3);
    buf_printf(out, "send_resolved: %s\n", integration->send_resolved ? "true" : "false");
    indent(out, 3);
    buf_printf(out, "max_alerts: %lld\n", (long long)settings->max_alerts);
}

static void put_email(struct buf *out, const struct integration *integration)
{
    const struct email_settings *settings = integration->settings;
    put_text(out, 2, "- to", settings->to);
    put_text(out, 3, "from", settings->from);
    put_text(out, 3, "hello", settings->hello);
    put_text(out, 3, "smarthost", settings->smarthost);
    put_text(out, 3, "auth_username", settings->username);
    if (settings->password != NULL || settings->password_file != NULL)
        put_text(out, 3, "auth_password", SECRET);
    indent(out, 3);
    buf_printf(out, "require_tls: %s\n", settings->require_tls ? "true" : "false");
    indent(out, 3);
    buf_printf(out, "send_resolved: %s\n", integration->send_resolved ? "true" : "false");
}

static void put_wechat(struct buf *out, const struct integration *integration)
{
    const struct wechat_settings *settings = integration->settings;
    indent(out, 2);
    buf_printf(out, "- send_resolved: %s\n", integration->send_resolved ? "true" : "false");
    put_text(out, 3, "api_secret", SECRET);
    put_text(out, 3, "corp_id", settings->corp_id);
    put_text(out, 3, "api_url", settings->api_url);
    put_text(out, 3, "message", settings->words.text);
    put_text(out, 3, "to_user", settings->to_user);
    put_text(out, 3, "to_party", settings->to_party);
    put_text(out, 3, "to_tag", settings->to_tag);
    put_text(out, 3, "agent_id", settings->agent_id);
    put_text(out, 3, "message_type", settings->message_type);
}

static void put_integrations(struct buf *out, const struct receiver *receiver,
                             const struct channel *channel, const char *key,
                             void (*put)(struct buf *out,
                                         const struct integration *integration))
{
    bool first = true;
    for (size_t i = 0; i < receiver->integration_count; i++) {
        if (receiver->integrations[i].channel != channel)
            continue;
        if (first)
            buf_printf(out, "  %s:\n", key);
        first = false;
        put(out, &receiver->integrations[i]);
    }
}

static void put_inhibit_rules(struct buf *out, const struct alerting *alerting)
{
    if (alerting->inhibit_rule_count > 0)
        buf_put_text(out, "inhibit_rules:\n");
    for (size_t i = 0; i < alerting->inhibit_rule_count; i++) {
        const struct inhibit_rule *rule = &alerting->inhibit_rules[i];
        buf_put_text(out, "- equal: ");
        put_names(out, rule->equal, rule->equal_count);
        put_matchers(out, 1, "source_matchers", rule->sources, rule->source_count);
        put_matchers(out, 1, "target_matchers", rule->targets, rule->target_count);
    }
}

void alerting_print(const struct alerting *alerting, struct buf *out)
{
    buf_put_text(out, "global:\n");
    put_duration(out, 1, "resolve_timeout", alerting->global.resolve_timeout_ms);
    buf_put_text(out, "route:\n  ");
    put_route(out, 1, alerting->root);
    put_inhibit_rules(out, alerting);
    if (alerting->interval_count > 0)
        buf_put_text(out, "time_intervals:\n");
    for (size_t i = 0; i < alerting->interval_count; i++)
        interval_print(&alerting->intervals[i], out);
    buf_put_text(out, "receivers:\n");
    for (size_t i = 0; i < alerting->receiver_count; i++) {
        const struct receiver *receiver = &alerting->receivers[i];
        put_text(out, 0, "- name", receiver->name);
        put_integrations(out, receiver, &channel_webhook, "webhook_configs", put_webhook);
        put_integrations(out, receiver, &channel_email, "email_configs", put_email);
        put_integrations(out, receiver, &channel_wechat, "wechat_configs", put_wechat);
    }
    buf_put_text(out, "templates: []\n");
}
