#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "probe/transport_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define TICK_MS             1000
#define PING_TICKS          5
#define HELLO_TICKS         5 /* while pending, or without an answer */
#define STALL_NS            ((mono_ns)10 * 1000 * 1000 * 1000)
#define REFUSED_WAIT_MS     5000
#define MESSAGE_ARENA_BYTES ((size_t)24 << 20)
#define BASE_ARENA_BYTES    ((size_t)2 << 20)

static void greet(struct transport *transport)
{
    flights_clear(&transport->flights);
    transport->stream_count = 0;
    transport->counts.in_flight_bytes = 0;
    transport->progress = clock_mono(transport->options.clock);
    transport->state = TRANSPORT_GREETED;
    /* A full socket: the timer tries again. */
    (void)transport_send_hello(transport);
}

static void on_up(void *context)
{
    struct transport *transport = context;
    transport->counts.connections++;
    pace_begin(&transport->pace);
    greet(transport);
}

static void on_down(void *context)
{
    struct transport *transport = context;
    if (transport->counts.is_connected)
        log_warn("transport", "connection to the collector lost; batches are kept");
    transport->counts.is_connected = false;
    transport->counts.is_approved = false;
    transport->counts.in_flight_bytes = 0;
    transport->state = TRANSPORT_DOWN;
    transport->stream_count = 0;
    flights_clear(&transport->flights);
    transport_forget_bases(transport);
}

static void send_ping(struct transport *transport)
{
    struct envelope envelope = {.kind = ENVELOPE_PING,
                                .ping = {.nonce = ++transport->nonce,
                                         .sent_ms = clock_unix_ms(transport->options.clock)}};
    transport->pinged = clock_mono(transport->options.clock);
    (void)transport_send_envelope(transport, &envelope);
}

static void tell_event(struct transport *transport, const char *kind, const char *text)
{
    if (transport->options.event != NULL)
        transport->options.event(transport->options.context, kind, text);
}

static const struct stream_state *state_of(const struct resume *resume, uint64_t epoch)
{
    for (size_t i = 0; i < resume->stream_count; i++)
        if (resume->streams[i].epoch == epoch)
            return &resume->streams[i];
    return NULL;
}

/* Settles whether the current epoch's numbers are ours.  False: not now. */
static bool confirm_epoch(struct transport *transport, const struct resume *resume)
{
    struct spool *spool = transport->options.spool;
    char text[160];
    const char *reason = NULL;
    uint64_t epoch = spool_epoch(spool);
    const struct stream_state *state = state_of(resume, epoch);

    if (state == NULL) {
        log_warn("transport", "the collector's Resume does not speak of the current epoch");
        return false;
    }
    int error = spool_confirm(spool, state, &reason);
    if (error != 0) {
        log_error("transport", "the spool cannot be written (%s); sending waits for it",
                  error_text(error));
        return false;
    }
    if (reason != NULL) {
        (void)snprintf(text, sizeof text,
                       "epoch %016" PRIx64 " given up (%s), %016" PRIx64 " begun; batches the "
                       "collector lacks go with the new one",
                       epoch, reason, spool_epoch(spool));
        log_warn("transport", "%s", text);
        tell_event(transport, "epoch_renewed", text);
        transport_forget_bases(transport);
    }
    return true;
}

static void take_streams(struct transport *transport, const struct resume *resume)
{
    struct spool *spool = transport->options.spool;
    transport->stream_count = 0;
    for (size_t i = 0; i < resume->stream_count && i < STREAMS_OFFERED_MAX; i++) {
        const struct stream_state *state = &resume->streams[i];
        transport->streams[transport->stream_count++] = (struct transport_stream){
            .epoch = state->epoch, .definitions_known = state->definition_count, .cursor = 1};
        spool_acknowledge(spool, state);
    }
}

static void on_resume(struct transport *transport, const struct resume *resume)
{
    struct transport_counts *counts = &transport->counts;
    bool was_approved = counts->is_approved;

    transport->progress = clock_mono(transport->options.clock);
    counts->is_connected = true;
    counts->window_bytes = resume->window_bytes;
    if (resume->standing != STANDING_APPROVED) {
        if (transport->state != TRANSPORT_PENDING)
            log_warn("transport", "the collector has not approved this probe's key yet (on the "
                                  "collector: fengsuictl probes approve); batches are kept");
        transport->state = TRANSPORT_PENDING;
        counts->is_approved = false;
        send_ping(transport);
        return;
    }
    counts->is_approved = true;
    uint64_t epoch = spool_epoch(transport->options.spool);
    if (!confirm_epoch(transport, resume)) {
        transport->state = TRANSPORT_GREETED; /* the timer greets again */
        return;
    }
    flights_clear(&transport->flights);
    take_streams(transport, resume);
    transport->accepts = resume->accepts;
    if (epoch != spool_epoch(transport->options.spool)) {
        greet(transport); /* offers the new epoch */
        return;
    }
    transport->state = TRANSPORT_FLOWING;
    if (!was_approved)
        log_info("transport", "connected; sending as job=%.*s instance=%.*s",
                 (int)resume->job.size, (const char *)resume->job.data,
                 (int)resume->instance.size, (const char *)resume->instance.data);
    send_ping(transport);
    struct spool_stream current = spool_stream_at(
        transport->options.spool, spool_stream_count(transport->options.spool) - 1);
    transport->live_number = current.next_number - 1;
    transport_pump(transport);
}

