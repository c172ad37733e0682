/*
 * absent.h - which sources have fallen silent, and since when.
 *
 * A handful of entries, looked at by every query; any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct absent_source {
    uint64_t source;
    int64_t since_ms;
};

struct absent {
    pthread_mutex_t lock;
    struct absent_source *items; /* ascending by source */
    size_t count, capacity;
};

void absent_init(struct absent *absent);
void absent_done(struct absent *absent);
/* since_ms 0: not absent any more.  ERR_NOMEM. */
int absent_set(struct absent *absent, uint64_t source, int64_t since_ms);
/* A copy for one query (malloc'd; NULL and 0 if there are none).  ERR_NOMEM. */
int absent_copy(struct absent *absent, struct absent_source **ret_items, size_t *ret_count);
/* When the source fell silent, in a copy; 0: it did not. */
int64_t absent_since(const struct absent_source *items, size_t count, uint64_t source);
