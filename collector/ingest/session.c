/*
 * session.c - who is connected: Hello, standing, Resume, heartbeats.
 *
 *     Hello from a key that is
 *       approved, not connected   -> session, Resume APPROVED
 *       approved, connected       -> the old connection is pinged: gone or silent for
 *                                    CHALLENGE_MS: replaced; it answers: the new one is refused
 *       unknown, with a token     -> approved and stored, Resume APPROVED
 *       unknown                   -> Resume PENDING; only Hello and Ping count
 *     Resume APPROVED is followed by a Policy where the probe's is another (push.c).
 *
 * ROUTER tells nothing of a peer that has gone, but with ZMQ_ROUTER_MANDATORY a send to it fails
 * with EHOSTUNREACH: a ping is the question.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "collector/ingest/state.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/wire/zmq_part.h"

#define CHALLENGE_MS     1500
#define PING_INTERVAL_MS 5000
#define SILENT_MS        30000 /* nothing at all for so long: the session is over */
#define STREAMS_MAX      STREAMS_OFFERED_MAX

static uint64_t ms_between(mono_ns now, mono_ns then)
{
    return now > then ? (now - then) / NS_PER_MS : 0;
}

/* -- sending -------------------------------------------------------------------------------- */

static bool send_to(struct ingest *ingest, struct bytes routing_id,
                    const struct envelope *envelope)
{
    buf_clear(&ingest->out);
    if (envelope_encode(envelope, &ingest->scratch, &ingest->out) != 0)
        return true; /* no memory now; the peer will ask again */
    if (zmq_part_send(ingest->router, routing_id.data, routing_id.size,
                      ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno != EHOSTUNREACH;
    return zmq_part_send(ingest->router, ingest->out.data, ingest->out.size, ZMQ_DONTWAIT) >= 0;
}

static struct bytes routing_of(const struct session *session)
{
    return (struct bytes){session->routing_id, session->routing_id_size};
}

bool session_send(struct ingest *ingest, const struct session *session,
                  const struct envelope *envelope)
{
    return send_to(ingest, routing_of(session), envelope);
}

static void send_refusal(struct ingest *ingest, struct bytes routing_id,
                         enum refusal_reason reason, const char *text)
{
    const struct envelope envelope = {.kind = ENVELOPE_REFUSAL,
                                      .refusal = {reason, bytes_of(text)}};
    (void)send_to(ingest, routing_id, &envelope);
}

static bool send_ping(struct ingest *ingest, struct session *session, mono_ns now)
{
    const struct envelope envelope = {
        .kind = ENVELOPE_PING, .ping = {.nonce = now, .sent_ms = clock_unix_ms(ingest->clock)}};
    session->pinged_mono = now;
    return session_send(ingest, session, &envelope);
}

/* -- streams -------------------------------------------------------------------------------- */

struct stream *session_stream(struct ingest *ingest, struct session *session, uint64_t epoch,
                              bool make)
{
    size_t count = 0;
    struct stream *stream = session->streams;
    for (; stream != NULL && stream->epoch != epoch; stream = stream->next)
        count++;
    if (stream != NULL || !make || count >= STREAMS_MAX)
        return stream;
    int error = stream_load(ingest->store, session->entry->key, epoch, &stream);
    if (error != 0) {
        log_error("ingest", "%s: loading stream %016llx: %s", session->entry->instance,
                  (unsigned long long)epoch, error_text(error));
        return NULL;
    }
    for (uint64_t ref = 0; ref < stream->definition_count; ref++)
        if (stream->series[ref] != NULL) {
            store_series_set_source(stream->series[ref], session->entry->source);
            session->entry->series_count++;
        }
    stream->next = session->streams;
    session->streams = stream;
    return stream;
}

/* A probe that would assign numbers again that are stored already has lost its memory. */
static void check_offer(struct ingest *ingest, struct session *session, struct stream *stream,
                        const struct stream_offer *offer)
{
    struct key_entry *entry = session->entry;
    uint64_t highest = range_set_highest(&stream->stored);
    if (stream->flying != NULL)
        highest = range_set_highest(&stream->flying->stored_after);
    if (offer->next_number > highest || highest == 0)
        return;
    stream->renew = true;
    entry->conflicts++;
    entry->last_conflict_ms = clock_unix_ms(ingest->clock);
    ingest->counters.conflicts++;
    log_error("ingest",
              "%s would number its next batch %llu but %llu are stored of epoch %016llx: was its "
              "state folder restored from a copy? it must start a new epoch",
              entry->instance, (unsigned long long)offer->next_number,
              (unsigned long long)highest, (unsigned long long)offer->epoch);
}

static void send_resume(struct ingest *ingest, struct session *session,
                        const struct hello *hello)
{
    struct stream_state states[STREAMS_OFFERED_MAX];
    size_t count = 0;
    const struct key_entry *entry = session->entry;
    for (size_t i = 0; i < hello->stream_count; i++) {
        struct stream *stream = session_stream(ingest, session, hello->streams[i].epoch, true);
        if (stream == NULL)
            return; /* the probe says Hello again */
        check_offer(ingest, session, stream, &hello->streams[i]);
        states[count++] = stream_state_of(stream);
    }
    const struct envelope envelope = {
        .kind = ENVELOPE_RESUME,
        .resume = {
            .standing = STANDING_APPROVED,
            .collector_ms = clock_unix_ms(ingest->clock),
            .window_bytes = ingest->options.window_bytes,
            .streams = states,
            .stream_count = count,
            .job = bytes_of(entry->job),
            .instance = bytes_of(entry->instance),
            .labels = entry->labels,
            .label_count = entry->label_count,
            .accepts = ACCEPTS_PACKED_DEFINITIONS | ACCEPTS_PART_BASES,
        }};
    (void)session_send(ingest, session, &envelope);
}

static void send_pending(struct ingest *ingest, struct bytes routing_id)
{
    const struct envelope envelope = {
        .kind = ENVELOPE_RESUME,
        .resume = {.standing = STANDING_PENDING,
                   .collector_ms = clock_unix_ms(ingest->clock)}};
    (void)send_to(ingest, routing_id, &envelope);
}

/* -- sessions ------------------------------------------------------------------------------- */

static struct session *session_new(struct ingest *ingest, struct key_entry *entry,
                                   struct bytes routing_id)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    memcpy(session->routing_id, routing_id.data, routing_id.size);
    session->routing_id_size = routing_id.size;
    session->entry = entry;
    entry->session = session;
    entry->series_count = 0;
    entry->is_unclaimed = false; /* its streams will be */
    session->next = ingest->sessions;
    ingest->sessions = session;
    return session;
}

void session_end(struct ingest *ingest, struct session *session)
{
    struct session **link = &ingest->sessions;
    while (*link != session)
        link = &(*link)->next;
    *link = session->next;
    session->entry->session = NULL;
    intake_forget(ingest, session);
    free(session);
}

/* -- Hello ---------------------------------------------------------------------------------- */

static void note(struct key_entry *entry, const char *text)
{
    (void)snprintf(entry->note, sizeof entry->note, "%.120s", text);
}

/* Tries to approve a pending key by its token.  Waits for the commit: once in a key's life. */
static bool enrol(struct ingest *ingest, struct key_entry *entry, const struct hello *hello,
                  struct bytes routing_id)
{
    struct store_put put;
    struct diagnosis why = {0};
    const struct key_entry *holder = keys_find_instance(&ingest->keys, entry->job,
                                                        entry->instance);
    if (holder != NULL) {
        note(entry, "another key holds this instance");
        send_refusal(ingest, routing_id, REFUSAL_INSTANCE_TAKEN,
                     "another key holds this instance; this one stays pending");
        return false;
    }
    if (hello->token.size == 0)
        return false;
    int64_t now_ms = clock_unix_ms(ingest->clock);
    int error = token_spend(ingest->store, hello->token, entry, now_ms, &ingest->scratch, &put,
                            &why);
    if (error == 0)
        error = keys_save(&ingest->keys, ingest->store, entry, KEY_APPROVED, now_ms, &put);
    if (error != 0) {
        (void)diagnose(&why, error, "storing the approval: %s", error_text(error));
        ingest->counters.token_refused++;
        note(entry, why.text);
        log_warn("ingest", "key %s stays pending: %s", entry->text, why.text);
        send_refusal(ingest, routing_id, REFUSAL_TOKEN, why.text);
        return false;
    }
    entry->heard_mono_ns = clock_mono(ingest->clock);
    log_info("ingest", "key %s enrolled as job=%s instance=%s", entry->text, entry->job,
             entry->instance);
    return true;
}

static bool instance_is_fit(struct bytes instance)
{
    return instance.size > 0 && instance.size <= LABEL_VALUE_BYTES_MAX &&
           memchr(instance.data, '\0', instance.size) == NULL && utf8_is_valid(instance);
}

/* May this connection speak for the key now?  The older one is asked first. */
static bool take_over(struct ingest *ingest, struct key_entry *entry, struct bytes routing_id)
{
    struct session *old = entry->session;
    mono_ns now = clock_mono(ingest->clock);

    if (old == NULL || bytes_equal(routing_of(old), routing_id))
        return true;
    if (!send_ping(ingest, old, now)) {
        session_end(ingest, old); /* EHOSTUNREACH: it has gone */
        return true;
    }
    if (old->challenged_mono == 0 || old->heard_mono > old->challenged_mono) {
        bool answered = old->challenged_mono != 0;
        old->challenged_mono = now;
        if (answered) {
            ingest->counters.duplicate_connections++;
            entry->duplicate_connections++;
            note(entry, "a second connection with this key was refused");
            log_warn("ingest", "%s: refused a second connection with the same key",
                     entry->instance);
            send_refusal(ingest, routing_id, REFUSAL_DUPLICATE_CONNECTION,
                         "this key is connected already");
        }
        return false; /* the newcomer says Hello again */
    }
    if (ms_between(now, old->challenged_mono) < CHALLENGE_MS)
        return false;
    session_end(ingest, old);
    return true;
}

static void on_hello(struct ingest *ingest, struct bytes routing_id,
                     const uint8_t key[CURVE_KEY_BYTES], const char *address,
                     const struct hello *hello)
{
    struct key_entry *entry = keys_find(&ingest->keys, key);
    if (hello->protocol != WIRE_PROTOCOL) {
        send_refusal(ingest, routing_id, REFUSAL_PROTOCOL, "protocol 1 is spoken here");
        return;
    }
    if (!instance_is_fit(hello->instance))
        return;
    if (entry == NULL)
        entry = keys_add_pending(&ingest->keys, key, clock_unix_ms(ingest->clock));
    if (entry == NULL)
        return;
    (void)snprintf(entry->address, sizeof entry->address, "%s", address);
    (void)snprintf(entry->software, sizeof entry->software, "%.*s",
                   hello->software.size > 60 ? 60 : (int)hello->software.size,
                   hello->software.size == 0 ? "" : (const char *)hello->software.data);
    if (hello->interval_ms >= 100)
        entry->interval_ms = hello->interval_ms;
    if (entry->standing == KEY_PENDING) {
        if (keys_set_identity(entry, hello->job, hello->instance, hello->labels,
                              hello->label_count) != 0)
            return;
        if (!enrol(ingest, entry, hello, routing_id)) {
            send_pending(ingest, routing_id);
            return;
        }
    }
    if (entry->standing == KEY_REVOKED) {
        send_refusal(ingest, routing_id, REFUSAL_REVOKED, "this key was revoked");
        return;
    }
    if (!take_over(ingest, entry, routing_id))
        return;
    struct session *session = entry->session;
    if (session == NULL)
        session = session_new(ingest, entry, routing_id);
    if (session == NULL)
        return;
    session->heard_mono = clock_mono(ingest->clock);
    send_resume(ingest, session, hello);
    push_hello(ingest, session, hello->policy_version);
    (void)send_ping(ingest, session, session->heard_mono);
}

/* -- the rest ------------------------------------------------------------------------------- */

static void on_ping(struct ingest *ingest, struct bytes routing_id, const struct ping *ping)
{
    int64_t now_ms = clock_unix_ms(ingest->clock);
    const struct envelope envelope = {.kind = ENVELOPE_PONG,
                                      .pong = {.nonce = ping->nonce,
                                               .ping_sent_ms = ping->sent_ms,
                                               .received_ms = now_ms,
                                               .sent_ms = now_ms}};
    (void)send_to(ingest, routing_id, &envelope);
}

/* NTP's offset and delay from four stamps (RFC 5905, section 8). */
static void on_pong(struct ingest *ingest, struct session *session, const struct pong *pong)
{
    mono_ns now = clock_mono(ingest->clock);
    int64_t now_ms = clock_unix_ms(ingest->clock);
    if (pong->nonce != session->pinged_mono)
        return;
    double there = (double)(pong->received_ms - pong->ping_sent_ms);
    double back = (double)(pong->sent_ms - now_ms);
    session->entry->clock_offset_seconds = (there + back) / 2 / MS_PER_SEC;
    session->entry->round_trip_seconds = (double)(now - session->pinged_mono) / 1e9;
}

static int dispatch(struct ingest *ingest, struct session *session,
                    const struct envelope *envelope)
{
    switch (envelope->kind) {
    case ENVELOPE_DEFINITIONS:
        return intake_definitions(ingest, session, &envelope->definitions);
    case ENVELOPE_BATCHES:
        return intake_batches(ingest, session, &envelope->batches);
    case ENVELOPE_GAP:
        return intake_gap(ingest, session, &envelope->gap);
    case ENVELOPE_PONG:
        on_pong(ingest, session, &envelope->pong);
        return 0;
    default:
        ingest->counters.unknown_kinds++;
        return 0;
    }
}

void session_message(struct ingest *ingest, struct bytes routing_id,
                     const uint8_t key[CURVE_KEY_BYTES], const char *address,
                     struct bytes message, bool *ret_drop_connection)
{
    struct envelope envelope;
    arena_reset(&ingest->scratch);
    ingest->counters.messages++;
    int error = envelope_decode(message, &ingest->scratch, &envelope);
    if (error == 0 && envelope.kind == ENVELOPE_HELLO) {
        on_hello(ingest, routing_id, key, address, &envelope.hello);
        return;
    }
    if (error == 0 && envelope.kind == ENVELOPE_PING)
        on_ping(ingest, routing_id, &envelope.ping);
    struct key_entry *entry = keys_find(&ingest->keys, key);
    struct session *session = entry == NULL ? NULL : entry->session;
    bool known = session != NULL && bytes_equal(routing_of(session), routing_id);
    if (known) {
        session->heard_mono = clock_mono(ingest->clock);
        if (error == 0 && envelope.kind != ENVELOPE_PING)
            error = dispatch(ingest, session, &envelope);
    } else if (error == 0 && envelope.kind != ENVELOPE_PING) {
        ingest->counters.pending_refused++;
        if (entry != NULL)
            entry->refused_batches++;
    }
    if (error == 0)
        return;
    ingest->counters.malformed++;
    *ret_drop_connection = true;
    log_warn("ingest", "%s (%s) sent a message that is refused: %s; its connection is dropped",
             entry == NULL || entry->instance == NULL ? "a stranger" : entry->instance, address,
             error_text(error));
    send_refusal(ingest, routing_id, REFUSAL_MALFORMED, error_text(error));
    if (known)
        session_end(ingest, session);
}

/* What waits unread while the store is slow has been heard, in a way. */
static bool is_silent(const struct ingest *ingest, const struct session *session, mono_ns now)
{
    const mono_ns since = session->heard_mono > ingest->rested_mono ? session->heard_mono
                                                                    : ingest->rested_mono;
    return ingest->rests_mono == 0 && ms_between(now, since) > SILENT_MS;
}

void session_timer(struct ingest *ingest, mono_ns now)
{
    struct session *next;
    for (struct session *session = ingest->sessions; session != NULL; session = next) {
        next = session->next;
        for (struct stream *stream = session->streams; stream != NULL; stream = stream->next)
            intake_submit(ingest, stream); /* what a full queue had turned away */
        if (is_silent(ingest, session, now)) {
            session_end(ingest, session);
            continue;
        }
        if (ms_between(now, session->pinged_mono) >= PING_INTERVAL_MS &&
            !send_ping(ingest, session, now))
            session_end(ingest, session);
    }
}
