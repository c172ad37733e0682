/*
 * sender_window.c - a sender's windows and its cursor.
 */
#include "collector/remote/sender_parts.h"

#include <stdlib.h>
#include <string.h>

#include "collector/store/changes.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define READ_AGAIN_NS   ((mono_ns)1000 * NS_PER_MS)
#define COMMIT_AGAIN_NS ((mono_ns)1000 * NS_PER_MS)
#define COMMIT_IDLE_NS  ((mono_ns)5000 * NS_PER_MS) /* nothing was sent, but passed by */

/* ---- how much waits ---------------------------------------------------------------------- */

static uint64_t counted(struct sender *sender)
{
    struct store_stats stats;
    store_get_stats(sender->store, &stats);
    return stats.samples_stored + stats.samples_refused;
}

static int count_change(void *context, const struct store_change *change)
{
    uint64_t *samples = context;
    *samples += change->count;
    return 0;
}

void sender_count_pending(struct sender *sender)
{
    const struct remote_place *begin = &sender->cursor.begin;
    uint64_t last = spill_last(sender->spill);
    uint64_t from = begin->commit > last ? begin->commit : last + 1;
    sender->counted_before = counted(sender);
    sender->base = spill_samples_from(sender->spill, begin->commit);
    (void)store_each_change(sender->store, from, count_change, &sender->base);
    sender->base -= begin->index < sender->base ? begin->index : sender->base;
}

uint64_t sender_pending(struct sender *sender)
{
    uint64_t come = sender->base + counted(sender) - sender->counted_before;
    return come > sender->passed ? come - sender->passed : 0;
}

/* Counting goes wrong by what was lost; where nothing waits it is put right. */
static void reset_pending(struct sender *sender)
{
    sender->counted_before = counted(sender);
    sender->base = 0;
    sender->passed = 0;
}

void sender_look_at_level(struct sender *sender)
{
    struct cursor *cursor = &sender->cursor;
    /* In this order: what is committed after the look at the clock is not promised. */
    const int64_t now_ms = clock_unix_ms(&clock_system);
    const uint64_t last = store_last_commit(sender->store);
    if (cursor->begin.commit > last) {
        cursor->level_ms = now_ms;
        sender->mark_commit = 0;
        reset_pending(sender);
    } else if (sender->mark_commit != 0 && cursor->begin.commit > sender->mark_commit) {
        cursor->level_ms = sender->mark_ms;
        sender->mark_commit = 0;
    }
    if (sender->mark_commit == 0 && cursor->begin.commit <= last) {
        sender->mark_commit = last;
        sender->mark_ms = now_ms;
    }
    const uint64_t pending = sender_pending(sender);
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->status.pending_samples = cursor->begin.commit > last ? 0 : pending;
    sender->status.lag_ms = now_ms > cursor->level_ms ? now_ms - cursor->level_ms : 0;
    sender->status.shards = sender->window.shard_count;
    sender->status.lost_commits = sender->feed.lost_commits;
    sender->status.speaks_v2 = sender->speaks_v2;
    must(pthread_mutex_unlock(&sender->lock) == 0);
}

/* ---- windows ----------------------------------------------------------------------------- */

static uint32_t shards_for(const struct remote_settings *settings, uint64_t pending)
{
    uint64_t per_send = (uint64_t)settings->max_samples_per_send;
    uint64_t wanted = (pending + per_send - 1) / per_send;
    if (wanted < (uint64_t)settings->min_shards)
        wanted = (uint64_t)settings->min_shards;
    if (wanted > (uint64_t)settings->max_shards)
        wanted = (uint64_t)settings->max_shards;
    return (uint32_t)wanted;
}

/* Enough waits, or it has waited long enough. */
static bool is_due(struct sender *sender, mono_ns now)
{
    const struct remote_settings *settings = &sender->settings;
    if (now < sender->read_again_at)
        return false;
    if (sender->cursor.shards != 0)
        return true;
    if (sender->cursor.begin.commit > store_last_commit(sender->store)) {
        sender->waiting_since = 0;
        return false;
    }
    if (sender->waiting_since == 0)
        sender->waiting_since = now;
    return now - sender->waiting_since >= (mono_ns)settings->batch_deadline_ms * NS_PER_MS ||
           sender_pending(sender) >= (uint64_t)settings->max_samples_per_send;
}

static void note_dropped(struct sender *sender)
{
    const struct window *window = &sender->window;
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->status.dropped_relabel += window->dropped_relabel;
    sender->status.dropped_age += window->dropped_age;
    sender->status.dropped_unknown += window->dropped_unknown;
    must(pthread_mutex_unlock(&sender->lock) == 0);
}

/* All of the window is acknowledged, refused or dropped. */
static void close_window(struct sender *sender)
{
    struct cursor *cursor = &sender->cursor;
    const struct window *window = &sender->window;
    bool was_sent = cursor->shards != 0;
    cursor->begin = window->end;
    cursor->end = (struct remote_place){0};
    cursor->shards = 0;
    cursor->acknowledged = 0;
    memset(cursor->next, 0, sizeof cursor->next);
    sender->passed += window->taken;
    sender->window.shard_count = 0;
    sender->waiting_since = 0;
    sender->is_dirty = true;
    sender->is_urgent = sender->is_urgent || was_sent;
    note_dropped(sender);
}

static bool is_open(const struct sender *sender)
{
    for (uint32_t i = 0; i < sender->window.shard_count; i++)
        if (sender->requests[i].state != REQUEST_NONE)
            return true;
    return false;
}

