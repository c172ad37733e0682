/*
 * config.c - libyaml's events become a tree in one arena.
 *
 * One surprise: libyaml resolves no types; "yes", 10 and "10" are all text here, and only the
 * table that reads a key (config_read.c) knows what it should be.
 */
#include "proto/base/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "proto/base/arena.h"
#include "proto/base/config_memory.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/must.h"

#define TREE_BYTES_MAX ((size_t)512 << 20)

struct config {
    struct arena arena;
    char *name;
    const struct config_node *root;
    size_t node_count;
};

/* A map or list being filled; its children wait in a malloc'd array until it closes. */
struct open_node {
    struct config_node *node;
    const struct config_node **children;
    size_t capacity;
    const char *pending_key; /* map: a key was read, its value comes next */
    unsigned pending_line;
};

struct loader {
    struct config *config;
    yaml_parser_t parser;
    struct diagnosis *why;
    struct open_node stack[CONFIG_DEPTH_MAX];
    size_t depth;
};

static int complain_at(struct loader *loader, size_t line, const char *text)
{
    return diagnose(loader->why, ERR_INVALID, "%s:%zu: %s", loader->config->name, line, text);
}

static unsigned line_of(yaml_mark_t mark)
{
    return (unsigned)mark.line + 1;
}

/* -- nodes ---------------------------------------------------------------------------------- */

static struct config_node *node_new(struct loader *loader, enum config_kind kind, unsigned line)
{
    if (++loader->config->node_count > CONFIG_NODES_MAX)
        return NULL;
    struct config_node *node = arena_alloc(&loader->config->arena, 1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->kind = kind;
    node->line = line;
    return node;
}

static int add_child(struct loader *loader, struct config_node *child)
{
    if (loader->depth == 0) {
        if (loader->config->root != NULL)
            return complain_at(loader, child->line, "a second document; one is expected");
        loader->config->root = child;
        return 0;
    }
    struct open_node *parent = &loader->stack[loader->depth - 1];
    if (parent->node->kind == CONFIG_MAP) {
        child->key = parent->pending_key;
        child->key_line = parent->pending_line;
        parent->pending_key = NULL;
    }
    if (parent->node->count == parent->capacity) {
        size_t capacity = parent->capacity == 0 ? 8 : parent->capacity * 2;
        const struct config_node **grown =
            realloc(parent->children, capacity * sizeof *parent->children);
        if (grown == NULL)
            return ERR_NOMEM;
        parent->children = grown;
        parent->capacity = capacity;
    }
    parent->children[parent->node->count++] = child;
    return 0;
}

static int take_key(struct loader *loader, const char *text, unsigned line)
{
    struct open_node *map = &loader->stack[loader->depth - 1];
    for (size_t i = 0; i < map->node->count; i++)
        if (strcmp(map->children[i]->key, text) == 0)
            return diagnose(loader->why, ERR_INVALID,
                            "%s:%u: key \"%s\" is there already, on line %u",
                            loader->config->name, line, text, map->children[i]->key_line);
    map->pending_key = text;
    map->pending_line = line;
    return 0;
}

/* -- events --------------------------------------------------------------------------------- */

static bool expects_key(const struct loader *loader)
{
    if (loader->depth == 0)
        return false;
    const struct open_node *top = &loader->stack[loader->depth - 1];
    return top->node->kind == CONFIG_MAP && top->pending_key == NULL;
}

static int on_scalar(struct loader *loader, const yaml_event_t *event)
{
    unsigned line = line_of(event->start_mark);
    size_t length = event->data.scalar.length;
    const char *value = (const char *)event->data.scalar.value;

    if (event->data.scalar.anchor != NULL)
        return complain_at(loader, line, "anchors (&name) are not allowed");
    if (memchr(value, '\0', length) != NULL)
        return complain_at(loader, line, "a NUL character is not allowed");
    char *text = arena_alloc(&loader->config->arena, length + 1, 1);
    if (text == NULL)
        return ERR_NOMEM;
    memcpy(text, value, length);
    if (expects_key(loader))
        return take_key(loader, text, line);

    struct config_node *node = node_new(loader, CONFIG_SCALAR, line);
    if (node == NULL)
        return ERR_NOMEM;
    node->text = text;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return add_child(loader, node);
}

static int on_open(struct loader *loader, enum config_kind kind, const yaml_event_t *event)
{
    unsigned line = line_of(event->start_mark);
    const yaml_char_t *anchor = kind == CONFIG_MAP ? event->data.mapping_start.anchor
                                                   : event->data.sequence_start.anchor;
    if (anchor != NULL)
        return complain_at(loader, line, "anchors (&name) are not allowed");
    if (expects_key(loader))
        return complain_at(loader, line, "a key must be plain text");
    if (loader->depth == CONFIG_DEPTH_MAX)
        return complain_at(loader, line, "nested too deeply");
    struct config_node *node = node_new(loader, kind, line);
    if (node == NULL)
        return ERR_NOMEM;
    int error = add_child(loader, node);
    if (error != 0)
        return error;
    loader->stack[loader->depth++] = (struct open_node){.node = node};
    return 0;
}

static int on_close(struct loader *loader)
{
    must(loader->depth > 0);
    struct open_node *top = &loader->stack[loader->depth - 1];
    if (top->node->count > 0) {
        const struct config_node **children =
            arena_alloc(&loader->config->arena, top->node->count, sizeof *children);
        if (children == NULL)
            return ERR_NOMEM;
        memcpy(children, top->children, top->node->count * sizeof *children);
        top->node->children = children;
    }
    free(top->children);
    loader->depth--;
    return 0;
}

static int on_event(struct loader *loader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(loader, event);
    case YAML_MAPPING_START_EVENT:
        return on_open(loader, CONFIG_MAP, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(loader, CONFIG_LIST, event);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return on_close(loader);
    case YAML_ALIAS_EVENT:
        return complain_at(loader, line_of(event->start_mark),
                           "aliases (*name) are not allowed");
    default:
        return 0;
    }
}

static int parse_error(struct loader *loader)
{
    const yaml_parser_t *parser = &loader->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return ERR_NOMEM;
    size_t line = parser->problem_mark.line + 1;
    if (parser->error == YAML_READER_ERROR)
        return diagnose(loader->why, ERR_INVALID, "%s: not UTF-8 text: %s at byte %zu",
                        loader->config->name, parser->problem, parser->problem_offset);
    return diagnose(loader->why, ERR_INVALID, "%s:%zu: not YAML: %s%s%s", loader->config->name,
                    line, parser->problem, parser->context == NULL ? "" : ", ",
                    parser->context == NULL ? "" : parser->context);
}

static int load_events(struct loader *loader)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&loader->parser, &event))
            return parse_error(loader);
        bool end = event.type == YAML_STREAM_END_EVENT;
        int error = end ? 0 : on_event(loader, &event);
        yaml_event_delete(&event);
        if (error != 0 || end)
            return error;
    }
}

