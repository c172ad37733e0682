/*
 * test_care.c - backup, restore, verification and the account of room: what is whole is found
 * whole, what is not is named, and a backup is the store as of its moment.
 */
#include <dirent.h>
#include <errno.h>
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

#include "collector/store/backup_manifest.h"
#include "collector/store/care.h"
#include "collector/store/page_walk.h"
#include "collector/store/restore.h"
#include "collector/store/space.h"
#include "collector/store/verify.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS ((int64_t)2 * 3600 * 1000)
#define PATHS   512

struct told {
    char file[PATHS], what[256]; /* the first */
    unsigned count;
};

static void take_fault(void *context, const char *file, const char *what)
{
    struct told *told = context;
    if (told->count++ > 0)
        return;
    (void)snprintf(told->file, sizeof told->file, "%s", file);
    (void)snprintf(told->what, sizeof told->what, "%s", what);
}

static struct told verify_at(const char *directory, struct verify_counts *ret_counts)
{
    struct told told = {.count = 0};
    struct diagnosis why = {""};
    struct verify verify = {.fault = take_fault, .context = &told};
    int error = verify_folder(&verify, directory, &why);
    if (error != 0)
        fail_msg("%s", why.text);
    assert_int_equal(verify.counts.faults >= told.count, 1);
    if (ret_counts != NULL)
        *ret_counts = verify.counts;
    return told;
}

/* A store with history of samples and of lines, and something of either that is not in it. */
static void fill(struct kit *kit, struct model *model, unsigned seed)
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

static char *beside(const struct kit *kit, const char *suffix)
{
    static char paths[4][PATHS];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, PATHS, "%s-%s", kit->directory, suffix);
    return path;
}

static void remove_all(const char *path)
{
    char command[PATHS + 16];
    (void)snprintf(command, sizeof command, "rm -rf %s", path);
    assert_int_equal(system(command), 0);
}

/* What the job says at its end, as JSON. */
static char *wait_for(struct kit *kit, enum care_kind kind)
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

static char *backup_to(struct kit *kit, const char *directory, bool copies_all)
{
    struct diagnosis why = {""};
    if (store_backup_begin(kit->store, directory, false, copies_all, &why) != 0)
        fail_msg("%s", why.text);
    return wait_for(kit, CARE_BACKUP);
}

static int restore_to(const char *backup, const char *directory, struct told *ret_told,
                      struct diagnosis *why)
{
    struct told told = {.count = 0};
    struct restore restore = {.fault = take_fault, .context = &told};
    int error = restore_run(&restore, backup, directory, why);
    if (ret_told != NULL)
        *ret_told = told;
    return error;
}

/* The first file of a folder whose name ends so. */
static void find_file(const char *folder, const char *ending, char path[PATHS])
{
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    path[0] = '\0';
    for (struct dirent *entry; path[0] == '\0' && (entry = readdir(entries)) != NULL;) {
        size_t size = strlen(entry->d_name);
        if (size > strlen(ending) && strcmp(entry->d_name + size - strlen(ending), ending) == 0)
            (void)snprintf(path, PATHS, "%s/%s", folder, entry->d_name);
    }
    (void)closedir(entries);
    assert_string_not_equal(path, "");
}

static off_t size_of(const char *path)
{
    struct stat stat_;
    assert_int_equal(stat(path, &stat_), 0);
    return stat_.st_size;
}

static void flip(const char *path, off_t offset)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    (void)close(fd);
}

/* -- verification ------------------------------------------------------------------------ */

static void what_is_whole_is_found_whole_running_and_stopped(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct verify_counts counts;
    struct diagnosis why = {""};
    kit_start(&kit);
    fill(&kit, &model, 11);
    assert_int_equal(store_verify_begin(kit.store, &why), 0);
    const char *text = wait_for(&kit, CARE_VERIFY);
    assert_non_null(strstr(text, "\"done\""));
    assert_non_null(strstr(text, "\"faults\":0"));
    assert_null(strstr(text, "\"walSamples\":0,"));
    kit_close(&kit);
    struct told told = verify_at(kit.directory, &counts);
    if (told.count > 0)
        fail_msg("%s: %s", told.file, told.what);
    assert_true(counts.files >= 3 && counts.samples > 500 && counts.log_blocks > 0);
    assert_true(counts.values > 100);
    assert_int_equal(counts.strays, 0);
    model_done(&model);
    kit_stop_closed(&kit);
}

