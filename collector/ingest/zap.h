/*
 * zap.h - answers libzmq's question "may this key connect?" (RFC 27, ZAP 1.0).
 *
 * Every syntactically right CURVE key may connect: a stranger is pending and can do nothing but
 * say Hello and Ping.  Refused at the handshake are revoked keys, and strangers while too many
 * are pending already.  The key's hex text becomes the User-Id of its messages.
 *
 * Thread: ingest's; the socket is a REP bound to inproc://zeromq.zap.01.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/curve.h"

/* May this key connect? */
typedef bool zap_verdict(void *context, const uint8_t key[CURVE_KEY_BYTES]);

/* Receives one request (ZMQ_DONTWAIT) and answers it.  Malformed requests get status 500. */
void zap_answer(void *socket, zap_verdict *verdict, void *context);

#define ZAP_USER_BYTES (2 * CURVE_KEY_BYTES + 1)
/* The key in a message's User-Id property; false if it is none. */
bool zap_key_of(const char *user_id, uint8_t ret_key[CURVE_KEY_BYTES]);
