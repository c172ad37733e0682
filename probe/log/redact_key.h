/*
 * redact_key.h - the host's own key of redact.h, a small file of the state folder.
 *
 *     STATE/redact.key    32 hexadecimal digits, mode 0600
 *
 * It never leaves the host.  Lost, a new one is made: numbers then look different in lines from
 * now on.  Any thread.
 */
#pragma once

#include "probe/log/redact.h"
#include "proto/base/diagnosis.h"

/* Loads the key of the folder, or makes and saves it.  ERR_REFUSED (others may read it),
 * ERR_MALFORMED, ERR_IO, ERR_LIMIT, ERR_NOMEM; `why` names the file. */
int redact_key_load_or_make(const char *state, struct redact_key *ret_key,
                            struct diagnosis *why);

/* A key for this run alone. */
void redact_key_make(struct redact_key *ret_key);
