/*
 * template_parse.c - a template's text becomes a tree.
 *
 * One pass, no token list: text up to "{{" is a node, what follows is read word by word.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

enum word {
    WORD_NONE,
    WORD_IF,
    WORD_RANGE,
    WORD_WITH,
    WORD_ELSE,
    WORD_END,
    WORD_BREAK,
    WORD_CONTINUE,
    WORD_TEMPLATE,
    WORD_DEFINE,
    WORD_BLOCK
};

static int parse_list(struct template_parser *parser, struct node **ret_list,
                      enum word *ret_ended_by);

/* ---- words, shared with template_operand.c ----------------------------------------------- */

int template_complain(const struct template_parser *parser, const char *what)
{
    unsigned line = 1;
    for (const char *at = parser->text; at < parser->at; at++)
        line += *at == '\n';
    if (parser->name != NULL)
        return diagnose(parser->why, ERR_INVALID, "%s:%u: %s", parser->name, line, what);
    return diagnose(parser->why, ERR_INVALID, "template line %u: %s", line, what);
}

int template_complain_of(const struct template_parser *parser, const char *what,
                         struct bytes name)
{
    char message[200];
    (void)snprintf(message, sizeof message, "%s \"%.*s\"", what,
                   (int)(name.size < 80 ? name.size : 80), (const char *)name.data);
    return template_complain(parser, message);
}

bool template_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void template_skip_spaces(struct template_parser *parser)
{
    while (template_is_space(*parser->at))
        parser->at++;
}

/* Letters, digits, _ and any byte of a UTF-8 sequence. */
bool template_is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

struct bytes template_read_name(struct template_parser *parser)
{
    const char *start = parser->at;
    while (template_is_name_char(*parser->at))
        parser->at++;
    return (struct bytes){(const uint8_t *)start, (size_t)(parser->at - start)};
}

bool template_at_close(const struct template_parser *parser)
{
    return strncmp(parser->at, "}}", 2) == 0 ||
           (strncmp(parser->at, "-}}", 3) == 0 && parser->at > parser->text &&
            template_is_space(parser->at[-1]));
}

static int expect_close(struct template_parser *parser)
{
    template_skip_spaces(parser);
    if (!template_at_close(parser))
        return template_complain(parser, *parser->at == '\0' ? "unclosed action"
                                                             : "unexpected text in an action");
    parser->trim_next = *parser->at == '-';
    parser->at += parser->trim_next ? 3 : 2;
    return 0;
}

/* ---- if, range, with --------------------------------------------------------------------- */

/* The keyword at the parser, consumed; WORD_NONE if there is none. */
static enum word read_keyword(struct template_parser *parser)
{
    static const struct {
        const char *text;
        enum word word;
    } words[] = {{"if", WORD_IF},
                 {"range", WORD_RANGE},
                 {"with", WORD_WITH},
                 {"else", WORD_ELSE},
                 {"end", WORD_END},
                 {"break", WORD_BREAK},
                 {"continue", WORD_CONTINUE},
                 {"template", WORD_TEMPLATE},
                 {"define", WORD_DEFINE},
                 {"block", WORD_BLOCK}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].text);
        if (strncmp(parser->at, words[i].text, length) == 0 &&
            !template_is_name_char(parser->at[length])) {
            parser->at += length;
            return words[i].word;
        }
    }
    return WORD_NONE;
}

static int parse_control(struct template_parser *parser, enum word word, struct node *node);

/* After {{else: another control ("else if"), or }} and a list up to {{end}}. */
static int parse_else(struct template_parser *parser, struct node *node)
{
    enum word word, ended_by;
    int error;

    template_skip_spaces(parser);
    word = read_keyword(parser);
    if (word == WORD_IF || word == WORD_WITH) {
        node->otherwise = arena_alloc(parser->arena, 1, sizeof *node->otherwise);
        return node->otherwise == NULL ? ERR_NOMEM
                                       : parse_control(parser, word, node->otherwise);
    }
    error = word != WORD_NONE ? template_complain(parser, "unexpected word after else")
                              : expect_close(parser);
    if (error == 0)
        error = parse_list(parser, &node->otherwise, &ended_by);
    if (error == 0 && ended_by != WORD_END)
        error = template_complain(parser, "expected {{end}}");
    return error != 0 ? error : expect_close(parser);
}

