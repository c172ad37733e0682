/*
 * packed_closed.c - instead of packed_open.c, in the static probe.
 *
 * Only batches and definitions hold what is packed, and they come from probes.  A probe that is
 * sent one answers as to any other message that does not parse, and goes without 250 KiB of
 * decompressors.
 */
#include "proto/base/error.h"
#include "proto/wire/packed.h"

int packed_open(struct bytes packed, size_t limit_bytes, struct arena *arena,
                struct bytes *ret_raw)
{
    (void)packed, (void)limit_bytes, (void)arena, (void)ret_raw;
    return ERR_MALFORMED;
}
