/*
 * sender.c - see sender.h; its life and its loop.
 */
#include "collector/remote/sender_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/config_print.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define TURN_MS_MAX   250
#define GRACE_NS      ((mono_ns)1000 * NS_PER_MS) /* for what is under way at the end */

/* ---- the loop ---------------------------------------------------------------------------- */

static bool is_stopping(struct sender *sender)
{
    must(pthread_mutex_lock(&sender->lock) == 0);
    bool stopping = sender->stopping;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    return stopping;
}

static void reap(struct sender *sender)
{
    CURLMsg *message;
    int left = 0, running = 0;
    (void)curl_multi_perform(sender->multi, &running);
    while ((message = curl_multi_info_read(sender->multi, &left)) != NULL) {
        struct request *request = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        sender_request_ended(request, result, clock_mono(&clock_system));
    }
}

static void start_requests(struct sender *sender, mono_ns now)
{
    for (uint32_t i = 0; i < sender->window.shard_count && now >= sender->paused_until; i++) {
        struct request *request = &sender->requests[i];
        if (request->state == REQUEST_WAITING && now >= request->next_try)
            sender_request_start(request, now);
    }
}

/* Until something is due; what libcurl and the writer have to say wakes it earlier. */
static int turn_ms(const struct sender *sender, mono_ns now)
{
    int64_t least_ms = TURN_MS_MAX;
    if (sender->settings.batch_deadline_ms < least_ms)
        least_ms = sender->settings.batch_deadline_ms;
    for (uint32_t i = 0; i < sender->window.shard_count; i++) {
        const struct request *request = &sender->requests[i];
        if (request->state != REQUEST_WAITING)
            continue;
        mono_ns at = request->next_try > sender->paused_until ? request->next_try
                                                              : sender->paused_until;
        int64_t left_ms = at <= now ? 0 : (int64_t)((at - now) / NS_PER_MS) + 1;
        if (left_ms < least_ms)
            least_ms = left_ms;
    }
    return (int)least_ms;
}

static void *sender_main(void *context)
{
    struct sender *sender = context;
    sender_count_pending(sender);
    while (!is_stopping(sender)) {
        mono_ns now = clock_mono(&clock_system);
        sender_commit(sender, now);
        /* Several in a row may be empty, where relabelling drops nearly all. */
        if (sender_is_committed(sender))
            sender_open_window(sender, now);
        start_requests(sender, now);
        if (now >= sender->paused_until)
            sender_tell_metadata(sender, now);
        sender_look_at_level(sender);
        (void)curl_multi_poll(sender->multi, NULL, 0, turn_ms(sender, now), NULL);
        reap(sender);
    }
    return NULL;
}

/* ---- the end ----------------------------------------------------------------------------- */

static bool is_busy(const struct sender *sender)
{
    for (uint32_t i = 0; i < sender->window.shard_count; i++)
        if (sender->requests[i].state == REQUEST_RUNNING)
            return true;
    return false;
}

/* On the thread that joins: the loop runs no more. */
static void finish_transfers(struct sender *sender)
{
    const mono_ns until = clock_mono(&clock_system) + GRACE_NS;
    while (is_busy(sender) && clock_mono(&clock_system) < until) {
        (void)curl_multi_poll(sender->multi, NULL, 0, TURN_MS_MAX / 10, NULL);
        reap(sender);
    }
}

/* Until the writer has given back what it has of ours. */
static void wait_for_writer(struct sender *sender)
{
    for (;;) {
        const struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
        struct store_write barrier = {0};
        must(pthread_mutex_lock(&sender->lock) == 0);
        bool is_writing = sender->is_writing && !sender->is_written;
        must(pthread_mutex_unlock(&sender->lock) == 0);
        if (!is_writing)
            return;
        /* An empty write behind ours: when it is done, ours is. */
        if (store_write_wait(sender->store, &barrier) != 0)
            (void)nanosleep(&pause, NULL);
    }
}

/* The last word, if there is one that is not written.  Where it cannot be, what it says of is
 * sent once more. */
static void finish_cursor(struct sender *sender)
{
    wait_for_writer(sender);
    sender_commit(sender, clock_mono(&clock_system)); /* takes in what became of it */
    wait_for_writer(sender);
    sender->commit_at = 0;
    sender->is_urgent = sender->is_dirty;
    sender_commit(sender, clock_mono(&clock_system));
    wait_for_writer(sender);
}

static void *finish_main(void *context)
{
    struct sender *sender = context;
    (void)sender_main(sender);
    finish_transfers(sender);
    finish_cursor(sender);
    return NULL;
}

void sender_ask_to_stop(struct sender *sender)
{
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->stopping = true;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    (void)curl_multi_wakeup(sender->multi);
}

