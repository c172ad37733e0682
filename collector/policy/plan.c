/*
 * plan.c - the rules that mean a host, merged in order, and the document that comes of it.
 */
#include <stdio.h>

#include "collector/policy/policy_parts.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

struct planning {
    struct arena *arena;
    struct policy_item *items;
    size_t count, capacity;
    bool failed;
};

static struct policy_item *find(struct planning *planning, enum policy_kind kind,
                                const char *subject)
{
    for (size_t i = 0; i < planning->count; i++)
        if (planning->items[i].kind == kind && strcmp(planning->items[i].subject, subject) == 0)
            return &planning->items[i];
    return NULL;
}

/* The later word holds; the item keeps its place. */
static void say(struct planning *planning, const struct policy_item *item)
{
    struct policy_item *before = find(planning, item->kind, item->subject);
    if (before != NULL) {
        bool is_longer =
            (item->kind == POLICY_INTERVAL || item->kind == POLICY_SOURCE_INTERVAL) &&
            item->interval_ms >= before->interval_ms;
        if (item->rule->during_count == 0 || !is_longer)
            *before = *item;
        return;
    }
    if (planning->count == planning->capacity) {
        size_t capacity = planning->capacity == 0 ? 16 : planning->capacity * 2;
        struct policy_item *grown = arena_alloc(planning->arena, capacity, sizeof *grown);
        if (grown == NULL) {
            planning->failed = true;
            return;
        }
        if (planning->count > 0)
            memcpy(grown, planning->items, planning->count * sizeof *grown);
        planning->items = grown;
        planning->capacity = capacity;
    }
    planning->items[planning->count++] = *item;
}

static void take_back(struct planning *planning, const char *path)
{
    struct policy_item *item = find(planning, POLICY_LOG, path);
    if (item == NULL)
        return;
    size_t at = (size_t)(item - planning->items);
    planning->count--;
    memmove(item, item + 1, (planning->count - at) * sizeof *item);
}

static void take_rule(struct planning *planning, const struct policy_rule *rule)
{
    if (rule->interval_ms != 0)
        say(planning, &(struct policy_item){.kind = POLICY_INTERVAL,
                                            .subject = "",
                                            .interval_ms = rule->interval_ms,
                                            .rule = rule,
                                            .line = rule->interval_line});
    for (size_t i = 0; i < rule->wish_count; i++) {
        const struct policy_wish *wish = &rule->wishes[i];
        struct policy_item item = {.subject = wish->source,
                                   .interval_ms = wish->interval_ms,
                                   .is_on = wish->is_on,
                                   .rule = rule,
                                   .line = wish->line};
        item.kind = POLICY_SOURCE_INTERVAL;
        if (wish->interval_ms != 0)
            say(planning, &item);
        item.kind = POLICY_SOURCE_SWITCH;
        if (wish->has_switch)
            say(planning, &item);
    }
    for (size_t i = 0; i < rule->log_count; i++) {
        const struct config_node *log = rule->logs[i];
        const char *path = policy_log_path(log);
        if (policy_log_is_taken_back(log))
            take_back(planning, path);
        else
            say(planning, &(struct policy_item){.kind = POLICY_LOG,
                                                .subject = path,
                                                .log = log,
                                                .rule = rule,
                                                .line = log->line});
    }
}

/* By kind and, among sources, by name: what follows each other in the document. */
static void sort(struct policy_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) { /* stable, and nearly sorted already */
        struct policy_item item = items[i];
        size_t at = i;
        for (; at > 0; at--) {
            const struct policy_item *other = &items[at - 1];
            bool is_source =
                item.kind == POLICY_SOURCE_INTERVAL || item.kind == POLICY_SOURCE_SWITCH;
            bool other_is_source =
                other->kind == POLICY_SOURCE_INTERVAL || other->kind == POLICY_SOURCE_SWITCH;
            int order = is_source && other_is_source ? strcmp(other->subject, item.subject) : 0;
            if (order == 0)
                order = (int)other->kind - (int)item.kind;
            if (order <= 0)
                break;
            items[at] = items[at - 1];
        }
        items[at] = item;
    }
}

bool policy_rule_matches(const struct policy *policy, size_t rule,
                         const struct policy_host *host)
{
    struct arena arena;
    const struct labels *labels;
    arena_init(&arena, (size_t)1 << 20);
    bool matches =
        policy_host_labels(host, &arena, &labels) == 0 &&
        matchers_match(policy->rules[rule].matchers, policy->rules[rule].matcher_count, labels);
    arena_reset(&arena);
    return matches;
}

