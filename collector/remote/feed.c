/*
 * feed.c - see feed.h.
 */
#include "collector/remote/feed.h"

#include <inttypes.h>

#include "proto/base/error.h"
#include "proto/base/log.h"

void feed_init(struct feed *feed, struct store *store, struct spill *spill)
{
    *feed = (struct feed){.store = store, .spill = spill};
    spill_reader_init(&feed->reader);
}

void feed_done(struct feed *feed)
{
    spill_reader_done(&feed->reader);
    batch_done(&feed->batch);
}

/* ---- loading ----------------------------------------------------------------------------- */

static int take_change(void *context, const struct store_change *change)
{
    struct batch *batch = context;
    int error = batch_add(batch, change);
    return error != 0 ? error : batch->count >= BATCH_SAMPLES_WANTED;
}

static void lose(struct feed *feed, uint64_t from, uint64_t until)
{
    feed->lost_commits += until - from;
    log_error("remote", "commits %" PRIu64 " to %" PRIu64 " are there no more: they are not sent",
              from, until - 1);
}

/* The batch with the commit, or with the next there is; *commit becomes its first.  ERR_NOTFOUND:
 * nothing follows. */
static int load(struct feed *feed, uint64_t *commit)
{
    for (;;) {
        uint64_t next = 0, resume = 0;
        batch_clear(&feed->batch);
        int error = store_each_change(feed->store, *commit, take_change, &feed->batch);
        if (error < 0)
            return error;
        uint64_t logged = feed->batch.commit_count > 0 ? feed->batch.commits[0].commit : 0;
        if (logged == *commit)
            return 0;
        if (spill_has(feed->spill, *commit, &next)) {
            error = spill_read(feed->spill, &feed->reader, *commit, &feed->batch, &resume);
            if (error == 0 || (error != ERR_CORRUPT && error != ERR_NOTFOUND))
                return error;
            if (error == ERR_CORRUPT) {
                lose(feed, *commit, resume);
                *commit = resume;
            }
            continue; /* not found: it was dropped this very moment */
        }
        if (logged == 0 && next == 0) {
            batch_clear(&feed->batch);
            return ERR_NOTFOUND;
        }
        uint64_t until = next == 0 || (logged != 0 && logged < next) ? logged : next;
        lose(feed, *commit, until);
        *commit = until;
    }
}

/* The commit itself; *place moves on where it is lost.  ERR_NOTFOUND: nothing follows. */
static int find(struct feed *feed, struct remote_place *place,
                const struct batch_commit **ret_commit)
{
    const struct batch_commit *found = batch_find(&feed->batch, place->commit);
    if (found == NULL) {
        uint64_t commit = place->commit;
        int error = load(feed, &commit);
        if (error != 0)
            return error;
        found = batch_find(&feed->batch, commit);
        if (found == NULL) /* a block may lack one that was damaged when it was spilled */
            for (size_t i = 0; i < feed->batch.commit_count && found == NULL; i++)
                if (feed->batch.commits[i].commit > commit)
                    found = &feed->batch.commits[i];
        if (found == NULL)
            return ERR_NOTFOUND;
        if (found->commit != place->commit)
            *place = (struct remote_place){found->commit, 0};
    }
    *ret_commit = found;
    return 0;
}

int feed_each(struct feed *feed, struct remote_place *place, const struct remote_place *end,
              int (*each)(void *context, const struct feed_sample *sample), void *context)
{
    for (;;) {
        const struct batch_commit *commit = NULL;
        if (end != NULL && !remote_place_before(*place, *end))
            return 0;
        int error = find(feed, place, &commit);
        if (error != 0)
            return error == ERR_NOTFOUND ? 0 : error;
        size_t until = commit->count;
        if (end != NULL && end->commit < commit->commit)
            return 0; /* what lay between is lost */
        if (end != NULL && end->commit == commit->commit && end->index < until)
            until = (size_t)end->index;
        for (; place->index < until; place->index++) {
            size_t at = commit->first + (size_t)place->index;
            const struct feed_sample sample = {feed->batch.ids[at], feed->batch.times_ms[at],
                                               feed->batch.values[at]};
            if (each(context, &sample) != 0)
                return 0;
        }
        if (until < commit->count)
            return 0;
        *place = (struct remote_place){commit->commit + 1, 0};
    }
}
