/*
 * intake.c - batches, definitions and gaps become store writes; landed writes become Acks.
 *
 * For each stream at most one write flies.  What comes meanwhile is gathered into the next one,
 * whose numbers build on the flying one's; if that fails, both are given up, nothing is
 * acknowledged, and the probe, hearing nothing, says Hello again and sends what is missing.
 *
 *     batch: stored already?      same content: acknowledge again;  other content: conflict
 *            in a write already?  its Ack will come
 *            refs or base missing NeedKey
 *            else                 samples, lines, records + number row + hash row
 */
#include <stdio.h>

#include "collector/ingest/state.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define HASHES_PRUNED_A_WRITE 64
/* What may wait behind a flying write.  A probe that keeps to its window stays far below. */
#define GATHERED_BYTES_MAX ((size_t)48 << 20)

static double stale_nan(void)
{
    const uint64_t bits = STALE_NAN_BITS;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* -- answers -------------------------------------------------------------------------------- */

static void send_ack(struct ingest *ingest, struct session *session,
                     const struct stream *stream)
{
    const struct envelope envelope = {
        .kind = ENVELOPE_ACK,
        .ack = {.stream = stream_state_of(stream),
                .window_bytes = ingest->options.window_bytes},
    };
    ingest->counters.acks++;
    (void)session_send(ingest, session, &envelope);
}

static void send_need_key(struct ingest *ingest, struct session *session,
                          const struct stream *stream, uint64_t number)
{
    const struct envelope envelope = {
        .kind = ENVELOPE_NEED_KEY,
        .need_key = {.epoch = stream->epoch,
                     .number = number,
                     .definition_count = stream->definition_count},
    };
    ingest->counters.need_key++;
    (void)session_send(ingest, session, &envelope);
}

/* -- one batch ------------------------------------------------------------------------------ */

/* Several batches of a group may be of one write; its memory is bounded by the window. */
static int add_samples(struct ingest *ingest, struct intake_write *write,
                       const struct sample_columns *samples, int64_t ts_ms)
{
    const struct stream *stream = write->stream;
    for (size_t i = 0; i < samples->count; i++) {
        if (samples->refs[i] >= stream->definition_count)
            return ERR_MALFORMED;
        struct series *series = stream->series[samples->refs[i]];
        if (series == NULL) {
            ingest->counters.samples_refused++;
            continue;
        }
        int error = intake_add_sample(write, series, ts_ms, samples->values[i]);
        if (error != 0)
            return error;
    }
    return 0;
}

static int add_ended(struct intake_write *write, const struct plain_batch *plain)
{
    const struct stream *stream = write->stream;
    for (size_t i = 0; i < plain->ended_count; i++) {
        if (plain->ended[i] >= stream->definition_count)
            return ERR_MALFORMED;
        struct series *series = stream->series[plain->ended[i]];
        if (series == NULL)
            continue;
        int error = intake_add_sample(write, series, plain->tick_ms, stale_nan());
        if (error != 0)
            return error;
    }
    return 0;
}

/* A record is kept as a line of a log of its own: "@process_table", "@event", "@inventory". */
static int add_record(struct intake_write *write, const struct record *record, size_t index)
{
    static const char *const paths[] = {"@record", "@process_table", "@event", "@inventory"};
    size_t kind = record->kind <= RECORD_INVENTORY ? record->kind : 0;
    const struct log_line line = {
        .offset = (uint64_t)record->ts_ms * 256 + (index & 255),
        .ts_ms = record->ts_ms,
        .text = record->data,
    };
    const struct log_chunk chunk = {
        .file_id = kind, .path = bytes_of(paths[kind]), .lines = &line, .count = 1};
    if (record->data.size > LOG_LINE_BYTES_MAX)
        return 0;
    return intake_add_log(write, &chunk);
}

/* The main samples go to the block, last of all. */
static int add_content(struct ingest *ingest, struct intake_write *write,
                       struct intake_block *block, const struct plain_batch *plain)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < plain->late_count; i++)
        error = add_samples(ingest, write, &plain->late[i].samples, plain->late[i].ts_ms);
    if (error == 0)
        error = add_ended(write, plain);
    for (size_t i = 0; error == 0 && i < plain->log_count; i++) {
        error = intake_add_log(write, &plain->logs[i]);
        ingest->counters.log_lines += plain->logs[i].count;
    }
    for (size_t i = 0; error == 0 && i < plain->record_count; i++)
        error = add_record(write, &plain->records[i], i);
    if (error == 0)
        error = intake_block_add(block, write, &plain->samples, plain->tick_ms);
    return error;
}

