/*
 * window.c - see window.h.
 */
#include "collector/remote/window.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

#define LABEL_BYTES_MAX ((size_t)8 << 20) /* of a shard: labels may be long */
#define SCAN_MAX        ((size_t)1 << 20) /* samples looked at, where most are dropped */

void window_done(struct window *window)
{
    for (size_t i = 0; i < REMOTE_SHARDS_MAX; i++)
        free(window->shards[i].samples);
    *window = (struct window){0};
}

struct filling {
    struct window *window;
    struct series_cache *cache;
    size_t samples_max, scanned;
    int64_t oldest_ms;
    const struct cursor *cursor;
    const struct feed *feed;
    uint64_t lost_before; /* commits, before this filling */
    bool is_again;        /* the end is given */
    int error;
};

static uint32_t shard_of(uint64_t id, uint32_t shards)
{
    /* The upper half of a product that mixes: neighbours go apart. */
    uint64_t mixed = (id ^ (id >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)((mixed >> 32) % shards);
}

static int make_room(struct shard *shard)
{
    if (shard->count < shard->capacity)
        return 0;
    size_t capacity = shard->capacity == 0 ? 256 : shard->capacity * 2;
    struct encode_sample *grown = realloc(shard->samples, capacity * sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    shard->samples = grown;
    shard->capacity = capacity;
    return 0;
}

static bool is_full(const struct filling *filling, const struct shard *shard)
{
    if (filling->is_again)
        return false;
    return shard->count >= filling->samples_max || shard->label_bytes > LABEL_BYTES_MAX ||
           filling->scanned > SCAN_MAX;
}

static int take_sample(void *context, const struct feed_sample *sample)
{
    struct filling *filling = context;
    struct window *window = filling->window;
    const uint32_t at = shard_of(sample->id, window->shard_count);
    struct shard *shard = &window->shards[at];
    struct series_cached series;
    if (is_full(filling, shard))
        return 1;
    filling->error = series_cache_find(filling->cache, sample->id, &series);
    if (filling->error == 0)
        filling->error = make_room(shard);
    if (filling->error != 0)
        return 1;
    filling->scanned++;
    const uint32_t place = shard->seen++;
    /* Acknowledged before, in a part of the shard; places count from the window's begin, so
     * where that was lost meanwhile they say nothing: rather twice than never. */
    if (filling->is_again && filling->feed->lost_commits == filling->lost_before &&
        place < filling->cursor->next[at])
        return 0;
    if (series.labels.data == NULL) {
        window->dropped_unknown += series.is_unknown;
        window->dropped_relabel += !series.is_unknown;
        return 0;
    }
    if (sample->ts_ms < filling->oldest_ms) {
        window->dropped_age++;
        return 0;
    }
    if (shard->count == 0 || sample->ts_ms > shard->newest_ms)
        shard->newest_ms = sample->ts_ms;
    shard->samples[shard->count] =
        (struct encode_sample){series.labels, sample->ts_ms, sample->value, place};
    shard->count++;
    shard->label_bytes += series.labels.size;
    return 0;
}

int window_fill(struct window *window, struct feed *feed, struct series_cache *cache,
                const struct remote_settings *settings, const struct cursor *cursor,
                uint32_t shards, int64_t now_ms)
{
    const bool is_again = cursor->shards != 0;
    struct filling filling = {
        .window = window,
        .cache = cache,
        .samples_max = (size_t)settings->max_samples_per_send,
        .oldest_ms = settings->sample_age_limit_ms > 0 ? now_ms - settings->sample_age_limit_ms
                                                       : INT64_MIN,
        .cursor = cursor,
        .feed = feed,
        .lost_before = feed->lost_commits,
        .is_again = is_again,
    };
    for (size_t i = 0; i < REMOTE_SHARDS_MAX; i++) {
        window->shards[i].count = 0;
        window->shards[i].label_bytes = 0;
        window->shards[i].seen = 0;
    }
    window->shard_count = is_again ? cursor->shards : shards;
    window->dropped_relabel = window->dropped_age = window->dropped_unknown = 0;
    series_cache_trim(cache);
    struct remote_place place = cursor->begin;
    int error = feed_each(feed, &place, is_again ? &cursor->end : NULL, take_sample, &filling);
    if (error == 0)
        error = filling.error;
    window->taken = filling.scanned;
    window->begin = cursor->begin;
    window->end = place;
    if (is_again && remote_place_before(place, cursor->end))
        window->end = cursor->end; /* the rest is lost */
    if (error != 0)
        window->shard_count = 0;
    return error;
}
