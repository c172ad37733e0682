/*
 * test_damage.c - files with a bit turned anywhere, pages lost or exchanged: a store that opens
 * on them answers right, or says what is damaged; it never answers wrong and never dies.
 *
 * Each case is a child that works on a copy of the folder, so that a death is a finding like
 * any other.  `--long` looks at many more places.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/store/page_walk.h"
#include "collector/store/quarantine.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/fault/io_world.h"
#include "tests/unit/care_kit.h"

#define PAGE      4096
#define LINE_TEXT "a line of text"
#define HELP      "what it counts"

#if defined(__SANITIZE_ADDRESS__)
static unsigned places = 60; /* of each file */
#else
static unsigned places = 200;
#endif

/* What a store on a damaged folder comes to. */
enum verdict { RIGHT, NAMED, REFUSED, WRONG };

struct world {
    struct kit kit; /* closed; its folder is the pristine one */
    struct model model;
    size_t lines;
    char copy[CARE_PATHS];
};

/* -- the folder -------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
    struct bytes bytes;
    must(care_map(from, &bytes, NULL) == 0);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    must(fd >= 0 && write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size && close(fd) == 0);
    care_unmap(bytes);
}

static void copy_folder(const char *from, const char *to, const char *name)
{
    char source[CARE_PATHS * 2];
    char target[CARE_PATHS * 2];
    (void)snprintf(source, sizeof source, "%s/%s", from, name);
    (void)snprintf(target, sizeof target, "%s/%s", to, name);
    must(mkdir(target, 0750) == 0);
    DIR *folder = opendir(source);
    must(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char one[CARE_PATHS * 3];
        char other[CARE_PATHS * 3];
        if (strstr(entry->d_name, ".mdb") == NULL || strcmp(entry->d_name, "lock.mdb") == 0)
            continue;
        (void)snprintf(one, sizeof one, "%s/%s", source, entry->d_name);
        (void)snprintf(other, sizeof other, "%s/%s", target, entry->d_name);
        copy_file(one, other);
    }
    (void)closedir(folder);
}

static void empty_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    (void)closedir(folder);
    (void)rmdir(path);
}

/* Thousands of times: no shell. */
static void fresh_copy(struct world *world)
{
    static const char *const folders[] = {"live", "history", "quarantine", "live.salvaged"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[CARE_PATHS * 2];
        (void)snprintf(path, sizeof path, "%s/%s", world->copy, folders[i]);
        empty_folder(path);
    }
    (void)mkdir(world->copy, 0750);
    copy_folder(world->kit.directory, world->copy, "live");
    copy_folder(world->kit.directory, world->copy, "history");
}

/* Something of everything: history and head, lines, state, metadata. */
static void world_start(struct world *world, unsigned seed, bool is_clean)
{
    *world = (struct world){.lines = 30};
    kit_start(&world->kit);
    io_world_watch("/tmp");
    io_world_fast(); /* what is damaged here is damaged after it was written */
    care_fill(&world->kit, &world->model, seed);
    const struct metadata metadata = {METRIC_COUNTER, bytes_of("s"), bytes_of(HELP)};
    const struct labels *labels = kit_labels("m", "1");
    struct series *series;
    must(store_series_resolve(world->kit.store, labels, &metadata, &series) == 0);
    store_series_release(world->kit.store, series);
    labels_free(labels);
    for (int i = 0; i < 60; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "stream/%d", i);
        must(kit_put(&world->kit, key, "stored up to here") == 0);
    }
    /* A folder in memory, where there is one: it is filled thousands of times. */
    const char *name = strrchr(world->kit.directory, '/');
    bool has_memory = access("/dev/shm", W_OK | X_OK) == 0;
    (void)snprintf(world->copy, sizeof world->copy, "%s%s-copy", has_memory ? "/dev/shm" : "/tmp",
                   name);
    if (!is_clean) { /* as a kill leaves it: with a write-ahead log */
        struct world other = *world;
        (void)snprintf(other.copy, sizeof other.copy, "%s", care_beside(&world->kit, "killed"));
        fresh_copy(&other);
        kit_close(&world->kit);
        care_remove(world->kit.directory);
        must(rename(other.copy, world->kit.directory) == 0);
    } else {
        kit_close(&world->kit);
    }
}

