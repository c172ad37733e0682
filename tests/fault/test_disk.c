/*
 * test_disk.c - a store whose process is killed, or whose power goes, at any of the calls with
 * which it changes the disk.
 *
 * One life of a store - commits, deletes, checkpoints, flushes, merges, rewriting, a backup, a stop,
 * a second start, roll-ups, the end of their samples, and what is deleted and comes late then - is
 * recorded call by call (io_world.h).  Then the disk is made as it is after the first
 * n calls: all of them done, as a kill leaves it; or with what was not synced lost, torn or
 * reordered, as a power cut leaves it (disk_image.h).  On each such folder a verification is
 * clean, the store opens, everything acknowledged is there once, nothing deleted is, a backup that
 * was said to be made is one, and when the samples have expired each tier of roll-ups has what they
 * would have given.  Besides, some processes are really killed there.
 *
 * One series more has samples of half the age: when the day is due they go first, into roll-ups that
 * are read beside the samples of the others.
 *
 * Without `--long` every few calls are tried, with it all of them and many more power cuts.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/store/care.h"
#include "collector/store/restore.h"
#include "collector/store/verify.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/fault/disk_image.h"
#include "tests/fault/io_world.h"
#include "tests/fault/store_world.h"

#define PATHS      160
#define OPERATIONS 32
#define HOUR_MS    ((int64_t)3600000)
#define DAY_MS     (12 * SPAN_MS)
#define RETENTION  (16 * DAY_MS) /* a day is rolled up when two of it are left */
#define BEFORE_MS  (KIT_START_MS + 3 * SPAN_MS)
#define DUE_MS     (KIT_START_MS + RETENTION)
#define AFTER_MS   (DUE_MS + DAY_MS)
#define EXTRA      40
#define NOTE(what, number) ((uint32_t)(what) << 24 | (number))

static bool is_long;

/* What the store has said so far. */
struct said {
    unsigned acknowledged[OPERATIONS];
    unsigned count, pending, before_backup; /* so many were there when the backup began */
    bool has_backup, backup_begun, is_due;
    bool extra_begun, has_extra; /* the series of an age of its own */
};

static void take_note(struct said *said, uint32_t note)
{
    unsigned number = note & 0xffffff;
    switch (note >> 24) {
    case 's':
        said->pending = number;
        break;
    case 'a':
        must(said->count < OPERATIONS);
        said->acknowledged[said->count++] = number;
        said->pending = 0;
        break;
    case 'B':
        said->backup_begun = true;
        said->before_backup = said->count;
        break;
    case 'b':
        said->has_backup = true;
        break;
    case 'd':
        said->is_due = true;
        break;
    case 'X':
        said->extra_begun = true;
        break;
    case 'x':
        said->has_extra = true;
        break;
    default:
        break;
    }
}

/* -- one life ---------------------------------------------------------------------------- */

static struct said *shared; /* with the child that is really killed */

static void note(char what, unsigned number)
{
    take_note(shared, NOTE(what, number));
    io_world_note(NOTE(what, number));
}

static int64_t kit_ms(void *context)
{
    return ((struct kit *)context)->now_ms;
}

static mono_ns kit_ns(void *context)
{
    return (mono_ns)((struct kit *)context)->now_ms * NS_PER_MS;
}

static struct matcher *extra_matcher;
static struct store_retention extra_age = {.raw_ms = RETENTION / 2, .rollup_5m_ms = 2 * RETENTION};

static void set_up(struct kit *kit, const char *folder, int64_t now_ms)
{
    *kit = (struct kit){.now_ms = now_ms};
    kit->clock = (struct clock){kit_ms, kit_ns, kit};
    kit->options.retention_raw_ms = RETENTION;
    kit->options.rolls_up = true;
    kit->options.ages = &extra_age;
    kit->options.age_count = 1;
    must((size_t)snprintf(kit->directory, sizeof kit->directory, "%s", folder) <
         sizeof kit->directory);
}

static void operate(struct kit *kit, unsigned operation)
{
    note('s', operation);
    if (operation == EXPIRE) {
        kit->now_ms = AFTER_MS;
        must(store_settle(kit->store) == 0);
    } else if ((operation & DELETE) != 0) {
        must(world_delete(kit, operation & ~DELETE) == 0);
    } else {
        must(world_write(kit, operation) == 0);
    }
    note('a', operation);
}

static void write_some(struct kit *kit, unsigned first, unsigned last)
{
    for (unsigned seed = first; seed <= last; seed++) {
        operate(kit, seed);
        if (seed % 4 == 0)
            operate(kit, seed | DELETE);
        if (seed % 5 == 0)
            must(store_settle(kit->store) == 0);
    }
}

