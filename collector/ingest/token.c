/*
 * token.c - enrolment tokens: who holds one may introduce a key.
 *
 * 32 random bytes as base64url text.  Only BLAKE2b-256 of the text is stored, so that a copy of
 * the store lets nobody in.
 */
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "collector/ingest/keys.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define TOKEN_PREFIX    "token/"
#define TOKEN_HASH      32
#define TOKEN_ROW_BYTES (6 + TOKEN_HASH)
#define TOKEN_RANDOM    32

#define FIRST_TOKEN_USES UINT64_C(10000)
#define FIRST_TOKEN_MS   (INT64_C(365) * 86400000)

static void row_key(struct bytes token, uint8_t key[TOKEN_ROW_BYTES])
{
    memcpy(key, TOKEN_PREFIX, 6);
    (void)crypto_generichash(key + 6, TOKEN_HASH, token.data, token.size, NULL, 0);
}

/* The labels a token allows: an object of name -> value ("" allows any); NULL allows all. */
static bool labels_allowed(const json_t *allowed, const struct key_entry *entry)
{
    if (!json_is_object(allowed))
        return true;
    for (size_t i = 0; i < entry->label_count; i++) {
        const struct label *label = &entry->labels[i];
        const json_t *value = json_object_getn(allowed, (const char *)label->name.data,
                                               label->name.size);
        if (!json_is_string(value))
            return false;
        struct bytes text = bytes_of(json_string_value(value));
        if (text.size > 0 && !bytes_equal(text, label->value))
            return false;
    }
    return true;
}

/* Copies the row with one use less into the arena. */
static int spent_row(json_t *row, json_int_t uses_left, const uint8_t key[TOKEN_ROW_BYTES],
                     struct arena *arena, struct store_put *ret_put)
{
    (void)json_object_set_new(row, "uses_left", json_integer(uses_left - 1));
    char *text = json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS);
    if (text == NULL)
        return ERR_NOMEM;
    size_t size = strlen(text);
    uint8_t *copy = arena_alloc(arena, TOKEN_ROW_BYTES + size, 1);
    if (copy != NULL) {
        memcpy(copy, key, TOKEN_ROW_BYTES);
        memcpy(copy + TOKEN_ROW_BYTES, text, size);
        ret_put->key = (struct bytes){copy, TOKEN_ROW_BYTES};
        ret_put->value = (struct bytes){copy + TOKEN_ROW_BYTES, size};
    }
    free(text);
    return copy == NULL ? ERR_NOMEM : 0;
}

int token_spend(struct store *store, struct bytes token, const struct key_entry *entry,
                int64_t now_ms, struct arena *arena, struct store_put *ret_put,
                struct diagnosis *why)
{
    uint8_t key[TOKEN_ROW_BYTES];
    struct buf value = {0};
    json_int_t expires_ms = 0, uses_left = 0;

    row_key(token, key);
    int error = store_state_get(store, (struct bytes){key, sizeof key}, &value);
    if (error == ERR_NOTFOUND)
        error = diagnose(why, ERR_REFUSED, "unknown enrolment token");
    json_t *row = error != 0 ? NULL
                             : json_loadb((const char *)value.data, value.size, 0, NULL);
    buf_done(&value);
    if (error == 0 && (row == NULL || json_unpack(row, "{s:I, s:I}", "expires_ms", &expires_ms,
                                                  "uses_left", &uses_left) != 0))
        error = diagnose(why, ERR_CORRUPT, "the enrolment token's row is damaged");
    if (error == 0 && expires_ms != 0 && expires_ms < now_ms)
        error = diagnose(why, ERR_REFUSED, "the enrolment token has expired");
    if (error == 0 && uses_left <= 0)
        error = diagnose(why, ERR_REFUSED, "the enrolment token is used up");
    if (error == 0 && !labels_allowed(json_object_get(row, "labels"), entry))
        error = diagnose(why, ERR_REFUSED, "the enrolment token does not allow these labels");
    if (error == 0)
        error = spent_row(row, uses_left, key, arena, ret_put);
    json_decref(row);
    return error;
}

int token_new(struct store *store, int64_t expires_ms, uint64_t uses,
              const struct label *labels, size_t label_count, char **ret_text)
{
    uint8_t random[TOKEN_RANDOM];
    uint8_t key[TOKEN_ROW_BYTES];
    char text[sodium_base64_ENCODED_LEN(TOKEN_RANDOM, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];

    randombytes_buf(random, sizeof random);
    (void)sodium_bin2base64(text, sizeof text, random, sizeof random,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    json_t *row = json_pack("{s:I, s:I}", "expires_ms", (json_int_t)expires_ms, "uses_left",
                            (json_int_t)uses);
    if (label_count > 0) {
        json_t *allowed = json_object();
        for (size_t i = 0; i < label_count; i++)
            (void)json_object_setn_new(
                allowed, (const char *)labels[i].name.data, labels[i].name.size,
                json_stringn((const char *)labels[i].value.data, labels[i].value.size));
        (void)json_object_set_new(row, "labels", allowed);
    }
    char *value = row == NULL ? NULL : json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(row);
    char *copy = strdup(text);
    int error = value == NULL || copy == NULL ? ERR_NOMEM : 0;
    if (error == 0) {
        row_key(bytes_of(text), key);
        const struct store_put put = {{key, sizeof key}, bytes_of(value)};
        struct store_write write = {.puts = &put, .put_count = 1};
        error = store_write_wait(store, &write);
    }
    free(value);
    if (error != 0) {
        free(copy);
        return error;
    }
    *ret_text = copy;
    return 0;
}

int token_ensure_first(struct store *store, const char *path, int64_t now_ms,
                       struct diagnosis *why)
{
    char *text;
    if (access(path, F_OK) == 0)
        return 0;
    int error = token_new(store, now_ms + FIRST_TOKEN_MS, FIRST_TOKEN_USES, NULL, 0, &text);
    if (error != 0)
        return diagnose(why, error, "storing the first enrolment token: %s", error_text(error));
    struct buf line = {0};
    buf_printf(&line, "%s\n", text);
    error = buf_ok(&line)
                ? file_write_atomic(&file_io_system, path, buf_bytes(&line), 0600, why)
                : ERR_NOMEM;
    buf_done(&line);
    free(text);
    return error;
}
