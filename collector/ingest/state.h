/*
 * state.h - the ingest thread's own data, shared by the files of this folder only.
 *
 * Everything here is owned by the ingest thread.  `lock` is held by it while it handles a message
 * or a timer (never while it waits for a commit it could not do without: approvals), so that
 * other threads can print the tables.
 *
 *   message --> session.c (who?) --> intake.c (batches) --> store write --> completion --> Ack
 *                    \--> keys.c, token.c (may it?)           \--> silence.c (was it heard?)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "collector/ingest/ingest.h"
#include "collector/ingest/keys.h"
#include "collector/ingest/stream.h"
#include "collector/policy/policy.h"
#include "collector/rules/rules.h"
#include "collector/store/store.h"
#include "proto/base/arena.h"
#include "proto/base/clock.h"
#include "proto/wire/envelope.h"
#include "proto/wire/zmq_watch.h"

#define ROUTING_ID_BYTES_MAX 255
#define ARENA_BYTES          ((size_t)64 << 20)
#define WINDOW_BYTES_DEFAULT (UINT64_C(1) << 20)
#define SERIES_LIMIT_DEFAULT UINT64_C(500000)
#define INTAKE_BLOCK_BATCHES BACKLOG_GROUP_BATCHES /* a group of a backlog, whole */

/* One connection that has said Hello. */
struct session {
    uint8_t routing_id[ROUTING_ID_BYTES_MAX];
    size_t routing_id_size;
    struct key_entry *entry;
    struct stream *streams;
    mono_ns heard_mono;     /* any message */
    mono_ns pinged_mono;
    mono_ns challenged_mono; /* a second connection asked at this time; 0: none */
    struct session *next;
};

/* What is being gathered, or flies, for one stream. */
struct intake_write {
    struct store_write write;  /* context: this */
    struct ingest *ingest;
    struct stream *stream;
    struct session *session;
    struct arena arena;        /* log lines, keys and values of puts */
    struct store_sample *samples;
    size_t sample_count, sample_capacity;
    size_t held_bytes;         /* of ingest->held_bytes */
    struct store_log_chunk *logs;
    size_t log_count, log_capacity;
    struct store_put *puts;
    size_t put_count, put_capacity;
    size_t hash_put;     /* puts[hash_put - 1] is the row of hash block `hash_block`; 0: none is */
    uint64_t hash_block;
    struct range_set stored_after;
    int64_t last_tick_ms;
    uint64_t definitions_after; /* refs known when it was submitted */
    uint64_t batch_count;
    int result;
    bool orphan;                  /* its session ended: free it when it lands */
    struct intake_write *next;    /* the landed list's */
};

struct ingest_counters {
    uint64_t messages, malformed, unknown_kinds, batches, samples, log_lines, duplicates,
        conflicts, gaps, gap_numbers, need_key, pending_refused, duplicate_connections,
        revoked_refused, token_refused, series_refused_limit, series_refused_labels,
        samples_refused, store_refused, handshakes, acks;
};

struct ingest {
    /* fixed after ingest_open() */
    struct ingest_options options;
    struct store *store;
    char *endpoint, *key_directory;
    const struct clock *clock;
    void *zmq;
    struct curve_pair pair;
    uv_thread_t thread;

    /* the ingest thread's */
    uv_loop_t loop;
    void *router, *zap;
    struct zmq_watch router_watch, zap_watch;
    uv_async_t wake;  /* landed writes, commands, stop */
    uv_timer_t timer;   /* silence, pings, retries */
    uv_timer_t silence; /* once, when the next host would be silent */
    struct arena scratch; /* one message */
    struct buf out;       /* one answer */
    struct session *sessions;
    size_t flying_count;
    size_t held_bytes; /* samples of all writes, gathered and flying */
    mono_ns rests_mono;  /* since when messages wait because of those; 0: they do not */
    mono_ns rested_mono; /* when they last stopped waiting, of waits that were long */
    bool store_refuses; /* the last write that landed was refused */
    bool policy_is_unsettled; /* versions are to be decided again */
    mono_ns started_mono;

    /* under lock: tables that other threads print */
    uv_mutex_t lock;
    struct key_table keys;
    struct ingest_counters counters;
    struct policy *policy;     /* NULL: none */
    int64_t policy_settled_ms; /* when what each host gets was last decided */
    int64_t policy_border_ms;  /* when a period begins or ends next */

    /* under landing_lock: handed over by the writer thread */
    uv_mutex_t landing_lock;
    struct intake_write *landed;
    struct command *commands;
    bool stop;
    struct rules *_Atomic rules;
    bool told_delivered; /* rules know that backlogs are in */
    int64_t went_down_ms; /* the newest tick that was stored before the start; 0: none was */
};

