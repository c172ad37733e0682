/*
 * remote_in.h - Prometheus remote write 1.0 and 2.0, receiving.
 *
 *     POST /api/v1/write   Content-Type: application/x-protobuf   Content-Encoding: snappy
 *                          (2.0: ;proto=io.prometheus.write.v2.Request, remote_type.h)
 *
 *     pool thread: snappy -> message -> series (cache, else the store) -> store_write_submit()
 *     writer thread, after the commit: done() -> 204
 *
 * Answers: 204 stored and visible; 400 malformed, or some series refused (the good ones are
 * stored, the text says how many and why); 413 too large; 415 another encoding; 503 with
 * Retry-After when the store is full or its queue is (nothing was taken; senders try again).
 * A series is refused for bad labels or the store's series limit; a sample for a time more than
 * REMOTE_FUTURE_MS ahead.  Native histograms are refused and counted, exemplars are left out.
 * What 2.0 says of a series' created or start timestamp is not kept.  Answers to 2.0 bear
 * X-Prometheus-Remote-Write-Samples-Written (and -Histograms-, -Exemplars-Written: 0).
 *
 * Threads: any.
 */
#pragma once

#include "collector/http/server.h"
#include "collector/store/store.h"

#define REMOTE_FUTURE_MS (10 * 60 * 1000)

struct remote_in;

int remote_in_open(struct store *store, struct remote_in **ret_remote);
/* Who is told of what was committed; before the first request.  NULL: nobody. */
struct rules;
void remote_in_set_rules(struct remote_in *remote, struct rules *rules);
/* Label bytes to series, for others that receive samples. */
struct remote_cache;
struct remote_cache *remote_in_cache(struct remote_in *remote);
/* After the server has closed, before the store does.  NULL is allowed. */
void remote_in_close(struct remote_in *remote);

/* An http_later_handler's work. */
void remote_in_handle(struct remote_in *remote, struct http_request *request,
                      struct http_response *response, struct http_pending *pending);

/* Appends fengsui_collector_remote_write_* in text format. */
void remote_in_print_metrics(struct remote_in *remote, struct buf *out);
