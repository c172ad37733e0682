/*
 * test_curve.c - key pairs in files: made once, loaded ever after, refused when in doubt.
 */
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
#include <zmq.h>

#include "proto/base/error.h"
#include "proto/wire/curve.h"

struct folder {
    char path[64];
    char secret[96];
    char public[96];
};

static int make_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);
    if (folder == NULL)
        return -1;
    (void)strcpy(folder->path, "/tmp/fengsui-curve-XXXXXX");
    if (mkdtemp(folder->path) == NULL) {
        free(folder);
        return -1;
    }
    (void)snprintf(folder->secret, sizeof folder->secret, "%s/probe.key", folder->path);
    (void)snprintf(folder->public, sizeof folder->public, "%s/probe.pub", folder->path);
    *state = folder;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;
    (void)unlink(folder->secret);
    (void)unlink(folder->public);
    (void)rmdir(folder->path);
    free(folder);
    return 0;
}

static unsigned mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void write_text(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_pair_is_made_once_and_loaded_ever_after(void **state)
{
    const struct folder *folder = *state;
    struct curve_pair made, loaded;
    struct diagnosis why = {{0}};
    uint8_t key[CURVE_KEY_BYTES];
    char derived[CURVE_TEXT_BYTES];

    assert_int_equal(curve_load_or_make(folder->secret, folder->public, &made, &why), 0);
    assert_int_equal(mode_of(folder->secret), 0600);
    assert_int_equal(mode_of(folder->public), 0644);
    assert_int_equal(zmq_curve_public(derived, made.secret_text), 0);
    assert_string_equal(derived, made.public_text);
    assert_non_null(zmq_z85_decode(key, made.public_text));
    assert_memory_equal(key, made.public_key, sizeof key);
    assert_int_equal(curve_load_or_make(folder->secret, folder->public, &loaded, &why), 0);
    assert_string_equal(made.secret_text, loaded.secret_text);
    assert_string_equal(made.public_text, loaded.public_text);
    assert_memory_equal(made.public_key, loaded.public_key, CURVE_KEY_BYTES);
    assert_string_equal(why.text, "");
}

static void a_missing_public_file_is_written_anew(void **state)
{
    const struct folder *folder = *state;
    struct curve_pair made, loaded;
    char text[CURVE_TEXT_BYTES];
    struct diagnosis why = {{0}};

    assert_int_equal(curve_load_or_make(folder->secret, folder->public, &made, &why), 0);
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            assert_int_equal(unlink(folder->public), 0);
        else
            assert_int_equal(truncate(folder->public, 0), 0); /* as a power cut may leave it */
        assert_int_equal(curve_load_or_make(folder->secret, folder->public, &loaded, &why), 0);
        assert_string_equal(made.public_text, loaded.public_text);
        assert_int_equal(curve_public_from(folder->public, text, &why), 0);
        assert_string_equal(text, made.public_text);
    }
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
    const struct folder *folder = *state;
    struct curve_pair pair, got;
    struct diagnosis why = {{0}};

    assert_int_equal(curve_load_or_make(folder->secret, folder->public, &pair, &why), 0);
    assert_int_equal(chmod(folder->secret, 0640), 0);
    memset(&got, 7, sizeof got);
    assert_int_equal(curve_load_or_make(folder->secret, folder->public, &got, &why),
                     ERR_REFUSED);
    assert_non_null(strstr(why.text, folder->secret));
    assert_int_equal(got.secret_text[0], 7);
}

static void doubtful_files_are_refused(void **state)
{
    static const char other[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    const struct folder *folder = *state;
    struct curve_pair pair;
    struct diagnosis why = {{0}};

    write_text(folder->secret, "not a key\n", 0600);
    assert_int_equal(curve_load_or_make(folder->secret, folder->public, &pair, &why),
                     ERR_MALFORMED);
    assert_int_equal(unlink(folder->secret), 0);

    /* A public key alone: somebody lost the secret, and a new one would lose the identity. */
    write_text(folder->public, other, 0644);
    why.text[0] = '\0';
    assert_int_equal(curve_load_or_make(folder->secret, folder->public, &pair, &why),
                     ERR_NOTFOUND);
    assert_non_null(strstr(why.text, folder->secret));
    assert_int_equal(unlink(folder->public), 0);

    why.text[0] = '\0';
    assert_int_equal(curve_load_or_make(folder->secret, folder->public, &pair, &why), 0);
    write_text(folder->public, other, 0644);
    assert_int_equal(curve_load_or_make(folder->secret, folder->public, &pair, &why),
                     ERR_MALFORMED);
    assert_non_null(strstr(why.text, folder->public));
}

static void a_public_key_is_text_or_a_file(void **state)
{
    static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    const struct folder *folder = *state;
    char text[CURVE_TEXT_BYTES] = "untouched";
    struct diagnosis why = {{0}};

    assert_int_equal(curve_public_from("/nowhere/at/all", text, &why), ERR_NOTFOUND);
    write_text(folder->public, "short\n", 0644);
    assert_int_equal(curve_public_from(folder->public, text, &why), ERR_MALFORMED);
    assert_string_equal(text, "untouched");
    assert_int_equal(curve_public_from(key, text, &why), 0);
    assert_string_equal(text, key);
    write_text(folder->public, "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n", 0644);
    assert_int_equal(curve_public_from(folder->public, text, &why), 0);
    assert_string_equal(text, key);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(a_pair_is_made_once_and_loaded_ever_after),
        IN_A_FOLDER(a_missing_public_file_is_written_anew),
        IN_A_FOLDER(a_secret_that_others_can_read_is_refused),
        IN_A_FOLDER(doubtful_files_are_refused),
        IN_A_FOLDER(a_public_key_is_text_or_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
