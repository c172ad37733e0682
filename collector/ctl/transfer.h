/*
 * transfer.h - bodies to and from the collector that are no JSON: what import and export move.
 *
 * One connection is kept and used again.  One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/ctl/ctl.h"
#include "proto/base/bytes.h"

struct transfer;

/* NULL when out of memory. */
struct transfer *transfer_open(const struct ctl *ctl);
void transfer_close(struct transfer *transfer); /* NULL is allowed */

enum transfer_result {
    TRANSFER_DONE,
    TRANSFER_AGAIN, /* no connection, it broke, or 503: the same again may succeed */
    TRANSFER_FAILED
};

/* POSTs the body, compressed unless the collector is on this host.  TRANSFER_DONE: *ret_data is
 * the answer's "data" (a new reference).  Else `why` says what the collector or the network
 * said. */
enum transfer_result transfer_post(struct transfer *transfer, const char *path,
                                   const struct parameter *parameters, size_t count,
                                   const char *content_type, struct bytes body,
                                   json_t **ret_data, struct diagnosis *why);

/* GETs a body of any size and hands it on as it comes; `take` returns 0 to go on.  `packed`: as
 * gzip, not unpacked here. */
enum transfer_result transfer_get(struct transfer *transfer, const char *path,
                                  const struct parameter *parameters, size_t count, bool packed,
                                  int (*take)(void *context, struct bytes piece), void *context,
                                  struct diagnosis *why);