static void a_flipped_bit_of_history_is_named_wherever_it_is(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    static const char *const endings[] = {".samples.mdb", ".logs.mdb"};
    kit_start(&kit);
    fill(&kit, &model, 12);
    kit_close(&kit);
    char folder[PATHS];
    char path[PATHS];
    (void)snprintf(folder, sizeof folder, "%s/history", kit.directory);
    for (size_t kind = 0; kind < 2; kind++) {
        find_file(folder, endings[kind], path);
        off_t size = size_of(path);
        for (off_t at = 5; at < size; at += size / 23 + 1) {
            flip(path, at);
            struct told told = verify_at(kit.directory, NULL);
            assert_true(told.count > 0);
            assert_non_null(strstr(path, told.file));
            flip(path, at);
        }
        assert_int_equal(truncate(path, size - 4096), 0);
        assert_true(verify_at(kit.directory, NULL).count > 0);
        assert_int_equal(unlink(path), 0);
        struct told told = verify_at(kit.directory, NULL);
        assert_non_null(strstr(told.what, "missing"));
        assert_non_null(strstr(path, told.file));
    }
    model_done(&model);
    kit_stop_closed(&kit);
}

/* Walks a file that was changed; what it names first. */
static struct told walk_changed(struct bytes file, struct page_walk *walk);

static void walk_fault(void *context, const char *text)
{
    take_fault(context, "", text);
}

static struct told walk_changed(struct bytes file, struct page_walk *walk)
{
    struct told told = {.count = 0};
    *walk = (struct page_walk){.file = file, .fault = walk_fault, .context = &told};
    assert_int_equal(page_walk_run(walk), 0);
    assert_int_equal(walk->faults, told.count);
    return told;
}

static void torn_metas_and_broken_trees_are_named(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct bytes map;
    struct page_walk walk;
    char path[PATHS];
    kit_start(&kit);
    fill(&kit, &model, 13);
    kit_close(&kit);
    (void)snprintf(path, sizeof path, "%s/live/data.mdb", kit.directory);
    assert_int_equal(care_map(path, &map, NULL), 0);
    uint8_t *copy = malloc(map.size);
    assert_non_null(copy);
    memcpy(copy, map.data, map.size);
    struct bytes file = {copy, map.size};
    assert_int_equal(walk_changed(file, &walk).count, 0);
    assert_int_equal(walk.lost_pages, 0);
    size_t page = (size_t)walk.page_bytes;

    /* One meta page torn: named, the other is walked.  Both: nothing else can be said. */
    copy[16] ^= 1;
    assert_non_null(strstr(walk_changed(file, &walk).what, "meta page 0 is torn"));
    assert_true(walk.tree_count > 5);
    copy[page + 16] ^= 1;
    assert_non_null(strstr(walk_changed(file, &walk).what, "both meta pages"));
    memcpy(copy, map.data, map.size);

    /* A page that says it is another; a page that counts wrongly: every one that is in use. */
    unsigned named = 0;
    for (size_t number = 2; number < map.size / page; number++) {
        unsigned flags = (unsigned)map.data[number * page + 10];
        if ((flags & 3) == 0)
            continue;
        copy[number * page] ^= 0x40;
        bool is_named = walk_changed(file, &walk).count > 0;
        copy[number * page] ^= 0x40;
        copy[number * page + 12] ^= 0x06;
        assert_int_equal(walk_changed(file, &walk).count > 0, is_named);
        copy[number * page + 12] ^= 0x06;
        named += is_named;
    }
    assert_true(named >= 8);
    /* Cut anywhere, it ends with a fault and not with the process. */
    for (size_t size = map.size - 1; size > 4096; size = size * 2 / 3)
        assert_true(walk_changed((struct bytes){copy, size}, &walk).count > 0);
    free(copy);
    care_unmap(map);
    model_done(&model);
    kit_stop_closed(&kit);
}