/* Of the series of an age of its own, all of it. */
static void write_extra(struct kit *kit)
{
    struct store_sample samples[EXTRA];
    struct series *series;
    const struct labels *labels = kit_labels("extra", "0");
    must(store_series_resolve(kit->store, labels, NULL, &series) == 0);
    labels_free(labels);
    for (int i = 0; i < EXTRA; i++)
        samples[i] = (struct store_sample){series, KIT_START_MS + (i + 1) * (SPAN_MS / EXTRA), i};
    struct store_write write = {.samples = samples, .sample_count = EXTRA};
    note('X', 0);
    must(store_write_wait(kit->store, &write) == 0);
    note('x', 0);
    store_series_release(kit->store, series);
}

/* What is deleted leaves the files at once: the samples, and the roll-ups there are. */
static void delete_and_clean(struct kit *kit, unsigned seed)
{
    operate(kit, seed | DELETE);
    must(store_clean_deletes(kit->store) == 0);
}

static void back_up(struct kit *kit, const char *folder)
{
    struct buf out = {0};
    struct diagnosis why = {""};
    note('B', 0);
    must(store_backup_begin(kit->store, folder, false, false, &why) == 0);
    do {
        usleep(500);
        buf_clear(&out);
        store_care_print_json(kit->store, CARE_BACKUP, &out);
    } while (strstr(buf_text(&out), "\"running\"") != NULL);
    must(strstr(buf_text(&out), "\"done\"") != NULL);
    note('b', 0);
    buf_done(&out);
}

static void live_once(const char *root)
{
    struct kit kit;
    char data[PATHS];
    char backup[PATHS];
    (void)snprintf(data, sizeof data, "%s/data", root);
    (void)snprintf(backup, sizeof backup, "%s/backup", root);
    set_up(&kit, data, BEFORE_MS);
    kit_open(&kit);
    write_some(&kit, 1, 7);
    write_extra(&kit);
    write_some(&kit, 8, 9);
    back_up(&kit, backup);
    write_some(&kit, 10, 14);
    delete_and_clean(&kit, 1);
    kit_close(&kit);

    note('d', 0);
    kit.now_ms = DUE_MS;
    kit_open(&kit);
    must(store_settle(kit.store) == 0); /* the extra samples go, */
    must(store_settle(kit.store) == 0); /* and a copy of all is made */
    operate(&kit, 21);
    delete_and_clean(&kit, 2);
    must(store_settle(kit.store) == 0);
    delete_and_clean(&kit, 3);

    operate(&kit, EXPIRE);
    delete_and_clean(&kit, 4);
    operate(&kit, 22);
    must(store_settle(kit.store) == 0);
    delete_and_clean(&kit, 5);
    kit_close(&kit);
}

