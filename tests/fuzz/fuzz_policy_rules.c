/*
 * fuzz_policy_rules.c - policy.yml is taken or refused with a reason; what a host gets of it is
 * a document that parses, the same each time, within an interval's bounds.
 */
#include <stdint.h>
#include <string.h>

#include "collector/policy/policy.h"
#include "proto/base/config.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct policy *policy, const struct policy_host *host, int64_t at_ms,
                  struct buf *out)
{
    struct arena arena;
    struct policy_plan plan;
    struct buf json = {0};
    arena_init(&arena, (size_t)64 << 20);
    must(policy_plan(policy, host, at_ms, &arena, &plan) == 0);
    for (size_t i = 0; i < plan.count; i++)
        must(plan.items[i].interval_ms == 0 || plan.items[i].interval_ms >= 100);
    policy_print_document(&plan, out);
    must((plan.count == 0) == (out->size == 0));
    must(policy_print_plan_json(&plan, &json) == 0);
    buf_done(&json);
    arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct label labels[] = {{bytes_of("role"), bytes_of("db")}};
    const struct policy_host host = {"node", "db-01", labels, 1};
    const int64_t at_ms = INT64_C(1791766800000);
    struct policy *policy = NULL;
    struct diagnosis why = {0};
    struct buf first = {0}, second = {0}, json = {0};
    struct config *config;

    int error = policy_parse("p.yml", (struct bytes){data, size}, &policy, &why);
    must((error == 0) == (policy != NULL));
    must(error == 0 || why.text[0] != '\0');
    if (error != 0)
        return 0;
    print(policy, &host, at_ms, &first);
    print(policy, &host, at_ms, &second);
    must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    must(config_parse("document", buf_bytes(&first), &config, &why) == 0);
    config_free(config);
    must(policy_next_border(policy, at_ms) > at_ms);
    must(policy_print_rules_json(policy, at_ms, NULL, &json) == 0);
    buf_done(&first);
    buf_done(&second);
    buf_done(&json);
    policy_unref(policy);
    return 0;
}
