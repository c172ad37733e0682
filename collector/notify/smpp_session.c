/*
 * smpp_session.c - see smpp_session.h.
 *
 * The one surprise: a verdict may make the outbox hand over the next message at once, from
 * within.  So a message leaves the list before its verdict is told, and whoever goes through
 * the list begins anew after telling one.
 */
#include "collector/notify/smpp_session.h"

#include <stdlib.h>
#include <string.h>

#include "collector/notify/delivery_parts.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define CONNECT_MS       10000 /* libcurl gives up sooner */
#define SECRET_BYTES_MAX ((size_t)4096)

static void arm(struct smpp_session *session);
static void pump(struct smpp_session *session);

static mono_ns now_mono(void)
{
    return clock_mono(&clock_system);
}

mono_ns smpp_session_later(int64_t ms)
{
    return now_mono() + (mono_ns)ms * NS_PER_MS;
}

/* ---- verdicts ---------------------------------------------------------------------------- */

static void unlink_message(struct smpp_session *session, struct smpp_message *message)
{
    struct smpp_message **at = &session->first;
    while (*at != message)
        at = &(*at)->next;
    *at = message->next;
    if (session->last == &message->next)
        session->last = at;
}

/* Tells the verdict, and frees the message. */
static void finish(struct smpp_session *session, struct smpp_message *message)
{
    struct client_verdict *verdict = &message->verdict;
    struct buf progress = {0};

    unlink_message(session, message);
    smpp_progress_write(&message->progress, &progress);
    if (buf_ok(&progress))
        verdict->progress = buf_bytes(&progress);
    message->done(message->context, verdict);
    buf_done(&progress);
    smpp_message_free(message);
}

/* Receipts that nobody knew when they came may belong to what has just been accepted. */
static void dispatch_early(struct smpp_session *session)
{
    for (size_t i = 0; i < session->early_count; i++) {
        struct smpp_receipt *receipt = &session->early[i];
        uint64_t number;
        if (receipt->id[0] != '\0' &&
            smpp_pool_receipt(session->pool, session->key, receipt, &number))
            receipt->id[0] = '\0';
    }
}

/* Ends what is over; returns when nothing is. */
void smpp_session_finish(struct smpp_session *session)
{
    struct smpp_message *at = session->first;
    while (at != NULL) {
        bool is_taken = smpp_message_is_taken(at);
        if (!is_taken && !(at->has_failed && at->sent == 0)) {
            at = at->next;
            continue;
        }
        at->verdict.accepted = is_taken;
        at->verdict.awaits = is_taken && at->settings->wants_receipts;
        if (is_taken)
            at->verdict.why.text[0] = '\0';
        finish(session, at);
        if (is_taken)
            dispatch_early(session);
        at = session->first;
    }
}

/* ---- life of the connection -------------------------------------------------------------- */

int64_t smpp_session_pause_ms(unsigned failures, int64_t least, int64_t most)
{
    int64_t pause = least;
    for (unsigned i = 1; i < failures && pause < most; i++)
        pause *= 2;
    pause = pause < most ? pause : most;
    return pause - pause / 4 + (int64_t)(now_mono() / 1000 % 512) * pause / 1024;
}

/* The connection is over; what was submitted and not answered will be submitted again. */
static void rest(struct smpp_session *session, int64_t pause)
{
    stream_close(session->stream);
    session->stream = NULL;
    buf_clear(&session->in);
    session->unanswered_count = 0; /* the server will repeat them */
    session->state = SMPP_RESTING;
    session->state_until = smpp_session_later(pause);
    for (struct smpp_message *at = session->first; at != NULL; at = at->next) {
        struct smpp_part *part;
        while ((part = smpp_message_find(at, SMPP_PART_SENT)) != NULL)
            part->state = SMPP_PART_WAITING;
        at->sent = 0;
    }
}

static void complain(struct smpp_session *session)
{
    if (!session->complained)
        log_warn("notify", "SMPP session %s at %s: %s", session->system_id, session->server,
                 session->reason);
    session->complained = true;
}