/* The child does not come back: 0, or IO_WORLD_DEAD. */
static int live_apart(const char *root, const char *journal, uint64_t die_at, bool in_the_middle)
{
    int status;
    *shared = (struct said){.count = 0};
    must(mkdir(root, 0750) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        io_world_watch(root);
        io_world_fast();
        if (journal != NULL)
            io_world_record(journal);
        io_world_die_at(die_at, in_the_middle);
        live_once(root);
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child);
    must(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* -- what is left ------------------------------------------------------------------------ */

struct ending {
    char root[64];
    char because[192];
    unsigned faults;
};

static struct ending at; /* for whoever dies */

static void tell_and_die(int signal_)
{
    (void)signal_;
    (void)dprintf(STDERR_FILENO, "it was: %s\n", at.because);
    _exit(1);
}

static void take_fault(void *context, const char *file, const char *what)
{
    (void)context;
    (void)fprintf(stderr, "%s: %s: %s\n", at.because, file, what);
}

static void remove_tree(const char *path)
{
    char command[PATHS + 16];
    (void)snprintf(command, sizeof command, "rm -rf %s", path);
    must(system(command) == 0);
}

static void expect_clean(const char *folder)
{
    struct diagnosis why = {""};
    struct verify verify = {.fault = take_fault};
    int error = verify_folder(&verify, folder, &why);
    if (error != 0 && error != ERR_NOTFOUND) /* before the first commit there may be no file */
        fail_msg("%s: %s", at.because, why.text);
    if (verify.counts.faults != 0)
        fail_msg("%s: a verification names faults", at.because);
}

static void history_of(struct history *history, const struct said *said, unsigned count)
{
    *history = (struct history){0};
    for (unsigned i = 0; i < count; i++)
        history_add(history, said->acknowledged[i]);
}

/* Whole, and with what had been acknowledged when it began; or refused. */
static void check_backup(const struct said *said)
{
    char backup[PATHS];
    char restored[PATHS];
    struct diagnosis why = {""};
    struct restore restore = {.fault = take_fault};
    struct history history;
    struct kit kit;
    (void)snprintf(backup, sizeof backup, "%s/backup", at.root);
    (void)snprintf(restored, sizeof restored, "%s/again", at.root);
    int error = restore_run(&restore, backup, restored, &why);
    if (error != 0 && said->has_backup)
        fail_msg("%s: the backup was made, and is refused: %s", at.because, why.text);
    if (error != 0 && error != ERR_REFUSED && error != ERR_NOTFOUND)
        fail_msg("%s: the backup is refused, but: %s", at.because, why.text);
    if (error != 0)
        return;
    set_up(&kit, restored, BEFORE_MS);
    history_of(&history, said, said->before_backup);
    world_check(&kit, &history, "a restore");
    free(history.seeds);
}

/* When the day has expired, both tiers have what is left of it, and no delete waits any more. */
static void check_rolled(struct kit *kit, struct history *history)
{
    struct store_stats stats;
    struct model model = {0};
    char why[256] = "";
    char command[2 * PATHS];
    if (!history->is_expired)
        history_add(history, EXPIRE);
    kit->now_ms = AFTER_MS;
    kit_open(kit);
    must(store_settle(kit->store) == 0);
    store_get_stats(kit->store, &stats);
    if (stats.rollup_files[0] != 1 || stats.rollup_files[1] != 1 || stats.deletes_pending != 0 ||
        stats.rollup_days_lost != 0)
        fail_msg("%s: %llu and %llu roll-ups, %llu deletes are left", at.because,
                 (unsigned long long)stats.rollup_files[0],
                 (unsigned long long)stats.rollup_files[1],
                 (unsigned long long)stats.deletes_pending);
    kit_close(kit);
    world_check(kit, history, at.because);
    (void)snprintf(command, sizeof command, "rm %s/history/*.rollup_5m.mdb", kit->directory);
    must(system(command) == 0);
    kit_open(kit);
    history_replay(history, HOUR_MS, &model);
    if (!world_buckets_agree(kit, &model, HOUR_MS, why, sizeof why))
        fail_msg("%s: of an hour: %s", at.because, why);
    model_done(&model);
    kit_close(kit);
}

/* All of them or, if that was not said, none; as samples or in records. */
static void check_extra(struct kit *kit, const struct said *said)
{
    struct arena arena;
    struct series_samples *series;
    double samples = 0;
    kit_open(kit);
    arena_init(&arena, (size_t)1 << 26);
    size_t count = kit_select(kit, MATCH_EQUAL, "__name__", "extra", KIT_START_MS,
                              KIT_START_MS + DAY_MS, &arena, &series);
    for (size_t i = 0; i < count; i++) {
        const size_t records = series[i].rolled != NULL ? series[i].rolled->count : 0;
        for (size_t j = 0; j < records; j++)
            samples += series[i].rolled->columns[ROLLED_SAMPLES][j];
        samples += (double)(series[i].count - records);
    }
    arena_reset(&arena);
    kit_close(kit);
    if (samples != EXTRA && (said->has_extra || (said->extra_begun && samples != 0)))
        fail_msg("%s: %g samples of another age are found, of %d", at.because, samples, EXTRA);
}

static void check_left(const struct said *said, bool with_backup, bool with_rolled)
{
    struct history history;
    struct kit kit;
    char data[PATHS];
    (void)snprintf(data, sizeof data, "%s/data", at.root);
    expect_clean(data);
    if (with_backup && said->backup_begun)
        check_backup(said);
    history_of(&history, said, said->count);
    history.pending = said->pending;
    set_up(&kit, data,
           history.is_expired || history.pending == EXPIRE ? AFTER_MS
           : said->is_due                                  ? DUE_MS
                                                           : BEFORE_MS);
    world_compare(&kit, &history, at.because);
    expect_clean(data);
    check_extra(&kit, said);
    if (with_rolled && history.writes > 0)
        check_rolled(&kit, &history);
    if (with_rolled && said->is_due)
        check_extra(&kit, said);
    free(history.seeds);
}

/* -- tests ------------------------------------------------------------------------------- */

static struct journal *journal;
static char journal_path[96];

static int record_a_life(void **state)
{
    (void)state;
    must(matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("extra"), &extra_matcher, NULL) ==
         0);
    extra_age.selection = (struct store_selection){&extra_matcher, 1};
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED);
    (void)snprintf(at.root, sizeof at.root, "/tmp/fengsui-disk-%d", (int)getpid());
    (void)snprintf(journal_path, sizeof journal_path, "%s.journal", at.root);
    (void)signal(SIGABRT, tell_and_die);
    remove_tree(at.root);
    must(live_apart(at.root, journal_path, 0, false) == 0);
    remove_tree(at.root);
    journal = journal_load(journal_path);
    print_message("a life of %zu calls\n", journal_length(journal));
    /* From here on it is the same process that opens what is left: its syncs cost nothing. */
    io_world_watch("/tmp");
    io_world_fast();
    return 0;
}

