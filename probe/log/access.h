/*
 * access.h - what the hits of one access log add up to: requests by host, method and status;
 * bytes; durations as histograms.
 *
 * Everything is bounded, because clients choose what a Host header or a method says: the first
 * ACCESS_VHOSTS_MAX hosts (or only those that the settings name) have values of their own, the
 * others share `other`; so do methods that HTTP does not define, and, once ACCESS_CELLS_MAX
 * combinations were seen, those that come later.  A host's name is masked as a line would be.
 *
 * Hits wait until the chunk they came with is handed over (access_commit) or stays in the file
 * (access_rollback): nothing is counted twice.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/log/access_format.h"
#include "probe/log/redact.h"
#include "proto/base/config.h"

#define ACCESS_VHOSTS_MAX   32 /* and `other` */
#define ACCESS_NAME_BYTES   128
#define ACCESS_METHODS      10 /* the last is `other`, 0 is none */
#define ACCESS_CELLS_MAX    512
#define ACCESS_RESULTS_MAX  32
#define ACCESS_RESULT_BYTES 40
#define ACCESS_BUCKETS      13 /* with bounds; and +Inf */
#define ACCESS_PENDING_MAX  256

/* What is said of an access log in its entry. */
struct access_settings {
    struct access_format format;
    char *vhost;   /* of all its lines; NULL: as they say */
    char **vhosts; /* the hosts that count by name; none: the first ones */
    size_t vhost_count;
};

struct access_durations {
    uint64_t buckets[ACCESS_BUCKETS + 1]; /* not cumulative */
    double sum_seconds;
    uint64_t count;
};

struct access_vhost {
    char name[ACCESS_NAME_BYTES];  /* as seen, in lower case; "": not said */
    char label[ACCESS_NAME_BYTES]; /* as told */
    uint64_t sent_bytes, received_bytes;
    struct access_durations request, upstream;
};

/* Requests of one host, method and status. */
struct access_cell {
    uint8_t vhost, method;
    uint16_t status; /* 0: other, or not said */
    uint64_t count;
};

struct access_result {
    char name[ACCESS_RESULT_BYTES];
    uint64_t count;
};

struct access_pending {
    uint16_t cell;
    uint8_t vhost;
    uint8_t result; /* ACCESS_RESULTS_MAX + 1: none */
    double seconds, upstream_seconds;
    uint64_t sent_bytes, received_bytes;
};

struct access {
    const struct access_settings *settings;
    struct access_format format;                        /* its columns change with the file */
    struct access_vhost *vhosts[ACCESS_VHOSTS_MAX + 1]; /* the first is `other` */
    size_t vhost_count;
    struct access_cell cells[ACCESS_CELLS_MAX + ACCESS_VHOSTS_MAX + 1];
    size_t cell_count;
    uint16_t cell_slots[2048];                            /* index + 1, by hash */
    struct access_result results[ACCESS_RESULTS_MAX + 1]; /* the first is `other` */
    size_t result_count;
    uint64_t bad;
    int64_t last_ms; /* the latest request's time */
    struct access_pending pending[ACCESS_PENDING_MAX];
    size_t pending_count;
    uint64_t pending_bad;
    int64_t pending_last_ms;
    uint64_t columns_order, columns_offset; /* for what place of what tail they hold */
};

/* Upper bounds of the buckets, seconds. */
extern const double access_bounds[ACCESS_BUCKETS];

/* "", "GET" .. "other". */
const char *access_method_name(size_t method);

void access_settings_clear(struct access_settings *settings);

/* `settings` stay the caller's.  ERR_NOMEM. */
int access_new(const struct access_settings *settings, struct access **ret_access);
void access_free(struct access *access); /* NULL is allowed */

/* Takes a line as pending; there must be room (access_has_room).  Returns its severity
 * (severity.h): error for 5xx, warning for 4xx, info for others, unknown for what is no hit. */
uint32_t access_take(struct access *access, struct bytes line,
                     const struct redaction *redaction, const struct redact_key *key);

bool access_has_room(const struct access *access);
void access_commit(struct access *access);
void access_rollback(struct access *access);

/* Columns of a tail that is read from `offset` on: those that hold there, found by looking back
 * from it, and otherwise at the file's beginning; of a compressed file there alone, as looking
 * back would be to begin anew.  `order` tells the tail from others. */
void access_look_back(struct access *access, int fd, bool is_gzip, uint64_t order,
                      uint64_t offset);
