/*
 * token.h - tokens that services hand out for a while, kept until they end.
 *
 * In memory only: after a restart a service is asked again.  One owner; no thread.
 */
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/clock.h"

#define TOKENS_MAX 256 /* services; past it the oldest is forgotten */

struct token;

struct tokens {
    struct token *first; /* newest first */
    size_t count;
};

/* The token of `key` if it is good for a while yet; NULL.  Valid until the next call. */
const char *tokens_find(const struct tokens *tokens, struct bytes key, mono_ns now);
/* Keeps one, in the place of an older.  ERR_NOMEM. */
int tokens_keep(struct tokens *tokens, struct bytes key, const char *text, int64_t life_ms,
                mono_ns now);
/* Forgets it if it is still this one: who found out later must not take the next one's. */
void tokens_forget(struct tokens *tokens, struct bytes key, const char *text);
void tokens_done(struct tokens *tokens);
