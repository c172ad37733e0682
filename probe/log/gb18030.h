/*
 * gb18030.h - GB 18030, and with it GBK and GB 2312: what Chinese programs wrote before UTF-8.
 *
 * Read here and not by the C library's iconv, because that loads modules of the host's own C
 * library, which a static program must not do.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The character that begins at `data`: its size in bytes (1, 2 or 4), or 0 if there is none.
 * Points of the private use areas are passed on as they are. */
size_t gb18030_step(const uint8_t *data, size_t left, uint32_t *ret_point);
