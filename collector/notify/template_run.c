/*
 * template_run.c - a tree and values become text.
 *
 * A run is bounded: by steps (ranges over ranges), by output and by the arena's ceiling.
 */
#include <stdio.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

#define VARIABLES_MAX 256
#define ARGUMENTS_MAX 32

/* What a list ends with when it is not an error: the range around it goes on accordingly. */
enum { RUN_BREAK = 1, RUN_CONTINUE = 2 };

struct variable {
    struct bytes name;
    struct value value;
};

struct run {
    struct template_machine machine;
    const struct template *template;
    struct value root; /* $ */
    struct variable variables[VARIABLES_MAX];
    size_t variable_base;  /* those below belong to the template that called this one */
    size_t variable_count; /* a scope ends by taking this back */
    unsigned calls;        /* templates under way */
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
    for (size_t i = run->variable_count; i > run->variable_base; i--)
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

/* .a.b.c after a value: methods before fields, as Go looks.  The arguments are the last one's.
 */
static int follow_fields(struct run *run, const struct operand *operand,
                         const struct value *arguments, size_t count, struct value *value)
{
    for (size_t i = 0; i < operand->field_count; i++) {
        const struct bytes name = operand->fields[i];
        const bool is_last = i + 1 == operand->field_count;
        int error = template_method(&run->machine, value, name, is_last ? arguments : NULL,
                                    is_last ? count : 0, value);
        if (error == 0)
            continue;
        if (error != ERR_NOTFOUND)
            return error;
        if (is_last && count > 0)
            return fail(run, "this takes no arguments:", name);
        if (!template_value_field(value, name, value)) {
            char message[80];
            (void)snprintf(message, sizeof message, "a %s has no field",
                           template_value_kind_name(value->kind));
            return fail(run, message, name);
        }
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

static int evaluate_chain(struct run *run, const struct operand *operand, struct value dot,
                          const struct value *arguments, size_t count, struct value *ret_value)
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
        error = follow_fields(run, operand, arguments, count, &value);
    if (error == 0)
        *ret_value = value;
    return error;
}

static int evaluate_operand(struct run *run, const struct operand *operand, struct value dot,
                            struct value *ret_value)
{
    return evaluate_chain(run, operand, dot, NULL, 0, ret_value);
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

    if (first->kind != OPERAND_FUNCTION && first->field_count == 0 && piped != NULL)
        return fail(run, "can't give argument to non-function", first->variable);
    for (const struct operand *at = first->next; at != NULL; at = at->next) {
        int error;
        if (count == ARGUMENTS_MAX - 1)
            return diagnose(run->machine.why, ERR_LIMIT, "too many arguments");
        error = evaluate_operand(run, at, dot, &arguments[count]);
        if (error != 0)
            return error;
        if (first->kind == OPERAND_FUNCTION && decides(first->function, &arguments[count])) {
            *ret_value = arguments[count];
            return 0;
        }
        count++;
    }
    if (piped != NULL)
        arguments[count++] = *piped;
    if (first->kind != OPERAND_FUNCTION)
        return evaluate_chain(run, first, dot, arguments, count, ret_value);
    return call(run, first->function, arguments, count, ret_value);
}

static int evaluate_commands(struct run *run, const struct pipeline *pipeline, struct value dot,
                             struct value *ret_value)
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
    if (over->kind == VALUE_INTEGER && (int64_t)i < over->as.integer) {
        *ret_item = *ret_key;
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
        over.kind != VALUE_MAP && over.kind != VALUE_NIL && over.kind != VALUE_INTEGER)
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
        if (error == RUN_BREAK)
            break;
        if (error == RUN_CONTINUE)
            error = 0;
    }
    run->variable_count = scope;
    if (error == RUN_BREAK)
        return 0;
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
        (run->machine.environment->is_html ? template_escape_print
                                           : template_value_print)(&value, run->machine.out);
    return error;
}

/* A template of its own: new variables, and `data` as $ and dot. */
static int run_definition(struct run *run, struct bytes name, struct value data)
{
    const struct named_template *found = template_definition(run->template, name);
    const size_t base = run->variable_base, scope = run->variable_count;
    const struct value root = run->root;
    int error;

    if (found == NULL)
        return fail(run, "there is no template", name);
    if (run->calls == TEMPLATE_CALLS_MAX)
        return fail(run, "templates call each other without end:", name);
    run->calls++;
    run->variable_base = scope;
    run->root = data;
    error = run_list(run, found->nodes, data);
    run->root = root;
    run->variable_base = base;
    run->variable_count = scope;
    run->calls--;
    return error;
}

static int run_template(struct run *run, const struct node *node, struct value dot)
{
    const size_t scope = run->variable_count;
    struct value data = {0};
    int error = 0;

    if (node->pipeline.commands != NULL)
        error = run_pipeline(run, &node->pipeline, dot, &data);
    run->variable_count = scope;
    return error == 0 ? run_definition(run, node->text, data) : error;
}

int template_run_named(struct template_machine *machine, struct bytes name, struct value data,
                       struct buf *out)
{
    struct buf *const outer = machine->out;
    int error;

    machine->out = out;
    error = run_definition(machine->run, name, data);
    machine->out = outer;
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
    case NODE_TEMPLATE:
        return run_template(run, node, dot);
    case NODE_BREAK:
        return RUN_BREAK;
    case NODE_CONTINUE:
        return RUN_CONTINUE;
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

int template_run(const struct template *template,
                 const struct template_environment *environment, struct value root,
                 const struct value_field *variables, size_t variable_count,
                 struct arena *arena, struct buf *out, struct diagnosis *why)
{
    static const struct template_environment nothing = {0};
    struct run run = {.machine = {.arena = arena,
                                  .out = out,
                                  .why = why,
                                  .environment = environment != NULL ? environment : &nothing,
                                  .steps_left = TEMPLATE_STEPS_MAX},
                      .template = template,
                      .root = root};
    run.machine.run = &run;
    for (size_t i = 0; i < variable_count; i++) {
        int error = set_variable(&run, bytes_of(variables[i].name), true, variables[i].value);
        if (error != 0)
            return error;
    }
    return run_list(&run, template->nodes, root);
}
