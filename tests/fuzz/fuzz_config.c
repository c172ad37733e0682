/*
 * fuzz_config.c - any bytes given as YAML either load or leave a diagnosis of one line.
 */
#include <stdint.h>

#include "proto/base/config.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_nodes(const struct config_node *node)
{
    size_t total = 1;
    must(node->kind == CONFIG_SCALAR ? node->text != NULL : node->text == NULL);
    for (size_t i = 0; i < node->count; i++) {
        must(node->kind != CONFIG_MAP || node->children[i]->key != NULL);
        total += count_nodes(node->children[i]);
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config;
    struct diagnosis why = {0};
    if (config_parse("fuzz.yml", (struct bytes){data, size}, &config, &why) == 0) {
        must(count_nodes(config_root(config)) <= CONFIG_NODES_MAX);
        config_free(config);
    } else {
        must(why.text[0] != '\0');
    }
    return 0;
}