static const char *log_of(const struct world *world)
{
    static char path[CARE_PATHS * 2];
    (void)snprintf(path, sizeof path, "%s.log", world->copy);
    return path;
}

static void world_stop(struct world *world)
{
    care_remove(world->copy);
    (void)unlink(log_of(world));
    model_done(&world->model);
    kit_stop_closed(&world->kit);
}

/* -- the child: what does a store say that opens there? ---------------------------------- */

struct answer {
    bool is_wrong;
    const char *less; /* what is missing; NULL: nothing is */
    char why[256];
};

static void wrong(struct answer *answer, const char *why)
{
    if (!answer->is_wrong)
        (void)snprintf(answer->why, sizeof answer->why, "%s", why);
    answer->is_wrong = true;
}

static void ask_samples(struct kit *kit, const struct world *world, struct answer *answer)
{
    char why[256] = "";
    if (kit_agrees(kit, &world->model, ALWAYS, why, sizeof why))
        return;
    if (strstr(why, "samples where") == NULL)
        wrong(answer, why);
    answer->less = "samples";
}

static void ask_lines(struct kit *kit, const struct world *world, struct answer *answer)
{
    struct arena arena;
    struct diagnosis why = {""};
    const struct log_query query = {
        .from_ms = INT64_MIN / 2, .until_ms = INT64_MAX / 2, .limit = 1000};
    struct log_hit *hits = NULL;
    size_t count = 0;
    arena_init(&arena, (size_t)64 << 20);
    if (store_log_search(kit->store, &query, &arena, &hits, &count, &why) != 0)
        wrong(answer, "lines cannot be searched");
    for (size_t i = 0; i < count; i++)
        if (!bytes_equal(hits[i].line.text, bytes_of(LINE_TEXT)) ||
            hits[i].line.offset % 3000 != 0 || !bytes_equal(hits[i].path, bytes_of("/var/log/x")))
            wrong(answer, "a line that nobody wrote");
    if (count > world->lines)
        wrong(answer, "a line twice");
    if (count < world->lines)
        answer->less = "lines";
    arena_reset(&arena);
}

static int take_row(void *context, struct bytes key, struct bytes value)
{
    size_t *count = context;
    (void)key;
    ++*count;
    return bytes_equal(value, bytes_of("stored up to here")) ? 0 : ERR_INVALID;
}

static int take_metadata(void *context, struct bytes name, const struct metadata *metadata)
{
    size_t *count = context;
    ++*count;
    return bytes_equal(name, bytes_of("m")) && bytes_equal(metadata->help, bytes_of(HELP))
               ? 0
               : ERR_INVALID;
}

static void ask_state(struct kit *kit, struct answer *answer)
{
    size_t rows = 0;
    size_t names = 0;
    if (store_state_scan(kit->store, bytes_of("stream/"), take_row, &rows) != 0)
        wrong(answer, "a state row that nobody wrote");
    if (store_metadata_scan(kit->store, take_metadata, &names) != 0)
        wrong(answer, "metadata that nobody wrote");
    if (rows < 60 || names < 1)
        answer->less = rows < 60 ? "state" : "metadata";
    if (rows > 60)
        wrong(answer, "state rows twice");
}