static void fail_all(struct smpp_session *session, bool recoverable)
{
    for (struct smpp_message *at = session->first; at != NULL; at = at->next)
        smpp_message_fail(at, recoverable, ERR_IO, session->reason);
}

/* `refused`: by a server that heard us and does not want us as we are. */
void smpp_session_break(struct smpp_session *session, bool refused, const char *why)
{
    bool was_bound = session->state == SMPP_BOUND;

    (void)snprintf(session->reason, sizeof session->reason, "%s", why);
    session->failures++;
    session->is_refused = refused;
    rest(session, refused ? SMPP_REFUSED_MS
                          : smpp_session_pause_ms(session->failures, SMPP_PAUSE_MIN_MS,
                                                  SMPP_PAUSE_MAX_MS));
    complain(session);
    if (!was_bound)
        fail_all(session, !refused);
    smpp_session_finish(session);
    arm(session);
}

void smpp_session_send(struct smpp_session *session, struct buf *out)
{
    if (!buf_ok(out))
        smpp_session_break(session, false, error_text(ERR_NOMEM));
    else if (out->size > 0 && session->stream != NULL)
        stream_send(session->stream, buf_bytes(out));
    buf_done(out);
}

void smpp_session_send_plain(struct smpp_session *session, uint32_t command, uint32_t status,
                             uint32_t sequence)
{
    struct buf out = {0};
    smpp_put_plain(&out, command, status, sequence);
    smpp_session_send(session, &out);
}

static uint32_t next_sequence(struct smpp_session *session)
{
    session->sequence = session->sequence >= 0x7FFFFFFF ? 1 : session->sequence + 1;
    return session->sequence;
}

static void on_opened(void *context)
{
    struct smpp_session *session = context;
    struct diagnosis why = {0};
    struct buf out = {0};
    char *secret = NULL;

    if (session->password == NULL && session->password_file != NULL &&
        file_read_secret(session->password_file, SECRET_BYTES_MAX, &secret, &why) != 0) {
        smpp_session_break(session, false, why.text);
        return;
    }
    session->state = SMPP_BINDING;
    session->state_until = smpp_session_later(session->timeout_ms);
    smpp_put_bind(&out, next_sequence(session),
                  &(struct smpp_bind){.system_id = session->system_id,
                                      .password = secret != NULL ? secret
                                                  : session->password != NULL
                                                      ? session->password
                                                      : "",
                                      .system_type = session->system_type});
    free(secret);
    smpp_session_send(session, &out);
    arm(session);
}

static void on_lost(void *context, const char *why)
{
    struct smpp_session *session = context;
    session->stream = NULL;
    smpp_session_break(session, false, why);
}

static void on_arrived(void *context, struct bytes bytes);

static void connect_now(struct smpp_session *session)
{
    static const struct stream_events events = {on_opened, on_arrived, on_lost};
    const struct tls_settings tls = {.ca_file = session->ca_file,
                                     .insecure_skip_verify = session->insecure_skip_verify};

    session->state = SMPP_CONNECTING;
    session->state_until = smpp_session_later(CONNECT_MS);
    if (stream_open(smpp_pool_delivery(session->pool), session->server,
                    session->is_secure ? &tls : NULL, &events, session, &session->stream) != 0)
        smpp_session_break(session, false, error_text(ERR_NOMEM));
}

/* ---- what comes ------------------------------------------------------------------------- */

static void on_arrived(void *context, struct bytes bytes)
{
    struct smpp_session *session = context;
    struct buf *in = &session->in;
    size_t used = 0, size = 0;

    session->heard = now_mono();
    buf_put(in, bytes.data, bytes.size);
    while (session->stream != NULL && buf_ok(in)) {
        struct smpp_pdu pdu;
        size = smpp_next((struct bytes){in->data + used, in->size - used}, &pdu);
        if (size == 0 || size == SIZE_MAX)
            break;
        used += size;
        smpp_hear(session, &pdu);
    }
    if (session->stream == NULL)
        return; /* broken off; nothing of it is left */
    if (size == SIZE_MAX || !buf_ok(in)) {
        smpp_session_break(session, false, "what the server sends is no SMPP");
        return;
    }
    if (used > 0) {
        memmove(in->data, in->data + used, in->size - used);
        in->size -= used;
    }
    pump(session);
    arm(session);
}

