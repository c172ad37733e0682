/*
 * refused.h - what a receiver refused for good, set aside where a person can look at it.
 *
 *     DATA/remote/NAME/refused/UNIXMS-STATUS.txt
 *         # HTTP status 400: out of order sample      what it answered
 *         # 2 samples
 *         node_load1{instance="web-01"} 0.5 1700000000000
 *
 * Text as Prometheus reads it: `fengsuictl import` into a collector, or promtool, takes it again.
 * The newest REFUSED_FILES_MAX stay; a file holds REFUSED_BYTES_MAX at most, and says so where
 * there was more.  What is counted is all of them, whatever becomes of the files.
 */
#pragma once

#include "collector/remote/encode.h"
#include "proto/base/diagnosis.h"

#define REFUSED_FILES_MAX 32
#define REFUSED_BYTES_MAX ((size_t)1 << 20)

/* `folder` is DATA/remote/NAME; made if missing.  ERR_IO, ERR_FULL, ERR_NOMEM. */
int refused_write(const char *folder, int64_t now_ms, long status, const char *answer,
                  const struct encode_sample *samples, size_t count, struct diagnosis *why);
/* Removes a receiver's folder and what this file put there. */
void refused_remove(const char *folder);
