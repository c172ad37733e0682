/*
 * import_in.h - samples as text, receiving: what another system has exported, or a script says.
 *
 *     POST /api/v1/import/prometheus?timestamp=1395066363000&extra_label=site=unicom
 *     Content-Type: text/plain (Prometheus text) or application/openmetrics-text
 *     Content-Encoding: gzip, or none
 *
 * The name, `timestamp` (of samples without one, in ms; default: now) and `extra_label`
 * (repeatable; wins over a label of that name) are those of VictoriaMetrics.  Marks
 * (exposition.h) are read, so that an export comes back bit for bit.
 *
 * One request is all or nothing: the text is read to its end before anything is stored, and its
 * samples become durable and visible in one commit, before the answer.  400 with the line and
 * the reason: nothing of it is stored.  So a request that was cut off can be sent again as it
 * is; the same samples again change nothing.  Its bounds are IMPORT_BODY_BYTES_MAX, after
 * decompression, and IMPORT_SAMPLES_MAX: 413 past either, and `fengsuictl import` cuts files of
 * any size to fit.  503 with Retry-After when the store or its queue is full: nothing was
 * taken.
 *
 * Samples the store may not keep (older than the retention, in the future, too many labels,
 * past the series limit) are left out and told:
 *
 *     {"status":"success","data":{"samplesStored":9,"samplesRefused":1,"refused":[
 *       {"reason":"retention","samples":1,"first":"line 3: ... is older than ..."}]}}
 *
 * TYPE, HELP and UNIT are kept as metadata of the names of the samples that follow.
 *
 * Threads: any.
 */
#pragma once

#include "collector/http/remote_cache.h"
#include "collector/http/server.h"
#include "collector/store/store.h"

#define IMPORT_BODY_BYTES_MAX ((size_t)32 << 20)
#define IMPORT_SAMPLES_MAX    ((size_t)1000000)
#define IMPORT_FUTURE_MS      (10 * 60 * 1000)

struct import_in;
struct rules;

/* `rules` (or NULL) are told of what was committed.  The cache must outlive it. */
int import_in_open(struct store *store, struct remote_cache *cache, struct rules *rules,
                   struct import_in **ret_import);
/* After the server has closed, before the store does.  NULL is allowed. */
void import_in_close(struct import_in *import);

/* An http_later_handler's work. */
void import_in_handle(struct import_in *import, struct http_request *request,
                      struct http_response *response, struct http_pending *pending);

/* Appends fengsui_collector_import_* in text format. */
void import_in_print_metrics(struct import_in *import, struct buf *out);
