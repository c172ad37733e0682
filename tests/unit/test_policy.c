/*
 * test_policy.c - what a collector may ask of a probe, and what stays on disk of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/log/log.h"
#include "probe/policy.h"
#include "probe/self.h"
#include "proto/base/error.h"

static char folder[] = "/tmp/test_policy.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    (void)strcpy(folder, "/tmp/test_policy.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/policy.yml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static const char *const no_files[] = {NULL};
static const char *const app_files[] = {"/app/**/logs/*.log", "/var/log/messages"};

/* Options as options_read() makes them, of three sources. */
static struct options options_with(struct options_source sources_[4], const char *const *files,
                                   size_t file_count)
{
    const struct source *const which[] = {source_find("cpu"), source_find("processes"),
                                          &source_log, &source_self};
    for (size_t i = 0; i < 4; i++)
        sources_[i] = (struct options_source){.source = which[i], .is_enabled = true};
    return (struct options){.sources = sources_,
                            .source_count = 4,
                            .interval_ms = 5000,
                            .rootfs = "/",
                            .allow = {.files = {files, file_count},
                                      .all_sources = true,
                                      .interval_least_ms = 1000}};
}

static struct policy *parse(const char *document)
{
    struct policy *policy = NULL;
    struct diagnosis why = {0};
    int error = policy_parse(7, bytes_of(document), &policy, &why);
    if (error != 0)
        fail_msg("%s", why.text);
    return policy;
}

static void what_is_no_policy_is_refused_whole(void **state)
{
    static const char *const refused[] = {
        "interval: 1ms\n",
        "interval: 2h\n",
        "sources: [cpu]\n",
        "sources: {cpu: {interval: 1ms}}\n",
        "sources: {cpu: {interval: fast}}\n",
        "sources: {cpu: {enabled: perhaps}}\n",

        "logs: {path: /app/x.log}\n",
        "command: reboot\n",
        "collector: {endpoint: tcp://192.0.2.1:1}\n",
        "interval: 1s\nsources: {cpu",
    };
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct policy *policy = NULL;
        struct diagnosis why = {0};
        assert_int_not_equal(policy_parse(1, bytes_of(refused[i]), &policy, &why), 0);
        assert_null(policy);
        assert_true(why.text[0] != '\0');
    }
}

static void a_policy_holds_over_probe_yml_and_leaves_no_trace(void **state)
{
    struct options_source which[4];
    struct options options = options_with(which, no_files, 0);
    which[1].own_interval_ms = 30000;
    which[0].is_enabled = false;
    (void)state;
    struct policy *policy =
        parse("interval: 2s\nsources: {cpu: {enabled: true, interval: 1s}}\n");
    policy_obey(policy, &options);
    assert_int_equal(policy->refusal_count, 0);
    assert_true(which[0].is_on);
    assert_int_equal(which[0].interval_ms, 1000);
    assert_int_equal(which[1].interval_ms, 30000); /* probe.yml says its own */
    assert_int_equal(which[2].interval_ms, 200);   /* looks, not samples */
    assert_int_equal(which[3].interval_ms, 2000);
    policy_free(policy);
    policy = parse("");
    policy_obey(policy, &options);
    assert_false(which[0].is_on);
    assert_int_equal(which[0].interval_ms, 5000);
    assert_int_equal(which[3].interval_ms, 5000);
    policy_free(policy);
}

