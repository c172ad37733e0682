/*
 * fuzz_template.c - a template ends in text or an error, never hangs, never prints too much.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/template.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct value_field fields[] = {{"value", value_of_number(12.5)},
                                         {"labels", value_of_labels(NULL)}};
    static const char *const variables[] = {"value", "labels", NULL};
    const struct template_scope scope = {.variables = variables};
    struct template_environment environment = {.external_url = "https://console.example/x"};
    const struct template *template;
    struct arena arena;
    struct buf out = {0};
    char *text = malloc(size + 1);

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    arena_init(&arena, (size_t)64 << 20);
    environment.is_html = size % 2 == 1;
    if (template_parse(text, &scope, &arena, &template, NULL) == 0)
        (void)template_run(template, &environment, (struct value){.kind = VALUE_MAP, .as.map = {fields, 2}},
                           fields, 2, &arena, &out, NULL);
    must(out.size <= 4 * TEMPLATE_OUTPUT_MAX);
    buf_done(&out);
    arena_reset(&arena);
    free(text);
    return 0;
}
