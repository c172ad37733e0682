/*
 * access_series.h - what is told about an access log: logwatch_http_* series.
 */
#pragma once

#include "probe/emitter.h"
#include "probe/log/access.h"

struct access_series;

/* NULL if out of memory (nothing is told then).  `file` must outlive it. */
struct access_series *access_series_new(struct bytes file);
void access_series_free(struct access_series *series); /* NULL is allowed */

/* Registers what is new and emits what moved since it was last told; `all`: everything. */
void access_series_emit(struct access_series *series, const struct access *access, bool all,
                        struct emitter *out);
void access_series_end(const struct access_series *series, struct emitter *out);
