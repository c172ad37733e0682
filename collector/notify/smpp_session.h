/*
 * smpp_session.h - one SMPP session: bound, spoken through within its window, kept alive, made
 * again.  Between smpp_pool.c, smpp_session.c and smpp_hear.c.
 *
 *     RESTING --pause over--> CONNECTING --opened--> BINDING --bind answered--> BOUND
 *        ^                        |                     |                         |
 *        +---- pause grows -------+---------------------+   pause begins anew ----+
 *
 * When a connection or a bind fails, all that waits is told so and tries again by the outbox;
 * when a bound session breaks, what waits stays, and goes on as soon as it is bound again,
 * within its own time.
 *
 * Thread: the loop's.
 */
#pragma once

#include "collector/notify/smpp_message.h"
#include "collector/notify/smpp_pool.h"
#include "collector/notify/stream.h"

#define SMPP_PAUSE_MIN_MS    500
#define SMPP_PAUSE_MAX_MS    30000
#define SMPP_REFUSED_MS      60000 /* after a wrong password: accounts are locked for less */
#define SMPP_THROTTLE_MIN_MS 1000
#define SMPP_EARLY_MAX       64 /* receipts that came before the answer to their submit */
#define SMPP_UNANSWERED_MAX  4096

enum smpp_session_state { SMPP_RESTING, SMPP_CONNECTING, SMPP_BINDING, SMPP_BOUND };

/* A receipt that is not answered yet, for what it tells is not kept yet. */
struct smpp_unanswered {
    uint32_t sequence;
    uint64_t number; /* among all of the pool */
};

struct smpp_session {
    struct smpp_pool *pool;
    struct smpp_session *next;
    uint64_t key;
    bool is_kept;
    /* copied from the configuration */
    char *server, *system_id, *system_type, *password, *password_file, *ca_file;
    bool is_secure, insecure_skip_verify;
    size_t window;
    int64_t enquire_ms, timeout_ms;
    /* the connection */
    enum smpp_session_state state;
    struct stream *stream;
    struct buf in;
    uint32_t sequence;
    mono_ns state_until; /* RESTING: the pause's end; CONNECTING, BINDING: then it has failed */
    mono_ns heard;       /* anything at all */
    mono_ns enquired;    /* 0: no enquiry waits for its answer */
    unsigned failures;   /* in a row */
    bool is_refused;     /* resting because of a wrong name or password */
    bool complained;     /* that it cannot be bound; until it is */
    char reason[160];    /* why it is not */
    mono_ns throttled_until;
    unsigned throttles; /* in a row */
    uv_timer_t *timer;  /* freed by its close callback */
    /* messages, in order */
    struct smpp_message *first, **last;
    struct smpp_receipt early[SMPP_EARLY_MAX];
    size_t early_count, early_next;
    struct smpp_unanswered *unanswered;
    size_t unanswered_count;
};

/* Starts it at once.  ERR_NOMEM. */
int smpp_session_start(struct smpp_session *session);
/* Unbinds and closes; what waits gets `why`, or nothing if `why` is NULL.  Frees it. */
void smpp_session_end(struct smpp_session *session, const char *why);
/* If it rests, it rests no longer. */
void smpp_session_hurry(struct smpp_session *session);
void smpp_session_add(struct smpp_session *session, struct smpp_message *message);
/* Forgets a message without a verdict. */
void smpp_session_remove(struct smpp_session *session, struct smpp_message *message);
/* Answers, soon, the receipts that are kept. */
void smpp_session_answer(struct smpp_session *session);

/* ---- for smpp_hear.c */
/* The connection is over; what was submitted and not answered will be submitted again.
 * `refused`: by a server that heard us and does not want us as we are. */
void smpp_session_break(struct smpp_session *session, bool refused, const char *why);
/* Ends the messages that are over, and tells so. */
void smpp_session_finish(struct smpp_session *session);
/* Sends what is in `out`, and frees it. */
void smpp_session_send(struct smpp_session *session, struct buf *out);
void smpp_session_send_plain(struct smpp_session *session, uint32_t command, uint32_t status,
                             uint32_t sequence);
/* `least`, and twice as long after each failure up to `most`; with some jitter. */
int64_t smpp_session_pause_ms(unsigned failures, int64_t least, int64_t most);
mono_ns smpp_session_later(int64_t ms);

/* ---- smpp_hear.c */
void smpp_hear(struct smpp_session *session, const struct smpp_pdu *pdu);
void smpp_hear_answer_deliver(struct smpp_session *session, uint32_t sequence);

/* ---- smpp_pool.c */
struct delivery *smpp_pool_delivery(const struct smpp_pool *pool);
uint64_t smpp_pool_kept(const struct smpp_pool *pool);
/* A receipt that none of the session's own messages knows.  True: it will be kept,
 * and is to be answered then; *ret_number is its own. */
bool smpp_pool_receipt(struct smpp_pool *pool, uint64_t session,
                       const struct smpp_receipt *receipt, uint64_t *ret_number);