static void what_the_host_does_not_allow_is_refused_part_by_part(void **state)
{
    static const struct {
        const char *because, *document, *part, *reason;
    } cases[] = {
        {"a floor holds", "sources: {cpu: {interval: 200ms}}", "sources.cpu", "intervals.min"},
        {"for the default too", "interval: 500ms", "interval", "intervals.min"},
        {"an unknown source", "sources: {cpuu: {interval: 5s}}", "sources.cpuu",
         "did you mean \"cpu\"?"},
        {"nothing to scrape", "sources: {scrape: {interval: 5s}}", "sources.scrape",
         "no target"},
        {"who tells stays", "sources: {self: {enabled: false}}", "sources.self",
         "cannot be switched off"},
        {"files are not switched off", "sources: {log: {enabled: false}}", "sources.log",
         "cannot be switched off"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options_source which[4];
        struct options options = options_with(which, no_files, 0);
        struct policy *policy = parse(cases[i].document);
        policy_obey(policy, &options);
        if (policy->refusal_count != 1)
            fail_msg("%s", cases[i].because);
        assert_string_equal(policy->refusals[0].part, cases[i].part);
        assert_non_null(strstr(policy->refusals[0].reason, cases[i].reason));
        for (size_t k = 0; k < 4; k++)
            assert_true(which[k].is_on);
        policy_free(policy);
    }
}

static void all_targets_obey_and_a_refusal_is_told_once(void **state)
{
    struct options_source which[4];
    struct options options = options_with(which, no_files, 0);
    struct policy *policy =
        parse("sources: {scrape: {enabled: false, interval: 200ms, timeout: 3s}}");
    (void)state;
    which[0].source = which[1].source = source_find("scrape");
    policy_obey(policy, &options);
    for (size_t i = 0; i < 2; i++) {
        assert_false(which[i].is_on);
        assert_int_equal(which[i].interval_ms, 1000);
    }
    assert_int_equal(policy->refusal_count, 2);
    assert_string_equal(policy->refusals[0].part, "sources.scrape.timeout");
    assert_string_equal(policy->refusals[1].part, "sources.scrape");
    policy_free(policy);
}

static void sources_that_are_not_on_the_list_stay_as_they_are(void **state)
{
    struct options_source which[4];
    struct options options = options_with(which, no_files, 0);
    options.allow.all_sources = false;
    (void)state;
    struct policy *policy = parse("interval: 1s\nsources: {cpu: {enabled: false}}\n");
    policy_obey(policy, &options);
    assert_int_equal(policy->refusal_count, 1);
    assert_true(which[0].is_on);
    assert_int_equal(which[0].interval_ms, 5000);
    policy_free(policy);
}

static void options_that_may_be_set_come_before_probe_ymls(void **state)
{
    static const char own[] =
        "{interval: 30s, top: 5, kernel_threads: true, groups: [{name: a, comm: [x]}]}";
    struct options_source which[4];
    struct options options = options_with(which, no_files, 0);
    struct config *document;
    (void)state;
    assert_int_equal(config_parse("probe.yml", bytes_of(own), &document, NULL), 0);
    which[1].node = config_root(document);
    struct policy *policy =
        parse("sources: {processes: {interval: 10s, top: 20, others: \"\", groups: [{name: b, "
              "cmdline: 'x\\d+'}]}, disk: {}, cpu: {top: 3}}\n");
    policy_obey(policy, &options);
    assert_string_equal(which[1].override,
                        "{top: \"20\", others: \"\", groups: [{name: \"b\", cmdline: "
                        "\"x\\\\d+\"}], kernel_threads: \"true\"}");
    assert_int_equal(which[1].interval_ms, 10000);
    assert_null(which[0].override);
    assert_int_equal(policy->refusal_count, 2); /* disk is no source of this test's options */
    assert_string_equal(policy->refusals[1].part, "sources.cpu.top");
    policy_free(policy);
    /* One that the source cannot take leaves probe.yml's. */
    policy = parse("sources: {processes: {top: 20, groups: [{name: b, cmdline: '('}]}}\n");
    policy_obey(policy, &options);
    assert_null(which[1].override);
    assert_int_equal(policy->refusal_count, 1);
    assert_non_null(strstr(policy->refusals[0].reason, "its options are refused"));
    policy_free(policy);
    policy = parse("sources: {processes: {directory: /etc, top: 7}}\n");
    policy_obey(policy, &options);
    assert_string_equal(policy->refusals[0].part, "sources.processes.directory");
    assert_non_null(strstr(which[1].override, "top: \"7\""));
    policy_free(policy);
    policy = parse("");
    policy_obey(policy, &options);
    assert_null(which[1].override);
    policy_free(policy);
    config_free(document);
}

static void files_hold_only_within_the_allow_list(void **state)
{
    static const struct {
        const char *path;
        bool holds;
    } cases[] = {
        {"/app/pay/logs/catalina.log", true},
        {"/app/logs/x.log", true},
        {"/app/a/b/logs/*.log", true},
        {"/app/*/logs/catalina.*.log", true},
        {"/var/log/messages", true},
        {"/etc/shadow", false},
        {"/app/pay/logs/x.txt", false},
        {"/app/pay/logs/../../../etc/x.log", false},
        {"/app/./logs/x.log", false},
        {"/app//logs/x.log", false},
        {"/var/log/*", false},
        {"/app/pay/logs/.hidden.log", false},
        {"app/logs/x.log", false},
        {"/app/pay/logs/x.log\n", false},
        {"/application/logs/x.log", false},
        {"/", false},
    };
    struct options_source which[4];
    struct options options = options_with(which, app_files, 2);
    struct permit *permit;
    (void)state;
    assert_int_equal(permit_new(&options.allow.files, "/", &permit), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (permit_covers(permit, cases[i].path) != cases[i].holds)
            fail_msg("%s", cases[i].path);
    struct log_settings_list list;
    struct policy *policy =
        parse("logs:\n- {path: /app/pay/logs/a.log, encoding: gb18030, redact: none}\n"
              "- {path: /etc/shadow}\n- {path: /app/logs/b.log, from: now}\n"
              "- {path: /app/logs/c.log, multiline: '('}\n"
              "- [{path: /app/logs/d.log}, {path: /etc/passwd}]\n- e\n");
    assert_int_equal(policy_logs(policy, permit, &list), 0);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].glob, "/app/pay/logs/a.log");
    assert_ptr_equal(list.items[0].permit, permit);
    assert_int_equal(list.items[0].redaction.numbers, REDACT_NUMBERS); /* the host's to say */
    assert_int_equal(policy->refusal_count, 5);
    assert_string_equal(policy->refusals[0].part, "logs./etc/shadow");
    log_settings_done(&list);
    policy_free(policy);
    permit_free(permit);
}

