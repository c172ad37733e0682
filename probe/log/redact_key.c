/*
 * redact_key.c - see redact_key.h.
 */
#include "probe/log/redact_key.h"

#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "proto/base/file.h"

#define TEXT_BYTES (2 * REDACT_KEY_BYTES)

static int load(const char *path, struct redact_key *key, struct diagnosis *why)
{
    char *text;
    size_t size = 0;
    int error = file_read_secret(path, TEXT_BYTES + 16, &text, why);
    if (error != 0)
        return error;
    bool is_key = strlen(text) == TEXT_BYTES &&
                  sodium_hex2bin(key->bytes, sizeof key->bytes, text, TEXT_BYTES, NULL, &size,
                                 NULL) == 0 &&
                  size == sizeof key->bytes;
    sodium_memzero(text, strlen(text));
    free(text);
    if (!is_key)
        return diagnose(
            why, ERR_MALFORMED,
            "%s: not a key of %d hexadecimal digits; remove it and a new one is made", path,
            TEXT_BYTES);
    return 0;
}

static int save(const char *path, const struct redact_key *key, struct diagnosis *why)
{
    char text[TEXT_BYTES + 2];
    (void)sodium_bin2hex(text, TEXT_BYTES + 1, key->bytes, sizeof key->bytes);
    text[TEXT_BYTES] = '\n';
    int error =
        file_write_atomic(&file_io_system, path,
                          (struct bytes){(const uint8_t *)text, TEXT_BYTES + 1}, 0600, why);
    sodium_memzero(text, sizeof text);
    return error;
}

void redact_key_make(struct redact_key *ret_key)
{
    randombytes_buf(ret_key->bytes, sizeof ret_key->bytes);
}

int redact_key_load_or_make(const char *state, struct redact_key *ret_key,
                            struct diagnosis *why)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/redact.key", state) >= (int)sizeof path)
        return diagnose(why, ERR_LIMIT, "%s: path too long", state);
    if (access(path, F_OK) == 0)
        return load(path, ret_key, why);
    redact_key_make(ret_key);
    return save(path, ret_key, why);
}
