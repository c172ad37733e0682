/* test_users.c - users.yml, passwords, tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the above first
#include <cmocka.h>

#include "collector/http/users.h"
#include "proto/base/error.h"

/* Loads users.yml with this content. */
static int load(const char *text, struct users **ret_users, struct diagnosis *why)
{
    char path[] = "/tmp/test_users.XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int error = users_load(path, ret_users, why);
    unlink(path);
    return error;
}

static void a_bad_file_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "nobody could log in"},
        {"users:\n  - {name: li, role: boss, password_hash: x}\n", ":2: "},
        {"users:\n  - {name: li, role: admin, password_hash: plain}\n", "fengsuictl users hash"},
        {"users:\n  - {name: li, role: admin}\n", "password_hash"},
        {"tokens:\n  - {name: g, role: viewer, token_hash: \"blake2b:12\"}\n", "64 hex"},
        {"tokenz: []\n", "did you mean \"tokens\"?"},
        {"users: {name: li}\n", "must be a list"},
        {"users:\n"
         "  - {name: li, role: viewer, password_hash: \"$argon2id$x\"}\n"
         "  - {name: li, role: viewer, password_hash: \"$argon2id$x\"}\n",
         ":3: \"li\" is there twice"},
        {"users:\n  - {name: \"a:b\", role: viewer, password_hash: \"$argon2id$x\"}\n", "colon"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct users *users = NULL;
        struct diagnosis why = {0};
        int error = load(cases[i].text, &users, &why);
        if (error != ERR_INVALID || strstr(why.text, cases[i].message) == NULL)
            fail_msg("%s: %d \"%s\"", cases[i].text, error, why.text);
        assert_null(users);
    }
}

static struct users *two_users(void)
{
    char li[USERS_HASH_BYTES];
    char token[USERS_HASH_BYTES];
    char text[1024];
    assert_int_equal(users_hash_password("secret", li), 0);
    assert_int_equal(users_hash_token("machine-token", token), 0);
    snprintf(text, sizeof text,
             "users:\n  - {name: li, role: operator, password_hash: \"%s\"}\n"
             "tokens:\n  - {name: grafana, role: viewer, token_hash: \"%s\"}\n",
             li, token);
    struct users *users = NULL;
    struct diagnosis why = {0};
    if (load(text, &users, &why) != 0)
        fail_msg("%s", why.text);
    return users;
}

static void a_right_password_is_hashed_once_and_then_remembered(void **state)
{
    (void)state;
    struct users *users = two_users();
    struct identity identity = {0};
    const char *header = "Basic bGk6c2VjcmV0"; /* li:secret */
    assert_int_equal(users_check(users, header, &identity), VERDICT_UNSURE);
    assert_int_equal(users_verify(users, header, &identity), VERDICT_ALLOWED);
    assert_string_equal(identity.name, "li");
    assert_int_equal(identity.role, ROLE_OPERATOR);
    identity = (struct identity){0};
    assert_int_equal(users_check(users, header, &identity), VERDICT_ALLOWED);
    assert_string_equal(identity.name, "li");
    users_unref(users);
}

static void wrong_ones_are_refused_and_not_remembered(void **state)
{
    (void)state;
    struct users *users = two_users();
    struct identity identity = {0};
    static const char *const headers[] = {
        "Basic bGk6d3Jvbmc=",     /* li:wrong */
        "Basic d2FuZzpzZWNyZXQ=", /* wang:secret */
        "Basic bGk=",             /* no colon */
        "Basic !!!",
        "Basic ",
        "Bearer wrong",
        "Bearer ",
        "Digest x",
        "",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        assert_int_equal(users_verify(users, headers[i], &identity), VERDICT_REFUSED);
        assert_int_not_equal(users_check(users, headers[i], &identity), VERDICT_ALLOWED);
    }
    assert_null(identity.name);
    users_unref(users);
}

static void a_token_is_checked_at_once(void **state)
{
    (void)state;
    struct users *users = two_users();
    struct identity identity = {0};
    assert_int_equal(users_check(users, "Bearer machine-token", &identity), VERDICT_ALLOWED);
    assert_string_equal(identity.name, "grafana");
    assert_int_equal(identity.role, ROLE_VIEWER);
    users_unref(users);
}

static void a_writer_may_only_write(void **state)
{
    (void)state;
    static const struct {
        enum http_role has, needs;
        bool allowed;
    } cases[] = {
        {ROLE_VIEWER, ROLE_NONE, true},      {ROLE_WRITER, ROLE_NONE, true},
        {ROLE_WRITER, ROLE_VIEWER, false},   {ROLE_WRITER, ROLE_ADMIN, false},
        {ROLE_WRITER, ROLE_WRITER, true},    {ROLE_VIEWER, ROLE_WRITER, false},
        {ROLE_OPERATOR, ROLE_WRITER, false}, {ROLE_ADMIN, ROLE_WRITER, true},
        {ROLE_VIEWER, ROLE_OPERATOR, false}, {ROLE_OPERATOR, ROLE_VIEWER, true},
        {ROLE_OPERATOR, ROLE_ADMIN, false},  {ROLE_ADMIN, ROLE_OPERATOR, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(role_allows(cases[i].has, cases[i].needs), cases[i].allowed);
}

static void a_claimed_name_is_cut_not_trusted(void **state)
{
    (void)state;
    char name[8];
    users_claimed_name("Basic YS12ZXJ5LWxvbmctbmFtZTp4", name, sizeof name);
    assert_string_equal(name, "a-very-");
    users_claimed_name("", name, sizeof name);
    assert_string_equal(name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_file_is_refused_with_its_line),
        cmocka_unit_test(a_right_password_is_hashed_once_and_then_remembered),
        cmocka_unit_test(wrong_ones_are_refused_and_not_remembered),
        cmocka_unit_test(a_token_is_checked_at_once),
        cmocka_unit_test(a_writer_may_only_write),
        cmocka_unit_test(a_claimed_name_is_cut_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
