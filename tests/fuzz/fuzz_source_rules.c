/*
 * fuzz_source_rules.c - group names and rules against processes that choose their own texts.
 *
 * Input: template NUL command NUL command line NUL control group.  A template that is refused
 * is never expanded; what is expanded stays within its room and is clean.
 */
#include <stdlib.h>
#include <string.h>

#include "probe/source/process_name.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes take(const uint8_t **at, size_t *left)
{
    const uint8_t *end = *left > 0 ? memchr(*at, '\0', *left) : NULL;
    size_t size = end != NULL ? (size_t)(end - *at) : *left;
    struct bytes part = {*at, size};
    size_t skip = end != NULL ? size + 1 : size;
    *at += skip;
    *left -= skip;
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char template[512];
    char name[GROUP_NAME_BYTES_MAX];
    unsigned needs = 0;
    struct bytes text = take(&data, &size);
    if (text.size >= sizeof template)
        return 0;
    if (text.size > 0)
        memcpy(template, text.data, text.size);
    template[text.size] = '\0';
    if (name_template_check(template, &needs, NULL) != 0)
        return 0;
    struct process_facts facts = {0};
    facts.comm = take(&data, &size);
    facts.command_line = take(&data, &size);
    facts.first_argument = facts.command_line;
    facts.cgroup = take(&data, &size);
    size_t length = name_template_expand(template, &facts, NULL, name);
    must(length <= sizeof name);
    return 0;
}
