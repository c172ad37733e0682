/*
 * page_meta.c - the two meta pages of an LMDB file.
 *
 * Commits take them by turns, so that one torn in the midst of being written leaves the other:
 * the state one commit before.
 */
#include <string.h>

#include "collector/store/page_format.h"
#include "collector/store/page_walk.h"

#define PAGE_BYTES_MAX 32768

static bool is_meta(const uint8_t *page)
{
    return get16(page + 10) == META && get32(page + HEADER_BYTES) == META_MAGIC &&
           get32(page + HEADER_BYTES + 4) == META_VERSION;
}

static uint64_t txn_of(const uint8_t *meta)
{
    return get64(meta + META_LAST + 8);
}

static bool is_page_size(uint64_t bytes)
{
    return bytes >= PAGE_META_BYTES && bytes <= PAGE_BYTES_MAX && (bytes & (bytes - 1)) == 0;
}

uint64_t page_size_in(struct bytes file)
{
    for (size_t at = 0; at <= PAGE_BYTES_MAX && at + PAGE_META_BYTES <= file.size;
         at = at == 0 ? PAGE_META_BYTES : at * 2) {
        uint64_t told = get32(file.data + at + META_TABLES);
        if (is_meta(file.data + at) && is_page_size(told) && (at == 0 || at == told))
            return told;
    }
    return 0;
}

bool page_walk_snapshot(struct bytes file, uint64_t txn, uint8_t meta[PAGE_META_BYTES])
{
    uint64_t page_bytes = page_size_in(file);
    for (uint64_t at = 0; page_bytes != 0 && at <= page_bytes; at += page_bytes) {
        uint8_t again[PAGE_META_BYTES];
        if (at + PAGE_META_BYTES > file.size)
            break;
        memcpy(meta, file.data + at, PAGE_META_BYTES);
        memcpy(again, file.data + at, PAGE_META_BYTES);
        if (is_meta(meta) && txn_of(meta) == txn && memcmp(meta, again, PAGE_META_BYTES) == 0)
            return true;
    }
    return false;
}

static bool is_whole_meta(const uint8_t *meta, unsigned number, uint64_t page_bytes)
{
    /* Commits take the two pages by turns; a new environment has none of either. */
    uint64_t txn = txn_of(meta);
    return is_meta(meta) && get64(meta) == number && get32(meta + META_TABLES) == page_bytes &&
           (txn == 0 || txn % 2 == number);
}

void page_walk_metas(struct bytes file, const uint8_t *ret_metas[2], uint64_t ret_txns[2],
                     uint64_t *ret_page_bytes)
{
    uint64_t page_bytes = page_size_in(file);
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *meta = file.data + i * page_bytes;
        bool is_whole = page_bytes != 0 && file.size >= 2 * page_bytes &&
                        is_whole_meta(meta, i, page_bytes);
        ret_metas[i] = is_whole ? meta : NULL;
        ret_txns[i] = is_whole ? txn_of(meta) : 0;
    }
    *ret_page_bytes = page_bytes;
}

void page_walk_meta_as(const uint8_t *meta, uint64_t txn, uint8_t *page, uint64_t page_bytes)
{
    memset(page, 0, (size_t)page_bytes);
    memcpy(page, meta, META_LAST + 16);
    memset(page, 0, 8);
    page[0] = (uint8_t)(txn % 2);
    for (unsigned i = 0; i < 8; i++)
        page[META_LAST + 8 + i] = (uint8_t)(txn >> 8 * i);
}

/* Its two meta pages are written at once and synced by the first commit: a file that has no
 * more, and not even those, holds nothing anybody was promised. */
bool page_walk_never_written(struct bytes file)
{
    const uint8_t *metas[2];
    uint64_t txns[2];
    uint64_t page_bytes;
    page_walk_metas(file, metas, txns, &page_bytes);
    if (file.size > 2 * PAGE_BYTES_MAX || (metas[0] != NULL && metas[1] != NULL))
        return false;
    if (page_bytes != 0)
        return file.size <= 2 * page_bytes && txns[0] == 0 && txns[1] == 0;
    for (size_t i = 0; i < file.size; i++)
        if (file.data[i] != 0)
            return false;
    return true;
}
