/*
 * fuzz_store_folder.c - what verification, restore and the account of room read of files, on any
 * bytes: an LMDB file with its trees, and a backup's manifest.
 *
 * The first byte chooses; the rest is the file.  The page walk must end, touch nothing outside
 * the bytes, and count no page twice; a manifest that is read must be written back the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/backup_manifest.h"
#include "collector/store/page_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static int touch(void *context, const char *table, struct bytes key, struct bytes value)
{
    (void)context;
    sink ^= (uint8_t)table[0];
    for (size_t i = 0; i < key.size; i++)
        sink ^= key.data[i];
    for (size_t i = 0; i < value.size; i++)
        sink ^= value.data[i];
    return 0;
}

static void walk(struct bytes file)
{
    for (int values = 0; values < 2; values++) {
        struct page_walk walk = {.file = file, .value = values == 1 ? touch : NULL};
        uint64_t used = 0;
        if (page_walk_run(&walk) != 0)
            continue;
        for (size_t i = 0; i < walk.tree_count; i++)
            used += walk.trees[i].branch_pages + walk.trees[i].leaf_pages;
        if (walk.page_bytes != 0 && used > file.size / walk.page_bytes)
            abort();
    }
}

static void read_manifest(struct bytes text)
{
    struct backup_manifest manifest;
    struct buf again = {0};
    struct diagnosis why = {""};
    if (backup_manifest_read(text, &manifest, &why) != 0)
        return;
    backup_manifest_write(&manifest, &again);
    struct backup_manifest second;
    if (!buf_ok(&again) || backup_manifest_read(buf_bytes(&again), &second, &why) != 0 ||
        second.count != manifest.count)
        abort();
    backup_manifest_done(&second);
    backup_manifest_done(&manifest);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    /* At an address of its own, so that a step outside is seen. */
    uint8_t *copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    struct bytes bytes = {copy + 1, size - 1};
    if (data[0] % 2 == 0)
        walk(bytes);
    else
        read_manifest(bytes);
    free(copy);
    return 0;
}
