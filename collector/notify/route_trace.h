/*
 * route_trace.h - how the route tree was walked for one alert: what took it, what did not, why.
 *
 *     route              taken    its receiver is told
 *     |- team="db"       passed   holds, but a child took it
 *     |  `- tier="1"     taken
 *     |- host=~"web.*"   missed   its matchers do not hold
 *     `- severity="x"    unasked  a sibling before it took the alert and does not say
 * `continue`
 *
 * The walk is route_match()'s; children of a route that missed or was not asked are unasked,
 * too. Pure; any thread.
 */
#pragma once

#include "collector/notify/route.h"
#include "proto/base/buf.h"

enum route_outcome { ROUTE_TAKEN, ROUTE_PASSED, ROUTE_MISSED, ROUTE_UNASKED };

struct route_step {
    const struct route *route;
    unsigned depth; /* of the root: 0 */
    enum route_outcome outcome;
    size_t missed; /* MISSED: which of its matchers does not hold (the first) */
};

/* "taken", "passed", "missed", "unasked". */
const char *route_outcome_text(enum route_outcome outcome);
/* Every route of the tree, parents before children, in file order; from malloc (free()).
 * ERR_NOMEM. */
int route_trace(const struct route *root, const struct labels *labels,
                struct route_step **ret_steps, size_t *ret_count);
/* Appends the steps as a JSON array: {"depth","key","receiver","matchers":[..],"continue",
 * "outcome","missed": the matcher that does not hold, "groupBy","groupWait","groupInterval",
 * "repeatInterval" (ms)}. */
void route_trace_print(const struct route_step *steps, size_t count, struct buf *out);
