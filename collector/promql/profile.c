/*
 * profile.c - where the time of a query went: what each part of the expression cost.
 *
 * Costs are noted around evaluate(), so they include the operands; what a part cost itself is
 * the difference.
 */
#include <string.h>

#include "collector/promql/eval.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

int evaluate_measured(struct evaluation *ev, const struct node *node, const struct grid *grid,
                      struct value *ret_value)
{
    struct query_budget before = *ev->budget;
    mono_ns began = clock_mono(&clock_system);
    int error = evaluate_plain(ev, node, grid, ret_value);
    struct node_cost *cost = &ev->costs[node->id];
    cost->runs++;
    cost->steps += ev->plan->nodes[node->id].invariant ? 1 : grid->count;
    cost->series += error == 0 ? ret_value->count : 0;
    cost->samples += ev->budget->samples_seen - before.samples_seen;
    cost->chunks += ev->budget->chunks_seen - before.chunks_seen;
    cost->nanoseconds += (int64_t)(clock_mono(&clock_system) - began);
    return error;
}

struct listing {
    struct evaluation *ev;
    struct promql_profile *items;
    size_t count;
    int error;
};

static void add_part(struct listing *listing, const struct node *node, unsigned depth)
{
    struct evaluation *ev = listing->ev;
    const struct node_cost *cost = &ev->costs[node->id];
    buf_clear(&ev->text);
    node_print(node, &ev->text);
    char *text = buf_ok(&ev->text) ? arena_alloc(ev->arena, ev->text.size + 1, 1) : NULL;
    if (text == NULL) {
        listing->error = ERR_NOMEM;
        return;
    }
    memcpy(text, ev->text.data, ev->text.size);
    listing->items[listing->count++] = (struct promql_profile){
        text,          depth,        cost->steps,       cost->series,
        cost->samples, cost->chunks, cost->nanoseconds, cost->nanoseconds};
}

/* Lists the node and what is under it; returns what it cost. */
static int64_t list_node(struct listing *listing, const struct node *node, unsigned depth)
{
    size_t place = listing->count;
    bool is_part = node->kind != NODE_PAREN && listing->ev->costs[node->id].runs > 0;
    int64_t operands = 0;
    if (is_part)
        add_part(listing, node, depth);
    depth += is_part;
    for (const struct node *at = node->first; at != NULL && listing->error == 0;
         at = node_after(node, at))
        operands += list_node(listing, at, depth);
    if (!is_part || listing->error != 0)
        return operands;
    listing->items[place].own_nanoseconds -= operands;
    return listing->items[place].nanoseconds;
}

int profile_make(struct evaluation *ev, struct promql_result *result)
{
    struct listing listing = {.ev = ev};
    listing.items =
        arena_alloc(ev->arena, ev->expression->node_count + 1, sizeof *listing.items);
    if (listing.items == NULL)
        return ERR_NOMEM;
    (void)list_node(&listing, ev->expression->root, 0);
    result->profile = listing.items;
    result->profile_count = listing.count;
    return listing.error;
}
