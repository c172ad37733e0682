/*
 * test_verify.c - verification and the account of room: what is whole is found whole, what is not
 * is named, and every page is accounted for.
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

#include "collector/store/page_walk.h"
#include "collector/store/space.h"
#include "proto/base/error.h"
#include "tests/unit/care_kit.h"

/* -- verification ------------------------------------------------------------------------ */

static void what_is_whole_is_found_whole_running_and_stopped(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    struct verify_counts counts;
    struct diagnosis why = {""};
    kit_start(&kit);
    care_fill(&kit, &model, 11);
    assert_int_equal(store_verify_begin(kit.store, &why), 0);
    const char *text = care_wait(&kit, CARE_VERIFY);
    assert_non_null(strstr(text, "\"done\""));
    assert_non_null(strstr(text, "\"faults\":0"));
    assert_null(strstr(text, "\"walSamples\":0,"));
    kit_close(&kit);
    struct told told = care_verify(kit.directory, &counts);
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
    care_fill(&kit, &model, 12);
    kit_close(&kit);
    char folder[CARE_PATHS];
    char path[CARE_PATHS];
    (void)snprintf(folder, sizeof folder, "%s/history", kit.directory);
    for (size_t kind = 0; kind < 2; kind++) {
        care_find(folder, endings[kind], path);
        off_t size = care_size(path);
        for (off_t at = 5; at < size; at += size / 23 + 1) {
            care_flip(path, at);
            struct told told = care_verify(kit.directory, NULL);
            assert_true(told.count > 0);
            assert_non_null(strstr(path, told.file));
            care_flip(path, at);
        }
        assert_int_equal(truncate(path, size - 4096), 0);
        assert_true(care_verify(kit.directory, NULL).count > 0);
        assert_int_equal(unlink(path), 0);
        struct told told = care_verify(kit.directory, NULL);
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
    care_take_fault(context, "", text);
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
    char path[CARE_PATHS];
    kit_start(&kit);
    care_fill(&kit, &model, 13);
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
    size_t last = 0; /* in use; what is free may lie behind it */
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
        last = is_named ? number : last;
    }
    assert_true(named >= 8);
    /* Cut anywhere in what is in use, it ends with a fault and not with the process. */
    for (size_t size = (last + 1) * page - 1; size > 4096; size = size * 2 / 3)
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
    care_fill(&kit, &model, 14);
    /* Left as a kill would leave it: with a write-ahead log. */
    const char *copy = care_beside(&kit, "copy");
    char command[3 * CARE_PATHS];
    (void)snprintf(command, sizeof command, "cp -a %s %s", kit.directory, copy);
    assert_int_equal(system(command), 0);
    kit_close(&kit);
    char path[CARE_PATHS];
    (void)snprintf(path, sizeof path, "%s/live/data.mdb", copy);
    assert_int_equal(care_verify(copy, NULL).count, 0);
    off_t size = care_size(path);
    unsigned seals = 0;
    unsigned trees = 0;
    unsigned wal = 0;
    for (off_t at = 2 * 4096 + 33; at < size; at += 509) {
        care_flip(path, at);
        struct told told = care_verify(copy, NULL);
        if (told.count > 0)
            assert_string_equal(told.file, "live/data.mdb");
        seals += told.count > 0 && strstr(told.what, "seal") != NULL;
        wal += told.count > 0 && strstr(told.what, "wal: the seal") != NULL;
        trees += told.count > 0 && strstr(told.what, "page") != NULL;
        care_flip(path, at);
    }
    assert_true(seals >= 3 && wal >= 1 && trees >= 1);
    care_remove(copy);
    model_done(&model);
    kit_stop_closed(&kit);
}

/* -- a creation that was not completed ---------------------------------------------------- */

#define PAGE 4096

/* What a power cut left: nothing, a file of so many pages of zeros, one that has something in its last page. */
struct left {
    const char *because;
    unsigned pages, making_pages; /* of data.mdb, of data.mdb.new; 0: there is no such file */
    bool has_content, has_history;
    bool is_unborn, opens;
};

