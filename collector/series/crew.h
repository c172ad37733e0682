/*
 * crew.h - a few helper threads that take a share of a long loop where cores are idle.
 *
 * One crew serves all queries.  Whoever has a loop to share does it himself as well, so he
 * never waits for a helper to begin: if all are busy with other loops he does all of it, and
 * nothing is ever queued.
 *
 *     caller    |--- work(0) ----------------|  waits for those still at it
 *     helper       |--- work(1) ------------|
 *     helper    (busy elsewhere)
 *
 * Any thread may share, several at once; work() must not share again.
 */
#pragma once

#include "proto/base/arena.h"

#define CREW_HELPERS_MAX 7

struct crew;

/* `helpers` threads, at most CREW_HELPERS_MAX, called `name` (15 bytes).  ERR_NOMEM, ERR_IO. */
int crew_open(const char *name, unsigned helpers, struct crew **ret_crew);
/* Cores beside the one a caller is on. */
unsigned crew_spare_cores(void);
/* Nobody may be sharing.  NULL is allowed. */
void crew_close(struct crew *crew);
/* How many could help; none if there is no crew (NULL). */
unsigned crew_helpers(const struct crew *crew);

/* There will be something to share in a moment: helpers wake up and look out for it, for less than a
 * millisecond.  A processor that rests takes long to come back; meanwhile the caller prepares. */
void crew_rouse(struct crew *crew);
/* Does a helper look out now?  Then there is no awaking, and less is worth sharing. */
bool crew_is_alert(const struct crew *crew);

/* Runs work(context, 0) here, and work(context, place) with other places, each at most once and
 * below 1 + crew_helpers(), on helpers that are free.  Returns when all have returned; what
 * they wrote is visible then.  The pieces of the loop are work()'s to give out. */
void crew_share(struct crew *crew, void (*work)(void *context, unsigned place), void *context);

/* How many of a loop's `count` pieces of work a place should take at a time, at most `most`: so that
 * each gets some, and the last does not keep the others waiting for long. */
size_t crew_piece(const struct crew *crew, size_t count, size_t most);

/* An arena a place: what the places allocate without each other, of one query's memory. */
struct crew_arenas {
    struct arena_total total;
    struct arena items[1 + CREW_HELPERS_MAX];
};

/* Together they may hold what `of` has left. */
void crew_arenas_init(struct crew_arenas *arenas, const struct arena *of);
/* What they hold is the other's from now on (arena_join()). */
void crew_arenas_join(struct crew_arenas *arenas, struct arena *to);
