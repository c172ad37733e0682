#include <string.h>

#include "probe/definition.h"
#include "probe/transport_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/wire/columns.h"
#include "proto/wire/plain.h"

/* A base is replaced by a smaller batch only when it is this many numbers old: a batch without
 * the process groups is a poor base for one with them. */
#define BASE_AGE_NUMBERS 32
/* Some 20 KB: a larger message would be all that a thin line carries for seconds, heartbeats
 * included. */
#define DEFINITIONS_MOST 256
/* Buffers that one large message made grow are given back. */
#define KEPT_BYTES ((size_t)64 << 10)

static const char software[] = "fengsui-probe " FENGSUI_VERSION;

int transport_send_envelope(struct transport *transport, const struct envelope *envelope)
{
    buf_clear(&transport->message);
    int error = envelope_encode(envelope, &transport->arena, &transport->message);
    if (error == 0)
        error = link_send(transport->link, buf_bytes(&transport->message));
    if (error == 0) {
        transport->counts.messages_sent++;
        transport->counts.bytes_sent += transport->message.size;
    }
    return error;
}

static void finish_message(struct transport *transport)
{
    arena_reset(&transport->arena);
    if (transport->message.capacity > KEPT_BYTES)
        buf_done(&transport->message);
    if (transport->plain.capacity > KEPT_BYTES)
        buf_done(&transport->plain);
}

int transport_send_hello(struct transport *transport)
{
    const struct transport_options *options = &transport->options;
    struct stream_offer offers[STREAMS_OFFERED_MAX];
    size_t held = spool_stream_count(options->spool);
    size_t count = 0;

    /* The oldest first; when there are more than fit, the current one still comes last. */
    for (size_t i = 0; i < held; i++) {
        if (count == STREAMS_OFFERED_MAX - 1)
            i = held - 1;
        struct spool_stream stream = spool_stream_at(options->spool, i);
        offers[count++] = (struct stream_offer){.epoch = stream.epoch,
                                                .first_number = stream.first_number,
                                                .next_number = stream.next_number,
                                                .definition_count = stream.definition_count};
    }
    struct envelope envelope = {
        .kind = ENVELOPE_HELLO,
        .hello = {.protocol = WIRE_PROTOCOL,
                  .software = bytes_of(software),
                  .boot_id = options->boot_id,
                  .job = bytes_of(options->job),
                  .instance = bytes_of(options->instance),
                  .token = bytes_of(options->token),
                  .labels = options->labels,
                  .label_count = options->label_count,
                  .sent_ms = clock_unix_ms(options->clock),
                  .interval_ms = options->interval_ms,
                  .policy_version = options->policy_version,
                  .streams = offers,
                  .stream_count = count},
    };
    int error = transport_send_envelope(transport, &envelope);
    finish_message(transport);
    return error;
}

struct transport_stream *transport_stream_find(struct transport *transport, uint64_t epoch)
{
    for (size_t i = 0; i < transport->stream_count; i++)
        if (transport->streams[i].epoch == epoch)
            return &transport->streams[i];
    return NULL;
}

static void forget_base(struct transport_base *base)
{
    base->number = 0;
    base->columns = (struct sample_columns){0};
    arena_reset(&base->arena);
}

void transport_forget_bases(struct transport *transport)
{
    for (size_t i = 0; i < BATCH_PARTS_MAX; i++)
        forget_base(&transport->bases[i]);
}

/* Has `base` something to learn from a newer batch? */
static bool is_better(const struct transport_base *base, uint64_t epoch, uint64_t number,
                      const struct sample_columns *columns)
{
    if (base->number == 0 || base->epoch != epoch)
        return true;
    return number > base->number &&
           (columns->count >= base->columns.count - base->columns.count / 4 ||
            number - base->number > BASE_AGE_NUMBERS);
}

