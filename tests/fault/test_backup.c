/*
 * test_backup.c - a collector's store that dies at every step of a backup, and at random in the
 * midst of one: the folder is a whole backup or is refused by name, and the store itself lacks
 * nothing.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/store/care.h"
#include "collector/store/restore.h"
#include "collector/store/verify.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define ALWAYS   INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS  ((int64_t)2 * 3600 * 1000)
#define SAMPLES  400
#define BLOWS    6
#define PATHS    128
#define EXIT_BOMB 99

static const char *const steps[] = {"backup.begun", "backup.live",     "backup.linked",
                                    "backup.read",  "backup.manifest", "backup.done"};

static void write_all(struct kit *kit, struct model *model)
{
    unsigned seed = 7;
    kit->now_ms = KIT_START_MS + 3 * SPAN_MS;
    for (int i = 0; i < SAMPLES; i++) {
        unsigned n = (unsigned)rand_r(&seed) % 20;
        int64_t ts = KIT_START_MS + rand_r(&seed) % (2 * SPAN_MS / 1000) * 1000;
        if (kit_write(kit, n, ts, i) != 0)
            _exit(1);
        model_write(model, n, ts, i);
        if (i == SAMPLES / 2 && store_settle(kit->store) != 0)
            _exit(1);
    }
}

static void die_at(void *context, const char *point)
{
    if (strcmp(point, context) == 0)
        _exit(EXIT_BOMB);
}

/* The child: opens, backs up, dies at the step, or goes on backing up until it is killed. */
static void child(struct kit *kit, const char *backup, const char *step)
{
    struct buf out = {0};
    kit->options.step = step != NULL ? die_at : NULL;
    kit->options.step_context = (void *)(uintptr_t)step;
    kit_open(kit);
    for (unsigned i = 0;; i++) {
        char path[PATHS + 16];
        (void)snprintf(path, sizeof path, "%s-%u", backup, i);
        if (store_backup_begin(kit->store, path, false, true, NULL) != 0)
            _exit(1);
        do {
            usleep(200);
            buf_clear(&out);
            store_care_print_json(kit->store, CARE_BACKUP, &out);
        } while (strstr(buf_text(&out), "\"running\"") != NULL);
        if (strstr(buf_text(&out), "\"done\"") == NULL)
            _exit(2);
    }
}

static void fail_at_fault(void *context, const char *file, const char *what)
{
    (void)context;
    (void)fprintf(stderr, "%s: %s\n", file, what);
}

/* A folder that the death has left: whole, and the same as the model; or refused, saying why. */
static bool is_whole_or_refused(struct kit *kit, const struct model *model, const char *backup)
{
    char restored[sizeof kit->directory]; /* the kit's own name, with another end */
    char command[2 * PATHS + 64];
    struct diagnosis why = {""};
    struct restore restore = {.fault = fail_at_fault};
    (void)snprintf(restored, sizeof restored, "/tmp/fengsui-restored-%d", (int)getpid());
    int error = restore_run(&restore, backup, restored, &why);
    if (error != 0) {
        assert_true(error == ERR_REFUSED || error == ERR_NOTFOUND);
        assert_non_null(strstr(why.text, backup));
        assert_int_equal(access(restored, F_OK), -1);
        return false;
    }
    struct kit other = *kit;
    memcpy(other.directory, restored, sizeof restored);
    other.clock.context = &other;
    other.options.step = NULL;
    kit_open(&other);
    kit_expect(&other, model, ALWAYS);
    kit_close(&other);
    (void)snprintf(command, sizeof command, "rm -rf %s", restored);
    assert_int_equal(system(command), 0);
    return true;
}

static void expect_clean(struct kit *kit, const struct model *model)
{
    struct diagnosis why = {""};
    struct verify verify = {.fault = fail_at_fault};
    assert_int_equal(verify_folder(&verify, kit->directory, &why), 0);
    assert_int_equal(verify.counts.faults, 0);
    kit->options.step = NULL;
    kit_open(kit);
    kit_expect(kit, model, ALWAYS);
    kit_close(kit);
}

static void remove_backups(const struct kit *kit)
{
    char command[PATHS + 32];
    (void)snprintf(command, sizeof command, "rm -rf %s-backup*", kit->directory);
    assert_int_equal(system(command), 0);
}

static void killed_at_each_step_it_is_whole_or_refused(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    char backup[PATHS];
    kit_start(&kit);
    write_all(&kit, &model);
    kit_close(&kit);
    (void)snprintf(backup, sizeof backup, "%s-backup", kit.directory);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char path[PATHS + 16];
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            child(&kit, backup, steps[i]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_BOMB);
        (void)snprintf(path, sizeof path, "%s-0", backup);
        /* Only the very last step comes after the moment at which it is whole. */
        assert_int_equal(is_whole_or_refused(&kit, &model, path),
                         strcmp(steps[i], "backup.done") == 0);
        expect_clean(&kit, &model);
        remove_backups(&kit);
    }
    model_done(&model);
    kit_stop_closed(&kit);
}

static void killed_at_random_it_is_whole_or_refused(void **state)
{
    (void)state;
    struct kit kit;
    struct model model = {0};
    char backup[PATHS];
    unsigned seed = 3;
    unsigned refused = 0;
    unsigned whole = 0;
    kit_start(&kit);
    write_all(&kit, &model);
    kit_close(&kit);
    (void)snprintf(backup, sizeof backup, "%s-backup", kit.directory);
    for (unsigned blow = 0; blow < BLOWS; blow++) {
        char path[PATHS + 16];
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            child(&kit, backup, NULL);
        /* Not before there is a folder; then after a while that is what is random here. */
        (void)snprintf(path, sizeof path, "%s-0", backup);
        while (access(path, F_OK) != 0)
            usleep(100);
        usleep((useconds_t)rand_r(&seed) % 60000);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        for (unsigned i = 0;; i++) {
            (void)snprintf(path, sizeof path, "%s-%u", backup, i);
            if (access(path, F_OK) != 0)
                break;
            if (is_whole_or_refused(&kit, &model, path))
                whole++;
            else
                refused++;
        }
        expect_clean(&kit, &model);
        remove_backups(&kit);
    }
    assert_true(refused > 0);
    print_message("%u blows: %u whole, %u refused\n", (unsigned)BLOWS, whole, refused);
    model_done(&model);
    kit_stop_closed(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_each_step_it_is_whole_or_refused),
        cmocka_unit_test(killed_at_random_it_is_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
