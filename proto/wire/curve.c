/*
 * curve.c - a key pair is two small text files; the secret one is worth a host.
 *
 * The public key follows from the secret one, so a lost public file is written anew, and one
 * that contradicts the secret is refused rather than silently replaced: somebody swapped a key.
 */
#include "proto/wire/curve.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/base/error.h"
#include "proto/base/file.h"

#define KEY_FILE_BYTES_MAX ((size_t)1024)
#define TEXT_CHARACTERS    (CURVE_TEXT_BYTES - 1)

static bool is_key(const char *text)
{
    uint8_t key[CURVE_KEY_BYTES];
    return strlen(text) == TEXT_CHARACTERS && zmq_z85_decode(key, text) != NULL;
}

/* Overwrites a secret in a way the compiler may not drop, then frees it. */
static void wipe_free(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void cut_white_space(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        text[--length] = '\0';
}

static int write_key(const struct file_io *io, const char *path, const char *text, mode_t mode,
                     struct diagnosis *why)
{
    char line[CURVE_TEXT_BYTES + 1];

    memcpy(line, text, TEXT_CHARACTERS);
    line[TEXT_CHARACTERS] = '\n';
    line[TEXT_CHARACTERS + 1] = '\0';
    int error = file_write_atomic(io, path, bytes_of(line), mode, why);
    explicit_bzero(line, sizeof line);
    return error;
}

static int read_public(const char *path, char ret_text[CURVE_TEXT_BYTES], struct diagnosis *why)
{
    char *text;

    int error = file_read_whole(path, KEY_FILE_BYTES_MAX, &text, NULL, why);
    if (error != 0)
        return error;
    cut_white_space(text);
    if (is_key(text))
        memcpy(ret_text, text, CURVE_TEXT_BYTES);
    else
        error = diagnose(why, ERR_MALFORMED, "%s: not a public key of 40 Z85 characters", path);
    free(text);
    return error;
}

static int make(const char *secret_path, struct curve_pair *pair, struct diagnosis *why)
{
    if (zmq_curve_keypair(pair->public_text, pair->secret_text) != 0)
        return diagnose(why, ERR_IO, "%s: this libzmq was built without CURVE", secret_path);
    return write_key(&file_io_system, secret_path, pair->secret_text, 0600, why);
}

static int load(const char *secret_path, struct curve_pair *pair, struct diagnosis *why)
{
    char *text;

    int error = file_read_secret(secret_path, KEY_FILE_BYTES_MAX, &text, why);
    if (error != 0)
        return error;
    if (is_key(text) && zmq_curve_public(pair->public_text, text) == 0)
        memcpy(pair->secret_text, text, CURVE_TEXT_BYTES);
    else
        error = diagnose(why, ERR_MALFORMED, "%s: not a secret key of 40 Z85 characters",
                         secret_path);
    wipe_free(text);
    return error;
}

static int no_sync(void *context, int fd)
{
    (void)context, (void)fd;
    return 0;
}

/* The public file must say what the secret says, or be missing.  It is not waited for: a power
 * cut can leave it empty, which counts as missing, because the secret says it again. */
static int settle_public(const char *path, const struct curve_pair *pair, struct diagnosis *why)
{
    char text[CURVE_TEXT_BYTES];

    struct stat status;
    struct file_io io = file_io_system;
    bool is_there = stat(path, &status) == 0 && status.st_size > 0;
    int error = is_there ? read_public(path, text, why) : ERR_NOTFOUND;
    io.sync = no_sync;
    if (error == ERR_NOTFOUND)
        return write_key(&io, path, pair->public_text, 0644, why);
    if (error == 0 && memcmp(text, pair->public_text, CURVE_TEXT_BYTES) != 0)
        error = diagnose(why, ERR_MALFORMED, "%s: does not belong to the secret key beside it",
                         path);
    return error;
}

int curve_load_or_make(const char *secret_path, const char *public_path,
                       struct curve_pair *ret_pair, struct diagnosis *why)
{
    struct curve_pair pair = {{0}, {0}, {0}};
    int error;

    if (access(secret_path, F_OK) == 0)
        error = load(secret_path, &pair, why);
    else if (access(public_path, F_OK) == 0)
        error = diagnose(why, ERR_NOTFOUND,
                         "%s: missing, but %s is there; restore it or remove both", secret_path,
                         public_path);
    else
        error = make(secret_path, &pair, why);
    if (error == 0)
        error = settle_public(public_path, &pair, why);
    if (error == 0) {
        (void)zmq_z85_decode(pair.public_key, pair.public_text);
        *ret_pair = pair;
    }
    explicit_bzero(&pair, sizeof pair);
    return error;
}

int curve_public_from(const char *text_or_path, char ret_text[CURVE_TEXT_BYTES],
                      struct diagnosis *why)
{
    if (is_key(text_or_path)) {
        memcpy(ret_text, text_or_path, CURVE_TEXT_BYTES);
        return 0;
    }
    return read_public(text_or_path, ret_text, why);
}
