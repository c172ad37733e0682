/*
 * golden.c - messages for the second reader of the wire to read.
 *
 * usage: wire_golden FOLDER            writes them
 *        wire_golden --read < MESSAGE  says what is in a message that somebody else wrote
 *
 * Writes one NAME.bin for each kind of message, and a plain.bin, as our encoders make them; and
 * beside each a NAME.txt that says what is in it, a field a line: path, space, value.  Bytes
 * and the bits of doubles are hexadecimal, so that nothing depends on how a language prints
 * them. tests/peer/test_wire.py decodes the first with code of its own and compares with the
 * second.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* wire_samples.h compares with cmocka's asserts; nothing is compared here. */
#define assert_int_equal(a, b)       ((void)(a), (void)(b))
#define assert_memory_equal(a, b, n) ((void)(a), (void)(b), (void)(n))
#include "tests/unit/wire_messages.h"

#define ARENA_BYTES ((size_t)64 << 20)

static void put_hex(struct buf *out, const char *path, struct bytes bytes)
{
    buf_printf(out, "%s ", path);
    for (size_t i = 0; i < bytes.size; i++)
        buf_printf(out, "%02x", bytes.data[i]);
    buf_put_char(out, '\n');
}

static void put_labels(struct buf *out, const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_hex(out, "label.name", labels[i].name);
        put_hex(out, "label.value", labels[i].value);
    }
}

static void put_columns(struct buf *out, const char *path, const struct sample_columns *columns)
{
    for (size_t i = 0; i < columns->count; i++) {
        uint64_t bits;
        memcpy(&bits, &columns->values[i], sizeof bits);
        buf_printf(out, "%s %" PRIu64 " %016" PRIx64 "\n", path, columns->refs[i], bits);
    }
}

static void put_plain(struct buf *out, const struct plain_batch *batch)
{
    buf_printf(out, "tick_ms %" PRId64 "\n", batch->tick_ms);
    buf_printf(out, "definition_count %" PRIu64 "\n", batch->definition_count);
    put_columns(out, "sample", &batch->samples);
    for (size_t i = 0; i < batch->late_count; i++) {
        buf_printf(out, "late %" PRId64 "\n", batch->late[i].ts_ms);
        put_columns(out, "late.sample", &batch->late[i].samples);
    }
    for (size_t i = 0; i < batch->ended_count; i++)
        buf_printf(out, "ended %" PRIu64 "\n", batch->ended[i]);
    for (size_t i = 0; i < batch->log_count; i++) {
        const struct log_chunk *chunk = &batch->logs[i];
        buf_printf(out, "log %" PRIu64 "\n", chunk->file_id);
        put_hex(out, "log.path", chunk->path);
        for (size_t n = 0; n < chunk->count; n++) {
            const struct log_line *line = &chunk->lines[n];
            buf_printf(out, "line %" PRIu64 " %" PRId64 " %" PRIu32 " %" PRIu32 "\n",
                       line->offset, line->ts_ms, line->severity, line->flags);
            put_hex(out, "line.text", line->text);
        }
    }
    for (size_t i = 0; i < batch->record_count; i++) {
        buf_printf(out, "record %" PRIu32 " %" PRId64 "\n", batch->records[i].kind,
                   batch->records[i].ts_ms);
        put_hex(out, "record.data", batch->records[i].data);
    }
}

static void put_state(struct buf *out, const struct stream_state *state)
{
    buf_printf(out, "stream %" PRIu64 " %" PRIu64 " %" PRIu64 " %d\n", state->epoch,
               state->low_water, state->definition_count, state->renew);
    for (size_t i = 0; i < state->range_count; i++)
        buf_printf(out, "range %" PRIu64 " %" PRIu64 "\n", state->ranges[i].first,
                   state->ranges[i].last);
}

static void put_hello(struct buf *out, const struct hello *hello)
{
    buf_printf(out, "protocol %" PRIu32 "\n", hello->protocol);
    put_hex(out, "software", hello->software);
    put_hex(out, "boot_id", hello->boot_id);
    put_hex(out, "job", hello->job);
    put_hex(out, "instance", hello->instance);
    put_hex(out, "token", hello->token);
    put_labels(out, hello->labels, hello->label_count);
    buf_printf(out, "sent_ms %" PRId64 "\n", hello->sent_ms);
    buf_printf(out, "interval_ms %" PRIu32 "\n", hello->interval_ms);
    buf_printf(out, "policy_version %" PRIu64 "\n", hello->policy_version);
    for (size_t i = 0; i < hello->stream_count; i++)
        buf_printf(out, "offer %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                   hello->streams[i].epoch, hello->streams[i].first_number,
                   hello->streams[i].next_number, hello->streams[i].definition_count);
}

static void put_resume(struct buf *out, const struct resume *resume)
{
    buf_printf(out, "standing %d\n", (int)resume->standing);
    buf_printf(out, "collector_ms %" PRId64 "\n", resume->collector_ms);
    buf_printf(out, "window_bytes %" PRIu64 "\n", resume->window_bytes);
    buf_printf(out, "accepts %" PRIu64 "\n", resume->accepts);
    for (size_t i = 0; i < resume->stream_count; i++)
        put_state(out, &resume->streams[i]);
    put_hex(out, "job", resume->job);
    put_hex(out, "instance", resume->instance);
    put_labels(out, resume->labels, resume->label_count);
}

