/*
 * columns.h - sample columns as they travel: alone, or against a base batch.
 *
 * (Formats are drawn in columns.c.)  Lossless bit for bit.  A BASED column is coded against the
 * main samples of an earlier, acknowledged batch of the same epoch: unchanged values cost one
 * bit or less, small decimal steps one or two bytes.  Which form is smaller is decided per
 * batch.
 */
#pragma once

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/wire/envelope.h"
#include "proto/wire/plain.h"

/* Codes `samples`; `base` may be NULL (then PLAIN).  `base_number` names base.  The data go to
 * `scratch` (appended; ret_coded->data points into arena).  ERR_NOMEM, ERR_LIMIT. */
int columns_encode(const struct sample_columns *samples, const struct sample_columns *base,
                   uint64_t base_number, struct arena *arena, struct coded_columns *ret_coded);

/* The columns again, in `arena`.  `base` must be the columns of coded->base_number when the
 * coding is BASED (ERR_INVALID if NULL).  Bytes may come from anybody: ERR_MALFORMED,
 * ERR_LIMIT, ERR_NOMEM. */
int columns_decode(const struct coded_columns *coded, const struct sample_columns *base,
                   struct arena *arena, struct sample_columns *ret_samples);

/* A whole batch, both ways.  batch_code() computes the content hash over plain_write() of
 * `plain`; batch_plain() checks it: ERR_CORRUPT if it differs.  Late groups are always PLAIN.
 */
int batch_code(const struct plain_batch *plain, uint64_t number,
               const struct sample_columns *base, uint64_t base_number, struct arena *arena,
               struct coded_batch *ret_coded);
int batch_plain(const struct coded_batch *coded, const struct sample_columns *base,
                struct arena *arena, struct plain_batch *ret_plain);
