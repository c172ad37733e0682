/*
 * signed_link.h - a link by which one person acknowledges one incident without logging in.
 *
 *     URL/acknowledge?incident=17&person=0017&token=32 hex digits
 *     token = the first 16 bytes of HMAC-SHA256(key, "17 0017")         RFC 2104
 *
 * It is good for as long as the incident is; opening it changes nothing, since mail filters open
 * every link: the page it shows asks for one more touch.  Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"

#define SIGNED_LINK_KEY_BYTES 32
#define SIGNED_LINK_PATH      "/acknowledge"

struct signed_link_key {
    uint8_t bytes[SIGNED_LINK_KEY_BYTES];
};

/* A new one, from the system's randomness. */
void signed_link_make_key(struct signed_link_key *ret_key);
/* Appends the link; nothing if `base_url` is empty. */
void signed_link_put(const struct signed_link_key *key, const char *base_url, uint64_t incident,
                     const char *person, struct buf *out);
/* Is this the token of that incident and person?  Takes the same time whatever differs. */
bool signed_link_is_good(const struct signed_link_key *key, uint64_t incident,
                         const char *person, const char *token);
