#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/config.h"
#include "proto/base/error.h"

struct target {
    const char *listen;
    const char *cert;
    bool on;
    int64_t count;
    int64_t interval_ms;
    uint64_t quota_bytes;
    struct config_strings files;
    const struct config_node *rest;
};

static const char *const levels[] = {"low", "high", NULL};

static const struct config_option options[] = {
    {.key = "listen", .type = CONFIG_STRING, .offset = offsetof(struct target, listen),
     .fallback = "127.0.0.1:9470"},
    {.key = "cert", .type = CONFIG_FILE, .offset = offsetof(struct target, cert)},
    {.key = "on", .type = CONFIG_BOOL, .offset = offsetof(struct target, on)},
    {.key = "count", .type = CONFIG_INTEGER, .offset = offsetof(struct target, count),
     .min = 1, .max = 10},
    {.key = "interval", .type = CONFIG_DURATION, .offset = offsetof(struct target, interval_ms),
     .fallback = "5s", .min = 100, .max = 3600000},
    {.key = "quota", .type = CONFIG_SIZE, .offset = offsetof(struct target, quota_bytes)},
    {.key = "files", .type = CONFIG_FILES, .offset = offsetof(struct target, files)},
    {.key = "level", .type = CONFIG_STRING, .offset = offsetof(struct target, listen),
     .choices = levels},
    {.key = "rest", .type = CONFIG_NODE, .offset = offsetof(struct target, rest)},
};
#define OPTIONS (sizeof options / sizeof options[0])

/* Reads `text` by the table; returns the diagnosis, "" if all was well. */
static const char *read_text(const char *text, struct target *target, struct config **config)
{
    static struct diagnosis why;
    why.text[0] = '\0';
    *target = (struct target){0};
    *config = NULL;
    if (config_parse("etc/x.yml", bytes_of(text), config, &why) == 0)
        (void)config_read(*config, config_root(*config), "", options, OPTIONS, target, &why);
    return why.text;
}

static void values_and_defaults_reach_the_struct(void **state)
{
    struct target target;
    struct config *config;
    (void)state;
    assert_string_equal(read_text("cert: keys/a.pem\non: yes\ncount: 7\ninterval: 1m30s\n"
                                  "quota: 64MiB\nfiles: [a, /b]\nrest: {x: 1}\n",
                                  &target, &config),
                        "");
    assert_string_equal(target.listen, "127.0.0.1:9470");
    assert_string_equal(target.cert, "etc/keys/a.pem");
    assert_true(target.on);
    assert_int_equal(target.count, 7);
    assert_int_equal(target.interval_ms, 90000);
    assert_int_equal(target.quota_bytes, 64 << 20);
    assert_int_equal(target.files.count, 2);
    assert_string_equal(target.files.items[0], "etc/a");
    assert_string_equal(target.files.items[1], "/b");
    assert_string_equal(config_child(target.rest, "x")->text, "1");
    config_free(config);
}

static void every_mistake_names_file_line_key_and_reason(void **state)
{
    static const struct {
        const char *because, *text, *message;
    } cases[] = {
        {"a misspelt key", "on: yes\nlistn: x\n",
         "etc/x.yml:2: unknown key \"listn\" (did you mean \"listen\"?)"},
        {"a wrong type", "count: many\n", "etc/x.yml:1: count: \"many\" is not a whole number"},
        {"out of range", "count: 11\n", "etc/x.yml:1: count: \"11\" is not between 1 and 10"},
        {"a bare number is no duration", "interval: 5\n",
         "etc/x.yml:1: interval: \"5\" is not a duration such as 15s, 5m or 1h30m"},
        {"a duration out of range", "interval: 1ms\n",
         "etc/x.yml:1: interval: \"1ms\" is not between 100ms and 1h"},
        {"a choice", "level: hgih\n",
         "etc/x.yml:1: level: \"hgih\" is not allowed here (did you mean \"high\"?)"},
        {"a map for a value", "listen: {a: 1}\n",
         "etc/x.yml:1: listen: a map is not a single value"},
        {"a key twice", "on: yes\non: no\n",
         "etc/x.yml:2: key \"on\" is there already, on line 1"},
        {"an alias", "on: &a yes\n", "etc/x.yml:1: anchors (&name) are not allowed"},
        {"a list at the top", "- a\n", "etc/x.yml:1: a map (key: value) is expected here"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct target target;
        struct config *config;
        const char *message = read_text(cases[i].text, &target, &config);
        if (strcmp(message, cases[i].message) != 0)
            print_message("%s\n", cases[i].because);
        assert_string_equal(message, cases[i].message);
        config_free(config);
    }
}

static void broken_yaml_names_the_line(void **state)
{
    struct target target;
    struct config *config;
    (void)state;
    const char *message = read_text("on: yes\n\tcount: 1\n", &target, &config);
    assert_non_null(strstr(message, "etc/x.yml:2: not YAML: "));
    config_free(config);
}

static void an_empty_file_is_an_empty_map(void **state)
{
    struct target target;
    struct config *config;
    (void)state;
    assert_string_equal(read_text("# nothing\n", &target, &config), "");
    assert_int_equal(target.interval_ms, 5000);
    config_free(config);
}

static void nesting_is_bounded(void **state)
{
    char text[2 * CONFIG_DEPTH_MAX + 8];
    struct target target;
    struct config *config;
    (void)state;
    memset(text, '[', CONFIG_DEPTH_MAX + 1);
    text[CONFIG_DEPTH_MAX + 1] = '\0';
    assert_string_equal(read_text(text, &target, &config), "etc/x.yml:1: nested too deeply");
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_defaults_reach_the_struct),
        cmocka_unit_test(every_mistake_names_file_line_key_and_reason),
        cmocka_unit_test(broken_yaml_names_the_line),
        cmocka_unit_test(an_empty_file_is_an_empty_map),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
