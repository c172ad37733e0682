/*
 * template_run.c - a tree and values become text.
 *
 * A run is bounded: by steps (ranges over ranges), by output and by the arena's ceiling.
 */
#include <stdio.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

#define VARIABLES_MAX 64
#define ARGUMENTS_MAX 32

struct variable {
    struct bytes name;
    struct value value;
};

struct run {
    struct template_machine machine;
    struct value root; /* $ */
    struct variable variables[VARIABLES_MAX];
    size_t variable_count; /* a scope ends by taking this back */
};

static int run_list(struct run *run, const struct node *node, struct value dot);
static int run_pipeline(struct run *run, const struct pipeline *pipeline, struct value dot,
                        struct value *ret_value);

static int fail(struct run *run, const char *what, struct bytes name)
{
    return diagnose(run->machine.why, ERR_INVALID, "%s \"%.*s\"", what,
                    (int)(name.size < 100 ? name.size : 100), (const char *)name.data);
}

static struct variable *find_variable(struct run *run, struct bytes name)
{
    for (size_t i = run->variable_count; i > 0; i--)
        if (bytes_equal(run->variables[i - 1].name, name))
            return &run->variables[i - 1];
    return NULL;
}

static int set_variable(struct run *run, struct bytes name, bool declares, struct value value)
{
    struct variable *variable = declares ? NULL : find_variable(run, name);
    if (!declares && variable == NULL)
        return fail(run, "undefined variable", name);
    if (declares) {
        if (run->variable_count == VARIABLES_MAX)
            return diagnose(run->machine.why, ERR_LIMIT, "more than %d variables",
                            VARIABLES_MAX);
        variable = &run->variables[run->variable_count++];
        variable->name = name;
    }
    variable->value = value;
    return 0;
}

static int follow_fields(struct run *run, const struct operand *operand, struct value *value)
{
    for (size_t i = 0; i < operand->field_count; i++)
        if (!template_value_field(value, operand->fields[i], value)) {
            char message[80];
            (void)snprintf(message, sizeof message, "a %s has no field",
                           template_value_kind_name(value->kind));
            return fail(run, message, operand->fields[i]);
        }
    return 0;
}

static int call(struct run *run, const struct template_function *function,
                const struct value *arguments, size_t count, struct value *ret_value)
{
    if (count < function->least || count > function->most)
        return diagnose(run->machine.why, ERR_INVALID,
                        "wrong number of args for %s: want %u, got %zu", function->name,
                        function->least, count);
    return function->call(&run->machine, arguments, count, ret_value);
}

static int evaluate_operand(struct run *run, const struct operand *operand, struct value dot,
                            struct value *ret_value)
{
    struct value value = {0};
    const struct variable *variable;
    int error = 0;

    switch (operand->kind) {
    case OPERAND_LITERAL:
        value = operand->literal;
        break;
    case OPERAND_DOT:
        value = dot;
        break;
    case OPERAND_VARIABLE:
        variable = find_variable(run, operand->variable);
        if (variable == NULL && operand->variable.size > 0)
            return fail(run, "undefined variable", operand->variable);
        value = variable == NULL ? run->root : variable->value;
        break;
    case OPERAND_PIPELINE:
        error = run_pipeline(run, operand->pipeline, dot, &value);
        break;
    case OPERAND_FUNCTION:
        error = call(run, operand->function, NULL, 0, &value);
        break;
    }
    if (error == 0)
        error = follow_fields(run, operand, &value);
    if (error == 0)
        *ret_value = value;
    return error;
}

/* and, or: Go stops at the first argument that decides. */
static bool decides(const struct template_function *function, const struct value *value)
{
    if (strcmp(function->name, "and") == 0)
        return !template_value_is_true(value);
    return strcmp(function->name, "or") == 0 && template_value_is_true(value);
}

/* A command with the value that the one before it left (NULL: it is the first). */
static int run_command(struct run *run, const struct command *command, struct value dot,
                       const struct value *piped, struct value *ret_value)
{
    const struct operand *first = command->operands;
    struct value arguments[ARGUMENTS_MAX];
    size_t count = 0;

    if (first->kind != OPERAND_FUNCTION)
        return evaluate_operand(run, first, dot, ret_value);
    for (const struct operand *at = first->next; at != NULL; at = at->next) {
        int error;
        if (count == ARGUMENTS_MAX - 1)
            return diagnose(run->machine.why, ERR_LIMIT, "too many arguments");
        error = evaluate_operand(run, at, dot, &arguments[count]);
        if (error != 0)
            return error;
        if (decides(first->function, &arguments[count])) {
            *ret_value = arguments[count];
            return 0;
        }
        count++;
    }
    if (piped != NULL)
        arguments[count++] = *piped;
    return call(run, first->function, arguments, count, ret_value);
}

static int evaluate_commands(struct run *run, const struct pipeline *pipeline,
                             struct value dot, struct value *ret_value)
{
    struct value value = {0}, next = {0};
    const struct value *piped = NULL;

    for (const struct command *at = pipeline->commands; at != NULL; at = at->next) {
        int error;
        if (run->machine.steps_left-- == 0) {
            run->machine.steps_left = 0;
            return diagnose(run->machine.why, ERR_LIMIT, "the template runs too long");
        }
        error = run_command(run, at, dot, piped, &next);
        if (error != 0)
            return error;
        value = next;
        piped = &value;
    }
    *ret_value = value;
    return 0;
}

