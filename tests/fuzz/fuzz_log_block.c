/*
 * fuzz_log_block.c - any bytes as a block: lines or an error; and what was read can be packed
 * again and is then read as the same lines.
 */
#include <stddef.h>
#include <stdint.h>

#include "collector/log/block.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_BYTES ((size_t)16 << 20)

static void check_again(const struct log_block_info *info, const struct log_line *lines)
{
    struct log_chunk chunk = {.path = info->path, .lines = lines, .count = info->line_count};
    struct buf block = {0};
    must(log_block_encode(&chunk, &block) == 0);
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct log_block_info again;
    const struct log_line *decoded;
    must(log_block_decode(buf_bytes(&block), &arena, &again, &decoded) == 0);
    must(again.line_count == info->line_count && again.text_bytes == info->text_bytes);
    for (size_t i = 0; i < again.line_count; i++) {
        must(decoded[i].offset == lines[i].offset && decoded[i].ts_ms == lines[i].ts_ms);
        must(decoded[i].severity == lines[i].severity && decoded[i].flags == lines[i].flags);
        must(bytes_equal(decoded[i].text, lines[i].text));
    }
    arena_reset(&arena);
    buf_done(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct log_block_info info;
    const struct log_line *lines;
    if (log_block_decode((struct bytes){data, size}, &arena, &info, &lines) == 0)
        check_again(&info, lines);
    arena_reset(&arena);
    return 0;
}