void sender_part_done(struct sender *sender, uint32_t shard, mono_ns now)
{
    const struct shard *samples = &sender->window.shards[shard];
    struct request *request = &sender->requests[shard];
    sender->is_dirty = true;
    sender->is_urgent = true;
    request->first += request->count;
    if (request->first < samples->count) {
        /* What is not sent yet is in the order of places: only what a body was made of is not. */
        sender->cursor.next[shard] = samples->samples[request->first].order;
        request->count = sender_request_size(sender, samples->count - request->first);
        request->is_stale = true;
        request->backoff_ms = sender->settings.min_backoff_ms;
        request->next_try = now;
        request->state = REQUEST_WAITING;
        return;
    }
    sender->cursor.acknowledged |= UINT64_C(1) << shard;
    sender->cursor.next[shard] = 0;
    request->state = REQUEST_NONE;
    if (!is_open(sender))
        close_window(sender);
}

/* The requests of a window that was just filled. */
static int make_requests(struct sender *sender, mono_ns now)
{
    int error = 0;
    for (uint32_t i = 0; error == 0 && i < sender->window.shard_count; i++) {
        struct request *request = &sender->requests[i];
        bool is_done = (sender->cursor.acknowledged >> i & 1) != 0;
        if (is_done || sender->window.shards[i].count == 0)
            continue;
        request->first = 0;
        request->count = sender_request_size(sender, sender->window.shards[i].count);
        error = sender_request_make(request);
        request->backoff_ms = sender->settings.min_backoff_ms;
        request->next_try = now;
        request->state = REQUEST_WAITING;
    }
    return error;
}

static void put_off(struct sender *sender, int error, mono_ns now)
{
    log_warn("remote", "%s: what is to be sent cannot be read, will be tried again: %s",
             sender->settings.name, error_text(error));
    sender->window.shard_count = 0;
    sender->read_again_at = now + READ_AGAIN_NS;
    for (uint32_t i = 0; i < REMOTE_SHARDS_MAX; i++)
        sender->requests[i].state = REQUEST_NONE;
}

void sender_open_window(struct sender *sender, mono_ns now)
{
    struct window *window = &sender->window;
    struct cursor *cursor = &sender->cursor;
    if (window->shard_count != 0 || !is_due(sender, now))
        return;
    const uint32_t shards = shards_for(&sender->settings, sender_pending(sender));
    int error = window_fill(window, &sender->feed, &sender->cache, &sender->settings, cursor,
                            shards, clock_unix_ms(&clock_system));
    if (error == 0)
        error = make_requests(sender, now);
    if (error != 0) {
        put_off(sender, error, now);
        return;
    }
    if (!is_open(sender)) {
        if (remote_place_before(cursor->begin, window->end))
            close_window(sender);
        window->shard_count = 0;
        return;
    }
    cursor->end = window->end;
    cursor->shards = window->shard_count;
}

/* ---- the cursor -------------------------------------------------------------------------- */

/* Writer thread. */
static void on_written(struct store_write *write, int error)
{
    struct sender *sender = write->context;
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->write_error = error;
    if (error == 0)
        sender->durable_commit = sender->row_commit;
    sender->is_written = true;
    CURLM *multi = sender->multi;
    (void)curl_multi_wakeup(multi);
    must(pthread_mutex_unlock(&sender->lock) == 0);
}

static void take_result(struct sender *sender, mono_ns now)
{
    must(pthread_mutex_lock(&sender->lock) == 0);
    bool has_ended = sender->is_writing && sender->is_written;
    int error = sender->write_error;
    if (has_ended)
        sender->is_writing = sender->is_written = false;
    uint64_t durable = sender->durable_commit;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    if (has_ended && error != 0) {
        sender->is_dirty = sender->is_urgent = true;
        sender->commit_at = now + COMMIT_AGAIN_NS;
    } else if (has_ended && durable > 0) {
        sender->commit_at = now;
    }
}

bool sender_is_committed(const struct sender *sender)
{
    struct sender *shared = (struct sender *)(uintptr_t)sender;
    must(pthread_mutex_lock(&shared->lock) == 0);
    bool is_writing = shared->is_writing;
    /* A disk that takes no commits does not stop what drains it. */
    bool failed = shared->write_error != 0;
    must(pthread_mutex_unlock(&shared->lock) == 0);
    return !is_writing && (!sender->is_urgent || failed);
}

void sender_commit(struct sender *sender, mono_ns now)
{
    take_result(sender, now);
    must(pthread_mutex_lock(&sender->lock) == 0);
    bool is_writing = sender->is_writing;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    if (!sender->is_dirty || is_writing || now < sender->commit_at)
        return;
    if (!sender->is_urgent && now < sender->commit_at + COMMIT_IDLE_NS)
        return;
    buf_clear(&sender->row);
    cursor_write(&sender->cursor, &sender->row);
    sender->put = (struct store_put){bytes_of(sender->key), buf_bytes(&sender->row)};
    sender->write = (struct store_write){
        .puts = &sender->put, .put_count = 1, .done = on_written, .context = sender};
    sender->row_commit = sender->cursor.begin.commit;
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->is_writing = true;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    sender->is_dirty = sender->is_urgent = false;
    int error = buf_ok(&sender->row) ? store_write_submit(sender->store, &sender->write)
                                     : ERR_NOMEM;
    if (error != 0) {
        must(pthread_mutex_lock(&sender->lock) == 0);
        sender->is_writing = false;
        must(pthread_mutex_unlock(&sender->lock) == 0);
        sender->is_dirty = sender->is_urgent = true;
        sender->commit_at = now + COMMIT_AGAIN_NS / 10;
    }
}
