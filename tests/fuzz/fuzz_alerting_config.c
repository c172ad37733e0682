/*
 * fuzz_alerting_config.c - alerting.yml is taken or refused with a reason.
 */
#include <stdint.h>

#include "collector/notify/alerting_config.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alerting *alerting = NULL;
    struct diagnosis why = {0};
    int error = alerting_parse("a.yml", (struct bytes){data, size}, &alerting, &why);

    must((error == 0) == (alerting != NULL));
    must(error == 0 || why.text[0] != '\0');
    alerting_free(alerting);
    return 0;
}