void transport_adopt_base(struct transport *transport, uint64_t epoch, uint64_t number)
{
    struct plain_batch batch;
    struct bytes plain;

    if (epoch != spool_epoch(transport->options.spool) ||
        spool_read(transport->options.spool, epoch, number, &transport->plain, &plain) != 0)
        return;
    if (plain_read(plain, &transport->arena, &batch) == 0 && batch.samples.count > 0) {
        struct transport_base *base = &transport->bases[part_of(&batch.samples)];
        size_t count = batch.samples.count;
        if (is_better(base, epoch, number, &batch.samples)) {
            forget_base(base);
            uint64_t *refs = arena_alloc(&base->arena, count, sizeof *refs);
            double *values = arena_alloc(&base->arena, count, sizeof *values);
            if (refs != NULL && values != NULL) {
                memcpy(refs, batch.samples.refs, count * sizeof *refs);
                memcpy(values, batch.samples.values, count * sizeof *values);
                base->columns = (struct sample_columns){refs, values, count};
                base->epoch = epoch;
                base->number = number;
            }
        }
    }
    finish_message(transport);
}

/* The base for a live batch, NULL if it stands alone.  Of several parts a collector of old
 * keeps too few. */
static const struct transport_base *base_for(const struct transport *transport, uint64_t epoch,
                                             uint64_t number, const struct plain_batch *batch)
{
    const struct transport_base *base = &transport->bases[part_of(&batch->samples)];
    bool has_parts = batch->definition_count > BATCH_SAMPLES_MAX;
    if (base->number == 0 || base->epoch != epoch || base->number >= number ||
        (has_parts && (transport->accepts & ACCEPTS_PART_BASES) == 0))
        return NULL;
    return base;
}

/* Sends one frame of definitions from `first` on.  *ret_sent is how many. */
static int send_definitions_once(struct transport *transport, uint64_t epoch, uint64_t first,
                                 uint64_t *ret_sent)
{
    struct buf frame = {0};
    struct bytes items;
    uint64_t count;

    int error =
        spool_read_definitions(transport->options.spool, epoch, first, &frame, &items, &count);
    if (error == 0 && count > DEFINITIONS_MOST)
        count = DEFINITIONS_MOST;
    struct definition *definitions =
        error != 0 ? NULL : arena_alloc(&transport->arena, count, sizeof *definitions);
    if (error == 0 && definitions == NULL)
        error = ERR_NOMEM;
    struct reader reader = reader_of(error == 0 ? items : (struct bytes){0});
    for (uint64_t i = 0; error == 0 && i < count; i++)
        error = definition_read(&reader, &transport->arena, &definitions[i]);
    if (error == ERR_MALFORMED || error == ERR_LIMIT)
        error = ERR_CORRUPT;
    if (error == 0) {
        bool packed = (transport->accepts & ACCEPTS_PACKED_DEFINITIONS) != 0;
        struct envelope envelope = {.kind = ENVELOPE_DEFINITIONS,
                                    .definitions = {epoch, first, definitions, count, packed}};
        error = transport_send_envelope(transport, &envelope);
    }
    buf_done(&frame);
    arena_reset(&transport->arena);
    if (error == 0)
        *ret_sent = count;
    return error;
}

/* Makes sure the collector has, or will have by then, what a batch needs. */
static int send_definitions(struct transport *transport, struct transport_stream *stream,
                            uint64_t needed)
{
    int error = 0;
    while (error == 0 && stream->definitions_known < needed) {
        uint64_t sent = 0;
        error =
            send_definitions_once(transport, stream->epoch, stream->definitions_known, &sent);
        stream->definitions_known += sent;
    }
    return error;
}

/* Reads a batch into the arena.  Its texts are copied there too. */
static int load_batch(struct transport *transport, uint64_t epoch, uint64_t number,
                      struct plain_batch *ret_batch, size_t *ret_bytes)
{
    struct bytes plain;
    int error = spool_read(transport->options.spool, epoch, number, &transport->plain, &plain);
    if (error != 0)
        return error;
    uint8_t *copy = arena_alloc(&transport->arena, plain.size, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, plain.data, plain.size);
    error = plain_read((struct bytes){copy, plain.size}, &transport->arena, ret_batch);
    if (error == ERR_MALFORMED || error == ERR_LIMIT)
        error = ERR_CORRUPT;
    *ret_bytes = plain.size;
    return error;
}

/* Gives up a batch that nothing can make sendable.  Fails where the spool cannot be written:
 * the batch is then still in the way, and going on would find it again at once. */
static int condemn(struct transport *transport, uint64_t epoch, uint64_t number,
                   const char *reason)
{
    int error = spool_condemn(transport->options.spool, epoch, number);
    if (error == 0)
        log_error("transport", "batch %llu of epoch %016llx cannot be sent (%s): told as a gap",
                  (unsigned long long)number, (unsigned long long)epoch, reason);
    return error;
}