static int add_hash_row(struct ingest *ingest, struct intake_write *write, uint64_t number,
                        uint64_t content_hash)
{
    uint8_t key[STREAM_KEY_BYTES];
    uint8_t row[STREAM_HASHES_BYTES];
    size_t size =
        stream_row_key(write->stream, STREAM_HASHES, number / STREAM_HASH_BLOCK, key);
    size_t row_size =
        stream_write_hash(ingest->store, write->stream, number, content_hash, row);
    return intake_add_hashes(write, number / STREAM_HASH_BLOCK, (struct bytes){key, size},
                             (struct bytes){row, row_size});
}

static int delete_row(struct intake_write *write, enum stream_row row, uint64_t number)
{
    uint8_t key[STREAM_KEY_BYTES];
    size_t size = stream_row_key(write->stream, row, number, key);
    return intake_add_put(write, (struct bytes){key, size}, (struct bytes){NULL, 0});
}

/* Hashes far below the low-water mark are of no more use. */
static int prune_hashes(struct intake_write *write, uint64_t low_before)
{
    uint64_t low = write->stored_after.low_water;
    uint64_t until = low > STREAM_HASHES_KEPT ? low - STREAM_HASHES_KEPT : 0;
    uint64_t from = low_before > STREAM_HASHES_KEPT ? low_before - STREAM_HASHES_KEPT : 0;
    int error = 0;
    if (until > from + HASHES_PRUNED_A_WRITE)
        until = from + HASHES_PRUNED_A_WRITE;
    for (uint64_t number = from + 1; error == 0 && number <= until; number++) {
        if (number % STREAM_HASH_BLOCK == STREAM_HASH_BLOCK - 1)
            error = delete_row(write, STREAM_HASHES, number / STREAM_HASH_BLOCK);
        if (error == 0 && number <= write->stream->single_hashes)
            error = delete_row(write, STREAM_SINGLE_HASH, number);
    }
    return error;
}

static void conflict(struct ingest *ingest, struct session *session, struct stream *stream,
                     uint64_t number)
{
    struct key_entry *entry = session->entry;
    entry->conflicts++;
    entry->last_conflict_ms = clock_unix_ms(ingest->clock);
    ingest->counters.conflicts++;
    stream->renew = true;
    log_error("ingest",
              "%s sent batch %llu of epoch %016llx with other content than is stored: was its "
              "state folder restored from a copy? it must start a new epoch",
              entry->instance, (unsigned long long)number, (unsigned long long)stream->epoch);
    send_ack(ingest, session, stream);
}

/* Takes a batch that is neither stored nor on its way. */
static int take_batch(struct ingest *ingest, struct session *session, struct stream *stream,
                      struct intake_block *block, const struct coded_batch *coded)
{
    struct plain_batch plain;
    struct sample_columns base;
    bool is_based = coded->samples.coding == COLUMNS_BASED;

    if (coded->definition_count > stream->definition_count ||
        (is_based && !bases_find(&stream->bases, coded->samples.base_number, &ingest->scratch,
                                 &base))) {
        send_need_key(ingest, session, stream, coded->number);
        return 0;
    }
    int error = batch_plain(coded, is_based ? &base : NULL, &ingest->scratch, &plain);
    if (error != 0)
        return error == ERR_NOMEM ? 0 : ERR_MALFORMED;
    struct intake_write *write = intake_write_of(ingest, session, stream);
    if (write == NULL)
        return 0;
    if (plain.late_count > 0 || plain.ended_count > 0 ||
        !intake_block_fits(block, &plain.samples))
        intake_block_flush(ingest, block, write);
    uint64_t low_before = write->stored_after.low_water;
    size_t block_before = block->count;
    size_t samples_before = write->sample_count;
    size_t logs_before = write->log_count;
    error = add_content(ingest, write, block, &plain);
    if (error == 0)
        error = range_set_add(&write->stored_after, coded->number, coded->number);
    if (error != 0) { /* leave the write as it was */
        block->count = block_before;
        write->sample_count = samples_before;
        write->log_count = logs_before;
        return error == ERR_MALFORMED ? error : 0;
    }
    if (add_hash_row(ingest, write, coded->number, coded->content_hash) != 0 ||
        prune_hashes(write, low_before) != 0)
        return 0; /* a missing hash only weakens the conflict check */
    if (plain.tick_ms > write->last_tick_ms)
        write->last_tick_ms = plain.tick_ms;
    write->batch_count++;
    ingest->counters.batches++;
    bases_keep(&stream->bases, coded->number, &plain.samples);
    return 0;
}

static bool is_on_its_way(const struct stream *stream, uint64_t number)
{
    const struct intake_write *last =
        stream->gathering != NULL ? stream->gathering : stream->flying;
    return last != NULL && range_set_has(&last->stored_after, number);
}

