/*
 * smpp.h - text messages through a carrier's SMPP 3.4 server: what an integration is set to.
 *
 * Many integrations (one a telephone number) share one session, which smpp_pool.h keeps open:
 * that of the same server and system_id.  Where they differ in what concerns the session
 * (password, window, timers, TLS), the first of the file counts.
 */
#pragma once

#include "collector/notify/robot_text.h"

#define SMPP_NUMBER_BYTES 24

struct smpp_settings {
    struct robot_words words;
    char phone[SMPP_NUMBER_BYTES]; /* digits, as they go out */
    int64_t phone_ton, phone_npi;
    const char *source; /* our number, as the carrier gave it to us; "": the carrier's choice */
    int64_t source_ton, source_npi;
    const char *signature; /* "【社保运维】": what a carrier demands in front; NULL: none */
    bool wants_receipts;
    int64_t timeout_ms; /* for an answer; three times that for a whole message */

    /* the session's */
    const char *server; /* host:port */
    const char *system_id;
    const char *system_type;
    const char *password, *password_file; /* at most one */
    int64_t window;                       /* parts that may wait for their answers */
    int64_t enquire_ms;
    bool is_secure;
    struct tls_settings tls;
};

/* The same for all integrations that share a session; kept in outbox rows. */
uint64_t smpp_session_key(const char *server, const char *system_id);