int policy_plan(const struct policy *policy, const struct policy_host *host, int64_t at_ms,
                struct arena *arena, struct policy_plan *ret_plan)
{
    struct planning planning = {.arena = arena};
    const struct labels *labels;
    int error = policy_host_labels(host, arena, &labels);
    if (error != 0)
        return error;
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (policy_rule_is_in_force(policy, rule, at_ms) &&
            matchers_match(rule->matchers, rule->matcher_count, labels))
            take_rule(&planning, rule);
    }
    if (planning.failed)
        return ERR_NOMEM;
    sort(planning.items, planning.count);
    *ret_plan = (struct policy_plan){planning.items, planning.count};
    return 0;
}

/* ---- the document ------------------------------------------------------------------------ */

/* Bytes at `at` that YAML does not take as they are (C1 controls, U+FEFF, U+FFFE, U+FFFF), and
 * their escape; 0: it takes them. */
static size_t escape_of(const uint8_t *at, char escape[8])
{
    unsigned code = 0;
    if (at[0] == '"' || at[0] == '\\') {
        (void)snprintf(escape, 8, "\\%c", at[0]);
        return 1;
    }
    if (at[0] < 0x20 || at[0] == 0x7F) {
        (void)snprintf(escape, 8, "\\x%02X", at[0]);
        return 1;
    }
    if (at[0] == 0xC2 && at[1] < 0xA0)
        code = at[1];
    else if (at[0] == 0xEF && at[1] == 0xBB && at[2] == 0xBF)
        code = 0xFEFF;
    else if (at[0] == 0xEF && at[1] == 0xBF && at[2] >= 0xBE)
        code = 0xFFC0u + (at[2] & 0x3Fu);
    if (code == 0)
        return 0;
    (void)snprintf(escape, 8, "\\u%04X", code);
    return code < 0x100 ? 2 : 3;
}

/* A text in YAML's double quotes. */
static void put_text(struct buf *out, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    char escape[8];
    buf_put_char(out, '"');
    while (*at != '\0') {
        size_t size = escape_of(at, escape);
        if (size == 0)
            buf_put_char(out, (char)*at++);
        else
            buf_put_text(out, escape);
        at += size;
    }
    buf_put_char(out, '"');
}

static void put_node(struct buf *out, const struct config_node *node)
{
    const char *separator = "";
    if (node->kind == CONFIG_SCALAR) {
        put_text(out, node->text);
        return;
    }
    buf_put_char(out, node->kind == CONFIG_MAP ? '{' : '[');
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *child = node->children[i];
        if (child->key != NULL && strcmp(child->key, "enabled") == 0)
            continue; /* was for the rules; one that is here is wanted */
        buf_put_text(out, separator);
        separator = ", ";
        if (child->key != NULL)
            buf_printf(out, "%s: ", child->key);
        put_node(out, child);
    }
    buf_put_char(out, node->kind == CONFIG_MAP ? '}' : ']');
}

static void put_source(struct buf *out, const struct policy_plan *plan, size_t *at)
{
    char text[DURATION_TEXT_BYTES];
    const char *name = plan->items[*at].subject;
    const char *separator = "";
    buf_printf(out, "  %s: {", name);
    for (; *at < plan->count; (*at)++) {
        const struct policy_item *item = &plan->items[*at];
        if (item->kind == POLICY_LOG || strcmp(item->subject, name) != 0)
            break;
        if (item->kind == POLICY_SOURCE_INTERVAL)
            buf_printf(out, "%sinterval: %s", separator,
                       duration_format(item->interval_ms, text));
        else
            buf_printf(out, "%senabled: %s", separator, item->is_on ? "true" : "false");
        separator = ", ";
    }
    buf_put_text(out, "}\n");
}

void policy_print_document(const struct policy_plan *plan, struct buf *out)
{
    char text[DURATION_TEXT_BYTES];
    size_t at = 0;
    if (at < plan->count && plan->items[at].kind == POLICY_INTERVAL)
        buf_printf(out, "interval: %s\n", duration_format(plan->items[at++].interval_ms, text));
    if (at < plan->count && plan->items[at].kind != POLICY_LOG)
        buf_put_text(out, "sources:\n");
    while (at < plan->count && plan->items[at].kind != POLICY_LOG)
        put_source(out, plan, &at);
    if (at < plan->count)
        buf_put_text(out, "logs:\n");
    for (; at < plan->count; at++) {
        buf_put_text(out, "- ");
        put_node(out, plan->items[at].log);
        buf_put_char(out, '\n');
    }
}
