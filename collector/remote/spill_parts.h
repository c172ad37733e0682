/*
 * spill_parts.h - between the files of spill: the bytes of spill.h's tables.
 */
#pragma once

#include "collector/remote/spill.h"

#define SPILL_PATH        4096
#define SPILL_HEAD_BYTES  24
#define SPILL_BLOCK_BYTES 32
/* A block holds whole commits, and a commit what one write to the store may hold. */
#define SPILL_RAW_BYTES_MAX ((uint32_t)512 << 20)

struct spill_block {
    uint32_t packed, raw;
    uint64_t first, last;
    uint64_t seal; /* as read */
};

void spill_path(const struct spill *spill, const struct spill_file *file, char path[SPILL_PATH]);
void spill_head_put(uint64_t samples, uint64_t first, uint8_t head[SPILL_HEAD_BYTES]);
bool spill_head_read(const uint8_t head[SPILL_HEAD_BYTES], uint64_t first, uint64_t *ret_samples);
/* Writes the header in front of the packed bytes, which are there already. */
void spill_block_put(const struct spill_block *block, uint8_t *at);
/* ERR_MALFORMED for sizes that cannot be. */
int spill_block_read(const uint8_t at[SPILL_BLOCK_BYTES], struct spill_block *ret_block);
