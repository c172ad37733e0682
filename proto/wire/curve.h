/*
 * curve.h - CURVE key pairs in files.
 *
 * A private key file holds the Z85 text (40 characters) and must be 0600, or it is refused; the
 * public one is 0644.  Keys are made by zmq_curve_keypair().
 */
#pragma once

#include <stdint.h>

#include "proto/base/diagnosis.h"

#define CURVE_KEY_BYTES  32
#define CURVE_TEXT_BYTES 41 /* Z85 and NUL */

struct curve_pair {
    char public_text[CURVE_TEXT_BYTES];
    char secret_text[CURVE_TEXT_BYTES];
    uint8_t public_key[CURVE_KEY_BYTES];
};

/* Loads the pair from `secret_path` and `public_path`, or makes and saves it if neither exists.
 * A missing or empty public file is written anew.  ERR_REFUSED for loose modes, ERR_MALFORMED,
 * ERR_IO. */
int curve_load_or_make(const char *secret_path, const char *public_path,
                       struct curve_pair *ret_pair, struct diagnosis *why);

/* A public key given as Z85 text or as a file that holds it. */
int curve_public_from(const char *text_or_path, char ret_text[CURVE_TEXT_BYTES],
                      struct diagnosis *why);
