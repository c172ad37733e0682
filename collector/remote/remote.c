/*
 * remote.c - see remote.h.
 */
#include "collector/remote/remote.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/remote/refused.h"
#include "collector/remote/remote_parts.h"
#include "collector/store/changes.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

/* How often in a row the log is held because it cannot be spilled: then it is cut all the same,
 * for a store that grows without bound helps nobody. */
#define HOLD_MAX 16

int remote_check(struct config *config, const struct config_node *list, struct diagnosis *why)
{
    return remote_settings_check(config, list, why);
}

int remote_new(const char *data, uint64_t backlog_bytes, struct remote **ret_remote)
{
    struct remote *remote = calloc(1, sizeof *remote);
    if (remote == NULL)
        return ERR_NOMEM;
    must(pthread_mutex_init(&remote->lock, NULL) == 0);
    must(pthread_mutex_init(&remote->releasing, NULL) == 0);
    remote->spill.limit_bytes = backlog_bytes;
    if (asprintf(&remote->directory, "%s/remote", data) < 0) {
        remote->directory = NULL;
        remote_free(remote);
        return ERR_NOMEM;
    }
    *ret_remote = remote;
    return 0;
}

void remote_free(struct remote *remote)
{
    if (remote == NULL)
        return;
    remote_stop(remote);
    for (size_t i = 0; i < remote->count; i++)
        sender_free(remote->senders[i]);
    spill_close(&remote->spill);
    free(remote->directory);
    (void)pthread_mutex_destroy(&remote->lock);
    (void)pthread_mutex_destroy(&remote->releasing);
    free(remote);
}

/* ---- releasing the log ------------------------------------------------------------------- */

/* The first commit that a receiver has yet to acknowledge; UINT64_MAX: there is no receiver. */
static bool needed_from(struct remote *remote, uint64_t *ret_commit)
{
    uint64_t least = UINT64_MAX;
    must(pthread_mutex_lock(&remote->lock) == 0);
    bool is_open = remote->is_open;
    for (size_t i = 0; i < remote->count; i++) {
        uint64_t commit = sender_needs_from(remote->senders[i]);
        if (commit < least)
            least = commit;
    }
    must(pthread_mutex_unlock(&remote->lock) == 0);
    *ret_commit = least;
    return is_open;
}

static void drop_beyond_limit(struct remote *remote)
{
    struct spill_file file;
    const uint64_t limit_bytes = spill_limit(&remote->spill);
    while (spill_drop_oldest(&remote->spill, limit_bytes, &file)) {
        log_error("remote",
                  "the backlog is larger than it may be: %" PRIu64 " samples of commits %" PRIu64
                  " to %" PRIu64 " are dropped",
                  file.samples, file.first, file.last);
        atomic_fetch_add(&remote->dropped_samples, file.samples);
        must(pthread_mutex_lock(&remote->lock) == 0);
        for (size_t i = 0; i < remote->count; i++)
            if (sender_needs_from(remote->senders[i]) <= file.last)
                sender_note_lost(remote->senders[i], file.samples);
        must(pthread_mutex_unlock(&remote->lock) == 0);
    }
}

static uint64_t release(struct remote *remote, uint64_t through)
{
    uint64_t need = 0;
    if (remote->is_held || !needed_from(remote, &need))
        return 0;
    if (need > 0)
        spill_prune(&remote->spill, need - 1);
    uint64_t spilled = spill_last(&remote->spill);
    uint64_t first = need > spilled ? need : spilled + 1;
    if (first > through)
        return through;
    int error = spill_write(&remote->spill, remote->store, first, through);
    if (error == 0) {
        remote->failures = 0;
        atomic_fetch_add(&remote->spilled_files, 1);
        drop_beyond_limit(remote);
        return through;
    }
    atomic_fetch_add(&remote->spill_failures, 1);
    remote->failures++;
    log_error("remote", "what receivers have yet to get cannot be spilled to %s/spill: %s",
              remote->directory, error_text(error));
    return remote->failures < HOLD_MAX ? first - 1 : through;
}