static int run_pipeline(struct run *run, const struct pipeline *pipeline, struct value dot,
                        struct value *ret_value)
{
    struct value value = {0};
    int error = evaluate_commands(run, pipeline, dot, &value);
    if (error == 0 && pipeline->variable_count > 0)
        error = set_variable(run, pipeline->variables[pipeline->variable_count - 1],
                             pipeline->declares, value);
    if (error == 0)
        *ret_value = value;
    return error;
}

/* ---- range ------------------------------------------------------------------------------- */

/* The i-th key and item of what is ranged over; false past the end. */
static bool item_at(const struct value *over, size_t i, struct value *ret_key,
                    struct value *ret_item)
{
    *ret_key = (struct value){.kind = VALUE_INTEGER, .as.integer = (int64_t)i};
    if (over->kind == VALUE_LIST && i < over->as.list.count) {
        *ret_item = over->as.list.items[i];
        return true;
    }
    if (over->kind == VALUE_LABELS && over->as.labels != NULL && i < over->as.labels->count) {
        const struct label *pair = &over->as.labels->pairs[i];
        *ret_key = (struct value){.kind = VALUE_STRING, .as.text = pair->name};
        *ret_item = (struct value){.kind = VALUE_STRING, .as.text = pair->value};
        return true;
    }
    if (over->kind == VALUE_MAP && i < over->as.map.count) {
        *ret_key = value_of_text(over->as.map.fields[i].name);
        *ret_item = over->as.map.fields[i].value;
        return true;
    }
    return false;
}

static int run_range(struct run *run, const struct node *node, struct value dot)
{
    const struct pipeline *pipeline = &node->pipeline;
    struct value over = {0}, key, item;
    size_t scope = run->variable_count, i = 0;
    int error = evaluate_commands(run, pipeline, dot, &over);

    if (error == 0 && over.kind != VALUE_LIST && over.kind != VALUE_LABELS &&
        over.kind != VALUE_MAP && over.kind != VALUE_NIL)
        return diagnose(run->machine.why, ERR_INVALID, "range can't iterate over a %s",
                        template_value_kind_name(over.kind));
    for (; error == 0 && item_at(&over, i, &key, &item); i++) {
        run->variable_count = scope;
        if (pipeline->variable_count == 2)
            error = set_variable(run, pipeline->variables[0], true, key);
        if (error == 0 && pipeline->variable_count > 0)
            error = set_variable(run, pipeline->variables[pipeline->variable_count - 1], true,
                                 item);
        if (error == 0)
            error = run_list(run, node->body, item);
    }
    run->variable_count = scope;
    if (error == 0 && i == 0)
        error = run_list(run, node->otherwise, dot);
    return error;
}

/* ---- nodes ------------------------------------------------------------------------------- */

static int run_if_or_with(struct run *run, const struct node *node, struct value dot)
{
    size_t scope = run->variable_count;
    struct value value = {0};
    int error = run_pipeline(run, &node->pipeline, dot, &value);
    if (error == 0 && template_value_is_true(&value))
        error = run_list(run, node->body, node->kind == NODE_WITH ? value : dot);
    else if (error == 0)
        error = run_list(run, node->otherwise, dot);
    run->variable_count = scope;
    return error;
}

static int run_action(struct run *run, const struct node *node, struct value dot)
{
    struct value value = {0};
    int error = run_pipeline(run, &node->pipeline, dot, &value);
    if (error == 0 && node->pipeline.variable_count == 0)
        template_value_print(&value, run->machine.out);
    return error;
}

static int run_node(struct run *run, const struct node *node, struct value dot)
{
    switch (node->kind) {
    case NODE_TEXT:
        buf_put(run->machine.out, node->text.data, node->text.size);
        return 0;
    case NODE_ACTION:
        return run_action(run, node, dot);
    case NODE_RANGE:
        return run_range(run, node, dot);
    default:
        return run_if_or_with(run, node, dot);
    }
}

static int run_list(struct run *run, const struct node *node, struct value dot)
{
    for (; node != NULL; node = node->next) {
        int error;
        if (run->machine.steps_left == 0)
            return diagnose(run->machine.why, ERR_LIMIT, "the template runs too long");
        run->machine.steps_left--;
        error = run_node(run, node, dot);
        if (error != 0)
            return error;
        if (!buf_ok(run->machine.out) || run->machine.out->size > TEMPLATE_OUTPUT_MAX)
            return diagnose(run->machine.why, ERR_LIMIT, "the template's output is too long");
    }
    return 0;
}

int template_run(const struct template *template, struct value root,
                 const struct value_field *variables, size_t variable_count,
                 struct arena *arena, struct buf *out, struct diagnosis *why)
{
    struct run run = {.machine = {arena, out, why, TEMPLATE_STEPS_MAX}, .root = root};
    for (size_t i = 0; i < variable_count; i++) {
        int error = set_variable(&run, bytes_of(variables[i].name), true, variables[i].value);
        if (error != 0)
            return error;
    }
    return run_list(&run, template->nodes, root);
}
