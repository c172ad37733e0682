/*
 * fuzz_alerting_config.c - alerting.yml is taken or refused with a reason; what is taken can be
 * used.
 */
#include <stdint.h>

#include "collector/notify/alerting_config.h"
#include "collector/notify/mute.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken can be printed, and its intervals asked at any time. */
static void use(const struct alerting *alerting)
{
    static const int64_t times_ms[] = {INT64_MIN / 1000, -1, 0, INT64_C(1792000000000),
                                       INT64_MAX / 1000};
    const struct route *root = alerting_root(alerting);
    const char *names[ROUTE_INTERVALS_MAX];
    struct buf out = {0};

    alerting_print(alerting, &out);
    must(buf_ok(&out));
    buf_done(&out);
    for (size_t i = 0; i < root->child_count; i++)
        for (size_t j = 0; j < sizeof times_ms / sizeof times_ms[0]; j++)
            must(mute_by_time(root->children[i], times_ms[j], names) <= ROUTE_INTERVALS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alerting *alerting = NULL;
    struct diagnosis why = {0};
    int error = alerting_parse("a.yml", (struct bytes){data, size}, NULL, &alerting, &why);

    must((error == 0) == (alerting != NULL));
    must(error == 0 || why.text[0] != '\0');
    if (alerting != NULL)
        use(alerting);
    alerting_free(alerting);
    return 0;
}