uint64_t remote_release(void *context, uint64_t through)
{
    struct remote *remote = context;
    must(pthread_mutex_lock(&remote->releasing) == 0);
    uint64_t released = release(remote, through);
    must(pthread_mutex_unlock(&remote->releasing) == 0);
    return released;
}

void remote_hold(void *context, bool is_held)
{
    struct remote *remote = context;
    must(pthread_mutex_lock(&remote->releasing) == 0);
    remote->is_held = is_held;
    must(pthread_mutex_unlock(&remote->releasing) == 0);
}

/* ---- receivers --------------------------------------------------------------------------- */

static void folder_of(const struct remote *remote, const char *name, char path[4096])
{
    (void)snprintf(path, 4096, "%s/%s", remote->directory, name);
}

static int put_row(struct remote *remote, const char *name, const struct cursor *cursor)
{
    struct buf row = {0}, key = {0};
    if (cursor != NULL)
        cursor_write(cursor, &row);
    buf_printf(&key, CURSOR_KEY_PREFIX "%s", name);
    const struct store_put put = {buf_bytes(&key),
                                  cursor != NULL ? buf_bytes(&row) : (struct bytes){NULL, 0}};
    struct store_write write = {.puts = &put, .put_count = 1};
    int error = buf_ok(&row) && buf_ok(&key) ? store_write_wait(remote->store, &write)
                                             : ERR_NOMEM;
    buf_done(&row);
    buf_done(&key);
    return error;
}

/* What is stored of a receiver; for a new one, the end of what there is. */
static int load_cursor(struct remote *remote, const char *name, struct cursor *ret_cursor)
{
    struct buf row = {0}, key = {0};
    buf_printf(&key, CURSOR_KEY_PREFIX "%s", name);
    int error = buf_ok(&key) ? store_state_get(remote->store, buf_bytes(&key), &row) : ERR_NOMEM;
    if (error == 0)
        error = cursor_read(buf_bytes(&row), ret_cursor);
    buf_done(&row);
    buf_done(&key);
    if (error != ERR_NOTFOUND && error != ERR_MALFORMED)
        return error;
    if (error == ERR_MALFORMED)
        log_error("remote", "what was sent to %s is unknown: it goes on from now", name);
    *ret_cursor = (struct cursor){.begin = {store_last_commit(remote->store) + 1, 0},
                                  .level_ms = clock_unix_ms(&clock_system)};
    /* Before anything is committed that it could miss. */
    return put_row(remote, name, ret_cursor);
}

static int start_sender(struct remote *remote, struct config *config,
                        const struct config_node *entry, const char *name,
                        struct sender **ret_sender, struct diagnosis *why)
{
    struct sender_options options = {.store = remote->store,
                                     .spill = &remote->spill,
                                     .directory = remote->directory,
                                     .config_name = config_name(config),
                                     .entry = entry};
    int error = load_cursor(remote, name, &options.cursor);
    if (error != 0)
        return diagnose(why, error, "remote_write: %s: %s", name, error_text(error));
    return sender_start(&options, ret_sender, why);
}

struct forgetting {
    struct remote *remote;
    char names[REMOTE_TARGETS_MAX * 4][REMOTE_NAME_BYTES_MAX + 1];
    size_t count;
};

static int find_forgotten(void *context, struct bytes key, struct bytes value)
{
    struct forgetting *forgetting = context;
    char name[REMOTE_NAME_BYTES_MAX + 1];
    size_t size = key.size - strlen(CURSOR_KEY_PREFIX);
    (void)value;
    if (size == 0 || size > REMOTE_NAME_BYTES_MAX ||
        forgetting->count == sizeof forgetting->names / sizeof *forgetting->names)
        return 0;
    memcpy(name, key.data + strlen(CURSOR_KEY_PREFIX), size);
    name[size] = '\0';
    for (size_t i = 0; i < forgetting->remote->count; i++)
        if (strcmp(sender_name(forgetting->remote->senders[i]), name) == 0)
            return 0;
    memcpy(forgetting->names[forgetting->count++], name, sizeof name);
    return 0;
}