static void on_ack(struct transport *transport, const struct ack *ack)
{
    const struct stream_state *state = &ack->stream;
    mono_ns now = clock_mono(transport->options.clock);

    transport->progress = now;
    transport->counts.window_bytes = ack->window_bytes;
    if (transport->state != TRANSPORT_FLOWING)
        return;
    if (state->renew) {
        greet(transport); /* the Resume says it again, and is where renewing happens */
        return;
    }
    uint64_t under_way = transport->flights.bytes;
    struct landing landing = flights_land(&transport->flights, state);
    transport->counts.batches_acknowledged += landing.batches;
    if (landing.bytes > 0)
        pace_landed(&transport->pace, landing.bytes, under_way, landing.sent, now);
    for (size_t i = 0; i < landing.live_count; i++)
        transport_adopt_base(transport, state->epoch, landing.live[i]);
    spool_acknowledge(transport->options.spool, state);
    transport->counts.in_flight_bytes = transport->flights.bytes;
    transport_pump(transport);
}

/* The collector could not decode a batch: it lacks the base, or definitions. */
static void on_need_key(struct transport *transport, const struct need_key *need)
{
    struct transport_stream *stream = transport_stream_find(transport, need->epoch);
    struct flight flight;

    transport->counts.keys_needed++;
    if (transport->state != TRANSPORT_FLOWING || stream == NULL)
        return;
    transport_forget_bases(transport);
    stream->definitions_known = need->definition_count;
    if (flights_cancel(&transport->flights, need->epoch, need->number, &flight) &&
        flight.numbers.first < stream->cursor)
        stream->cursor = flight.numbers.first;
    /* The same number again and again waits for the timer. */
    bool is_new = transport->last_needed != need->number;
    transport->last_needed = need->number;
    if (is_new)
        transport_pump(transport);
}

static void on_pong(struct transport *transport, const struct pong *pong)
{
    struct transport_counts *counts = &transport->counts;
    if (pong->nonce != transport->nonce)
        return;
    double now_ms = (double)clock_unix_ms(transport->options.clock);
    double waited = (double)(clock_mono(transport->options.clock) - transport->pinged) / 1e9;
    double held = (double)(pong->sent_ms - pong->received_ms) / 1e3;
    counts->round_trip_seconds = waited > held ? waited - held : 0;
    /* NTP's formula (RFC 5905, section 8): halves of both ways. */
    counts->clock_offset_seconds = (((double)pong->received_ms - (double)pong->ping_sent_ms) +
                                    ((double)pong->sent_ms - now_ms)) /
                                   2e3;
}

static void on_ping(struct transport *transport, const struct ping *ping)
{
    int64_t now_ms = clock_unix_ms(transport->options.clock);
    struct envelope envelope = {.kind = ENVELOPE_PONG,
                                .pong = {.nonce = ping->nonce,
                                         .ping_sent_ms = ping->sent_ms,
                                         .received_ms = now_ms,
                                         .sent_ms = now_ms}};
    (void)transport_send_envelope(transport, &envelope);
}

static void on_refusal(struct transport *transport, const struct refusal *refusal)
{
    transport->counts.refusals++;
    log_warn("transport", "the collector refuses (reason %d): %.*s", (int)refusal->reason,
             (int)(refusal->text.size < 300 ? refusal->text.size : 300),
             refusal->text.size == 0 ? "" : (const char *)refusal->text.data);
    switch (refusal->reason) {
    case REFUSAL_TOKEN:
    case REFUSAL_INSTANCE_TAKEN:
        return; /* the key stays pending; a Resume says so too */
    case REFUSAL_UNSPECIFIED:
    case REFUSAL_DUPLICATE_CONNECTION:
    case REFUSAL_PROTOCOL:
    case REFUSAL_REVOKED:
    case REFUSAL_MALFORMED:
        break;
    }
    link_reset(transport->link, REFUSED_WAIT_MS);
}

