/*
 * querier.c - the store as a queryable: select, label names, label values.
 *
 * A select gathers compressed pieces (gather.h), then decodes series by series into the
 * caller's arena.  The head is looked at before the list of history spans is taken, because
 * samples move from the first to the second.
 */
#include "collector/store/querier.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "collector/series/crew.h"
#include "collector/store/deliver.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define PIECE_MAX          16    /* series a thread takes at a time; fewer where there are few */
#define ROUSE_MS           1800000
#define LOOKED_AT_MAX      (1 << 18) /* samples of a series that is not kept: 4 MiB */
#define SHARED_SAMPLES_MIN 32768 /* fewer are decoded sooner than a thread awakes */

struct querier {
    struct store *store;
    int64_t from_ms, until_ms;
};

static int querier_open(struct queryable *queryable, int64_t from_ms, int64_t until_ms,
                        struct querier **ret_querier, struct diagnosis *why)
{
    struct querier *querier = calloc(1, sizeof *querier);
    if (querier == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    querier->store = (struct store *)queryable;
    querier->from_ms = from_ms;
    querier->until_ms = until_ms;
    *ret_querier = querier;
    return 0;
}

static void querier_close(struct querier *querier)
{
    free(querier);
}

/* -- select ------------------------------------------------------------------------------ */

/* The series of a select, decoded one by one; by several threads if there is much of it. */
struct delivering {
    struct gather *gather;
    struct series_samples *series; /* one an item; without samples if there are none */
    size_t piece;
    struct crew_arenas arenas;
    _Atomic size_t next;
    _Atomic int error; /* the first */
    _Atomic uint64_t samples, chunks;
};

static void take_share(void *context, unsigned place)
{
    struct delivering *all = context;
    struct gather mine = *all->gather;
    struct query_budget budget = {.samples_left = UINT64_MAX};
    struct delivery delivery;
    int error = 0;
    if (mine.budget != NULL)
        budget.samples_left = mine.budget->samples_left;
    mine.budget = &budget;
    mine.arena = &all->arenas.items[place];
    delivery_init(&delivery, mine.arena->total);
    while (error == 0 && atomic_load_explicit(&all->error, memory_order_relaxed) == 0) {
        size_t first = atomic_fetch_add_explicit(&all->next, all->piece, memory_order_relaxed);
        if (first >= mine.count)
            break;
        error = select_watch_look(&all->gather->watch);
        for (size_t i = first; i < mine.count && i - first < all->piece && error == 0; i++)
            error = deliver(&mine, mine.items[i], &delivery, &all->series[i]);
    }
    int none = 0;
    if (error != 0)
        (void)atomic_compare_exchange_strong(&all->error, &none, error);
    atomic_fetch_add_explicit(&all->samples, budget.samples_seen, memory_order_relaxed);
    atomic_fetch_add_explicit(&all->chunks, budget.chunks_seen, memory_order_relaxed);
    mine.arena->total_refused |= delivery_is_refused(&delivery);
    delivery_done(&delivery);
}

struct amount {
    uint64_t samples, most; /* of all series, and of the one with the most of them */
    uint64_t coded;         /* of all but those that stand in a run as they are wanted */
    bool has_records;       /* of roll-ups */
};

static struct amount measure(const struct gather *gather)
{
    struct amount amount = {.samples = 0};
    for (size_t i = 0; i < gather->count; i++) {
        const struct found *found = gather->items[i];
        uint64_t samples = 0;
        for (size_t k = 0; k < found->count; k++)
            samples += found->pieces[k].count;
        amount.samples += samples;
        amount.coded += deliver_is_part_of_run(gather, found) ? 0 : samples;
        amount.most = samples > amount.most ? samples : amount.most;
        amount.has_records = amount.has_records || found->rolled_count > 0;
    }
    return amount;
}

/* Records of roll-ups are joined in the scratch, which is one thread's. */
static bool is_worth_sharing(const struct gather *gather)
{
    if (gather->budget == NULL || crew_helpers(gather->budget->crew) == 0 || gather->count < 2 ||
        gather->hints->series_limit > 0)
        return false;
    const struct amount amount = measure(gather);
    return !amount.has_records && amount.coded >= SHARED_SAMPLES_MIN;
}

static int deliver_shared(struct gather *gather, struct series_samples *series)
{
    struct query_budget *budget = gather->budget;
    struct delivering all = {.gather = gather,
                             .series = series,
                             .piece = crew_piece(budget->crew, gather->count, PIECE_MAX)};
    crew_arenas_init(&all.arenas, gather->arena);
    crew_share(budget->crew, take_share, &all);
    crew_arenas_join(&all.arenas, gather->arena);
    if (all.error != 0)
        return all.error;
    if (all.samples > budget->samples_left)
        return ERR_LIMIT;
    budget->samples_left -= all.samples;
    budget->samples_seen += all.samples;
    budget->chunks_seen += all.chunks;
    return 0;
}

static int deliver_alone(struct gather *gather, struct series_samples *series)
{
    struct delivery delivery;
    size_t limit = gather->hints->series_limit;
    size_t kept = 0;
    int error = 0;
    delivery_init(&delivery, gather->arena->total);
    for (size_t i = 0; i < gather->count && error == 0 && (limit == 0 || kept < limit); i++) {
        error = select_watch_step(&gather->watch);
        if (error == 0)
            error = deliver(gather, gather->items[i], &delivery, &series[i]);
        kept += series[i].count > 0;
    }
    gather->arena->total_refused |= delivery_is_refused(&delivery);
    delivery_done(&delivery);
    return error;
}

/* Those that have something, without gaps. */
static size_t keep_found(const struct gather *gather, struct series_samples *series)
{
    const struct select_hints *hints = gather->hints;
    size_t kept = 0;
    for (size_t i = 0; i < gather->count; i++) {
        const struct found *found = gather->items[i];
        if (hints->series_limit > 0 && kept >= hints->series_limit)
            break;
        if (hints->no_samples && (found->count > 0 || found->rolled_count > 0))
            series[kept++] = (struct series_samples){.labels = found->labels};
        else if (!hints->no_samples && series[i].count > 0)
            series[kept++] = series[i];
    }
    return kept;
}

static int deliver_all(struct gather *gather, struct series_samples **ret_series,
                       size_t *ret_count)
{
    int error = 0;
    struct series_samples *series =
        arena_alloc(gather->arena, gather->count == 0 ? 1 : gather->count, sizeof *series);
    if (series == NULL)
        return ERR_LIMIT;
    if (!gather->hints->no_samples)
        error = is_worth_sharing(gather) ? deliver_shared(gather, series)
                                         : deliver_alone(gather, series);
    if (error != 0)
        return error;
    *ret_count = keep_found(gather, series);
    *ret_series = series;
    if (gather->budget != NULL)
        gather->budget->series_seen += *ret_count;
    return 0;
}

/* While both are there, what was gathered and what is made of it keep within one limit. */
static int deliver_within_limit(struct gather *gather, struct series_samples **ret_series,
                                size_t *ret_count)
{
    struct arena *arena = gather->arena;
    size_t gathered = gather->scratch.held_bytes;
    if (gathered > arena->limit_bytes - arena->held_bytes)
        return ERR_LIMIT;
    arena->limit_bytes -= gathered;
    int error = deliver_all(gather, ret_series, ret_count);
    arena->limit_bytes += gathered;
    return error;
}

/* Of several series over so long a time there is much to decode. */
static bool will_share(const struct gather *gather)
{
    const struct select_hints *hints = gather->hints;
    return gather->budget != NULL && !hints->no_samples && gather->count >= 2 &&
           hints->until_ms - hints->from_ms >= ROUSE_MS;
}

/* All series that the matchers select, with their pieces. */
static int gather_all(struct gather *gather, struct querier *querier, struct matcher *const *matchers,
                      size_t count, const struct select_hints *hints, struct query_budget *budget,
                      struct arena *arena)
{
    int error = gather_init(gather, querier->store, hints, budget, arena);
    if (error == 0)
        error = gather_head(gather, matchers, count);
    if (error == 0)
        error = gather_history(gather, matchers, count);
    if (error == 0 && will_share(gather))
        crew_rouse(budget->crew);
    if (error == 0)
        error = gather_rollups(gather, matchers, count);
    return error == 0 ? gather_order(gather) : error;
}

static int querier_select(struct querier *querier, struct matcher *const *matchers,
                          size_t matcher_count, const struct select_hints *hints,
                          struct query_budget *budget, struct arena *arena,
                          struct series_samples **ret_series, size_t *ret_count,
                          struct diagnosis *why)
{
    struct gather gather;
    int error = gather_all(&gather, querier, matchers, matcher_count, hints, budget, arena);
    if (error == 0)
        error = deliver_within_limit(&gather, ret_series, ret_count);
    gather_done(&gather);
    return error == 0 ? 0 : select_watch_explain(&gather.watch, error, why);
}

/* -- one by one -------------------------------------------------------------------------- */

/* What was gathered, until all of it has been read. */
struct gathered {
    struct unread unread; /* first: it is the address */
    struct select_hints hints;
    struct gather gather;
    size_t reserved_bytes; /* of the arena's limit, for the gathering */
    _Atomic bool total_refused; /* it had no room for what a place holds */
};

struct unread_place {
    struct gather gather; /* a copy, with the budget of the one who reads */
    struct delivery delivery;
};

static void end_gathered(struct gathered *gathered)
{
    gathered->gather.arena->limit_bytes += gathered->reserved_bytes;
    gathered->gather.arena->total_refused |= gathered->total_refused;
    gather_done(&gathered->gather);
    free(gathered);
}

/* A look needs room for a series a thread, however little is wanted of it; and of records of roll-ups
 * there is more to be said than the samples of one series at a time. */
static bool is_worth_a_look(const struct amount *amount)
{
    return amount->most <= LOOKED_AT_MAX && !amount->has_records;
}

static int querier_find(struct querier *querier, struct matcher *const *matchers,
                        size_t matcher_count, const struct select_hints *hints,
                        struct query_budget *budget, struct arena *arena,
                        struct unread **ret_unread, struct series_samples **ret_series,
                        size_t *ret_count, struct diagnosis *why)
{
    struct gathered *gathered = calloc(1, sizeof *gathered);
    if (gathered == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    struct gather *gather = &gathered->gather;
    gathered->hints = *hints;
    int error =
        gather_all(gather, querier, matchers, matcher_count, &gathered->hints, budget, arena);
    const struct amount amount = error == 0 ? measure(gather) : (struct amount){.samples = 0};
    const size_t held_bytes = gather->scratch.held_bytes;
    if (error == 0 && !is_worth_a_look(&amount)) {
        error = deliver_within_limit(gather, ret_series, ret_count);
    } else if (error == 0 && held_bytes > arena->limit_bytes - arena->held_bytes) {
        error = ERR_LIMIT;
    } else if (error == 0) {
        arena->limit_bytes -= held_bytes;
        gathered->reserved_bytes = held_bytes;
        gathered->unread = (struct unread){gather->count, amount.samples};
        *ret_unread = &gathered->unread;
        return 0;
    }
    if (error != 0)
        (void)select_watch_explain(&gather->watch, error, why);
    end_gathered(gathered);
    return error;
}

static int querier_read(struct unread *unread, size_t i, struct unread_place **place,
                        struct query_budget *budget, struct series_samples *ret_samples)
{
    struct gathered *gathered = (struct gathered *)(void *)unread;
    struct unread_place *at = *place;
    if (at == NULL) {
        at = *place = malloc(sizeof *at);
        if (at == NULL)
            return ERR_NOMEM;
        at->gather = gathered->gather;
        at->gather.budget = budget;
        delivery_init(&at->delivery, gathered->gather.arena->total);
    }
    int error = deliver_view(&at->gather, at->gather.items[i], &at->delivery, ret_samples);
    if (error == 0 && budget != NULL)
        budget->series_seen += ret_samples->count > 0;
    if (error == ERR_LIMIT && delivery_is_refused(&at->delivery))
        atomic_store_explicit(&gathered->total_refused, true, memory_order_relaxed);
    return error;
}

static void querier_leave(struct unread_place *place)
{
    if (place != NULL)
        delivery_done(&place->delivery);
    free(place);
}

static int querier_end(struct unread *unread, int error, struct diagnosis *why)
{
    struct gathered *gathered = (struct gathered *)(void *)unread;
    if (error != 0)
        (void)select_watch_explain(&gathered->gather.watch, error, why);
    end_gathered(gathered);
    return error;
}

const struct queryable_calls querier_calls = {
    .open = querier_open,
    .select = querier_select,
    .find = querier_find,
    .read = querier_read,
    .leave = querier_leave,
    .end = querier_end,
    .label_names = querier_label_names,
    .label_values = querier_label_values,
    .close = querier_close,
};

struct store *querier_store(struct querier *querier, int64_t *ret_from_ms,
                            int64_t *ret_until_ms)
{
    *ret_from_ms = querier->from_ms;
    *ret_until_ms = querier->until_ms;
    return querier->store;
}
