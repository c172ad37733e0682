/*
 * fuzz_spool.c - a spool folder that anything may have happened to.
 *
 * Checksums keep random bytes from getting far, so the input is a recipe: frames with valid
 * checks and any content, or raw bytes, put one after the other into a definitions file or one
 * of three segments.
 *
 *     file u8 (0 definitions, 1..3 segments) | kind u8 (0: raw) | size u8 | bytes
 *
 * Property: opening ends, walking the streams ends, and what is appended afterwards can be
 * read.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/definition.h"
#include "probe/frame.h"
#include "probe/spool.h"
#include "proto/base/must.h"

#define EPOCH     0x0102030405060708u
#define FILES     4
#define STEPS_MAX 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void file_name(const char *directory, unsigned file, char path[128])
{
    static const unsigned firsts[FILES] = {0, 1, 4, 9};
    if (file == 0)
        (void)snprintf(path, 128, "%s/%016llx.definitions", directory,
                       (unsigned long long)EPOCH);
    else
        (void)snprintf(path, 128, "%s/%016llx-%020u.segment", directory,
                       (unsigned long long)EPOCH, firsts[file]);
}

/* The frame that makes a definitions file one; the recipe may spoil what follows. */
static void put_epoch(struct frame_file *file, struct buf *frame)
{
    static const uint8_t boot_id[SPOOL_BOOT_ID_BYTES] = {1};
    frame_begin(frame, 1);
    buf_put_u64(frame, EPOCH);
    buf_put_u64(frame, 1);
    buf_put(frame, boot_id, sizeof boot_id);
    buf_put_u64(frame, 0);
    buf_put_u64(frame, 0);
    must(frame_append(&file_io_system, file, frame) == 0);
}

static void cook(const char *directory, struct reader *recipe)
{
    struct frame_file files[FILES];
    struct buf frame = {0};
    char path[128];

    for (unsigned i = 0; i < FILES; i++) {
        file_name(directory, i, path);
        must(frame_file_create(&file_io_system, path, &files[i]) == 0);
    }
    put_epoch(&files[0], &frame);
    while (reader_left(recipe) >= 3) {
        struct frame_file *file = &files[reader_u8(recipe) % FILES];
        uint8_t kind = reader_u8(recipe);
        size_t wanted = reader_u8(recipe);
        struct bytes payload =
            reader_bytes(recipe, wanted < reader_left(recipe) ? wanted : reader_left(recipe));
        if (payload.size == 0)
            continue;
        if (kind == 0) {
            must(file_write_all(&file_io_system, file->fd, payload, (off_t)file->size) == 0);
            continue; /* the next frame overwrites it */
        }
        frame_begin(&frame, kind);
        buf_put(&frame, payload.data, payload.size);
        must(frame_append(&file_io_system, file, &frame) == 0);
    }
    for (unsigned i = 0; i < FILES; i++)
        frame_file_close(&files[i]);
    buf_done(&frame);
}

static void read_definitions(struct spool *spool, struct spool_stream stream, struct buf *into)
{
    struct arena arena;
    uint64_t ref = 0, count;
    struct bytes items;
    for (int i = 0;
         i < 100 && spool_read_definitions(spool, stream.epoch, ref, into, &items, &count) == 0;
         i++) {
        struct reader reader = reader_of(items);
        struct definition definition;
        arena_init(&arena, 1 << 20);
        while (reader_left(&reader) > 0 && definition_read(&reader, &arena, &definition) == 0) {
        }
        arena_reset(&arena);
        must(count > 0);
        ref += count;
    }
}

static void walk(struct spool *spool)
{
    struct buf into = {0};
    struct bytes plain;
    for (size_t i = 0; i < spool_stream_count(spool); i++) {
        struct spool_stream stream = spool_stream_at(spool, i);
        struct spool_item item;
        uint64_t from = 1;
        for (int step = 0; step < STEPS_MAX && spool_next(spool, stream.epoch, from, &item);
             step++) {
            must(item.first >= from && item.last >= item.first);
            if (item.is_gap || spool_read(spool, stream.epoch, item.first, &into, &plain) == 0)
                from = item.last + 1;
        }
        read_definitions(spool, stream, &into);
    }
    buf_done(&into);
}

static void append_and_read(struct spool *spool)
{
    struct buf into = {0};
    struct bytes plain, wanted = bytes_of("batch");
    uint64_t number;
    must(spool_append(spool, 1, wanted, (struct bytes){0}, 1, &number) == 0);
    must(spool_read(spool, spool_epoch(spool), number, &into, &plain) == 0);
    must(bytes_equal(plain, wanted));
    buf_done(&into);
}

static void remove_folder(const char *directory)
{
    DIR *folder = opendir(directory);
    must(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    (void)closedir(folder);
    must(rmdir(directory) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char directory[] = "/dev/shm/fuzz-spool-XXXXXX";
    struct reader recipe = reader_of((struct bytes){data, size});
    struct spool *spool;

    if (size < 1 || mkdtemp(directory) == NULL)
        return 0;
    struct spool_options options = {.directory = directory,
                                    .limit_bytes = 1 << 20,
                                    .age_limit_ms = 1000,
                                    .segment_bytes = 4096,
                                    .boot_id = {reader_u8(&recipe) % 2},
                                    .io = &file_io_system};
    cook(directory, &recipe);
    if (spool_open(&options, &spool, NULL) == 0) {
        walk(spool);
        append_and_read(spool);
        spool_close(spool);
    }
    remove_folder(directory);
    return 0;
}
