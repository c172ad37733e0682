/*
 * fuzz_policy.c - a policy that came over the wire: refused with a reason, or obeyed within
 * what this host allows, whatever it says.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe/log/log.h"
#include "probe/policy.h"
#include "probe/self.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LEAST_MS 1000

static void obey(struct policy *policy)
{
    static const char *const files[] = {"/app/**/logs/*.log"};
    struct options_source which[] = {{.source = source_find("cpu"), .is_enabled = true},
                                     {.source = source_find("processes")},
                                     {.source = &source_log, .is_enabled = true},
                                     {.source = &source_self, .is_enabled = true}};
    struct options options = {
        .sources = which,
        .source_count = 4,
        .interval_ms = 5000,
        .rootfs = "/",
        .allow = {.files = {files, 1}, .all_sources = true, .interval_least_ms = LEAST_MS}};
    struct log_settings_list list;
    struct permit *permit;
    policy_obey(policy, &options);
    must(which[2].is_on && which[3].is_on);
    for (size_t i = 0; i < 4; i++)
        must(which[i].interval_ms >= LEAST_MS || (i == 2 && which[i].interval_ms == 200));
    must(permit_new(&options.allow.files, "/", &permit) == 0);
    must(policy_logs(policy, permit, &list) == 0);
    for (size_t i = 0; i < list.count; i++) {
        must(list.items[i].permit == permit);
        must(strncmp(list.items[i].glob, "/app/", 5) == 0);
        must(strstr(list.items[i].glob, "/../") == NULL);
    }
    for (size_t i = 0; i < 4; i++)
        free(which[i].override);
    log_settings_done(&list);
    permit_free(permit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *policy = NULL;
    struct diagnosis why = {0};
    int error = policy_parse(1, (struct bytes){data, size}, &policy, &why);

    must((error == 0) == (policy != NULL));
    must(error == 0 || why.text[0] != '\0');
    if (error == 0)
        obey(policy);
    policy_free(policy);
    return 0;
}