/* session.c */
void session_message(struct ingest *ingest, struct bytes routing_id,
                     const uint8_t key[CURVE_KEY_BYTES], const char *address,
                     struct bytes message, bool *ret_drop_connection);
void session_timer(struct ingest *ingest, mono_ns now);
void session_end(struct ingest *ingest, struct session *session);
struct stream *session_stream(struct ingest *ingest, struct session *session, uint64_t epoch,
                              bool make);
/* Encodes and sends; false if the peer is gone. */
bool session_send(struct ingest *ingest, const struct session *session,
                  const struct envelope *envelope);

/* intake.c: both return 0, or ERR_MALFORMED when the sender must lose its connection. */
int intake_batches(struct ingest *ingest, struct session *session,
                   const struct batch_group *group);
int intake_definitions(struct ingest *ingest, struct session *session,
                       const struct definitions *definitions);
int intake_gap(struct ingest *ingest, struct session *session, const struct gap *gap);
/* Forgets the definitions from `definition_count` on: they will not be stored. */
void intake_take_back(struct ingest *ingest, struct session *session, struct stream *stream,
                      uint64_t definition_count);
/* Is so much gathered and flying that messages had better wait where they are fewer bytes?  Something
 * flies then, so it will end. */
bool intake_is_full(const struct ingest *ingest);
/* Submits what has been gathered for a stream, unless something flies. */
void intake_submit(struct ingest *ingest, struct stream *stream);
/* Takes over what has landed: publishes numbers, acknowledges. */
void intake_land(struct ingest *ingest);
/* The session ends: its gathered writes go, its flying one becomes an orphan. */
void intake_forget(struct ingest *ingest, struct session *session);
/* An event of this host into its "@events" log, within the gathered write of its stream. */
void intake_event(struct ingest *ingest, struct intake_write *write, const char *kind,
                  const char *text);

/* intake_write.c */
struct intake_write *intake_write_of(struct ingest *ingest, struct session *session,
                                     struct stream *stream);
void intake_write_free(struct intake_write *write);
/* Makes room for so many more samples. */
int intake_hold_samples(struct intake_write *write, size_t more);
int intake_add_sample(struct intake_write *write, struct series *series, int64_t ts_ms,
                      double value);
int intake_add_log(struct intake_write *write, const struct log_chunk *chunk);
int intake_add_put(struct intake_write *write, struct bytes key, struct bytes value);
/* The row of a block of hashes; takes the place of an earlier one. */
int intake_add_hashes(struct intake_write *write, uint64_t block, struct bytes key,
                      struct bytes value);

/* intake_block.c: the samples of batches of one group that name the same refs, until they are
 * put into the write series by series: what follows works on runs of one series. */
struct intake_block {
    size_t count;
    struct intake_column {
        struct sample_columns samples; /* in the scratch arena */
        int64_t tick_ms;
    } columns[INTAKE_BLOCK_BATCHES];
};
bool intake_block_fits(const struct intake_block *block, const struct sample_columns *samples);
/* It fits, and its refs are below the stream's definition count.  Holds room in the write, which
 * must get no other samples before the flush: so what was added will be in the write.  ERR_NOMEM
 * leaves the block as it was. */
int intake_block_add(struct intake_block *block, struct intake_write *write,
                     const struct sample_columns *samples, int64_t tick_ms);
void intake_block_flush(struct ingest *ingest, struct intake_block *block,
                        struct intake_write *write);

/* silence.c */
void silence_load(struct ingest *ingest);
/* A batch with a newer tick than its stream had was stored. */
void silence_heard(struct ingest *ingest, struct key_entry *entry, int64_t tick_ms);
/* The key is revoked: its series, `up` too, have ended for good; or it is approved again. */
void silence_retire(struct ingest *ingest, const struct key_entry *entry, bool is_retired);
/* Writes up, finds who has gone silent.  When the next host will be, if nothing comes of it. */
mono_ns silence_timer(struct ingest *ingest, mono_ns now);

/* push.c */
int push_load(struct ingest *ingest, struct diagnosis *why);
/* Takes the reference. */
void push_set(struct ingest *ingest, struct policy *policy);
/* A probe has said which version is in force there. */
void push_hello(struct ingest *ingest, struct session *session, uint64_t version);
void push_timer(struct ingest *ingest, mono_ns now);
/* What an approved host gets at a time; the items are in the arena.  ERR_NOMEM. */
int push_plan(struct ingest *ingest, const struct key_entry *entry, int64_t at_ms,
              struct arena *arena, struct policy_plan *ret_plan);
