/*
 * ingest.h - the collector's end of the wire: sockets, keys, streams, dedupe.
 *
 * One thread of its own with a libuv loop: ROUTER socket (CURVE), ZAP handler, sessions by key.
 * It decodes batches into store writes, and acknowledges when the write is done.
 *
 *   state keys (store.h): "key/PUBKEY" approval, job, instance, labels;
 *   "token/..." enrolment tokens; "policy/PUBKEY" version and hash of a host's policy;
 * "stream/PUBKEY/EPOCH..." numbers, hashes, definitions
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/rules/rules.h"
#include "collector/store/store.h"
#include "proto/base/diagnosis.h"

struct ingest;
struct policy;

struct ingest_options {
    const char *endpoint;      /* tcp://127.0.0.1:9471 */
    const char *key_directory; /* DATA/keys */
    uint64_t window_bytes;     /* granted to each probe; 0: 1 MiB */
    uint64_t series_limit_per_probe; /* 0: 500,000 */
    uint64_t labels_limit;           /* labels a series; 0: 64 */
    struct policy *policy;           /* a reference is taken; NULL: none */
    const char *const *scrape_jobs;  /* what may be asked for; NULL: any; outlives ingest */
    size_t scrape_job_count;
};

int ingest_open(const struct ingest_options *options, struct store *store,
                struct ingest **ret_ingest, struct diagnosis *why);
/* Told after rules have opened; may be NULL. */
void ingest_set_rules(struct ingest *ingest, struct rules *rules);
void ingest_close(struct ingest *ingest);

/* Another policy, or none (NULL), from now on; a reference is taken.  Connected probes whose
 * part of it is another have it sent at once.  Any thread but ingest's; waits until they are.
 */
void ingest_set_policy(struct ingest *ingest, struct policy *policy);

/* Keys: hex or Z85 public key text.  Any thread; wait for the commit. */
int ingest_approve(struct ingest *ingest, const char *key, const char *job,
                   const char *instance, const struct label *labels, size_t label_count,
                   struct diagnosis *why);
int ingest_revoke(struct ingest *ingest, const char *key, struct diagnosis *why);
/* A new enrolment token; text is written to ret_token (malloc'd). */
int ingest_token_new(struct ingest *ingest, int64_t expires_ms, uint64_t uses,
                     const struct label *labels, size_t label_count, char **ret_token,
                     struct diagnosis *why);
/* JSON for /api/fengsui/v1/probes and /api/fengsui/v1/keys.  Any thread. */
int ingest_print_probes_json(struct ingest *ingest, struct buf *out);
int ingest_print_keys_json(struct ingest *ingest, struct buf *out);
/* The latest process table of an instance at or before a time, as JSON. */
int ingest_print_processes_json(struct ingest *ingest, const char *instance, int64_t at_ms,
                                struct buf *out);

/* What other parts may know of a key; texts are valid during the call. */
struct probe_view {
    const char *job, *instance, *address, *note; /* never NULL */
    const struct label *labels;
    size_t label_count;
    int64_t interval_ms, last_tick_ms; /* 0: never heard */
    double round_trip_seconds;
    bool approved, connected, absent;
};
/* Calls `each` for every key, under the table's lock: it must not block. */
void ingest_each_probe(struct ingest *ingest,
                       void (*each)(void *context, const struct probe_view *probe),
                       void *context);
/* The policy's rules as JSON, with `instance` what that host gets at a time: its document, and
 * which rule said what.  `job` may be NULL.  ERR_NOTFOUND: no approved host of that name. */
int ingest_print_policy_json(struct ingest *ingest, const char *job, const char *instance,
                             int64_t at_ms, struct buf *out);

/* Appends fengsui_collector_ingest_* in text format. */
void ingest_print_metrics(struct ingest *ingest, struct buf *out);