static void leave(const char *directory, const char *name, unsigned pages, bool has_content)
{
    static const uint8_t content[PAGE] = {1, 2, 3};
    char path[CARE_PATHS];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)pages * PAGE), 0);
    if (has_content)
        assert_int_equal(pwrite(fd, content, PAGE, (off_t)(pages - 1) * PAGE), PAGE);
    assert_int_equal(close(fd), 0);
}

static void make_left(const char *directory, const struct left *left)
{
    char command[CARE_PATHS];
    (void)snprintf(command, sizeof command, "mkdir -p %s/live %s/history", directory, directory);
    assert_int_equal(system(command), 0);
    if (left->pages > 0)
        leave(directory, "live/data.mdb", left->pages, left->has_content);
    if (left->making_pages > 0)
        leave(directory, "live/data.mdb.new", left->making_pages, left->has_content);
    if (left->has_history)
        leave(directory, "history/0-7200000.1.samples.mdb", 3, true);
}

static bool opens(struct kit *kit)
{
    struct diagnosis why = {""};
    struct store_options options = {.directory = kit->directory, .clock = &kit->clock};
    int error = store_open(&options, &kit->store, &why);
    if (error != 0)
        assert_int_equal(error, ERR_CORRUPT);
    return error == 0;
}

static void a_creation_that_was_not_completed_is_told_from_damage(void **state)
{
    (void)state;
    static const struct left cases[] = {
        {.because = "its meta pages are torn, a page behind them is there", .making_pages = 5,
         .has_content = true, .is_unborn = true, .opens = true},
        {.because = "nothing of it was synced", .making_pages = 2, .is_unborn = true, .opens = true},
        {.because = "a version that made it in place died: nothing but empty meta pages", .pages = 2,
         .is_unborn = true, .opens = true},
        {.because = "what is under its name was whole once", .pages = 5, .has_content = true},
        {.because = "so it was, whatever is beside it", .pages = 5, .making_pages = 5,
         .has_content = true},
        {.because = "there is history, so there was a commit", .pages = 2, .has_history = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct left *left = &cases[i];
        struct kit kit;
        struct diagnosis why = {""};
        struct told told = {.count = 0};
        struct verify verify = {.fault = care_take_fault, .context = &told};
        kit_start(&kit);
        kit_close(&kit);
        kit_stop_closed(&kit); /* only its place is wanted */
        make_left(kit.directory, left);
        print_message("%s\n", left->because);
        assert_int_equal(verify_folder(&verify, kit.directory, &why), 0);
        assert_int_equal(verify.is_unborn, left->is_unborn);
        assert_int_equal(told.count > 0, !left->opens);
        assert_int_equal(opens(&kit), left->opens);
        char path[CARE_PATHS];
        (void)snprintf(path, sizeof path, "%s/live/data.mdb", kit.directory);
        if (left->opens) {
            kit_close(&kit);
            assert_int_equal(care_verify(kit.directory, NULL).count, 0);
            (void)snprintf(path, sizeof path, "%s/live/data.mdb.new", kit.directory);
            assert_int_equal(access(path, F_OK), -1);
        } else {
            assert_int_equal(care_size(path), (off_t)left->pages * PAGE); /* it stays as it was */
        }
        kit_stop_closed(&kit);
    }
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
    care_fill(&kit, &model, 15);
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
        assert_int_equal(environment->files > 0, i <= SPACE_LOGS); /* nothing has expired */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_is_found_whole_running_and_stopped),
        cmocka_unit_test(a_flipped_bit_of_history_is_named_wherever_it_is),
        cmocka_unit_test(torn_metas_and_broken_trees_are_named),
        cmocka_unit_test(a_flipped_bit_in_a_value_of_live_is_named),
        cmocka_unit_test(a_creation_that_was_not_completed_is_told_from_damage),
        cmocka_unit_test(all_pages_are_accounted_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
