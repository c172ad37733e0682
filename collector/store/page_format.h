/*
 * page_format.h - what LMDB's pages are made of.  For page_walk.c and page_meta.c.
 *
 *   page   u64 number | u16 pad (item size of a leaf of fixed items) | u16 flags
 *          | u16 lower, u16 upper, node offsets u16...        (branch, leaf)
 *          | u32 page count                                   (overflow)
 *   node   u16 low, u16 high, u16 flags, u16 key size | key | value
 *          leaf: value size = low + high << 16; branch: child = low + high << 16 + flags << 32
 *   meta   page header | u32 magic, u32 version, u64 address, u64 map size
 *          | table of free pages, table of tables (48 bytes each) | u64 last page, u64 txn
 *   table  u32 pad (page size, in the first), u16 flags, u16 depth,
 *          u64 branch, leaf, overflow pages, u64 entries, u64 root
 *
 * Little-endian throughout.  Source: lmdb 0.9.24, mdb.c.
 */
#pragma once

#include <stdint.h>

#include "proto/base/bytes.h"

#define HEADER_BYTES 16
#define NODE_BYTES   8
#define TABLE_BYTES  48
#define META_MAGIC   0xBEEFC0DEu
#define META_VERSION 1
#define META_TABLES  (HEADER_BYTES + 24)
#define META_LAST    (META_TABLES + 2 * TABLE_BYTES)

enum page_flag {
    BRANCH = 1,
    LEAF = 2,
    OVERFLOW = 4,
    META = 8,
    DIRTY = 0x10, /* on disk in pages within pages only */
    FIXED_LEAF = 0x20,
    SUB = 0x40
};

static inline uint16_t get16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t get32(const uint8_t *from)
{
    return (uint32_t)get16(from) | (uint32_t)get16(from + 2) << 16;
}

static inline uint64_t get64(const uint8_t *from)
{
    return (uint64_t)get32(from) | (uint64_t)get32(from + 4) << 32;
}

/* The page size stands in the meta pages, and the second lies where the page size says; 0: it is
 * no LMDB file. */
uint64_t page_size_in(struct bytes file);