/* Rows and folders of receivers that are none any more. */
static void forget_others(struct remote *remote)
{
    struct forgetting forgetting = {.remote = remote};
    (void)store_state_scan(remote->store, bytes_of(CURSOR_KEY_PREFIX), find_forgotten,
                           &forgetting);
    for (size_t i = 0; i < forgetting.count; i++) {
        char folder[4096];
        const char *name = forgetting.names[i];
        folder_of(remote, name, folder);
        int error = put_row(remote, name, NULL);
        refused_remove(folder);
        if (error == 0)
            log_info("remote", "%s is no receiver any more: what was sent to it is forgotten",
                     name);
        else
            log_warn("remote", "%s cannot be forgotten: %s", name, error_text(error));
    }
}

/* The senders of the new list; those whose entry is the same are taken over from `old`. */
static int make_senders(struct remote *remote, struct config *config,
                        const struct config_node *list, struct sender **old, size_t old_count,
                        struct sender **made, size_t *ret_count, struct diagnosis *why)
{
    size_t count = list == NULL ? 0 : list->count;
    int error = 0;
    for (*ret_count = 0; error == 0 && *ret_count < count;) {
        const struct config_node *entry = list->children[*ret_count];
        struct sender *sender = NULL;
        for (size_t i = 0; i < old_count && sender == NULL; i++)
            if (old[i] != NULL && sender_is_of(old[i], entry)) {
                sender = old[i];
                old[i] = NULL;
            }
        if (sender == NULL) {
            struct remote_settings settings;
            error = remote_settings_read(config, entry, &settings, why);
            if (error == 0)
                error = start_sender(remote, config, entry, settings.name, &sender, why);
            remote_settings_done(&settings);
        }
        if (error == 0)
            made[(*ret_count)++] = sender;
    }
    return error;
}

/* Ends those whose entry is not in the list any more, all at once, before others begin: one that
 * was only changed goes on from the same row. */
static void end_changed(const struct config_node *list, struct sender **senders, size_t count)
{
    bool stays[REMOTE_TARGETS_MAX] = {false};
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; list != NULL && k < list->count && !stays[i]; k++)
            stays[i] = sender_is_of(senders[i], list->children[k]);
    for (size_t i = 0; i < count; i++)
        if (!stays[i])
            sender_ask_to_stop(senders[i]);
    for (size_t i = 0; i < count; i++)
        if (!stays[i])
            sender_join(senders[i]);
}

int remote_reload(struct remote *remote, struct config *config, const struct config_node *list,
                  struct diagnosis *why)
{
    struct sender *old[REMOTE_TARGETS_MAX], *made[REMOTE_TARGETS_MAX];
    size_t old_count = remote->count, count = 0;
    memcpy(old, remote->senders, sizeof old);
    end_changed(list, old, old_count);
    int error = make_senders(remote, config, list, old, old_count, made, &count, why);
    /* What ended is still in the table: until now the log was kept for it. */
    must(pthread_mutex_lock(&remote->lock) == 0);
    memcpy(remote->senders, made, count * sizeof *made);
    remote->count = count;
    must(pthread_mutex_unlock(&remote->lock) == 0);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] == NULL)
            continue;
        sender_ask_to_stop(old[i]); /* where an error left one out */
        sender_join(old[i]);
        sender_free(old[i]);
    }
    if (error == 0)
        forget_others(remote);
    return error;
}

int remote_open(struct remote *remote, struct store *store, struct config *config,
                const struct config_node *list, struct diagnosis *why)
{
    char directory[4096];
    uint64_t limit_bytes = remote->spill.limit_bytes;
    remote->store = store;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ERR_NOMEM;
    folder_of(remote, "spill", directory);
    int error = spill_open(directory, limit_bytes, &remote->spill, why);
    if (error == 0)
        error = remote_reload(remote, config, list, why);
    if (error != 0)
        return error;
    must(pthread_mutex_lock(&remote->lock) == 0);
    remote->is_open = true;
    must(pthread_mutex_unlock(&remote->lock) == 0);
    return 0;
}

void remote_stop(struct remote *remote)
{
    if (remote == NULL)
        return;
    for (size_t i = 0; i < remote->count; i++)
        sender_ask_to_stop(remote->senders[i]);
    for (size_t i = 0; i < remote->count; i++)
        sender_join(remote->senders[i]);
}
