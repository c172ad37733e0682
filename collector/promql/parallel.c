/*
 * parallel.c - the same for many series, on as many cores as are free.
 *
 * Each helper has an evaluation of its own: a copy that shares what is only read (plan, store,
 * options, what was fetched) and has an arena, counters and scratch to itself.  Afterwards the
 * arenas are joined, so that what was made lives as long as the query, and the counters added
 * up.  All arenas together may hold what the query's had left.
 *
 * A loop over series that have not been decoded reads each where it is looked at: its samples stay in a
 * processor's cache, and are never in memory all together.
 */
#include <stdatomic.h>
#include <string.h>

#include "collector/promql/eval.h"
#include "collector/series/crew.h"
#include "proto/base/error.h"

#define SHARED_COST_MIN 32768 /* below, waking a helper costs as much as it saves */
#define PIECE_COST      16384 /* of the series taken at a time, about; fewer where there are few */
#define PIECE_MAX       16

struct shared_loop {
    struct evaluation *ev;
    size_t count, piece;
    int (*one)(struct evaluation *mine, void *context, size_t index);
    void *context;
    struct crew_arenas arenas;
    _Atomic size_t next;
    _Atomic int error, unreadable; /* the first */
    _Atomic uint64_t looked_at;
    _Atomic uint64_t charged, series, chunks, samples; /* of the budget */
};

static void leave_place(struct evaluation *ev)
{
    if (ev->place != NULL)
        ev->store->calls->leave(ev->place);
    ev->place = NULL;
}

static void count_up(struct shared_loop *loop, const struct evaluation *mine)
{
    const struct query_budget *budget = mine->budget;
    int none = 0;
    if (mine->unreadable != 0)
        (void)atomic_compare_exchange_strong(&loop->unreadable, &none, mine->unreadable);
    atomic_fetch_add_explicit(&loop->looked_at, mine->looked_at, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->charged, loop->ev->budget->samples_left - budget->samples_left,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->series, budget->series_seen, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->chunks, budget->chunks_seen, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->samples, budget->samples_seen, memory_order_relaxed);
}

static void take_share(void *context, unsigned place)
{
    struct shared_loop *loop = context;
    struct evaluation mine = *loop->ev;
    struct query_budget budget = *loop->ev->budget;
    int error = 0;

    mine.arena = &loop->arenas.items[place];
    budget.series_seen = budget.chunks_seen = budget.samples_seen = 0;
    mine.budget = &budget;
    mine.place = NULL;
    mine.builder = (struct labels_builder){0};
    buf_init(&mine.text, loop->ev->text.limit);
    mine.trend = NULL;
    mine.steps = NULL;
    mine.steps_bytes = 0;
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
    leave_place(&mine);
    count_up(loop, &mine);
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
    leave_place(ev);
    return error;
}

/* What all have used; the budget was each one's, and may be overdrawn by all together. */
static int settle(struct evaluation *ev, const struct shared_loop *loop)
{
    struct query_budget *budget = ev->budget;
    ev->unreadable = loop->unreadable;
    ev->looked_at += loop->looked_at;
    budget->series_seen += loop->series;
    budget->chunks_seen += loop->chunks;
    budget->samples_seen += loop->samples;
    if (loop->error != 0 || loop->charged <= budget->samples_left) {
        budget->samples_left -= loop->error != 0 ? 0 : loop->charged;
        return loop->error;
    }
    budget->samples_left = 0;
    ev->unreadable = ERR_LIMIT;
    return ERR_LIMIT;
}

/* What one has taken when there is nothing left for the others is what they wait for. */
static size_t piece_most(size_t count, uint64_t cost)
{
    const uint64_t most = PIECE_COST / (1 + cost / count);
    return most == 0 ? 1 : most < PIECE_MAX ? (size_t)most : PIECE_MAX;
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
        .piece = crew_piece(crew, count, piece_most(count, cost)),
        .one = one,
        .context = context,
    };
    crew_arenas_init(&loop.arenas, ev->arena);
    crew_share(crew, take_share, &loop);
    crew_arenas_join(&loop.arenas, ev->arena);
    return settle(ev, &loop);
}

int read_series(struct evaluation *mine, struct unread *unread, size_t i,
                struct series_samples *ret_series)
{
    mine->unreadable =
        mine->store->calls->read(unread, i, &mine->place, mine->budget, ret_series);
    return mine->unreadable != 0 ? mine->unreadable
                                 : evaluation_tick_steps(mine, ret_series->count);
}

int evaluate_unread(struct evaluation *ev, struct unread *unread, size_t count, uint64_t cost,
                    int (*one)(struct evaluation *mine, void *context, size_t index),
                    void *context)
{
    ev->unreadable = 0;
    int error = evaluate_shared(ev, count, cost, one, context);
    if (unread != NULL)
        (void)ev->store->calls->end(unread, ev->unreadable, ev->why);
    return error;
}
