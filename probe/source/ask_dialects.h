/*
 * ask_dialects.h - the languages that ask.c knows; for their sources, tests and fuzzers.
 */
#pragma once

#include "probe/source/ask.h"

extern const struct ask_dialect ask_dialect_nginx;
extern const struct ask_dialect ask_dialect_squid;
extern const struct ask_dialect ask_dialect_memcached;
extern const struct ask_dialect ask_dialect_redis;
extern const struct ask_dialect ask_dialect_jvm;
