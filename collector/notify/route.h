/*
 * route.h - which receiver an alert goes to, and which group it falls in.
 *
 * The tree is Alertmanager's: the root takes everything; at each node the first child whose
 * matchers hold takes the alert, and its siblings are asked too only if it says `continue`; a
 * node itself is used only when no child matched.  Children inherit what they do not set.
 *
 *     group key = route key ":" group labels      {}/{team="db"}:{alertname="CpuHigh"}
 *     route key = keys of the ancestors and the route's matchers, joined by "/"
 *     group labels = the alert's labels named in group_by; a missing one is left out
 *
 * A route never changes once built.  Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "collector/series/matcher.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

#define ROUTE_DEPTH_MAX     16
#define ROUTE_INTERVALS_MAX 64 /* of each kind */
#define ROUTE_MATCHES_MAX   64 /* routes one alert may take */

struct interval;
struct receiver;

struct route {
    const struct route *parent; /* NULL at the root */
    const struct receiver *receiver;
    struct matcher **matchers; /* owned; sorted by name, value, kind */
    size_t matcher_count;
    bool goes_on;      /* continue: */
    bool group_by_all; /* group_by: ['...'] */
    const char *const *group_by;
    size_t group_by_count;
    int64_t group_wait_ms, group_interval_ms, repeat_interval_ms;
    const struct interval *const *mute_intervals; /* not told while one of them holds */
    size_t mute_interval_count;
    const struct interval *const *active_intervals; /* told only while one holds; 0: always */
    size_t active_interval_count;
    struct route **children; /* owned */
    size_t child_count;
    char *key; /* owned */
};

/* Parses Alertmanager's matcher text and appends to the list: name="v", name=~v, several with
 * commas, optionally in braces.  ERR_INVALID with the reason, ERR_NOMEM. */
int route_matchers_parse(const char *text, struct matcher ***list, size_t *count,
                         struct diagnosis *why);
/* Appends one compiled matcher. */
int route_matcher_add(enum matcher_kind kind, struct bytes name, struct bytes value,
                      struct matcher ***list, size_t *count, struct diagnosis *why);

/* Appends "text" with \" \\ and \n. */
void route_put_quoted(struct buf *out, struct bytes text);
/* Appends name="value" as Alertmanager prints it. */
void route_put_matcher(struct buf *out, const struct matcher *matcher);

/* Sorts the matchers and makes the key of a filled route, below its parent. */
int route_finish(struct route *route);
/* Frees the route, its matchers and children.  NULL is allowed. */
void route_free(struct route *route);

/* The routes an alert takes, in order; returns their number, at most ROUTE_MATCHES_MAX. */
size_t route_match(const struct route *root, const struct labels *labels,
                   const struct route *ret_routes[ROUTE_MATCHES_MAX]);

int route_group_labels(const struct route *route, const struct labels *labels,
                       struct arena *arena, const struct labels **ret_group_labels);
void route_group_key(const struct route *route, const struct labels *group_labels,
                     struct buf *out);
