/*
 * plan.c - the rules that mean a host, merged in order, and the document that comes of it.
 */

#include "collector/policy/policy_parts.h"
#include "proto/base/config_print.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

struct planning {
    struct arena *arena;
    struct policy_item *items;
    size_t count, capacity;
    bool failed;
};

static struct policy_item *find(struct planning *planning, enum policy_kind kind,
                                const char *subject, const char *option)
{
    for (size_t i = 0; i < planning->count; i++) {
        struct policy_item *item = &planning->items[i];
        if (item->kind == kind && strcmp(item->subject, subject) == 0 &&
            (kind != POLICY_SOURCE_OPTION || strcmp(item->node->key, option) == 0))
            return item;
    }
    return NULL;
}

/* The later word holds; the item keeps its place. */
static void say(struct planning *planning, const struct policy_item *item)
{
    struct policy_item *before =
        find(planning, item->kind, item->subject, item->node == NULL ? NULL : item->node->key);
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
    struct policy_item *item = find(planning, POLICY_LOG, path, NULL);
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
        item.kind = POLICY_SOURCE_OPTION;
        for (size_t k = 0; k < wish->option_count; k++) {
            item.node = wish->options[k];
            item.line = item.node->key_line;
            say(planning, &item);
        }
    }
    for (size_t i = 0; i < rule->log_count; i++) {
        const struct config_node *log = rule->logs[i];
        const char *path = policy_log_path(log);
        if (policy_log_is_taken_back(log))
            take_back(planning, path);
        else
            say(planning, &(struct policy_item){.kind = POLICY_LOG,
                                                .subject = path,
                                                .node = log,
                                                .rule = rule,
                                                .line = log->line});
    }
}

static bool is_of_source(const struct policy_item *item)
{
    return item->kind != POLICY_INTERVAL && item->kind != POLICY_LOG;
}

/* By kind and, among sources, by name: what follows each other in the document. */
static void sort(struct policy_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) { /* stable, and nearly sorted already */
        struct policy_item item = items[i];
        size_t at = i;
        for (; at > 0; at--) {
            const struct policy_item *other = &items[at - 1];
            int order = is_of_source(&item) && is_of_source(other)
                            ? strcmp(other->subject, item.subject)
                            : 0;
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

/* An entry without the switch that was for the rules: one that is here is wanted. */
static void put_log(struct buf *out, const struct config_node *entry)
{
    const char *separator = "";
    buf_put_text(out, "- {");
    for (size_t i = 0; i < entry->count; i++) {
        const struct config_node *child = entry->children[i];
        if (strcmp(child->key, "enabled") == 0)
            continue;
        buf_printf(out, "%s%s: ", separator, child->key);
        config_print(child, out);
        separator = ", ";
    }
    buf_put_text(out, "}\n");
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
        else if (item->kind == POLICY_SOURCE_SWITCH)
            buf_printf(out, "%senabled: %s", separator, item->is_on ? "true" : "false");
        else {
            buf_printf(out, "%s%s: ", separator, item->node->key);
            config_print(item->node, out);
        }
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
    for (; at < plan->count; at++)
        put_log(out, plan->items[at].node);
}