static void dispatch(struct transport *transport, const struct envelope *envelope)
{
    switch (envelope->kind) {
    case ENVELOPE_RESUME:
        on_resume(transport, &envelope->resume);
        break;
    case ENVELOPE_ACK:
        on_ack(transport, &envelope->ack);
        break;
    case ENVELOPE_NEED_KEY:
        on_need_key(transport, &envelope->need_key);
        break;
    case ENVELOPE_POLICY:
        if (transport->options.policy != NULL)
            transport->options.policy(transport->options.context, &envelope->policy);
        break;
    case ENVELOPE_PING:
        on_ping(transport, &envelope->ping);
        break;
    case ENVELOPE_PONG:
        on_pong(transport, &envelope->pong);
        break;
    case ENVELOPE_REFUSAL:
        on_refusal(transport, &envelope->refusal);
        break;
    case ENVELOPE_HELLO:
    case ENVELOPE_DEFINITIONS:
    case ENVELOPE_BATCHES:
    case ENVELOPE_GAP:
    case ENVELOPE_UNKNOWN:
        break; /* not for a probe, or from the future */
    }
}

static void on_message(void *context, struct bytes message)
{
    struct transport *transport = context;
    struct arena arena;
    struct envelope envelope;

    arena_init(&arena, MESSAGE_ARENA_BYTES);
    int error = envelope_decode(message, &arena, &envelope);
    if (error == 0) {
        dispatch(transport, &envelope);
    } else {
        transport->counts.malformed++;
        log_warn("transport", "a message of %zu bytes from the collector does not parse: %s",
                 message.size, error_text(error));
    }
    arena_reset(&arena);
}

static void on_timer(uv_timer_t *timer)
{
    struct transport *transport = timer->data;
    mono_ns now = clock_mono(transport->options.clock);

    transport->ticks++;
    transport->last_needed = 0;
    if (transport->state == TRANSPORT_DOWN)
        return;
    if (transport->ticks % PING_TICKS == 0)
        send_ping(transport);
    if (transport->state != TRANSPORT_FLOWING) {
        if (transport->ticks % HELLO_TICKS == 0)
            (void)transport_send_hello(transport);
        return;
    }
    /* Epochs beyond what one Hello offers come up when older ones are done; and a collector
     * that has not answered for so long is asked what it has. */
    bool has_more_epochs = spool_stream_count(transport->options.spool) > STREAMS_OFFERED_MAX &&
                           transport->flights.count == 0;
    bool is_stalled = transport->flights.count > 0 && now - transport->progress > STALL_NS;
    if (has_more_epochs || is_stalled)
        greet(transport);
    else
        transport_pump(transport);
}

int transport_open(uv_loop_t *loop, const struct transport_options *options,
                   struct transport **ret_transport, struct diagnosis *why)
{
    struct transport *transport = calloc(1, sizeof *transport);
    if (transport == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    transport->options = *options;
    transport->counts.clock_offset_seconds = (double)NAN;
    transport->counts.round_trip_seconds = (double)NAN;
    arena_init(&transport->arena, MESSAGE_ARENA_BYTES);
    for (size_t i = 0; i < BATCH_PARTS_MAX; i++)
        arena_init(&transport->bases[i].arena, BASE_ARENA_BYTES);
    buf_init(&transport->message, ENVELOPE_BYTES_MAX);
    struct link_options link = {.endpoint = options->endpoint,
                                .collector_key = options->collector_key,
                                .key = options->key,
                                .up = on_up,
                                .down = on_down,
                                .message = on_message,
                                .context = transport};
    int error = link_open(loop, &link, &transport->link, why);
    if (error != 0) {
        free(transport);
        return error;
    }
    must(uv_timer_init(loop, &transport->timer) == 0);
    transport->timer.data = transport;
    must(uv_timer_start(&transport->timer, on_timer, TICK_MS, TICK_MS) == 0);
    *ret_transport = transport;
    return 0;
}

void transport_batch(struct transport *transport, uint64_t number)
{
    transport->live_number = number;
    transport_pump(transport);
}

void transport_policy(struct transport *transport, uint64_t version, uint32_t interval_ms)
{
    transport->options.policy_version = version;
    transport->options.interval_ms = interval_ms;
    if (transport->state != TRANSPORT_DOWN)
        greet(transport); /* Hello is where both are said */
}

const struct transport_counts *transport_counts(const struct transport *transport)
{
    return &transport->counts;
}

static void timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void transport_close(struct transport *transport)
{
    if (transport == NULL)
        return;
    link_close(transport->link);
    arena_reset(&transport->arena);
    transport_forget_bases(transport);
    buf_done(&transport->plain);
    buf_done(&transport->message);
    uv_close((uv_handle_t *)&transport->timer, timer_closed);
}
