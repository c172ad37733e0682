/*
 * parallel.c - the same for many series, on as many cores as are free.
 *
 * Each helper has an evaluation of its own: a copy that shares what is only read (plan, store,
 * options, what was fetched) and has an arena, counters and scratch to itself.  Afterwards the
 * arenas are joined, so that what was made lives as long as the query, and the counters added
 * up.  All arenas together may hold what the query's had left.
 */
#include <stdatomic.h>
#include <string.h>

#include "collector/promql/eval.h"
#include "collector/series/crew.h"
#include "proto/base/error.h"

#define SHARED_COST_MIN 32768 /* below, waking a helper costs as much as it saves */
#define PIECE_MAX       16    /* series taken at a time; fewer where there are few */

struct shared_loop {
    struct evaluation *ev;
    size_t count, piece;
    int (*one)(struct evaluation *mine, void *context, size_t index);
    void *context;
    struct crew_arenas arenas;
    _Atomic size_t next;
    _Atomic int error; /* the first */
    _Atomic uint64_t looked_at;
};

static void take_share(void *context, unsigned place)
{
    struct shared_loop *loop = context;
    struct evaluation mine = *loop->ev;
    struct query_budget budget = *loop->ev->budget;
    int error = 0;

    mine.arena = &loop->arenas.items[place];
    mine.budget = &budget;
    mine.builder = (struct labels_builder){0};
    buf_init(&mine.text, 0);
    mine.trend = NULL;
    mine.looked_at = 0;
    for (;;) {
        size_t first = atomic_fetch_add_explicit(&loop->next, loop->piece, memory_order_relaxed);
        if (first >= loop->count ||
            atomic_load_explicit(&loop->error, memory_order_relaxed) != 0)
            break;
        size_t until = loop->piece < loop->count - first ? first + loop->piece : loop->count;
        for (size_t i = first; i < until && error == 0; i++)
            error = loop->one(&mine, loop->context, i);
        int none = 0;
        if (error != 0) {
            (void)atomic_compare_exchange_strong(&loop->error, &none, error);
            break;
        }
    }
    atomic_fetch_add_explicit(&loop->looked_at, mine.looked_at, memory_order_relaxed);
    labels_builder_done(&mine.builder);
    buf_done(&mine.text);
}

static int evaluate_alone(struct evaluation *ev, size_t count,
                          int (*one)(struct evaluation *mine, void *context, size_t index),
                          void *context)
{
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++)
        error = one(ev, context, i);
    return error;
}

int evaluate_shared(struct evaluation *ev, size_t count, uint64_t cost,
                    int (*one)(struct evaluation *mine, void *context, size_t index),
                    void *context)
{
    struct crew *crew = ev->budget->crew;
    /* A count by step is one array for all: not worth one a helper. */
    if (crew_helpers(crew) == 0 || cost < SHARED_COST_MIN || count < 2 ||
        ev->looked_at_by_step != NULL)
        return evaluate_alone(ev, count, one, context);
    struct shared_loop loop = {
        .ev = ev,
        .count = count,
        .piece = crew_piece(crew, count, PIECE_MAX),
        .one = one,
        .context = context,
    };
    crew_arenas_init(&loop.arenas, ev->arena);
    crew_share(crew, take_share, &loop);
    crew_arenas_join(&loop.arenas, ev->arena);
    ev->looked_at += loop.looked_at;
    return loop.error;
}