/* ---- what we say ------------------------------------------------------------------------- */

static size_t in_window(const struct smpp_session *session)
{
    size_t sent = 0;
    for (const struct smpp_message *at = session->first; at != NULL; at = at->next)
        sent += at->sent;
    return sent;
}

static struct smpp_part *next_part(struct smpp_session *session,
                                   struct smpp_message **ret_message)
{
    for (struct smpp_message *at = session->first; at != NULL; at = at->next) {
        struct smpp_part *part =
            at->has_failed ? NULL : smpp_message_find(at, SMPP_PART_WAITING);
        if (part != NULL) {
            *ret_message = at;
            return part;
        }
    }
    return NULL;
}

/* Submits what there is, as far as the window goes. */
static void pump(struct smpp_session *session)
{
    struct smpp_message *message;
    struct smpp_part *part;
    struct buf out = {0};
    size_t left = session->window, sent = in_window(session);

    if (session->state != SMPP_BOUND || session->throttled_until > now_mono())
        return;
    for (left -= sent < left ? sent : left; left > 0; left--) {
        part = next_part(session, &message);
        if (part == NULL)
            break;
        part->state = SMPP_PART_SENT;
        part->sequence = next_sequence(session);
        part->answer_by = smpp_session_later(session->timeout_ms);
        message->sent++;
        smpp_message_put_submit(message, part, &out);
    }
    smpp_session_send(session, &out);
}

/* ---- time -------------------------------------------------------------------------------- */

static bool is_answer_overdue(const struct smpp_session *session, mono_ns now)
{
    for (const struct smpp_message *at = session->first; at != NULL; at = at->next)
        for (size_t i = 0; i < at->progress.count && at->sent > 0; i++)
            if (at->progress.parts[i].state == SMPP_PART_SENT &&
                at->progress.parts[i].answer_by <= now)
                return true;
    return false;
}

static void expire_messages(struct smpp_session *session, mono_ns now)
{
    bool is_throttled = session->state == SMPP_BOUND && session->throttled_until > now;
    for (struct smpp_message *at = session->first; at != NULL; at = at->next) {
        if (at->deadline > now)
            continue;
        smpp_message_fail(at, true, ERR_TIMEOUT,
                          is_throttled                   ? "the server throttles us"
                          : session->state == SMPP_BOUND ? "not all parts were accepted in time"
                          : session->reason[0] != '\0'   ? session->reason
                                                         : "the session was not bound in time");
        at->sent = 0; /* their answers come too late */
        for (size_t i = 0; i < at->progress.count; i++)
            if (at->progress.parts[i].state == SMPP_PART_SENT)
                at->progress.parts[i].state = SMPP_PART_WAITING;
        if (is_throttled)
            at->verdict.pause_ms = (int64_t)((session->throttled_until - now) / NS_PER_MS) + 1;
    }
    smpp_session_finish(session);
}

static void keep_alive(struct smpp_session *session, mono_ns now)
{
    if (is_answer_overdue(session, now)) {
        smpp_session_break(session, false, "no answer to a message in time");
    } else if (session->enquired != 0) {
        if (session->enquired + (mono_ns)session->timeout_ms * NS_PER_MS <= now)
            smpp_session_break(session, false, "no answer to enquire_link in time");
    } else if (session->heard + (mono_ns)session->enquire_ms * NS_PER_MS <= now) {
        session->enquired = now;
        smpp_session_send_plain(session, SMPP_ENQUIRE_LINK, 0, next_sequence(session));
    }
}

