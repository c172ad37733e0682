/*
 * signed_link.c - see signed_link.h.
 */
#include "collector/incident/signed_link.h"

#include <ctype.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define TOKEN_BYTES 16

static void make_token(const struct signed_link_key *key, uint64_t incident, const char *person,
                       char hex[2 * TOKEN_BYTES + 1])
{
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    char number[24];
    const int size = snprintf(number, sizeof number, "%" PRIu64 " ", incident);

    (void)crypto_auth_hmacsha256_init(&state, key->bytes, sizeof key->bytes);
    (void)crypto_auth_hmacsha256_update(&state, (const uint8_t *)number,
                                        (unsigned long long)size);
    (void)crypto_auth_hmacsha256_update(&state, (const uint8_t *)person, strlen(person));
    (void)crypto_auth_hmacsha256_final(&state, mac);
    (void)sodium_bin2hex(hex, 2 * TOKEN_BYTES + 1, mac, TOKEN_BYTES);
}

void signed_link_make_key(struct signed_link_key *ret_key)
{
    randombytes_buf(ret_key->bytes, sizeof ret_key->bytes);
}

static void put_percent(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c < 0x80 && (isalnum(c) || strchr("-_.~", c) != NULL))
            buf_put_u8(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

void signed_link_put(const struct signed_link_key *key, const char *base_url, uint64_t incident,
                     const char *person, struct buf *out)
{
    char hex[2 * TOKEN_BYTES + 1];
    size_t size = strlen(base_url);

    if (size == 0)
        return;
    while (size > 0 && base_url[size - 1] == '/')
        size--;
    make_token(key, incident, person, hex);
    buf_put(out, base_url, size);
    buf_printf(out, SIGNED_LINK_PATH "?incident=%" PRIu64 "&person=", incident);
    put_percent(out, person);
    buf_printf(out, "&token=%s", hex);
}

bool signed_link_is_good(const struct signed_link_key *key, uint64_t incident,
                         const char *person, const char *token)
{
    char hex[2 * TOKEN_BYTES + 1];
    make_token(key, incident, person, hex);
    return strlen(token) == 2 * TOKEN_BYTES && sodium_memcmp(hex, token, 2 * TOKEN_BYTES) == 0;
}