static int parse_control(struct template_parser *parser, enum word word, struct node *node)
{
    const size_t scope = parser->variable_count;
    enum word ended_by;
    int error;

    if (++parser->depth > TEMPLATE_DEPTH_MAX)
        return template_complain(parser, "nested too deeply");
    node->kind = word == WORD_IF ? NODE_IF : word == WORD_RANGE ? NODE_RANGE : NODE_WITH;
    error = template_parse_pipeline(parser, &node->pipeline);
    if (error == 0 && node->pipeline.commands == NULL)
        error = template_complain(parser, "missing value");
    if (error == 0 && node->pipeline.variable_count == 2 && word != WORD_RANGE)
        error = template_complain(parser, "too many declarations");
    if (error == 0)
        error = expect_close(parser);
    parser->range_depth += word == WORD_RANGE;
    if (error == 0)
        error = parse_list(parser, &node->body, &ended_by);
    parser->range_depth -= word == WORD_RANGE;
    if (error == 0 && ended_by == WORD_NONE)
        error =
            template_complain(parser, "unexpected EOF: an if, range or with has no {{end}}");
    if (error == 0)
        error = ended_by == WORD_ELSE ? parse_else(parser, node) : expect_close(parser);
    parser->variable_count = scope;
    parser->depth--;
    return error;
}

/* ---- define, template, block ------------------------------------------------------------- */

/* Does it print anything but blanks?  What does not never takes the place of what does. */
static bool says_something(const struct node *node)
{
    for (; node != NULL; node = node->next) {
        if (node->kind != NODE_TEXT)
            return true;
        for (size_t i = 0; i < node->text.size; i++)
            if (!template_is_space((char)node->text.data[i]))
                return true;
    }
    return false;
}

static struct named_template *find_definition(struct named_template *at, struct bytes name)
{
    while (at != NULL && !bytes_equal(at->name, name))
        at = at->next;
    return at;
}

const struct named_template *template_definition(const struct template *template,
                                                 struct bytes name)
{
    const struct named_template *own = find_definition(template->own, name);
    const struct named_template *other =
        template->set == NULL ? NULL : find_definition(template->set->first, name);
    return own != NULL && (other == NULL || says_something(own->nodes)) ? own : other;
}

static int parse_name(struct template_parser *parser, struct bytes *ret_name)
{
    struct value name = {0};
    int error;

    template_skip_spaces(parser);
    if (*parser->at != '"' && *parser->at != '`')
        return template_complain(parser, "expected the name of a template, in quotes");
    error = template_parse_string(parser, &name);
    if (error == 0 && name.as.text.size == 0)
        error = template_complain(parser, "a template without a name");
    *ret_name = name.as.text;
    return error;
}

/* The list up to {{end}} becomes the template `name`; it sees no variables of what is around.
 */
static int parse_definition(struct template_parser *parser, struct bytes name)
{
    struct named_template *old = find_definition(*parser->definitions, name);
    struct named_template *fresh = arena_alloc(parser->arena, 1, sizeof *fresh);
    const size_t scope = parser->variable_count;
    const unsigned range_depth = parser->range_depth;
    struct bytes *hidden = arena_alloc(parser->arena, scope + 1, sizeof *hidden);
    enum word ended_by;
    int error;

    if (fresh == NULL || hidden == NULL)
        return ERR_NOMEM;
    if (++parser->depth > TEMPLATE_DEPTH_MAX)
        return template_complain(parser, "nested too deeply");
    memcpy(hidden, parser->variables, scope * sizeof *hidden);
    parser->variable_count = 0;
    parser->range_depth = 0;
    error = expect_close(parser);
    if (error == 0)
        error = parse_list(parser, &fresh->nodes, &ended_by);
    if (error == 0 && ended_by != WORD_END)
        error = template_complain(
            parser, ended_by == WORD_ELSE ? "unexpected {{else}}"
                                          : "unexpected EOF: a define or block has no {{end}}");
    if (error == 0)
        error = expect_close(parser);
    memcpy(parser->variables, hidden, scope * sizeof *hidden);
    parser->variable_count = scope;
    parser->range_depth = range_depth;
    parser->depth--;
    if (error != 0)
        return error;
    if (old == NULL) {
        fresh->name = name;
        fresh->next = *parser->definitions;
        *parser->definitions = fresh;
    } else if (says_something(fresh->nodes)) {
        old->nodes = fresh->nodes;
    }
    return 0;
}