/* Everything that bears a seal in live is found out: WAL, checkpoint, series, registrations. */
static void a_flipped_bit_in_a_value_of_live_is_named(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    kit_start(&kit);
    fill(&kit, &model, 14);
    /* Left as a kill would leave it: with a write-ahead log. */
    const char *copy = beside(&kit, "copy");
    char command[3 * PATHS];
    (void)snprintf(command, sizeof command, "cp -a %s %s", kit.directory, copy);
    assert_int_equal(system(command), 0);
    kit_close(&kit);
    char path[PATHS];
    (void)snprintf(path, sizeof path, "%s/live/data.mdb", copy);
    assert_int_equal(verify_at(copy, NULL).count, 0);
    off_t size = size_of(path);
    unsigned seals = 0;
    unsigned trees = 0;
    unsigned wal = 0;
    for (off_t at = 2 * 4096 + 33; at < size; at += 509) {
        flip(path, at);
        struct told told = verify_at(copy, NULL);
        if (told.count > 0)
            assert_string_equal(told.file, "live/data.mdb");
        seals += told.count > 0 && strstr(told.what, "seal") != NULL;
        wal += told.count > 0 && strstr(told.what, "wal: the seal") != NULL;
        trees += told.count > 0 && strstr(told.what, "page") != NULL;
        flip(path, at);
    }
    assert_true(seals >= 3 && wal >= 1 && trees >= 1);
    remove_all(copy);
    model_done(&model);
    kit_stop_closed(&kit);
}

/* -- room -------------------------------------------------------------------------------- */

static void all_pages_are_accounted_for(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    static struct space running, stopped;
    struct diagnosis why = {""};
    kit_start(&kit);
    fill(&kit, &model, 15);
    assert_int_equal(store_settle(kit.store), 0);
    assert_int_equal(space_of_store(kit.store, &running, &why), 0);
    kit_close(&kit);
    assert_int_equal(space_of_folder(kit.directory, &stopped, &why), 0);
    assert_int_equal(running.samples, stopped.samples);
    assert_true(running.samples > 500 && running.log_blocks > 0);
    for (size_t i = 0; i < SPACE_KINDS; i++) {
        const struct space_environment *environment = &running.environments[i];
        uint64_t used = 2 * environment->files;
        for (size_t j = 0; j < environment->tree_count; j++)
            used += page_tree_pages(&environment->trees[j]);
        assert_true(environment->files > 0);
        assert_int_equal(environment->damaged_files, 0);
        assert_int_equal(used + environment->free_pages + environment->lost_pages,
                         environment->pages);
        assert_true(environment->pages * environment->page_bytes <= environment->bytes ||
                    i == SPACE_LIVE);
    }
    struct buf out = {0};
    space_print_json(&running, &out);
    assert_non_null(strstr(buf_text(&out), "\"name\":\"stream\""));
    assert_null(strstr(buf_text(&out), "\"bytesPerSample\":null"));
    buf_done(&out);
    model_done(&model);
    kit_stop_closed(&kit);
}

/* -- backup and restore ------------------------------------------------------------------ */

