/*
 * rollup.h - samples are rolled up before they expire.
 *
 *     samples of a day, in one or more files
 *        | near the end of their retention           rollup_run()
 *        v
 *     START-END.G.rollup_5m.mdb, START-END.G.rollup_1h.mdb     a record a bucket (records.h)
 *        | samples expire: one commit takes out their registrations and marks the roll-ups as
 *        | sole, which is when queries begin to read them
 *        v
 *     they expire by ages of their own
 *
 * As long as the samples are there a roll-up is a copy of them: what comes late or is merged
 * has a higher generation than the roll-up speaks for, and it is made anew.  Once it is sole it
 * is all there is; samples that come late even for it are kept as samples, and read, until the
 * next turn puts those whose buckets were empty into it.  Those of other buckets are left out,
 * and counted: nobody can tell any more whether they were in already.
 *
 * Where series have different ages (ages.h), those whose samples are over go first: their
 * records are registered as sole and the samples of the others as one file, in one commit.  The
 * day goes on.
 *
 * A day's samples never expire before they are rolled up, so they are kept until their day has
 * passed.  One exception: a store that is full expires what it finds no room to roll up.
 *
 * A tier that would not outlive the samples is not made.
 *
 * A crash leaves stray files, removed at opening, or roll-ups nobody reads yet.
 *
 * Keeper thread, but for rollup_is_on().
 */
#pragma once

#include "collector/store/parts.h"

#define ROLLUP_TIERS 2

/* Are samples rolled up before they expire? */
bool rollup_is_on(const struct store *store);
/* Makes what is due, a day's files at a time, at most `days` of them, and expires samples. Days
 * with a file of samples above the generation `quiet` are left alone: more may be on its way
 * (an import comes in pieces, and a bucket that is rolled up and expires is closed).  So are
 * days of which something is to expire while the head has samples of them.  *ret_more: there is
 * more to do. */
int rollup_run(struct store *store, size_t days, uint64_t quiet, bool *ret_more);