static int forget_it(void **state)
{
    (void)state;
    journal_free(journal);
    matcher_free(extra_matcher);
    (void)unlink(journal_path);
    return 0;
}

static void check_image(size_t n, enum image_fate fate, unsigned seed)
{
    struct said said = {.count = 0};
    for (size_t i = 0; i < n; i++)
        if (journal_note(journal, i) != 0)
            take_note(&said, journal_note(journal, i));
    (void)snprintf(at.because, sizeof at.because, "%s after call %zu, before %.80s (seed %u)",
                   fate == IMAGE_KILL   ? "a kill"
                   : fate == IMAGE_LOSE ? "a power cut that loses all it can"
                   : fate == IMAGE_LATE ? "a power cut that keeps what was written last"
                                        : "a power cut",
                   n, n < journal_length(journal) ? journal_name(journal, n) : "the end", seed);
    journal_play(journal, n, fate, seed, at.root);
    check_left(&said, n % 3 == 0, n % 3 != 1 || said.is_due);
    remove_tree(at.root);
}

static void a_kill_at_any_call_loses_nothing_acknowledged(void **state)
{
    (void)state;
    size_t stride = is_long ? 1 : 11;
    for (size_t n = 1; n <= journal_length(journal); n += stride)
        check_image(n, IMAGE_KILL, 0);
}

static void a_power_cut_that_loses_all_it_can_loses_nothing_acknowledged(void **state)
{
    (void)state;
    size_t stride = is_long ? 1 : 13;
    for (size_t n = 2; n <= journal_length(journal); n += stride)
        check_image(n, IMAGE_LOSE, 0);
}

static void a_power_cut_that_tears_and_reorders_loses_nothing_acknowledged(void **state)
{
    (void)state;
    unsigned random = 17;
    unsigned tries = is_long ? 4000 : 80;
    for (unsigned seed = 1; seed <= tries; seed++)
        check_image(1 + (size_t)rand_r(&random) % journal_length(journal), IMAGE_MIX, seed);
}

/* Before the first write is sent, nothing has been promised: the folder is opened all the same, whatever
 * of the store that was being made has reached the disk. */
static void a_power_cut_while_a_store_is_made_leaves_one_that_opens(void **state)
{
    (void)state;
    size_t made = 1;
    while (journal_note(journal, made) == 0)
        made++;
    unsigned tries = is_long ? 64 : 2;
    for (size_t n = 1; n <= made; n++) {
        check_image(n, IMAGE_LATE, 0);
        for (unsigned seed = 1; seed <= tries; seed++)
            check_image(n, IMAGE_MIX, seed);
    }
}

/* Really killed: what LMDB's lock file and the kernel hold of it is there, too. */
static void a_process_killed_at_the_nth_call_loses_nothing(void **state)
{
    (void)state;
    uint64_t stride = is_long ? 1 : 61;
    for (uint64_t n = 1;; n += stride) {
        bool in_the_middle = n % 2 == 0;
        (void)snprintf(at.because, sizeof at.because, "a process killed at call %llu",
                       (unsigned long long)n);
        int code = live_apart(at.root, NULL, n, in_the_middle);
        must(code == 0 || code == IO_WORLD_DEAD);
        check_left(shared, n % 5 == 0, true);
        remove_tree(at.root);
        if (code == 0)
            break;
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_at_any_call_loses_nothing_acknowledged),
        cmocka_unit_test(a_power_cut_that_loses_all_it_can_loses_nothing_acknowledged),
        cmocka_unit_test(a_power_cut_that_tears_and_reorders_loses_nothing_acknowledged),
        cmocka_unit_test(a_power_cut_while_a_store_is_made_leaves_one_that_opens),
        cmocka_unit_test(a_process_killed_at_the_nth_call_loses_nothing),
    };
    is_long = argc > 1 && strcmp(argv[1], "--long") == 0;
    return cmocka_run_group_tests(tests, record_a_life, forget_it);
}
