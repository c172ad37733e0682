/*
 * utf8.h - is this text?
 */
#pragma once

#include <stdbool.h>

#include "proto/base/bytes.h"

/* Well-formed UTF-8 by RFC 3629: shortest forms only, no surrogates, at most U+10FFFF.  The
 * empty run is; NUL is a character like any other. */
bool utf8_is_valid(struct bytes text);
