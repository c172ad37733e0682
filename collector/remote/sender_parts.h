/*
 * sender_parts.h - between the files of a sender; for nobody else.
 */
#pragma once

#include <curl/curl.h>
#include <pthread.h>

#include "collector/client/request.h"
#include "collector/remote/sender.h"
#include "collector/remote/window.h"
#include "proto/base/clock.h"

enum request_state {
    REQUEST_NONE,    /* nothing to send, or it is acknowledged or refused */
    REQUEST_WAITING, /* until `next_try` */
    REQUEST_RUNNING,
};

/* One POST, tried until it is answered for good. */
struct request {
    struct sender *sender;
    enum request_state state;
    uint32_t shard;
    size_t first, count; /* the samples of the shard that the body has */
    bool is_metadata;
    CURL *easy; /* kept, for its connection */
    struct client_request http;
    struct buf body;
    bool is_v2; /* what the body is */
    bool is_stale; /* the body is to be made before it is sent */
    mono_ns next_try;
    int64_t backoff_ms;
};

struct sender {
    /* fixed */
    struct store *store;
    struct spill *spill;
    struct config *config; /* the entry alone */
    struct buf entry_text;
    struct remote_settings settings;
    char *folder; /* DATA/remote/NAME */
    char key[sizeof CURSOR_KEY_PREFIX + REMOTE_NAME_BYTES_MAX];
    pthread_t thread;
    bool is_running;

    /* the thread's */
    CURLM *multi;
    struct feed feed;
    struct series_cache cache;
    struct encoder encoder;
    struct metadata_copy metadata;
    struct window window;
    struct request requests[REMOTE_SHARDS_MAX];
    struct request metadata_request;
    size_t metadata_next;         /* entry of the copy */
    mono_ns metadata_at;          /* when to tell it again */
    struct cursor cursor;
    bool is_dirty;                /* the cursor differs from what is stored ... */
    bool is_urgent;               /* ... by what was acknowledged */
    mono_ns commit_at;            /* not before */
    mono_ns waiting_since;        /* something is to be sent; 0: nothing is */
    mono_ns paused_until;         /* the receiver said Retry-After */
    mono_ns read_again_at;        /* after the store could not be read */
    uint64_t counted_before, passed, base; /* samples: pending is what was counted but not passed */
    uint64_t mark_commit;         /* all up to it was committed by ... */
    int64_t mark_ms;              /* ... this time; commit 0: no mark */
    bool speaks_v2;
    size_t part_samples;  /* larger requests were too large for the receiver; 0: none was */
    unsigned part_taken;  /* of that size, since */
    mono_ns refusal_told_at;
    struct store_write write; /* the writer's while is_writing */
    struct store_put put;
    struct buf row;
    uint64_t row_commit;

    /* under the lock */
    pthread_mutex_t lock;
    bool stopping;
    bool is_writing, is_written;
    int write_error;
    uint64_t durable_commit;
    struct sender_status status;
};

/* ---- sender_window.c */
/* Samples that wait, those under way included. */
uint64_t sender_pending(struct sender *sender);
void sender_count_pending(struct sender *sender); /* once, at the start */
/* Opens a window if it is time for one. */
void sender_open_window(struct sender *sender, mono_ns now);
/* What the request of a shard has is done with: acknowledged, or set aside.  It goes on with what
 * comes next of the shard, if there is more. */
void sender_part_done(struct sender *sender, uint32_t shard, mono_ns now);
/* Takes in what became of the last commit, and commits the cursor anew if it must be. */
void sender_commit(struct sender *sender, mono_ns now);
/* Is the way free for the next window? */
bool sender_is_committed(const struct sender *sender);
void sender_look_at_level(struct sender *sender);

/* ---- sender_request.c */
/* Makes the body of request->count samples of its shard from request->first on; ERR_NOMEM. */
int sender_request_make(struct request *request);
/* How many of so many samples may go in one request. */
size_t sender_request_size(const struct sender *sender, size_t samples);
void sender_request_start(struct request *request, mono_ns now);
void sender_request_ended(struct request *request, CURLcode result, mono_ns now);
void sender_request_done(struct request *request); /* gives up what it holds */

/* ---- sender_metadata.c */
void sender_tell_metadata(struct sender *sender, mono_ns now);
/* The transfer is over; `accepted`: go on with the next entries. */
void sender_metadata_ended(struct sender *sender, bool accepted);