/* Opens, asks, writes, asks again; then a second time, when all that was set right must last. */
static enum verdict judge(struct world *world, char why[256])
{
    bool was_named = false;
    struct answer answer = {.is_wrong = false};
    for (unsigned round = 0; round < 2; round++) {
        struct kit kit = world->kit;
        struct diagnosis diagnosis = {""};
        struct store_stats stats;
        kit.options.directory = world->copy;
        kit.options.clock = &kit.clock;
        kit.clock.context = &kit;
        if (store_open(&kit.options, &kit.store, &diagnosis) != 0) {
            (void)snprintf(why, 256, "%.255s", diagnosis.text);
            return strstr(diagnosis.text, "damaged") != NULL && round == 0 ? REFUSED : WRONG;
        }
        ask_samples(&kit, world, &answer);
        ask_lines(&kit, world, &answer);
        ask_state(&kit, &answer);
        int64_t ts_ms = KIT_START_MS + 30 * 3600 * INT64_C(1000) + round;
        if (kit_write(&kit, 3, ts_ms, 77) != 0 || kit_put(&kit, "notify/x", "y") != 0)
            wrong(&answer, "it does not take a write");
        store_get_stats(kit.store, &stats);
        if (kit_count(&kit, MATCH_EQUAL, "__name__", "m", ts_ms, ts_ms) != 1)
            wrong(&answer, "what was just written is not there");
        model_write(&world->model, 3, ts_ms, 77);
        was_named = was_named || stats.quarantined > 0;
        int error = round == 0 ? store_settle(kit.store) : 0;
        if (error != 0)
            wrong(&answer, error_text(error));
        kit_close(&kit);
    }
    (void)snprintf(why, 256, "%.255s", answer.why);
    if (answer.is_wrong)
        return WRONG;
    if (answer.less != NULL && !was_named)
        (void)snprintf(why, 256, "%s are missing, and nothing was said", answer.less);
    return was_named ? NAMED : answer.less != NULL ? WRONG : RIGHT;
}

static const char *last_words(const struct world *world)
{
    static char words[1024];
    int fd = open(log_of(world), O_RDONLY);
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t got = pread(fd, words, sizeof words - 1,
                        size > (off_t)sizeof words - 1 ? size - (off_t)sizeof words + 1 : 0);
    words[got > 0 ? got : 0] = '\0';
    (void)close(fd);
    return words;
}

/* The same in a process of its own. */
static enum verdict judge_apart(struct world *world, const char *what)
{
    int fds[2];
    char why[256] = "";
    int status;
    must(pipe(fds) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        int told = open(log_of(world), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        (void)dup2(told, STDERR_FILENO); /* the log of a damaged store is long */
        (void)alarm(120);                /* an endless loop is a death, too */
        enum verdict verdict = judge(world, why);
        must(write(fds[1], why, sizeof why) == (ssize_t)sizeof why);
        _exit((int)verdict);
    }
    (void)close(fds[1]);
    if (read(fds[0], why, sizeof why) < 0)
        why[0] = '\0';
    (void)close(fds[0]);
    must(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status))
        fail_msg("%s: the store died of signal %d: %s", what, WTERMSIG(status),
                 last_words(world));
    if (WEXITSTATUS(status) >= WRONG)
        fail_msg("%s: %s: %s", what, why, last_words(world));
    return (enum verdict)WEXITSTATUS(status);
}

/* -- cases ------------------------------------------------------------------------------- */

/* Of a file: any byte, and every other time one of a page that leads to others. */
static off_t choose(const char *path, bool is_tree, unsigned *seed)
{
    struct bytes file;
    must(care_map(path, &file, NULL) == 0);
    off_t size = (off_t)file.size;
    off_t at = (off_t)rand_r(seed) % size;
    for (unsigned tries = 0; is_tree && tries < 100000; tries++) {
        const uint8_t *page = file.data + at / PAGE * PAGE;
        off_t lower = page[12] | page[13] << 8;
        off_t upper = page[14] | page[15] << 8;
        bool is_meta = at < 2 * PAGE;
        if (is_meta ? at % PAGE < 152
                    : (page[10] & 3) != 0 && (at % PAGE < lower || at % PAGE >= upper))
            break;
        at = (off_t)rand_r(seed) % size;
    }
    care_unmap(file);
    return at;
}