/* A group being put together. */
struct group {
    struct coded_batch items[BACKLOG_GROUP_BATCHES];
    size_t count;
    size_t plain_bytes;
    struct sample_columns last; /* of the last member, the next one's base */
    uint64_t definitions;       /* needed */
};

/* The collector's silence is measured from when there was something to answer. */
static void take_off(struct transport *transport, struct flight flight)
{
    flight.sent = clock_mono(transport->options.clock);
    if (transport->flights.count == 0)
        transport->progress = flight.sent;
    flights_add(&transport->flights, flight);
}

static int send_group(struct transport *transport, struct transport_stream *stream,
                      const struct group *group, bool is_live)
{
    struct envelope envelope = {.kind = ENVELOPE_BATCHES,
                                .batches = {stream->epoch, group->items, group->count}};
    int error = transport_send_envelope(transport, &envelope);
    if (error != 0)
        return error;
    take_off(transport, (struct flight){.epoch = stream->epoch,
                                        .numbers = {group->items[0].number,
                                                    group->items[group->count - 1].number},
                                        .bytes = transport->message.size,
                                        .is_live = is_live});
    transport->counts.batches_sent += group->count;
    return 0;
}

/* A window of any size lets one message through.  A live batch may go beside a full backlog;
 * where even those are more than the line carries, the newest goes when there is room, and
 * those before it with the backlog. */
static bool has_window(const struct transport *transport, bool is_live)
{
    uint64_t window = transport->counts.window_bytes;
    uint64_t paced = transport->pace.bytes * (is_live ? 2 : 1);
    if (window == 0 || flights_is_full(&transport->flights))
        return false;
    if (!is_live)
        window -= window / 4;
    return transport->flights.bytes < (window < paced ? window : paced);
}

bool transport_has_room(const struct transport *transport)
{
    uint64_t window = transport->counts.window_bytes, paced = transport->pace.bytes;
    return transport->flights.bytes < (window < paced ? window : paced) / 2 ||
           transport->flights.count == 0;
}

static int send_live(struct transport *transport)
{
    uint64_t number = transport->live_number;
    uint64_t epoch = spool_epoch(transport->options.spool);
    struct transport_stream *stream = transport_stream_find(transport, epoch);
    struct plain_batch batch;
    struct group group = {.count = 1};
    size_t bytes;

    if (stream == NULL || flights_find(&transport->flights, epoch, number) != NULL)
        return 0; /* the next Hello offers the epoch */
    int error = load_batch(transport, epoch, number, &batch, &bytes);
    if (error != 0)
        return error == ERR_NOTFOUND || error == ERR_CORRUPT ? 0 : error;
    const struct transport_base *base = base_for(transport, epoch, number, &batch);
    error = batch_code(&batch, number, base == NULL ? NULL : &base->columns,
                       base == NULL ? 0 : base->number, &transport->arena, &group.items[0]);
    if (error != 0) {
        (void)condemn(transport, epoch, number, error_text(error)); /* or with the backlog */
        return 0;
    }
    /* Coded columns stay in the arena; definitions need it too, and are rare on this path. */
    if (stream->definitions_known < batch.definition_count) {
        arena_reset(&transport->arena);
        error = send_definitions(transport, stream, batch.definition_count);
        return error == 0 ? send_live(transport)
                          : (error == ERR_CORRUPT || error == ERR_NOTFOUND ? 0 : error);
    }
    return send_group(transport, stream, &group, true);
}

static int send_gap(struct transport *transport, const struct transport_stream *stream,
                    const struct spool_item *item)
{
    struct envelope envelope = {.kind = ENVELOPE_GAP,
                                .gap = {.epoch = stream->epoch,
                                        .numbers = {item->first, item->last},
                                        .first_tick_ms = item->first_tick_ms,
                                        .last_tick_ms = item->last_tick_ms,
                                        .reason = bytes_of(item->reason)}};
    int error = transport_send_envelope(transport, &envelope);
    if (error != 0)
        return error;
    log_warn("transport", "batches %llu to %llu of epoch %016llx are lost: %s",
             (unsigned long long)item->first, (unsigned long long)item->last,
             (unsigned long long)stream->epoch, item->reason);
    take_off(transport, (struct flight){.epoch = stream->epoch,
                                        .numbers = {item->first, item->last},
                                        .bytes = transport->message.size,
                                        .is_gap = true});
    transport->counts.gaps_sent++;
    return 0;
}

