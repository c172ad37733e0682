/*
 * route_trace.c - see route_trace.h.
 */
#include "collector/notify/route_trace.h"

#include <inttypes.h>
#include <stdlib.h>

#include "collector/notify/alerting_config.h"
#include "collector/notify/json.h"
#include "proto/base/error.h"

const char *route_outcome_text(enum route_outcome outcome)
{
    static const char *const texts[] = {[ROUTE_TAKEN] = "taken",
                                        [ROUTE_PASSED] = "passed",
                                        [ROUTE_MISSED] = "missed",
                                        [ROUTE_UNASKED] = "unasked"};
    return texts[outcome];
}

static size_t count_routes(const struct route *route)
{
    size_t count = 1;
    for (size_t i = 0; i < route->child_count; i++) /* at most ROUTE_DEPTH_MAX deep */
        count += count_routes(route->children[i]);
    return count;
}

struct tracing {
    const struct labels *labels;
    struct route_step *steps;
    size_t count;
};

/* Which matcher is the first that does not hold; the count of them if all do. */
static size_t first_missed(const struct route *route, const struct labels *labels)
{
    size_t i = 0;
    while (i < route->matcher_count && matchers_match(&route->matchers[i], 1, labels))
        i++;
    return i;
}

/* Writes the steps of a subtree down; true if it took the alert. */
static bool trace_below(struct tracing *tracing, const struct route *route, unsigned depth,
                        bool asked)
{
    const size_t at = tracing->count++;
    struct route_step step = {.route = route, .depth = depth, .outcome = ROUTE_UNASKED};
    bool holds = asked, child_took = false, goes_on = true;

    if (asked) {
        step.missed = first_missed(route, tracing->labels);
        holds = step.missed == route->matcher_count;
        step.outcome = holds ? ROUTE_TAKEN : ROUTE_MISSED;
    }
    for (size_t i = 0; i < route->child_count; i++) {
        const bool took = trace_below(tracing, route->children[i], depth + 1, holds && goes_on);
        child_took = child_took || took;
        goes_on = goes_on && (!took || route->children[i]->goes_on);
    }
    if (holds && child_took)
        step.outcome = ROUTE_PASSED;
    tracing->steps[at] = step;
    return holds;
}

int route_trace(const struct route *root, const struct labels *labels,
                struct route_step **ret_steps, size_t *ret_count)
{
    struct tracing tracing = {.labels = labels};

    tracing.steps = calloc(count_routes(root), sizeof *tracing.steps);
    if (tracing.steps == NULL)
        return ERR_NOMEM;
    (void)trace_below(&tracing, root, 0, true);
    *ret_steps = tracing.steps;
    *ret_count = tracing.count;
    return 0;
}

static void put_matcher(const struct matcher *matcher, struct buf *out)
{
    struct buf text = {0};
    route_put_matcher(&text, matcher);
    json_put_text(out, buf_text(&text));
    buf_done(&text);
}

static void put_step(const struct route_step *step, struct buf *out)
{
    const struct route *route = step->route;

    buf_printf(out, "{\"depth\":%u,\"key\":", step->depth);
    json_put_text(out, route->key);
    buf_put_text(out, ",\"receiver\":");
    json_put_text(out, route->receiver->name);
    buf_put_text(out, ",\"matchers\":[");
    for (size_t i = 0; i < route->matcher_count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        put_matcher(route->matchers[i], out);
    }
    buf_printf(out, "],\"continue\":%s,\"outcome\":\"%s\"", route->goes_on ? "true" : "false",
               route_outcome_text(step->outcome));
    if (step->outcome == ROUTE_MISSED) {
        buf_put_text(out, ",\"missed\":");
        put_matcher(route->matchers[step->missed], out);
    }
    buf_put_text(out, ",\"groupBy\":[");
    if (route->group_by_all)
        json_put_text(out, "...");
    for (size_t i = 0; i < route->group_by_count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        json_put_text(out, route->group_by[i]);
    }
    buf_printf(out,
               "],\"groupWait\":%" PRId64 ",\"groupInterval\":%" PRId64
               ",\"repeatInterval\":%" PRId64 "}",
               route->group_wait_ms, route->group_interval_ms, route->repeat_interval_ms);
}

void route_trace_print(const struct route_step *steps, size_t count, struct buf *out)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        put_step(&steps[i], out);
    }
    buf_put_char(out, ']');
}
