/*
 * smpp_pool.c - see smpp_pool.h.
 */
#include "collector/notify/smpp_pool.h"

#include <stdlib.h>
#include <string.h>

#include "collector/notify/smpp_session.h"
#include "proto/base/error.h"

struct smpp_pool {
    struct delivery *delivery;
    delivery_receipt *on_receipt;
    void *context;
    struct smpp_session *sessions;
    uint64_t receipts, kept; /* arrived; of these, kept by our caller */
    uint8_t reference;       /* of the last long message */
};

int smpp_pool_open(struct delivery *delivery, delivery_receipt *on_receipt, void *context,
                   struct smpp_pool **ret_pool)
{
    struct smpp_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return ERR_NOMEM;
    pool->delivery = delivery;
    pool->on_receipt = on_receipt;
    pool->context = context;
    /* Not where the last run began: a handset may still hold half of a message. */
    pool->reference = (uint8_t)(clock_unix_ms(&clock_system) / 1000);
    *ret_pool = pool;
    return 0;
}

struct delivery *smpp_pool_delivery(const struct smpp_pool *pool)
{
    return pool->delivery;
}

static void end_session(struct smpp_session **at, const char *why)
{
    struct smpp_session *session = *at;
    *at = session->next;
    smpp_session_end(session, why);
}

void smpp_pool_close(struct smpp_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->sessions != NULL)
        end_session(&pool->sessions, NULL);
    free(pool);
}

/* ---- sessions as the configuration has them ---------------------------------------------- */

static int replace(char **text, const char *fresh)
{
    char *copy = fresh == NULL ? NULL : strdup(fresh);
    if (fresh != NULL && copy == NULL)
        return ERR_NOMEM;
    free(*text);
    *text = copy;
    return 0;
}

static int configure(struct smpp_session *session, const struct smpp_settings *settings)
{
    int error = replace(&session->server, settings->server);
    if (error == 0)
        error = replace(&session->system_id, settings->system_id);
    if (error == 0)
        error = replace(&session->system_type, settings->system_type);
    if (error == 0)
        error = replace(&session->password, settings->password);
    if (error == 0)
        error = replace(&session->password_file, settings->password_file);
    if (error == 0)
        error = replace(&session->ca_file, settings->tls.ca_file);
    session->is_secure = settings->is_secure;
    session->insecure_skip_verify = settings->tls.insecure_skip_verify;
    session->window = (size_t)settings->window;
    session->enquire_ms = settings->enquire_ms;
    session->timeout_ms = settings->timeout_ms;
    return error;
}

static int find_or_start(struct smpp_pool *pool, const struct smpp_settings *settings,
                         struct smpp_session **ret_session)
{
    uint64_t key = smpp_session_key(settings->server, settings->system_id);
    struct smpp_session *session = pool->sessions;
    int error;

    while (session != NULL && session->key != key)
        session = session->next;
    if (session != NULL) {
        *ret_session = session;
        return 0;
    }
    session = calloc(1, sizeof *session);
    if (session == NULL)
        return ERR_NOMEM;
    session->pool = pool;
    session->key = key;
    error = configure(session, settings);
    if (error == 0)
        error = smpp_session_start(session);
    if (error != 0) {
        smpp_session_end(session, NULL);
        return error;
    }
    session->next = pool->sessions;
    pool->sessions = session;
    *ret_session = session;
    return 0;
}

void smpp_pool_begin_keep(struct smpp_pool *pool)
{
    for (struct smpp_session *at = pool->sessions; at != NULL; at = at->next)
        at->is_kept = false;
}

int smpp_pool_keep(struct smpp_pool *pool, const struct smpp_settings *settings)
{
    struct smpp_session *session;
    int error = find_or_start(pool, settings, &session);
    if (error != 0 || session->is_kept)
        return error;
    session->is_kept = true;
    return configure(session, settings);
}

void smpp_pool_end_keep(struct smpp_pool *pool)
{
    struct smpp_session **at = &pool->sessions;
    while (*at != NULL) {
        if (!(*at)->is_kept) {
            end_session(at, "the session is no longer configured");
            continue;
        }
        smpp_session_hurry(*at); /* what kept it from being bound may have been mended */
        at = &(*at)->next;
    }
}

/* ---- messages ---------------------------------------------------------------------------- */

int smpp_send(struct smpp_pool *pool, const struct smpp_settings *settings, struct bytes text,
              struct bytes progress, delivery_done *done, void *context,
              struct smpp_message **ret_message)
{
    struct smpp_session *session;
    struct smpp_message *message;
    int error = find_or_start(pool, settings, &session);

    if (error == 0)
        error = smpp_message_new(settings, text, progress, ++pool->reference, &message);
    if (error != 0)
        return error;
    message->done = done;
    message->context = context;
    message->deadline =
        clock_mono(&clock_system) + 3 * (mono_ns)settings->timeout_ms * NS_PER_MS;
    *ret_message = message;
    smpp_session_add(session, message);
    return 0;
}

void smpp_abandon(struct smpp_message *message)
{
    if (message != NULL)
        smpp_session_remove(message->session, message);
}

/* ---- receipts ---------------------------------------------------------------------------- */

bool smpp_pool_receipt(struct smpp_pool *pool, uint64_t session,
                       const struct smpp_receipt *receipt, uint64_t *ret_number)
{
    /* Counted first: a write that begins from within has it already. */
    *ret_number = ++pool->receipts;
    return pool->on_receipt(pool->context, session, receipt);
}

uint64_t smpp_receipts_seen(const struct smpp_pool *pool)
{
    return pool->receipts;
}

void smpp_receipts_kept(struct smpp_pool *pool, uint64_t seen)
{
    if (seen <= pool->kept)
        return;
    pool->kept = seen;
    for (struct smpp_session *at = pool->sessions; at != NULL; at = at->next)
        smpp_session_answer(at);
}

uint64_t smpp_pool_kept(const struct smpp_pool *pool)
{
    return pool->kept;
}