static void put_definitions(struct buf *out, const struct definitions *definitions)
{
    buf_printf(out, "epoch %" PRIu64 "\nfirst_ref %" PRIu64 "\n", definitions->epoch,
               definitions->first_ref);
    for (size_t i = 0; i < definitions->count; i++) {
        const struct definition *item = &definitions->items[i];
        put_hex(out, "name", item->name);
        put_labels(out, item->labels, item->label_count);
        buf_printf(out, "type %d\n", (int)item->type);
        put_hex(out, "unit", item->unit);
        put_hex(out, "help", item->help);
    }
}

static void put_batches(struct buf *out, const struct batch_group *group, struct arena *arena)
{
    struct plain_batch plain[2];

    buf_printf(out, "epoch %" PRIu64 "\n", group->epoch);
    for (size_t i = 0; i < group->count && i < 2; i++) {
        const struct coded_batch *batch = &group->items[i];
        const struct sample_columns *base = i == 0 ? NULL : &plain[0].samples;
        if (batch_plain(batch, base, arena, &plain[i]) != 0)
            abort();
        buf_printf(out, "number %" PRIu64 "\n", batch->number);
        buf_printf(out, "content_hash %016" PRIx64 "\n", batch->content_hash);
        buf_printf(out, "coding %d\n", (int)batch->samples.coding);
        put_plain(out, &plain[i]);
    }
}

static void put_rest(struct buf *out, const struct envelope *envelope)
{
    switch (envelope->kind) {
    case ENVELOPE_GAP:
        buf_printf(out, "gap %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n",
                   envelope->gap.epoch, envelope->gap.numbers.first, envelope->gap.numbers.last,
                   envelope->gap.first_tick_ms, envelope->gap.last_tick_ms);
        put_hex(out, "reason", envelope->gap.reason);
        break;
    case ENVELOPE_ACK:
        put_state(out, &envelope->ack.stream);
        buf_printf(out, "window_bytes %" PRIu64 "\n", envelope->ack.window_bytes);
        break;
    case ENVELOPE_POLICY:
        buf_printf(out, "version %" PRIu64 "\n", envelope->policy.version);
        put_hex(out, "document", envelope->policy.document);
        break;
    case ENVELOPE_PING:
        buf_printf(out, "ping %" PRIu64 " %" PRId64 "\n", envelope->ping.nonce,
                   envelope->ping.sent_ms);
        break;
    case ENVELOPE_PONG:
        buf_printf(out, "pong %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
                   envelope->pong.nonce, envelope->pong.ping_sent_ms,
                   envelope->pong.received_ms, envelope->pong.sent_ms);
        break;
    case ENVELOPE_NEED_KEY:
        buf_printf(out, "need_key %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                   envelope->need_key.epoch, envelope->need_key.number,
                   envelope->need_key.definition_count);
        break;
    default:
        buf_printf(out, "refusal %d\n", (int)envelope->refusal.reason);
        put_hex(out, "text", envelope->refusal.text);
        break;
    }
}

static void put_message(struct buf *out, const struct envelope *envelope, struct arena *arena)
{
    switch (envelope->kind) {
    case ENVELOPE_HELLO:
        put_hello(out, &envelope->hello);
        break;
    case ENVELOPE_RESUME:
        put_resume(out, &envelope->resume);
        break;
    case ENVELOPE_DEFINITIONS:
        put_definitions(out, &envelope->definitions);
        break;
    case ENVELOPE_BATCHES:
        put_batches(out, &envelope->batches, arena);
        break;
    default:
        put_rest(out, envelope);
        break;
    }
}

static void save(const char *folder, const char *name, const char *suffix,
                 const struct buf *buf)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s.%s", folder, name, suffix);
    FILE *file = fopen(path, "wb");
    if (file == NULL || !buf_ok(buf) || fwrite(buf->data, 1, buf->size, file) != buf->size ||
        fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void save_plain(const char *folder)
{
    struct buf bin = {0}, text = {0};
    struct plain_batch batch = sample_batch();

    if (plain_write(&batch, &bin) != 0)
        abort();
    buf_printf(&text, "hash %016" PRIx64 "\n", plain_hash(buf_bytes(&bin)));
    put_plain(&text, &batch);
    save(folder, "plain", "bin", &bin);
    save(folder, "plain", "txt", &text);
    buf_done(&bin);
    buf_done(&text);
}

static int read_message(void)
{
    static uint8_t message[ENVELOPE_BYTES_MAX];
    struct arena arena;
    struct envelope envelope;
    struct buf text = {0};

    size_t size = fread(message, 1, sizeof message, stdin);
    arena_init(&arena, ARENA_BYTES);
    if (envelope_decode((struct bytes){message, size}, &arena, &envelope) != 0)
        return 1;
    put_message(&text, &envelope, &arena);
    (void)fwrite(text.data, 1, text.size, stdout);
    buf_done(&text);
    arena_reset(&arena);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER | --read\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[1], "--read") == 0)
        return read_message();
    for (unsigned i = 0; i < MESSAGE_COUNT; i++) {
        struct arena arena;
        struct buf bin = {0}, text = {0};
        arena_init(&arena, ARENA_BYTES);
        struct envelope envelope = sample_message(i, &arena);
        if (envelope_encode(&envelope, &arena, &bin) != 0)
            abort();
        put_message(&text, &envelope, &arena);
        save(argv[1], message_names[i], "bin", &bin);
        save(argv[1], message_names[i], "txt", &text);
        buf_done(&bin);
        buf_done(&text);
        arena_reset(&arena);
    }
    save_plain(argv[1]);
    return 0;
}
