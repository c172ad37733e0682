/*
 * care_kit.c - a store to be backed up and verified, and what is found in it.
 */
#include "tests/unit/care_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void care_take_fault(void *context, const char *file, const char *what)
{
    struct told *told = context;
    if (told->count++ > 0)
        return;
    (void)snprintf(told->file, sizeof told->file, "%s", file);
    (void)snprintf(told->what, sizeof told->what, "%s", what);
}

struct told care_verify(const char *directory, struct verify_counts *ret_counts)
{
    struct told told = {.count = 0};
    struct diagnosis why = {""};
    struct verify verify = {.fault = care_take_fault, .context = &told};
    int error = verify_folder(&verify, directory, &why);
    if (error != 0)
        fail_msg("%s", why.text);
    assert_int_equal(verify.counts.faults >= told.count, 1);
    if (ret_counts != NULL)
        *ret_counts = verify.counts;
    return told;
}

void care_fill(struct kit *kit, struct model *model, unsigned seed)
{
    kit->now_ms = KIT_START_MS + 3 * SPAN_MS;
    for (int i = 0; i < 900; i++) {
        unsigned n = (unsigned)rand_r(&seed) % 40;
        int64_t ts = KIT_START_MS + rand_r(&seed) % (2 * SPAN_MS / 1000) * 1000;
        double value = rand_r(&seed) % 1000 / 7.0;
        assert_int_equal(kit_write(kit, n, ts, value), 0);
        model_write(model, n, ts, value);
        if (i % 30 == 0) {
            struct log_line line = {.offset = (uint64_t)i * 100, .ts_ms = ts,
                                    .text = bytes_of("a line of text")};
            struct store_log_chunk log = {7, {.file_id = 1, .path = bytes_of("/var/log/x"),
                                              .lines = &line, .count = 1}};
            struct store_write write = {.logs = &log, .log_count = 1};
            assert_int_equal(store_write_wait(kit->store, &write), 0);
        }
        if (i == 700)
            assert_int_equal(store_settle(kit->store), 0);
    }
    assert_int_equal(kit_put(kit, "notify/silence/1", "kept"), 0);
}

char *care_beside(const struct kit *kit, const char *suffix)
{
    static char paths[4][CARE_PATHS];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, CARE_PATHS, "%s-%s", kit->directory, suffix);
    return path;
}

void care_remove(const char *path)
{
    char command[CARE_PATHS + 16];
    (void)snprintf(command, sizeof command, "rm -rf %s", path);
    assert_int_equal(system(command), 0);
}

char *care_wait(struct kit *kit, enum care_kind kind)
{
    static char text[16384];
    for (;;) {
        struct buf out = {0};
        store_care_print_json(kit->store, kind, &out);
        (void)snprintf(text, sizeof text, "%s", buf_text(&out));
        buf_done(&out);
        if (strstr(text, "\"running\"") == NULL)
            return text;
        usleep(1000);
    }
}

void care_find(const char *folder, const char *ending, char path[CARE_PATHS])
{
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    path[0] = '\0';
    for (struct dirent *entry; path[0] == '\0' && (entry = readdir(entries)) != NULL;) {
        size_t size = strlen(entry->d_name);
        if (size > strlen(ending) && strcmp(entry->d_name + size - strlen(ending), ending) == 0)
            (void)snprintf(path, CARE_PATHS, "%s/%s", folder, entry->d_name);
    }
    (void)closedir(entries);
    assert_string_not_equal(path, "");
}

off_t care_size(const char *path)
{
    struct stat stat_;
    assert_int_equal(stat(path, &stat_), 0);
    return stat_.st_size;
}

void care_flip(const char *path, off_t offset)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    (void)close(fd);
}