/* The next thing of the stream that is neither acknowledged nor in flight. */
static bool next_unsent(struct transport *transport, const struct transport_stream *stream,
                        uint64_t from, struct spool_item *ret_item)
{
    struct spool_item item;
    while (spool_next(transport->options.spool, stream->epoch, from, &item)) {
        const struct flight *flight =
            flights_find(&transport->flights, stream->epoch, item.first);
        if (flight == NULL) {
            *ret_item = item;
            return true;
        }
        from = flight->numbers.last + 1;
    }
    return false;
}

/* Adds one batch to the group.  ERR_LIMIT: the group is complete without it. */
static int add_to_group(struct transport *transport, const struct transport_stream *stream,
                        struct group *group, uint64_t number)
{
    struct plain_batch batch;
    size_t bytes;

    int error = load_batch(transport, stream->epoch, number, &batch, &bytes);
    if (error == 0 && batch.definition_count > stream->definitions_known && group->count > 0)
        return ERR_LIMIT; /* its definitions go first */
    if (error == 0 && batch.definition_count > stream->definitions_known) {
        group->definitions = batch.definition_count;
        return ERR_LIMIT;
    }
    bool is_first = group->count == 0;
    if (error == 0)
        error = batch_code(&batch, number, is_first ? NULL : &group->last,
                           is_first ? 0 : group->items[group->count - 1].number,
                           &transport->arena, &group->items[group->count]);
    if (error == ERR_LIMIT)
        error = ERR_CORRUPT;
    if (error != 0)
        return error;
    group->last = batch.samples;
    group->plain_bytes += bytes;
    group->count++;
    return 0;
}

/* Sends one group, or gap, of a stream's backlog.  ERR_NOTFOUND: it has none. */
static int send_backlog_once(struct transport *transport, struct transport_stream *stream)
{
    struct group group = {0};
    struct spool_item item = {0};
    uint64_t at = stream->cursor;
    int error = 0;

    while (group.count < BACKLOG_GROUP_BATCHES &&
           group.plain_bytes < BACKLOG_GROUP_PLAIN_BYTES) {
        if (!next_unsent(transport, stream, at, &item) || (item.is_gap && group.count > 0) ||
            (group.count > 0 && item.first != group.items[group.count - 1].number + 1))
            break;
        stream->cursor = group.count == 0 ? item.first : stream->cursor;
        if (item.is_gap)
            return send_gap(transport, stream, &item);
        error = add_to_group(transport, stream, &group, item.first);
        if (error != 0)
            break;
        at = item.first + 1;
    }
    if (group.definitions > 0) {
        arena_reset(&transport->arena);
        error = send_definitions(transport, stream, group.definitions);
        if (error == ERR_CORRUPT || error == ERR_NOTFOUND)
            error = condemn(transport, stream->epoch, item.first, "its definitions are lost");
        return error;
    }
    if (group.count == 0) {
        if (error == ERR_CORRUPT)
            return condemn(transport, stream->epoch, item.first, error_text(error));
        return error == 0 ? ERR_NOTFOUND : error;
    }
    error = send_group(transport, stream, &group, false);
    if (error == 0)
        stream->cursor = at;
    return error;
}

static void send_backlog(struct transport *transport)
{
    for (size_t i = 0; i < transport->stream_count; i++) {
        int error = 0;
        while (error == 0 && has_window(transport, false)) {
            error = send_backlog_once(transport, &transport->streams[i]);
            finish_message(transport);
        }
        if (error != ERR_NOTFOUND)
            return;
    }
}

void transport_pump(struct transport *transport)
{
    if (transport->state != TRANSPORT_FLOWING || !spool_is_confirmed(transport->options.spool))
        return;
    if (transport->live_number != 0 && has_window(transport, true)) {
        int error = send_live(transport);
        finish_message(transport);
        if (error == ERR_AGAIN)
            return; /* the socket is full: an Ack, or the timer, comes back here */
        transport->live_number = 0;
    }
    if (transport->live_number == 0 || !has_window(transport, true))
        send_backlog(transport);
    transport->counts.in_flight_bytes = transport->flights.bytes;
}