/* {{ template "x" pipeline }}, and the same of a block before its body. */
static int parse_call(struct template_parser *parser, struct node *node, bool needs_data)
{
    int error = parse_name(parser, &node->text);

    node->kind = NODE_TEMPLATE;
    template_skip_spaces(parser);
    if (error == 0 && (needs_data || !template_at_close(parser)))
        error = template_parse_pipeline(parser, &node->pipeline);
    if (error == 0 && node->pipeline.variable_count > 0)
        parser->variable_count -= node->pipeline.declares ? node->pipeline.variable_count : 0;
    return error;
}

static int parse_define(struct template_parser *parser)
{
    struct bytes name;
    int error = parse_name(parser, &name);
    if (error == 0 && parser->depth > 0)
        error = template_complain(parser, "{{define}} inside of another action");
    return error == 0 ? parse_definition(parser, name) : error;
}

/* ---- actions ----------------------------------------------------------------------------- */

static int parse_jump(struct template_parser *parser, enum word word, struct node *node)
{
    node->kind = word == WORD_BREAK ? NODE_BREAK : NODE_CONTINUE;
    if (parser->range_depth == 0)
        return template_complain(parser, word == WORD_BREAK ? "{{break}} outside {{range}}"
                                                            : "{{continue}} outside {{range}}");
    return expect_close(parser);
}

/* What stands between {{ and }}.  *ret_word says else or end, which belong to the caller, or
 * define, which leaves no node. */
static int parse_action(struct template_parser *parser, struct node **ret_node,
                        enum word *ret_word)
{
    struct node *node;
    int error;

    template_skip_spaces(parser);
    *ret_word = read_keyword(parser);
    if (*ret_word == WORD_ELSE || *ret_word == WORD_END)
        return 0;
    if (*ret_word == WORD_DEFINE)
        return parse_define(parser);
    node = arena_alloc(parser->arena, 1, sizeof *node);
    if (node == NULL)
        return ERR_NOMEM;
    *ret_node = node;
    if (*ret_word == WORD_BREAK || *ret_word == WORD_CONTINUE)
        return parse_jump(parser, *ret_word, node);
    if (*ret_word == WORD_TEMPLATE || *ret_word == WORD_BLOCK) {
        error = parse_call(parser, node, *ret_word == WORD_BLOCK);
        if (error != 0)
            return error;
        return *ret_word == WORD_BLOCK ? parse_definition(parser, node->text)
                                       : expect_close(parser);
    }
    if (*ret_word != WORD_NONE)
        return parse_control(parser, *ret_word, node);
    node->kind = NODE_ACTION;
    error = template_parse_pipeline(parser, &node->pipeline);
    return error != 0 ? error : expect_close(parser);
}

static int skip_comment(struct template_parser *parser)
{
    const char *end = strstr(parser->at + 2, "*/");
    if (end == NULL)
        return template_complain(parser, "unclosed comment");
    parser->at = end + 2;
    return expect_close(parser);
}

/* The text before the next action, trimmed as the actions on both sides ask. */
static struct bytes read_text(struct template_parser *parser, bool *ret_more)
{
    const char *start = parser->at, *open = strstr(start, "{{");
    const char *end = open != NULL ? open : start + strlen(start);

    while (parser->trim_next && start < end && template_is_space(*start))
        start++;
    parser->trim_next = false;
    parser->at = end;
    *ret_more = open != NULL;
    if (open != NULL) {
        parser->at += 2;
        if (*parser->at == '-' && template_is_space(parser->at[1])) {
            parser->at++;
            while (end > start && template_is_space(end[-1]))
                end--;
            template_skip_spaces(parser);
        }
    }
    return (struct bytes){(const uint8_t *)start, (size_t)(end - start)};
}

static int add_text(struct template_parser *parser, struct bytes text, struct node ***end)
{
    struct node *node;
    if (text.size == 0)
        return 0;
    node = arena_alloc(parser->arena, 1, sizeof *node);
    if (node == NULL)
        return ERR_NOMEM;
    node->text = text;
    **end = node;
    *end = &node->next;
    return 0;
}

static int parse_list(struct template_parser *parser, struct node **ret_list,
                      enum word *ret_ended_by)
{
    struct node **end = ret_list;
    *ret_ended_by = WORD_NONE;
    for (;;) {
        bool more;
        int error = add_text(parser, read_text(parser, &more), &end);
        if (error != 0 || !more)
            return error;
        if (strncmp(parser->at, "/*", 2) == 0) {
            error = skip_comment(parser);
            if (error != 0)
                return error;
            continue;
        }
        error = parse_action(parser, end, ret_ended_by);
        if (error != 0 || *ret_ended_by == WORD_ELSE || *ret_ended_by == WORD_END)
            return error;
        if (*ret_ended_by != WORD_DEFINE)
            end = &(*end)->next;
        *ret_ended_by = WORD_NONE;
    }
}

