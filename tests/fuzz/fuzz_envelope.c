/*
 * fuzz_envelope.c - any message the decoder accepts, the encoder accepts too, and the second
 * trip yields the same bytes; the batches and records in it are decoded as well.
 */
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/wire/columns.h"
#include "proto/wire/record.h"

#define ARENA_BYTES ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_record(const struct record *record, struct arena *arena)
{
    struct process_table table;
    struct wire_event event;
    const struct label *facts;
    size_t count;
    struct buf out = {0};

    if (record_decode_processes(record->data, arena, &table) == 0)
        must(record_encode_processes(&table, arena, &out) != ERR_MALFORMED);
    if (record_decode_event(record->data, arena, &event) == 0)
        must(record_encode_event(&event, arena, &out) == 0);
    if (record_decode_inventory(record->data, arena, &facts, &count) == 0)
        must(record_encode_inventory(facts, count, arena, &out) == 0);
    buf_done(&out);
}

static void open_batches(const struct batch_group *group, struct arena *arena)
{
    struct plain_batch plain;
    const struct sample_columns *base = NULL;

    for (size_t i = 0; i < group->count; i++) {
        int error = batch_plain(&group->items[i], base, arena, &plain);
        if (error == 0)
            base = &plain.samples;
        for (size_t n = 0; n < group->items[i].record_count; n++)
            open_record(&group->items[i].records[n], arena);
        if (error == ERR_NOMEM)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct envelope first, second;
    struct buf once = {0}, twice = {0};

    arena_init(&arena, ARENA_BYTES);
    if (envelope_decode((struct bytes){data, size}, &arena, &first) == 0) {
        if (first.kind == ENVELOPE_BATCHES)
            open_batches(&first.batches, &arena);
        int error = envelope_encode(&first, &arena, &once);
        must(error == 0 || error == ERR_NOMEM || error == ERR_LIMIT);
        if (error == 0 && envelope_decode(buf_bytes(&once), &arena, &second) == 0 &&
            envelope_encode(&second, &arena, &twice) == 0)
            must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    }
    buf_done(&once);
    buf_done(&twice);
    arena_reset(&arena);
    return 0;
}
