/*
 * log_join.h - small log blocks of one file into large ones, twins removed.
 */
#pragma once

#include "collector/store/span_write.h"

struct log_join;

int log_join_new(struct span_writer *writer, struct log_join **ret_join);
void log_join_free(struct log_join *join); /* NULL is allowed */
/* Blocks ascend by (stream, file, offset); those of one file may overlap.  ERR_CORRUPT: the
 * block does not parse although its seal was good. */
int log_join_add(struct log_join *join, struct log_key key, struct bytes block);
/* Writes what is gathered. */
int log_join_flush(struct log_join *join);
