/*
 * columns_values.h - one value against the value it is expected to be.  Internal to
 * proto/wire/.
 */
#pragma once

#include "proto/base/buf.h"

/* Appends `value`, which differs from `expected` in at least one bit. */
void value_put(struct buf *out, double value, double expected);

/* What value_put() wrote; sets reader->failed on rubbish. */
double value_get(struct reader *reader, double expected);
