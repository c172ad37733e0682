/*
 * tls.h - the server's certificate, replaceable while it runs.
 *
 * GnuTLS asks for the certificate at every handshake (a retrieve function), so a renewed one is
 * used from the next connection on.  A handshake may still hold the one before; so generations
 * are kept until the server closes, and an unchanged file makes no new one.
 *
 * Thread: loop.
 */
#pragma once

#include <gnutls/abstract.h>

#include "proto/base/diagnosis.h"

struct tls;

/* Reads certificate chain and key (PEM; the key file must be private).  ERR_INVALID if they do
 * not fit each other; `why` names the file. */
int tls_open(const char *certificate_path, const char *key_path, struct tls **ret_tls,
             struct diagnosis *why);
/* Reads both files again; the old certificate stays on error. */
int tls_reload(struct tls *tls, struct diagnosis *why);
void tls_close(struct tls *tls); /* NULL is allowed */

/* What a retrieve function answers. */
void tls_current(const struct tls *tls, gnutls_pcert_st **ret_chain, unsigned *ret_count,
                 gnutls_privkey_t *ret_key);