static bool is_crowded(const struct stream *stream, const struct intake_block *block)
{
    const struct intake_write *write = stream->gathering;
    if (write == NULL)
        return false;
    size_t samples = write->sample_count;
    if (block->count > 0)
        samples += block->count * block->columns[0].samples.count;
    return write->arena.held_bytes + samples * sizeof *write->samples >= GATHERED_BYTES_MAX;
}

int intake_batches(struct ingest *ingest, struct session *session,
                   const struct batch_group *group)
{
    struct stream *stream = session_stream(ingest, session, group->epoch, false);
    struct intake_block block;
    bool acknowledge = false;
    int error = 0;

    if (stream == NULL || stream->renew)
        return 0;
    block.count = 0;
    for (size_t i = 0; error == 0 && i < group->count && !stream->renew; i++) {
        const struct coded_batch *coded = &group->items[i];
        if (coded->number == 0 || coded->number >= UINT64_MAX)
            return ERR_MALFORMED;
        int stored = stream_check_number(ingest->store, stream, coded->number,
                                         coded->content_hash);
        if (stored == ERR_CONFLICT) {
            conflict(ingest, session, stream, coded->number);
        } else if (stored != 0) {
            ingest->counters.duplicates++;
            acknowledge = true;
        } else if (is_on_its_way(stream, coded->number)) {
            ingest->counters.duplicates++;
        } else if (is_crowded(stream, &block)) {
            ingest->counters.store_refused++; /* no Ack: it will come again */
        } else {
            error = take_batch(ingest, session, stream, &block, coded);
        }
    }
    intake_block_flush(ingest, &block, stream->gathering);
    if (acknowledge && !stream->renew)
        send_ack(ingest, session, stream);
    intake_submit(ingest, stream);
    return error;
}

/* -- gaps and events ------------------------------------------------------------------------ */

void intake_event(struct ingest *ingest, struct intake_write *write, const char *kind,
                  const char *text)
{
    struct buf line = {0};
    int64_t now_ms = clock_unix_ms(ingest->clock);
    buf_printf(&line, "%s: %s", kind, text);
    const struct log_line event = {
        .offset = (uint64_t)now_ms * 256 + (write->log_count & 255),
        .ts_ms = now_ms,
        .severity = 5, /* warning */
        .text = buf_bytes(&line),
    };
    const struct log_chunk chunk = {
        .file_id = 4, .path = bytes_of("@collector"), .lines = &event, .count = 1};
    if (buf_ok(&line))
        (void)intake_add_log(write, &chunk);
    buf_done(&line);
}

int intake_gap(struct ingest *ingest, struct session *session, const struct gap *gap)
{
    char text[200];
    struct stream *stream = session_stream(ingest, session, gap->epoch, false);
    if (stream == NULL || stream->renew)
        return 0;
    if (gap->numbers.first == 0 || gap->numbers.first > gap->numbers.last ||
        gap->numbers.last == UINT64_MAX)
        return ERR_MALFORMED;
    struct intake_write *write = intake_write_of(ingest, session, stream);
    if (write == NULL)
        return 0;
    if (range_set_covers(&write->stored_after, gap->numbers.first, gap->numbers.last)) {
        send_ack(ingest, session, stream);
        return 0;
    }
    if (range_set_add(&write->stored_after, gap->numbers.first, gap->numbers.last) != 0)
        return 0;
    uint64_t count = gap->numbers.last - gap->numbers.first + 1;
    (void)snprintf(text, sizeof text,
                   "%llu batches (%llu..%llu) are lost at the probe, ticks %lld..%lld, reason %.*s",
                   (unsigned long long)count, (unsigned long long)gap->numbers.first,
                   (unsigned long long)gap->numbers.last, (long long)gap->first_tick_ms,
                   (long long)gap->last_tick_ms, gap->reason.size > 63 ? 63 : (int)gap->reason.size,
                   gap->reason.size == 0 ? "" : (const char *)gap->reason.data);
    log_warn("ingest", "%s: %s", session->entry->instance, text);
    intake_event(ingest, write, "gap", text);
    session->entry->gaps++;
    session->entry->gap_numbers += count;
    ingest->counters.gaps++;
    ingest->counters.gap_numbers += count;
    intake_submit(ingest, stream);
    return 0;
}

/* -- submitting and landing ----------------------------------------------------------------- */

/* On the writer thread. */
static void landed(struct store_write *store_write, int error)
{
    struct intake_write *write = store_write->context;
    struct ingest *ingest = write->ingest;
    struct rules *rules = ingest->rules;

    write->result = error;
    if (error == 0 && rules != NULL)
        rules_touch_samples(rules, write->samples, write->sample_count);
    uv_mutex_lock(&ingest->landing_lock);
    write->next = ingest->landed;
    ingest->landed = write;
    uv_mutex_unlock(&ingest->landing_lock);
    (void)uv_async_send(&ingest->wake);
}