static void turn_bits(struct world *world, const char *folder, const char *ending,
                      unsigned count, unsigned seed)
{
    unsigned counts[WRONG] = {0};
    for (unsigned i = 0; i < count; i++) {
        char path[CARE_PATHS];
        char where[CARE_PATHS * 2];
        char what[CARE_PATHS * 2];
        fresh_copy(world);
        (void)snprintf(where, sizeof where, "%s/%s", world->copy, folder);
        care_find(where, ending, path);
        off_t at = choose(path, i % 2 == 0, &seed);
        int fd = open(path, O_RDWR);
        uint8_t byte;
        must(fd >= 0 && pread(fd, &byte, 1, at) == 1);
        byte = (uint8_t)(byte ^ 1u << rand_r(&seed) % 8);
        must(pwrite(fd, &byte, 1, at) == 1 && close(fd) == 0);
        (void)snprintf(what, sizeof what, "%s byte %lld (page %lld at %lld)", ending,
                       (long long)at, (long long)(at / PAGE), (long long)(at % PAGE));
        counts[judge_apart(world, what)]++;
    }
    print_message("%s/*%s: %u right, %u named, %u refused\n", folder, ending, counts[RIGHT], counts[NAMED],
                  counts[REFUSED]);
    assert_true(counts[NAMED] > count / 20 && counts[RIGHT] > 0);
}

static void a_bit_turned_in_live_after_a_kill_is_right_or_named(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 21, false);
    turn_bits(&world, "live", ".mdb", places, 1);
    world_stop(&world);
}

static void a_bit_turned_in_live_after_a_clean_stop_is_right_or_named(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 22, true);
    turn_bits(&world, "live", ".mdb", places / 2, 2);
    world_stop(&world);
}

static void a_bit_turned_in_history_is_right_or_named(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 23, true);
    turn_bits(&world, "history", ".samples.mdb", places, 3);
    turn_bits(&world, "history", ".logs.mdb", places, 4);
    world_stop(&world);
}

/* A page of live that reads as zeros, as another page, or as noise. */
static void a_page_lost_or_exchanged_in_live_is_right_or_named(void **state)
{
    (void)state;
    struct world world;
    char path[CARE_PATHS * 2];
    unsigned seed = 5;
    world_start(&world, 24, false);
    (void)snprintf(path, sizeof path, "%s/live/data.mdb", world.copy);
    for (unsigned i = 0; i < places / 4; i++) {
        char what[64];
        uint8_t page[PAGE] = {0};
        fresh_copy(&world);
        off_t pages = care_size(path) / PAGE;
        off_t at = rand_r(&seed) % pages;
        int fd = open(path, O_RDWR);
        must(fd >= 0);
        if (i % 3 == 1)
            must(pread(fd, page, PAGE, rand_r(&seed) % pages * PAGE) == PAGE);
        for (size_t j = 0; i % 3 == 2 && j < PAGE; j++)
            page[j] = (uint8_t)rand_r(&seed);
        must(pwrite(fd, page, PAGE, at * PAGE) == PAGE && close(fd) == 0);
        (void)snprintf(what, sizeof what, "page %lld, kind %u", (long long)at, i % 3);
        (void)judge_apart(&world, what);
    }
    world_stop(&world);
}

static bool was_set_aside(const struct world *world, const char *name)
{
    char reason[QUARANTINE_REASON_BYTES];
    return quarantine_reason(world->copy, name, reason);
}

/* A torn newest meta page: the commit before opens; both torn: refused, with what to do. */
static void torn_metas_are_named_and_the_commit_before_opens(void **state)
{
    (void)state;
    struct world world;
    char path[CARE_PATHS * 2];
    char why[256] = "";
    world_start(&world, 25, false);
    (void)snprintf(path, sizeof path, "%s/live/data.mdb", world.copy);
    for (off_t page = 0; page < 2; page++) {
        fresh_copy(&world);
        care_flip(path, page * PAGE + 17);
        assert_int_equal(judge_apart(&world, "a torn meta page"), NAMED);
        assert_true(was_set_aside(&world, "live.metas"));
    }
    fresh_copy(&world);
    care_flip(path, 17);
    care_flip(path, PAGE + 17);
    assert_int_equal(judge_apart(&world, "both meta pages torn"), REFUSED);
    assert_int_equal(judge(&world, why), REFUSED);
    assert_non_null(strstr(why, "fengsuictl restore"));
    world_stop(&world);
}