static void a_link_out_of_the_tree_is_seen_through(void **state)
{
    char file[200], link[200], rotated[200], pattern[200], outside[200];
    (void)state;
    (void)snprintf(pattern, sizeof pattern, "%s/in/*.log", folder);
    (void)snprintf(file, sizeof file, "%s/in", folder);
    assert_int_equal(mkdir(file, 0700), 0);
    (void)snprintf(file, sizeof file, "%s/in/a.log", folder);
    (void)snprintf(rotated, sizeof rotated, "%s/in/a.log.1", folder);
    (void)snprintf(link, sizeof link, "%s/in/b.log", folder);
    (void)snprintf(outside, sizeof outside, "%s/secret", folder);
    const char *const files[] = {file, rotated, outside};
    for (size_t i = 0; i < 3; i++) {
        FILE *made = fopen(files[i], "w");
        assert_non_null(made);
        assert_int_equal(fclose(made), 0);
    }
    assert_int_equal(symlink(outside, link), 0);
    const char *const globs[] = {pattern};
    struct permit *permit;
    assert_int_equal(permit_new(&(struct config_strings){globs, 1}, "/", &permit), 0);
    const struct {
        const char *path, *watched;
        bool holds;
    } cases[] = {{file, file, true},
                 {rotated, file, true}, /* beside it, with its name in front */
                 {rotated, link, false},
                 {link, link, false},
                 {outside, file, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = open(cases[i].path, O_RDONLY);
        assert_true(fd >= 0);
        if (permit_descriptor(permit, fd, cases[i].watched) != cases[i].holds)
            fail_msg("%s as %s", cases[i].path, cases[i].watched);
        (void)close(fd);
    }
    permit_free(permit);
    (void)unlink(link);
    for (size_t i = 0; i < 3; i++)
        (void)unlink(files[i]);
    (void)snprintf(file, sizeof file, "%s/in", folder);
    (void)rmdir(file);
}

static void what_is_kept_comes_back_with_its_version(void **state)
{
    struct policy *policy = NULL;
    struct diagnosis why = {0};
    struct stat status;
    (void)state;
    assert_int_equal(policy_load(folder, &policy, &why), 0);
    assert_int_equal(policy->version, 0);
    policy_free(policy);
    assert_int_equal(
        policy_keep(&file_io_system, folder, 1764316800000, bytes_of("interval: 3s\n"), &why),
        0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(policy_load(folder, &policy, &why), 0);
    assert_int_equal(policy->version, 1764316800000);
    assert_int_equal(policy->interval_ms, 3000);
    policy_free(policy);
    /* One that was taken back is a version, too. */
    assert_int_equal(
        policy_keep(&file_io_system, folder, 1764316800001, (struct bytes){0}, &why), 0);
    assert_int_equal(policy_load(folder, &policy, &why), 0);
    assert_int_equal(policy->version, 1764316800001);
    assert_int_equal(policy->interval_ms, 0);
    policy_free(policy);
    policy = NULL;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("interval: 3s\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_not_equal(policy_load(folder, &policy, &why), 0);
    assert_null(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_policy_is_refused_whole),
        cmocka_unit_test(a_policy_holds_over_probe_yml_and_leaves_no_trace),
        cmocka_unit_test(what_the_host_does_not_allow_is_refused_part_by_part),
        cmocka_unit_test(all_targets_obey_and_a_refusal_is_told_once),
        cmocka_unit_test(sources_that_are_not_on_the_list_stay_as_they_are),
        cmocka_unit_test(options_that_may_be_set_come_before_probe_ymls),
        cmocka_unit_test(files_hold_only_within_the_allow_list),
        cmocka_unit_test_setup_teardown(a_link_out_of_the_tree_is_seen_through, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_is_kept_comes_back_with_its_version, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