/* An empty file, or one that holds only comments or "null", is an empty map. */
static int ensure_root(struct loader *loader)
{
    const struct config_node *root = loader->config->root;
    if (root != NULL && !(root->kind == CONFIG_SCALAR && !root->quoted &&
                          (root->text[0] == '\0' || strcmp(root->text, "null") == 0)))
        return 0;
    loader->config->root = node_new(loader, CONFIG_MAP, 1);
    return loader->config->root == NULL ? ERR_NOMEM : 0;
}

/* -- opening and closing -------------------------------------------------------------------- */

int config_parse(const char *name, struct bytes text, struct config **ret_config,
                 struct diagnosis *why)
{
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL)
        return ERR_NOMEM;
    arena_init(&config->arena, TREE_BYTES_MAX);
    config->name = strdup(name);
    struct loader loader = {.config = config, .why = why};
    if (config->name == NULL || !yaml_parser_initialize(&loader.parser)) {
        config_free(config);
        return ERR_NOMEM;
    }
    static const yaml_char_t nothing[1];
    yaml_parser_set_input_string(&loader.parser, text.size == 0 ? nothing : text.data,
                                 text.size);
    int error = load_events(&loader);
    if (error == 0)
        error = ensure_root(&loader);
    while (loader.depth > 0)
        free(loader.stack[--loader.depth].children);
    yaml_parser_delete(&loader.parser);
    if (error != 0) {
        (void)diagnose(why, error, "%s: %s", name, error_text(error));
        config_free(config);
        return error;
    }
    *ret_config = config;
    return 0;
}

int config_load(const char *path, struct config **ret_config, struct diagnosis *why)
{
    char *text;
    size_t size;
    int error = file_read_whole(path, CONFIG_FILE_BYTES_MAX, &text, &size, why);
    if (error != 0)
        return error;
    error = config_parse(path, (struct bytes){(const uint8_t *)text, size}, ret_config, why);
    free(text);
    return error;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    arena_reset(&config->arena);
    free(config->name);
    free(config);
}

const struct config_node *config_root(const struct config *config)
{
    return config->root;
}

const char *config_name(const struct config *config)
{
    return config->name;
}

const struct config_node *config_child(const struct config_node *map, const char *key)
{
    if (map == NULL || map->kind != CONFIG_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->children[i]->key, key) == 0)
            return map->children[i];
    return NULL;
}

int config_complain(const struct config *config, const struct config_node *node,
                    struct diagnosis *why, const char *format, ...)
{
    char text[DIAGNOSIS_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return diagnose(why, ERR_INVALID, "%s:%u: %s", config->name, node->line, text);
}

void *config_alloc(struct config *config, size_t count, size_t size)
{
    return arena_alloc(&config->arena, count, size);
}
