/*
 * fuzz_plain.c - what the plain form's reader accepts, the writer accepts too, and what it
 * writes reads as the same bytes again.
 */
#include "proto/base/must.h"
#include "proto/wire/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buf once = {0}, twice = {0};
    struct plain_batch first, second;

    arena_init(&arena, (size_t)64 << 20);
    if (plain_read((struct bytes){data, size}, &arena, &first) == 0) {
        must(plain_write(&first, &once) == 0);
        must(once.size <= size); /* varints only get shorter */
        must(plain_read(buf_bytes(&once), &arena, &second) == 0);
        must(plain_write(&second, &twice) == 0);
        must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    }
    buf_done(&once);
    buf_done(&twice);
    arena_reset(&arena);
    return 0;
}
