/*
 * api_world_fill.h - what is in an api_world: its files, and the requests that fill it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collector/ingest/ingest.h"
#include "collector/store/store.h"
#include "proto/base/buf.h"

struct api_world_file {
    const char *name, *text;
};
extern const struct api_world_file api_world_files[];
extern const size_t api_world_file_count;

/* Requests (request_text.h) that are all taken, in order, after the samples. */
extern const char *const api_world_requests[];
extern const size_t api_world_request_count;

/* A request with samples of the last minutes and of 2023-11-14, types and helps among them. */
void api_world_print_samples(struct buf *out, int64_t now_ms);

/* The state that ingest and notify find when they open: host web-01 with its key, another key that
 * waits, the key that links are signed with (the bytes 0, 1, 2 ... 31), and a silence. */
void api_world_put_keys(struct store *store);
/* Lines of two files, and a process table, all of web-01. */
void api_world_put_lines(struct store *store, int64_t now_ms);