static void restored_it_is_the_store_as_of_the_backup(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        struct kit kit;
        struct model model = {0};
        struct diagnosis why = {""};
        kit_start(&kit);
        fill(&kit, &model, 16);
        char *backup = beside(&kit, "backup");
        char *restored = beside(&kit, "restored");
        const char *text = backup_to(&kit, backup, copies == 1);
        assert_non_null(strstr(text, "\"done\""));
        assert_non_null(strstr(text, "\"faults\":0"));
        assert_int_equal(strstr(text, "\"linkedFiles\":0") != NULL, copies == 1);
        struct care_stats stats;
        store_care_stats(kit.store, &stats);
        assert_int_equal(stats.backups, 1);
        assert_int_equal(stats.backup_ms, kit.now_ms);
        /* What comes afterwards is not in it. */
        assert_int_equal(kit_write(&kit, 200, KIT_START_MS + 5, 1), 0);
        assert_int_equal(kit_put(&kit, "notify/silence/1", NULL), 0);
        assert_int_equal(store_settle(kit.store), 0);
        kit_close(&kit);
        kit_open(&kit); /* remembered over a restart */
        store_care_stats(kit.store, &stats);
        assert_int_equal(stats.backup_ms, kit.now_ms);
        assert_int_equal(stats.restored_ms, 0);
        kit_close(&kit);

        if (restore_to(backup, restored, NULL, &why) != 0)
            fail_msg("%s", why.text);
        struct kit other = kit;
        (void)snprintf(other.directory, sizeof other.directory, "%s", restored);
        other.clock.context = &other;
        kit_open(&other);
        kit_expect(&other, &model, ALWAYS);
        assert_int_equal(kit_count(&other, 0, "n", "200", ALWAYS), 0);
        struct buf value = {0};
        assert_int_equal(store_state_get(other.store, bytes_of("notify/silence/1"), &value), 0);
        buf_done(&value);
        store_care_stats(other.store, &stats);
        assert_int_equal(stats.restored_ms, kit.now_ms);
        /* It goes on from there. */
        assert_int_equal(kit_write(&other, 3, KIT_START_MS + 77, 9), 0);
        model_write(&model, 3, KIT_START_MS + 77, 9);
        assert_int_equal(store_settle(other.store), 0);
        kit_expect(&other, &model, ALWAYS);
        kit_close(&other);
        assert_int_equal(verify_at(restored, NULL).count, 0);
        remove_all(backup);
        remove_all(restored);
        model_done(&model);
        kit_stop_closed(&kit);
    }
}

struct merging {
    struct kit *kit;
    unsigned times;
};

/* Between the snapshot and the links all files it speaks of are merged away. */
static void merge_now(void *context, const char *point)
{
    struct merging *merging = context;
    if (strcmp(point, "backup.live") != 0)
        return;
    merging->times++;
    assert_int_equal(kit_write(merging->kit, 2, KIT_START_MS + 1, 1), 0);
    assert_int_equal(kit_write(merging->kit, 2, KIT_START_MS + SPAN_MS + 1, 1), 0);
    assert_int_equal(store_settle(merging->kit->store), 0);
}

static void files_that_are_merged_away_meanwhile_are_in_it(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct diagnosis why = {""};
    struct merging merging = {&kit, 0};
    kit_start(&kit);
    kit_close(&kit);
    kit.options.step = merge_now;
    kit.options.step_context = &merging;
    kit_open(&kit);
    fill(&kit, &model, 17);
    assert_int_equal(store_settle(kit.store), 0);
    char *backup = beside(&kit, "backup");
    char *restored = beside(&kit, "restored");
    const char *text = backup_to(&kit, backup, false);
    assert_non_null(strstr(text, "\"done\""));
    assert_int_equal(merging.times, 1);
    kit_close(&kit);
    struct verify_counts counts;
    assert_int_equal(verify_at(kit.directory, &counts).count, 0);
    assert_int_equal(counts.strays, 0); /* unlinked with the last pin */
    if (restore_to(backup, restored, NULL, &why) != 0)
        fail_msg("%s", why.text);
    struct kit other = kit;
    (void)snprintf(other.directory, sizeof other.directory, "%s", restored);
    other.clock.context = &other;
    other.options.step = NULL;
    kit_open(&other);
    kit_expect(&other, &model, ALWAYS);
    kit_close(&other);
    remove_all(backup);
    remove_all(restored);
    model_done(&model);
    kit_stop_closed(&kit);
}

