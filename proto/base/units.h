/*
 * units.h - durations and sizes as people write them: 15s 5m 1h30m 7d 1y, 64MiB.
 *
 * Durations follow Prometheus (model.ParseDuration): units y w d h m s ms, each at most once and
 * in that order, whole numbers; y = 365 d, w = 7 d.  "0" needs no unit.
 * Sizes: a whole number and B, KiB, MiB, GiB, TiB (powers of 1024); "0" needs no unit.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* ERR_MALFORMED if `text` is no duration, ERR_LIMIT if it does not fit. */
int duration_parse(const char *text, int64_t *ret_ms);

#define DURATION_TEXT_BYTES 48
/* The shortest exact form ("1h30m", "0s", "1500ms" as "1s500ms"), as Prometheus prints it. */
const char *duration_format(int64_t ms, char text[DURATION_TEXT_BYTES]);

int size_parse(const char *text, uint64_t *ret_bytes);

#define SIZE_TEXT_BYTES 32
/* The exact form in the largest unit that divides it: "64MiB", "1536KiB", "1000B", "0". */
const char *size_format(uint64_t bytes, char text[SIZE_TEXT_BYTES]);