static bool is_empty(const struct intake_write *write)
{
    return write->sample_count == 0 && write->log_count == 0 && write->put_count == 0 &&
           write->batch_count == 0 &&
           write->stored_after.low_water == write->stream->stored.low_water &&
           write->stored_after.count == write->stream->stored.count;
}

void intake_take_back(struct ingest *ingest, struct session *session, struct stream *stream,
                      uint64_t definition_count)
{
    while (stream->definition_count > definition_count) {
        struct series *series = stream->series[--stream->definition_count];
        if (series == NULL)
            continue;
        store_series_release(ingest->store, series);
        session->entry->series_count--;
    }
}

/* The store has not taken a write, and will not: the probe, hearing nothing, sends it again. */
static void give_up(struct ingest *ingest, struct session *session, struct stream *stream)
{
    ingest->counters.store_refused++;
    intake_write_free(stream->gathering);
    stream->gathering = NULL;
    intake_take_back(ingest, session, stream, stream->definitions_committed);
}

void intake_submit(struct ingest *ingest, struct stream *stream)
{
    struct intake_write *write = stream->gathering;
    struct buf row = {0};
    uint8_t key[STREAM_KEY_BYTES];

    if (write == NULL || stream->flying != NULL || is_empty(write))
        return;
    size_t puts_before = write->put_count;
    stream_write_numbers(&write->stored_after, write->last_tick_ms, &row);
    size_t size = stream_row_key(stream, STREAM_NUMBERS, 0, key);
    int error = buf_ok(&row) ? intake_add_put(write, (struct bytes){key, size}, buf_bytes(&row))
                             : ERR_NOMEM;
    buf_done(&row);
    if (error != 0)
        return; /* the timer tries again */
    write->definitions_after = stream->definition_count;
    write->write = (struct store_write){
        .samples = write->samples,
        .sample_count = write->sample_count,
        .logs = write->logs,
        .log_count = write->log_count,
        .puts = write->puts,
        .put_count = write->put_count,
        .done = landed,
        .context = write,
    };
    stream->gathering = NULL;
    stream->flying = write;
    error = store_write_submit(ingest->store, &write->write);
    if (error != 0) {
        write->put_count = puts_before;
        stream->flying = NULL;
        stream->gathering = write;
        if (error != ERR_AGAIN) /* else the timer tries again */
            give_up(ingest, write->session, stream);
        return;
    }
    ingest->flying_count++;
}

static void land_one(struct ingest *ingest, struct intake_write *write)
{
    struct stream *stream = write->stream;
    struct session *session = write->session;

    ingest->flying_count--;
    if (write->orphan) {
        stream_free(ingest->store, stream);
        intake_write_free(write);
        return;
    }
    stream->flying = NULL;
    ingest->store_refuses = write->result != 0;
    if (write->result == 0) {
        bool is_news = write->last_tick_ms > stream->last_tick_ms;
        range_set_done(&stream->stored);
        stream->stored = write->stored_after;
        write->stored_after = (struct range_set){0};
        stream->last_tick_ms = write->last_tick_ms;
        stream->definitions_committed = write->definitions_after;
        ingest->counters.samples += write->sample_count;
        if (write->batch_count > 0 && is_news)
            silence_heard(ingest, session->entry, write->last_tick_ms);
        send_ack(ingest, session, stream);
    } else {
        give_up(ingest, session, stream);
    }
    intake_write_free(write);
    intake_submit(ingest, stream);
}

void intake_land(struct ingest *ingest)
{
    uv_mutex_lock(&ingest->landing_lock);
    struct intake_write *list = ingest->landed;
    ingest->landed = NULL;
    uv_mutex_unlock(&ingest->landing_lock);
    struct intake_write *in_order = NULL;
    while (list != NULL) { /* the list is newest first */
        struct intake_write *next = list->next;
        list->next = in_order;
        in_order = list;
        list = next;
    }
    while (in_order != NULL) {
        struct intake_write *next = in_order->next;
        land_one(ingest, in_order);
        in_order = next;
    }
}

void intake_forget(struct ingest *ingest, struct session *session)
{
    while (session->streams != NULL) {
        struct stream *stream = session->streams;
        session->streams = stream->next;
        intake_write_free(stream->gathering);
        stream->gathering = NULL;
        if (stream->flying != NULL) {
            stream->flying->orphan = true; /* it lands first, then both go */
            stream->flying->session = NULL;
        } else {
            stream_free(ingest->store, stream);
        }
    }
}
