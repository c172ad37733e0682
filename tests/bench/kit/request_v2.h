/*
 * request_v2.h - the same bodies as Prometheus remote write 2.0 has them.
 *
 * https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/: every text once, in a table of
 * symbols; a label is two numbers.
 */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/bytes.h"

/* Makes a 2.0 message of an uncompressed 1.0 body that was made by request.h; `out` is cleared first.
 * ERR_MALFORMED, ERR_NOMEM. */
int request_to_v2(struct bytes body, struct buf *out);
