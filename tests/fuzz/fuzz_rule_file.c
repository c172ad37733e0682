/*
 * fuzz_rule_file.c - a rule file is taken or refused with a reason.
 */
#include <stdint.h>

#include "collector/rules/rule_file.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rule_set *set = NULL;
    struct diagnosis why = {0};
    int error = rule_set_parse("r.yml", (struct bytes){data, size}, 15000, &set, &why);

    must((error == 0) == (set != NULL));
    must(error == 0 || why.text[0] != '\0');
    rule_set_free(set);
    return 0;
}