static void what_is_no_whole_backup_is_refused_by_name(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    char path[PATHS];
    char folder[PATHS];
    kit_start(&kit);
    fill(&kit, &model, 18);
    char *backup = beside(&kit, "backup");
    char *restored = beside(&kit, "restored");
    assert_non_null(strstr(backup_to(&kit, backup, true), "\"done\""));
    kit_close(&kit);

    struct diagnosis why = {""};
    struct told told;
    struct store *store;
    struct store_options options = {.directory = backup};
    assert_int_equal(store_open(&options, &store, &why), ERR_REFUSED);
    assert_non_null(strstr(why.text, "is a backup"));

    (void)snprintf(folder, sizeof folder, "%s/history", backup);
    find_file(folder, ".samples.mdb", path);
    static const char *const files[] = {"live/data.mdb", "history", "MANIFEST"};
    for (size_t i = 0; i < 3; i++) {
        char victim[PATHS + 32];
        (void)snprintf(victim, sizeof victim, "%s/%s", backup, files[i]);
        const char *name = i == 1 ? path : victim;
        flip(name, size_of(name) / 2);
        why = (struct diagnosis){""};
        int error = restore_to(backup, restored, &told, &why);
        assert_int_equal(error, ERR_CORRUPT);
        if (i < 2)
            assert_non_null(strstr(name, told.file));
        assert_non_null(strstr(why.text, backup));
        assert_int_equal(access(restored, F_OK), -1);
        flip(name, size_of(name) / 2);
    }
    /* A missing file; a folder that is no backup; one that was never finished. */
    char hidden[PATHS + 8];
    (void)snprintf(hidden, sizeof hidden, "%s.away", path);
    assert_int_equal(rename(path, hidden), 0);
    assert_int_equal(restore_to(backup, restored, &told, NULL), ERR_CORRUPT);
    assert_non_null(strstr(told.what, "missing"));
    assert_int_equal(rename(hidden, path), 0);
    why = (struct diagnosis){""};
    assert_int_equal(restore_to(kit.directory, restored, NULL, &why), ERR_NOTFOUND);
    assert_non_null(strstr(why.text, "MANIFEST"));
    (void)snprintf(hidden, sizeof hidden, "%s/UNFINISHED", backup);
    int fd = open(hidden, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    why = (struct diagnosis){""};
    assert_int_equal(restore_to(backup, restored, NULL, &why), ERR_REFUSED);
    assert_non_null(strstr(why.text, "never finished"));
    assert_int_equal(unlink(hidden), 0);
    /* Never into a folder with something in it. */
    assert_int_equal(restore_to(backup, kit.directory, NULL, NULL), ERR_EXISTS);
    assert_int_equal(restore_to(backup, restored, NULL, NULL), 0);
    remove_all(backup);
    remove_all(restored);
    model_done(&model);
    kit_stop_closed(&kit);
}

struct stopping {
    struct kit *kit;
    bool refused;
};

static void cancel_now(void *context, const char *point)
{
    struct stopping *stopping = context;
    if (strcmp(point, "backup.live") != 0)
        return;
    stopping->refused = store_verify_begin(stopping->kit->store, NULL) == ERR_AGAIN;
    assert_int_equal(store_care_cancel(stopping->kit->store, CARE_BACKUP), 0);
}

static void a_backup_that_ends_early_leaves_nothing(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct stopping stopping = {&kit, false};
    struct diagnosis why = {""};
    char inside[PATHS];
    kit_start(&kit);
    kit_close(&kit);
    kit.options.step = cancel_now;
    kit.options.step_context = &stopping;
    kit_open(&kit);
    fill(&kit, &model, 19);
    char *backup = beside(&kit, "backup");
    assert_non_null(strstr(backup_to(&kit, backup, true), "\"cancelled\""));
    assert_true(stopping.refused); /* one at a time */
    assert_int_equal(access(backup, F_OK), -1);
    assert_int_equal(store_care_cancel(kit.store, CARE_BACKUP), ERR_NOTFOUND);
    /* Places for no backup: what is not empty, what is being backed up, what is relative. */
    const char *text = backup_to(&kit, kit.directory, false);
    assert_non_null(strstr(text, "not empty"));
    (void)snprintf(inside, sizeof inside, "%s/history/backup", kit.directory);
    assert_non_null(strstr(backup_to(&kit, inside, false), "among the data"));
    assert_int_equal(access(inside, F_OK), -1);
    assert_non_null(strstr(backup_to(&kit, "here", false), "absolute"));
    kit_expect(&kit, &model, ALWAYS);
    (void)why;
    model_done(&model);
    kit_stop(&kit);
}

/* A store that is damaged is backed up as it is; restore says so, and takes it. */
static void damage_in_the_store_is_carried_along_by_name(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct told told;
    struct diagnosis why = {""};
    char folder[PATHS];
    char path[PATHS];
    kit_start(&kit);
    fill(&kit, &model, 20);
    (void)snprintf(folder, sizeof folder, "%s/history", kit.directory);
    find_file(folder, ".samples.mdb", path);
    flip(path, size_of(path) / 2);
    find_file(folder, ".logs.mdb", path);
    assert_int_equal(unlink(path), 0);
    char *backup = beside(&kit, "backup");
    char *restored = beside(&kit, "restored");
    const char *text = backup_to(&kit, backup, false);
    assert_non_null(strstr(text, "\"done\""));
    assert_non_null(strstr(text, "\"faults\":2"));
    assert_non_null(strstr(text, "missing"));
    kit_close(&kit);
    if (restore_to(backup, restored, &told, &why) != 0)
        fail_msg("%s", why.text);
    assert_true(told.count >= 2);
    remove_all(backup);
    remove_all(restored);
    model_done(&model);
    kit_stop_closed(&kit);
}

static void manifests_are_read_strictly(void **state)
{
    (void)state;
    struct backup_manifest manifest = {.taken_ms = 5, .has_keys = true};
    struct backup_manifest back;
    struct buf text = {0};
    assert_int_equal(backup_manifest_add(&manifest, "live/data.mdb", 7, 8, false, false), 0);
    assert_int_equal(backup_manifest_add(&manifest, "keys/a b", 1, 2, true, false), 0);
    assert_int_equal(backup_manifest_add(&manifest, "history/x", 0, 0, false, true), 0);
    static const char *const bad[] = {"", "live/", "/etc/passwd", "live/../x", "live/.x",
                                      "other/x", "keys/a/b", "keys/a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(backup_manifest_add(&manifest, bad[i], 0, 0, false, false),
                         ERR_INVALID);
    backup_manifest_write(&manifest, &text);
    assert_int_equal(backup_manifest_read(buf_bytes(&text), &back, NULL), 0);
    assert_int_equal(back.count, 3);
    assert_int_equal(back.taken_ms, 5);
    assert_true(back.has_keys && back.files[1].is_damaged && back.files[2].is_missing);
    assert_string_equal(back.files[1].path, "keys/a b");
    backup_manifest_done(&back);
    for (size_t i = 0; i < text.size; i++) {
        text.data[i] ^= 2;
        assert_int_not_equal(backup_manifest_read(buf_bytes(&text), &back, NULL), 0);
        text.data[i] ^= 2;
        assert_int_not_equal(backup_manifest_read((struct bytes){text.data, i}, &back, NULL), 0);
    }
    backup_manifest_done(&manifest);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_is_found_whole_running_and_stopped),
        cmocka_unit_test(a_flipped_bit_of_history_is_named_wherever_it_is),
        cmocka_unit_test(torn_metas_and_broken_trees_are_named),
        cmocka_unit_test(a_flipped_bit_in_a_value_of_live_is_named),
        cmocka_unit_test(all_pages_are_accounted_for),
        cmocka_unit_test(restored_it_is_the_store_as_of_the_backup),
        cmocka_unit_test(files_that_are_merged_away_meanwhile_are_in_it),
        cmocka_unit_test(what_is_no_whole_backup_is_refused_by_name),
        cmocka_unit_test(a_backup_that_ends_early_leaves_nothing),
        cmocka_unit_test(damage_in_the_store_is_carried_along_by_name),
        cmocka_unit_test(manifests_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
