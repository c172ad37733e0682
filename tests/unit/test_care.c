/*
 * test_care.c - backup and restore: a backup is the store as of its moment, and nothing less is
 * taken for one.
 */
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

#include "collector/store/backup_manifest.h"
#include "proto/base/error.h"
#include "tests/unit/care_kit.h"

static char *backup_to(struct kit *kit, const char *directory, bool copies_all)
{
    struct diagnosis why = {""};
    if (store_backup_begin(kit->store, directory, false, copies_all, &why) != 0)
        fail_msg("%s", why.text);
    return care_wait(kit, CARE_BACKUP);
}

static int restore_to(const char *backup, const char *directory, struct told *ret_told,
                      struct diagnosis *why)
{
    struct told told = {.count = 0};
    struct restore restore = {.fault = care_take_fault, .context = &told};
    int error = restore_run(&restore, backup, directory, why);
    if (ret_told != NULL)
        *ret_told = told;
    return error;
}

static void restored_it_is_the_store_as_of_the_backup(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        struct kit kit;
        struct model model = {0};
        struct diagnosis why = {""};
        kit_start(&kit);
        care_fill(&kit, &model, 16);
        char *backup = care_beside(&kit, "backup");
        char *restored = care_beside(&kit, "restored");
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
        assert_int_equal(care_verify(restored, NULL).count, 0);
        care_remove(backup);
        care_remove(restored);
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
    care_fill(&kit, &model, 17);
    assert_int_equal(store_settle(kit.store), 0);
    char *backup = care_beside(&kit, "backup");
    char *restored = care_beside(&kit, "restored");
    const char *text = backup_to(&kit, backup, false);
    assert_non_null(strstr(text, "\"done\""));
    assert_int_equal(merging.times, 1);
    kit_close(&kit);
    struct verify_counts counts;
    assert_int_equal(care_verify(kit.directory, &counts).count, 0);
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
    care_remove(backup);
    care_remove(restored);
    model_done(&model);
    kit_stop_closed(&kit);
}

static void what_is_no_whole_backup_is_refused_by_name(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    char path[CARE_PATHS];
    char folder[CARE_PATHS];
    kit_start(&kit);
    care_fill(&kit, &model, 18);
    char *backup = care_beside(&kit, "backup");
    char *restored = care_beside(&kit, "restored");
    assert_non_null(strstr(backup_to(&kit, backup, true), "\"done\""));
    kit_close(&kit);

    struct diagnosis why = {""};
    struct told told;
    struct store *store;
    struct store_options options = {.directory = backup};
    assert_int_equal(store_open(&options, &store, &why), ERR_REFUSED);
    assert_non_null(strstr(why.text, "is a backup"));

    (void)snprintf(folder, sizeof folder, "%s/history", backup);
    care_find(folder, ".samples.mdb", path);
    static const char *const files[] = {"live/data.mdb", "history", "MANIFEST"};
    for (size_t i = 0; i < 3; i++) {
        char victim[CARE_PATHS + 32];
        (void)snprintf(victim, sizeof victim, "%s/%s", backup, files[i]);
        const char *name = i == 1 ? path : victim;
        care_flip(name, care_size(name) / 2);
        why = (struct diagnosis){""};
        int error = restore_to(backup, restored, &told, &why);
        assert_int_equal(error, ERR_CORRUPT);
        if (i < 2)
            assert_non_null(strstr(name, told.file));
        assert_non_null(strstr(why.text, backup));
        assert_int_equal(access(restored, F_OK), -1);
        care_flip(name, care_size(name) / 2);
    }
    /* A missing file; a folder that is no backup; one that was never finished. */
    char hidden[CARE_PATHS + 8];
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
    care_remove(backup);
    care_remove(restored);
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
    char inside[CARE_PATHS];
    kit_start(&kit);
    kit_close(&kit);
    kit.options.step = cancel_now;
    kit.options.step_context = &stopping;
    kit_open(&kit);
    care_fill(&kit, &model, 19);
    char *backup = care_beside(&kit, "backup");
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
    char folder[CARE_PATHS];
    char path[CARE_PATHS];
    kit_start(&kit);
    care_fill(&kit, &model, 20);
    (void)snprintf(folder, sizeof folder, "%s/history", kit.directory);
    care_find(folder, ".samples.mdb", path);
    care_flip(path, care_size(path) / 2);
    care_find(folder, ".logs.mdb", path);
    assert_int_equal(unlink(path), 0);
    char *backup = care_beside(&kit, "backup");
    char *restored = care_beside(&kit, "restored");
    const char *text = backup_to(&kit, backup, false);
    assert_non_null(strstr(text, "\"done\""));
    assert_non_null(strstr(text, "\"faults\":2"));
    assert_non_null(strstr(text, "missing"));
    kit_close(&kit);
    if (restore_to(backup, restored, &told, &why) != 0)
        fail_msg("%s", why.text);
    assert_true(told.count >= 2);
    care_remove(backup);
    care_remove(restored);
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
        cmocka_unit_test(restored_it_is_the_store_as_of_the_backup),
        cmocka_unit_test(files_that_are_merged_away_meanwhile_are_in_it),
        cmocka_unit_test(what_is_no_whole_backup_is_refused_by_name),
        cmocka_unit_test(a_backup_that_ends_early_leaves_nothing),
        cmocka_unit_test(damage_in_the_store_is_carried_along_by_name),
        cmocka_unit_test(manifests_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