/* A root that leads nowhere, in both states: what can be reached goes on in a new file. */
static void a_broken_tree_costs_what_hung_on_it(void **state)
{
    (void)state;
    struct world world;
    char path[CARE_PATHS * 2];
    struct bytes file;
    world_start(&world, 26, false);
    (void)snprintf(path, sizeof path, "%s/live/data.mdb", world.copy);
    unsigned salvaged = 0;
    fresh_copy(&world);
    must(care_map(path, &file, NULL) == 0);
    off_t pages = (off_t)file.size / PAGE;
    care_unmap(file);
    for (off_t page = 2; page < pages && salvaged < 4; page++) {
        fresh_copy(&world);
        care_flip(path, page * PAGE + 12); /* its bounds */
        if (judge_apart(&world, "a page with other bounds") == NAMED)
            salvaged += was_set_aside(&world, "live-1.mdb");
    }
    assert_true(salvaged >= 1);
    world_stop(&world);
}

/* A name in the table of tables: LMDB would make an empty one of the right name. */
static void a_table_that_lost_its_name_is_named(void **state)
{
    (void)state;
    static const char *const names[] = {"state", "logs", "series", "wal"};
    struct world world;
    char path[CARE_PATHS * 2];
    world_start(&world, 28, true);
    (void)snprintf(path, sizeof path, "%s/live/data.mdb", world.copy);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct bytes file;
        off_t places_of[64];
        size_t count = 0;
        size_t size = strlen(names[i]);
        fresh_copy(&world);
        must(care_map(path, &file, NULL) == 0);
        for (size_t at = 8; at + size + 48 < file.size && count < 64; at++)
            if (memcmp(file.data + at, names[i], size) == 0 &&
                file.data[at - 2] == size && file.data[at - 4] == 2 && file.data[at - 8] == 48)
                places_of[count++] = (off_t)(at + size - 1);
        care_unmap(file);
        assert_true(count > 0);
        for (size_t j = 0; j < count; j++)
            care_flip(path, places_of[j]); /* in all states of it */
        assert_int_equal(judge_apart(&world, names[i]), NAMED);
    }
    world_stop(&world);
}

/* A file set aside is missed until a good copy is put back. */
static void a_good_copy_put_back_is_read_again(void **state)
{
    (void)state;
    struct world world;
    char path[CARE_PATHS];
    char whole[CARE_PATHS * 2];
    char folder[CARE_PATHS * 2];
    world_start(&world, 27, true);
    fresh_copy(&world);
    (void)snprintf(folder, sizeof folder, "%s/history", world.copy);
    care_find(folder, ".samples.mdb", path);
    care_flip(path, 17); /* a meta page */
    assert_int_equal(judge_apart(&world, "damaged"), NAMED);
    assert_int_equal(access(path, F_OK), -1);
    assert_true(was_set_aside(&world, strrchr(path, '/') + 1));
    for (int64_t round = 0; round < 2; round++) /* what the judges wrote */
        model_write(&world.model, 3, KIT_START_MS + 30 * 3600 * INT64_C(1000) + round, 77);
    assert_int_equal(judge_apart(&world, "still missing"), NAMED);
    (void)snprintf(whole, sizeof whole, "%s/history%s", world.kit.directory, strrchr(path, '/'));
    copy_file(whole, path);
    assert_int_equal(judge_apart(&world, "put back"), RIGHT);
    assert_false(was_set_aside(&world, strrchr(path, '/') + 1));
    world_stop(&world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_metas_are_named_and_the_commit_before_opens),
        cmocka_unit_test(a_broken_tree_costs_what_hung_on_it),
        cmocka_unit_test(a_table_that_lost_its_name_is_named),
        cmocka_unit_test(a_good_copy_put_back_is_read_again),
        cmocka_unit_test(a_bit_turned_in_live_after_a_kill_is_right_or_named),
        cmocka_unit_test(a_bit_turned_in_live_after_a_clean_stop_is_right_or_named),
        cmocka_unit_test(a_bit_turned_in_history_is_right_or_named),
        cmocka_unit_test(a_page_lost_or_exchanged_in_live_is_right_or_named),
    };
    if (argc > 1 && strcmp(argv[1], "--long") == 0)
        places = 3000;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