/* ---- whole texts ------------------------------------------------------------------------- */

static int parse_text(struct template_parser *parser, struct node **ret_nodes)
{
    enum word ended_by;
    int error;

    if (strlen(parser->text) > TEMPLATE_BYTES_MAX)
        return diagnose(parser->why, ERR_LIMIT, "%s%sa template of more than %zu bytes",
                        parser->name != NULL ? parser->name : "",
                        parser->name != NULL ? ": " : "", TEMPLATE_BYTES_MAX);
    error = parse_list(parser, ret_nodes, &ended_by);
    if (error == 0 && ended_by != WORD_NONE)
        error = template_complain(parser, ended_by == WORD_END ? "unexpected {{end}}"
                                                               : "unexpected {{else}}");
    return error;
}

int template_parse(const char *text, const struct template_scope *scope, struct arena *arena,
                   const struct template **ret_template, struct diagnosis *why)
{
    struct template *template = arena_alloc(arena, 1, sizeof *template);
    struct template_parser parser = {.at = text, .text = text, .arena = arena, .why = why};
    int error;

    if (template == NULL)
        return ERR_NOMEM;
    parser.definitions = &template->own;
    template->set = scope == NULL ? NULL : scope->set;
    for (size_t i = 0; scope != NULL && scope->variables != NULL && scope->variables[i] != NULL;
         i++)
        parser.variables[parser.variable_count++] = bytes_of(scope->variables[i]);
    error = parse_text(&parser, &template->nodes);
    if (error == 0)
        *ret_template = template;
    return error;
}

int template_set_new(struct arena *arena, struct template_set **ret_set)
{
    struct template_set *set = arena_alloc(arena, 1, sizeof *set);
    if (set == NULL)
        return ERR_NOMEM;
    set->arena = arena;
    *ret_set = set;
    return 0;
}

int template_set_add(struct template_set *set, const char *name, const char *text,
                     struct diagnosis *why)
{
    struct template_parser parser = {.at = text,
                                     .text = text,
                                     .name = name,
                                     .arena = set->arena,
                                     .why = why,
                                     .definitions = &set->first};
    struct node *beside; /* what stands between the definitions is nobody's */
    return parse_text(&parser, &beside);
}

/* ---- does every name lead somewhere? ----------------------------------------------------- */

struct visit {
    const struct template *template;
    const struct named_template *seen[256];
    size_t seen_count;
    struct diagnosis *why;
};

static int visit_list(struct visit *visit, const struct node *node);

static int visit_call(struct visit *visit, struct bytes name)
{
    const struct named_template *found = template_definition(visit->template, name);
    if (found == NULL)
        return diagnose(visit->why, ERR_INVALID, "template \"%.*s\" is not defined",
                        (int)(name.size < 80 ? name.size : 80), (const char *)name.data);
    for (size_t i = 0; i < visit->seen_count; i++)
        if (visit->seen[i] == found)
            return 0;
    if (visit->seen_count == sizeof visit->seen / sizeof visit->seen[0])
        return diagnose(visit->why, ERR_LIMIT, "it calls more than 256 templates");
    visit->seen[visit->seen_count++] = found;
    return visit_list(visit, found->nodes);
}

static int visit_list(struct visit *visit, const struct node *node)
{
    int error = 0;
    for (; error == 0 && node != NULL; node = node->next) {
        if (node->kind == NODE_TEMPLATE)
            error = visit_call(visit, node->text);
        if (error == 0)
            error = visit_list(visit, node->body);
        if (error == 0)
            error = visit_list(visit, node->otherwise);
    }
    return error;
}

int template_check(const char *text, const struct template_scope *scope, struct diagnosis *why)
{
    const struct template *template;
    struct arena arena;
    int error;

    arena_init(&arena, (size_t)64 << 20);
    error = template_parse(text, scope, &arena, &template, why);
    if (error == 0) {
        struct visit visit = {.template = template, .why = why};
        error = visit_list(&visit, template->nodes);
    }
    arena_reset(&arena);
    return error;
}
