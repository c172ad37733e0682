/*
 * frames.h - request bodies prepared beforehand, in a file: what the senders replay.
 *
 *     "PBF1", then frames, integers little-endian:
 *     offset size
 *          0    4   step: frames of one time share it; it never goes back within a file
 *          4    4   samples in the body
 *          8    4   body bytes
 *         12    4   0
 *         16    n   body
 *
 * A series lives in one file only, so one connection a file keeps every series in order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

struct frame {
    uint32_t step;
    uint32_t samples;
    struct bytes body;
};

struct frames_writer {
    FILE *file;
    uint64_t frames, samples, body_bytes;
};

/* ERR_IO; `why` names the path. */
int frames_create(const char *path, struct frames_writer *ret_writer, struct diagnosis *why);
/* What cannot be written shows at frames_finish(). */
void frames_put(struct frames_writer *writer, uint32_t step, uint32_t samples,
                struct bytes body);
/* Closes the file; ERR_IO if any byte did not get there. */
int frames_finish(struct frames_writer *writer, struct diagnosis *why);

/* A file mapped for reading. */
struct frames {
    const uint8_t *data;
    size_t size;
    size_t at;
};

/* ERR_IO, ERR_MALFORMED. */
int frames_open(const char *path, struct frames *ret_frames, struct diagnosis *why);
/* The next frame; its body points into the map.  False at the end, or where the file is cut. */
bool frames_next(struct frames *frames, struct frame *ret_frame);
void frames_close(struct frames *frames);