/* Receipts that are kept by now. */
static void answer_receipts(struct smpp_session *session)
{
    const uint64_t kept = smpp_pool_kept(session->pool);
    size_t left = 0;
    for (size_t i = 0; i < session->unanswered_count; i++) {
        if (session->unanswered[i].number > kept)
            session->unanswered[left++] = session->unanswered[i];
        else
            smpp_hear_answer_deliver(session, session->unanswered[i].sequence);
    }
    session->unanswered_count = session->state == SMPP_BOUND ? left : 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct smpp_session *session = timer->data;
    mono_ns now = now_mono();

    if (session->state == SMPP_BOUND)
        keep_alive(session, now);
    else if (session->state_until <= now && session->state == SMPP_RESTING)
        connect_now(session);
    else if (session->state_until <= now)
        smpp_session_break(session, false,
                           session->state == SMPP_BINDING ? "no answer to the bind in time"
                                                          : "no connection in time");
    if (session->state == SMPP_RESTING && session->is_refused)
        fail_all(session, false); /* no need to wait for the same answer */
    answer_receipts(session);
    expire_messages(session, now);
    pump(session);
    arm(session);
}

static mono_ns earliest(mono_ns a, mono_ns b)
{
    return a < b ? a : b;
}

static void arm(struct smpp_session *session)
{
    mono_ns now = now_mono(), next = session->state_until;

    if (session->state == SMPP_BOUND) {
        next = session->enquired != 0
                   ? session->enquired + (mono_ns)session->timeout_ms * NS_PER_MS
                   : session->heard + (mono_ns)session->enquire_ms * NS_PER_MS;
        if (session->throttled_until > now)
            next = earliest(next, session->throttled_until);
    }
    for (const struct smpp_message *at = session->first; at != NULL; at = at->next) {
        next = earliest(next, at->deadline);
        for (size_t i = 0; i < at->progress.count && at->sent > 0; i++)
            if (at->progress.parts[i].state == SMPP_PART_SENT)
                next = earliest(next, at->progress.parts[i].answer_by);
    }
    uv_update_time(session->timer->loop);
    (void)uv_timer_start(session->timer, on_timer,
                         next <= now ? 0 : (next - now + NS_PER_MS - 1) / NS_PER_MS, 0);
}

/* ---- for the pool ------------------------------------------------------------------------ */

static void soon(struct smpp_session *session)
{
    (void)uv_timer_start(session->timer, on_timer, 0, 0);
}

int smpp_session_start(struct smpp_session *session)
{
    session->timer = malloc(sizeof *session->timer);
    if (session->timer == NULL)
        return ERR_NOMEM;
    must(uv_timer_init(delivery_loop(smpp_pool_delivery(session->pool)), session->timer) == 0);
    session->timer->data = session;
    session->last = &session->first;
    session->state = SMPP_RESTING;
    arm(session);
    return 0;
}

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

void smpp_session_end(struct smpp_session *session, const char *why)
{
    if (session->state == SMPP_BOUND)
        smpp_session_send_plain(session, SMPP_UNBIND, 0, next_sequence(session));
    rest(session, 0);
    if (session->timer != NULL)
        uv_close((uv_handle_t *)session->timer, free_timer);
    while (session->first != NULL) {
        struct smpp_message *message = session->first;
        if (why == NULL) {
            unlink_message(session, message);
            smpp_message_free(message);
            continue;
        }
        smpp_message_fail(message, true, ERR_CANCELLED, why);
        finish(session, message);
    }
    free(session->unanswered);
    buf_done(&session->in);
    free(session->server);
    free(session->system_id);
    free(session->system_type);
    free(session->password);
    free(session->password_file);
    free(session->ca_file);
    free(session);
}

void smpp_session_hurry(struct smpp_session *session)
{
    if (session->state != SMPP_RESTING)
        return;
    session->failures = 0;
    session->is_refused = false;
    session->state_until = 0;
    arm(session);
}

void smpp_session_add(struct smpp_session *session, struct smpp_message *message)
{
    message->session = session;
    message->next = NULL;
    *session->last = message;
    session->last = &message->next;
    soon(session); /* whoever hands it over is not told its end from within */
}

void smpp_session_remove(struct smpp_session *session, struct smpp_message *message)
{
    unlink_message(session, message);
    smpp_message_free(message);
}

void smpp_session_answer(struct smpp_session *session)
{
    if (session->unanswered_count > 0)
        soon(session);
}
