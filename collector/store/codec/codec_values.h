/*
 * codec_values.h - the values of a chunk.  Internal to the codec.
 */
#pragma once

#include <stdbool.h>

#include "collector/store/codec/codec.h"

void values_put(struct buf *out, const double *values, size_t count, enum chunk_effort effort);
/* False for rubbish. */
bool values_get(struct reader *reader, double *values, size_t count);