void sender_join(struct sender *sender)
{
    if (!sender->is_running)
        return;
    must(pthread_join(sender->thread, NULL) == 0);
    sender->is_running = false;
}

void sender_free(struct sender *sender)
{
    if (sender == NULL)
        return;
    must(!sender->is_running);
    for (size_t i = 0; i < REMOTE_SHARDS_MAX; i++)
        sender_request_done(&sender->requests[i]);
    sender_request_done(&sender->metadata_request);
    if (sender->multi != NULL)
        (void)curl_multi_cleanup(sender->multi);
    window_done(&sender->window);
    feed_done(&sender->feed);
    series_cache_done(&sender->cache);
    encoder_done(&sender->encoder);
    metadata_copy_done(&sender->metadata);
    remote_settings_done(&sender->settings);
    config_free(sender->config);
    buf_done(&sender->entry_text);
    buf_done(&sender->row);
    free(sender->folder);
    (void)pthread_mutex_destroy(&sender->lock);
    free(sender);
}

/* ---- the beginning ----------------------------------------------------------------------- */

/* The entry as a configuration of its own, which lives as long as the sender. */
static int copy_entry(struct sender *sender, const struct sender_options *options,
                      struct diagnosis *why)
{
    config_print(options->entry, &sender->entry_text);
    if (!buf_ok(&sender->entry_text))
        return ERR_NOMEM;
    int error = config_parse(options->config_name, buf_bytes(&sender->entry_text),
                             &sender->config, why);
    return error != 0 ? error
                      : remote_settings_read(sender->config, config_root(sender->config),
                                             &sender->settings, why);
}

static int open_parts(struct sender *sender, const struct sender_options *options,
                      struct diagnosis *why)
{
    int error = copy_entry(sender, options, why);
    if (error != 0)
        return error;
    sender->speaks_v2 = sender->settings.is_v2;
    (void)snprintf(sender->key, sizeof sender->key, CURSOR_KEY_PREFIX "%s",
                   sender->settings.name);
    (void)snprintf(sender->status.name, sizeof sender->status.name, "%s", sender->settings.name);
    if (asprintf(&sender->folder, "%s/%s", options->directory, sender->settings.name) < 0)
        return ERR_NOMEM;
    sender->multi = curl_multi_init();
    if (sender->multi == NULL)
        return ERR_NOMEM;
    (void)curl_multi_setopt(sender->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                            (long)sender->settings.max_shards + 1);
    feed_init(&sender->feed, sender->store, sender->spill);
    series_cache_init(&sender->cache, sender->store, sender->settings.relabel);
    return 0;
}

int sender_start(const struct sender_options *options, struct sender **ret_sender,
                 struct diagnosis *why)
{
    struct sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL)
        return ERR_NOMEM;
    must(pthread_mutex_init(&sender->lock, NULL) == 0);
    sender->store = options->store;
    sender->spill = options->spill;
    sender->cursor = options->cursor;
    sender->durable_commit = options->cursor.begin.commit;
    spill_reader_init(&sender->feed.reader); /* so that it can be undone at once */
    metadata_copy_init(&sender->metadata);
    for (uint32_t i = 0; i < REMOTE_SHARDS_MAX; i++)
        sender->requests[i] = (struct request){.sender = sender, .shard = i};
    sender->metadata_request = (struct request){.sender = sender, .is_metadata = true};
    int error = open_parts(sender, options, why);
    if (error == 0 && pthread_create(&sender->thread, NULL, finish_main, sender) != 0)
        error = ERR_NOMEM;
    if (error != 0) {
        sender_free(sender);
        return error;
    }
    sender->is_running = true;
    *ret_sender = sender;
    return 0;
}

/* ---- what others ask --------------------------------------------------------------------- */

const char *sender_name(const struct sender *sender)
{
    return sender->settings.name;
}

bool sender_is_of(const struct sender *sender, const struct config_node *entry)
{
    struct buf text = {0};
    config_print(entry, &text);
    bool is_same =
        buf_ok(&text) && bytes_equal(buf_bytes(&text), buf_bytes(&sender->entry_text));
    buf_done(&text);
    return is_same;
}

uint64_t sender_needs_from(struct sender *sender)
{
    must(pthread_mutex_lock(&sender->lock) == 0);
    uint64_t commit = sender->durable_commit;
    must(pthread_mutex_unlock(&sender->lock) == 0);
    return commit;
}

void sender_note_lost(struct sender *sender, uint64_t samples)
{
    must(pthread_mutex_lock(&sender->lock) == 0);
    sender->status.lost_samples += samples;
    must(pthread_mutex_unlock(&sender->lock) == 0);
}

void sender_get_status(struct sender *sender, struct sender_status *ret_status)
{
    must(pthread_mutex_lock(&sender->lock) == 0);
    *ret_status = sender->status;
    must(pthread_mutex_unlock(&sender->lock) == 0);
}
