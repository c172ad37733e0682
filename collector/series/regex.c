/*
 * regex.c - a pattern in RE2's language, run by PCRE2.
 *
 * PCRE2 backtracks, so every match has a limit: a hostile pattern fails with ERR_LIMIT where
 * RE2 would have been slow.  The JIT is used where there is one; when its small stack does not
 * suffice, the interpreter, whose frames are on the heap and limited too, has the last word.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "collector/series/regex.h"
#include "proto/base/error.h"

#define MATCH_LIMIT    1000000u
#define HEAP_LIMIT_KIB 20480u
#define SYNTAX_BYTES   ((size_t)64 << 20)

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    bool jit;
    int capture_count;
    struct bytes *names; /* capture_count + 1; point into name_bytes */
    uint8_t *name_bytes;
};

static int keep_names(struct regex *regex, const struct regex_syntax *syntax)
{
    size_t bytes = 1;
    for (int i = 1; i <= syntax->capture_count; i++)
        bytes += syntax->names[i].size;
    regex->capture_count = syntax->capture_count;
    regex->names = calloc((size_t)syntax->capture_count + 1, sizeof *regex->names);
    regex->name_bytes = malloc(bytes);
    if (regex->names == NULL || regex->name_bytes == NULL)
        return ERR_NOMEM;
    uint8_t *at = regex->name_bytes;
    for (int i = 1; i <= syntax->capture_count; i++) {
        struct bytes name = syntax->names[i];
        regex->names[i] = (struct bytes){at, name.size};
        if (name.size > 0)
            memcpy(at, name.data, name.size);
        at += name.size;
    }
    return 0;
}

static int compile(struct regex *regex, struct bytes text, bool anchored, struct diagnosis *why)
{
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOTALL |
                       PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX | PCRE2_NEVER_BACKSLASH_C;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    int code = 0;
    PCRE2_SIZE offset = 0;

    if (context == NULL)
        return ERR_NOMEM;
    if (anchored)
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    /* A repeated group is two levels to PCRE2, and a folded literal one more. */
    (void)pcre2_set_parens_nest_limit(context, 3 * REGEX_DEPTH_MAX);
    regex->code = pcre2_compile(text.data, text.size, options, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (regex->code == NULL) {
        PCRE2_UCHAR message[256];
        (void)pcre2_get_error_message(code, message, sizeof message);
        return diagnose(why, ERR_INVALID, "error parsing regexp: %s", (const char *)message);
    }
    regex->jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
    regex->limits = pcre2_match_context_create(NULL);
    if (regex->limits == NULL)
        return ERR_NOMEM;
    (void)pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(regex->limits, HEAP_LIMIT_KIB);
    return 0;
}

int regex_compile_syntax(const struct regex_syntax *syntax, bool anchored,
                         struct regex **ret_regex, struct diagnosis *why)
{
    struct buf text = {0};
    struct regex *regex = calloc(1, sizeof *regex);
    int error = regex == NULL ? ERR_NOMEM : 0;

    if (error == 0) {
        regex_syntax_emit(syntax->root, &text);
        error = buf_ok(&text) ? 0 : ERR_NOMEM;
    }
    if (error == 0)
        error = compile(
            regex, (struct bytes){text.size > 0 ? text.data : (const uint8_t *)"", text.size},
            anchored, why);
    if (error == 0)
        error = keep_names(regex, syntax);
    buf_done(&text);
    if (error != 0) {
        regex_free(regex);
        return error;
    }
    *ret_regex = regex;
    return 0;
}

int regex_new(struct bytes pattern, bool anchored, struct regex **ret_regex,
              struct diagnosis *why)
{
    struct regex_syntax syntax;
    struct arena arena;

    arena_init(&arena, SYNTAX_BYTES);
    int error = regex_syntax_parse(pattern, &arena, &syntax, why);
    if (error == 0)
        error = regex_compile_syntax(&syntax, anchored, ret_regex, why);
    arena_reset(&arena);
    return error;
}

void regex_free(struct regex *regex)
{
    if (regex == NULL)
        return;
    pcre2_code_free(regex->code);
    pcre2_match_context_free(regex->limits);
    free(regex->names);
    free(regex->name_bytes);
    free(regex);
}

static void note_error(int error, int *ret_error)
{
    if (ret_error != NULL)
        *ret_error = error;
}

/* The number of set pairs in `found`, or 0 for no match. */
static int run(const struct regex *regex, struct bytes text, pcre2_match_data *found,
               int *ret_error)
{
    const uint8_t *data = text.size > 0 ? text.data : (const uint8_t *)"";
    int code = pcre2_match(regex->code, data, text.size, 0, 0, found, regex->limits);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT)
        code = pcre2_match(regex->code, data, text.size, 0, PCRE2_NO_JIT, found, regex->limits);
    if (code > 0)
        return code;
    if (code == PCRE2_ERROR_NOMEMORY)
        note_error(ERR_NOMEM, ret_error);
    else if (code != PCRE2_ERROR_NOMATCH)
        note_error(ERR_LIMIT, ret_error);
    return 0;
}

bool regex_matches(const struct regex *regex, struct bytes text, int *ret_error)
{
    pcre2_match_data *found = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (found == NULL) {
        note_error(ERR_NOMEM, ret_error);
        return false;
    }
    bool matched = run(regex, text, found, ret_error) > 0;
    pcre2_match_data_free(found);
    return matched;
}

/* The group a reference means, or -1: a number, or a name (which may look like "1x"). */
static int find_group(const struct regex *regex, struct bytes name)
{
    int number = 0;
    bool numeric = name.size > 0 && name.size < 9;
    for (size_t i = 0; numeric && i < name.size; i++) {
        numeric = name.data[i] >= '0' && name.data[i] <= '9';
        number = number * 10 + (name.data[i] - '0');
    }
    if (numeric && !(name.data[0] == '0' && name.size > 1))
        return number <= regex->capture_count ? number : -1;
    for (int i = 1; i <= regex->capture_count; i++)
        if (name.size > 0 && bytes_equal(regex->names[i], name))
            return i;
    return -1;
}

static bool is_word(uint8_t c)
{
    return c == '_' || c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

/* Reads "$name", "${name}" after the '$' at `at`; returns the bytes taken, 0 if it is none. */
static size_t read_reference(const uint8_t *at, const uint8_t *end, struct bytes *ret_name)
{
    const uint8_t *name = at + 1;
    bool braced = name != end && *name == '{';
    if (braced)
        name++;
    const uint8_t *stop = name;
    while (stop != end && is_word(*stop))
        stop++;
    if (stop == name || (braced && (stop == end || *stop != '}')))
        return 0;
    *ret_name = (struct bytes){name, (size_t)(stop - name)};
    return (size_t)(stop - at) + braced;
}

static void expand(const struct regex *regex, struct bytes text, struct bytes replacement,
                   pcre2_match_data *found, int pairs, struct buf *out)
{
    const uint8_t *subject = text.size > 0 ? text.data : (const uint8_t *)"";
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(found);
    const uint8_t *at = replacement.data;
    const uint8_t *end = replacement.size > 0 ? at + replacement.size : at;
    while (at != end) {
        struct bytes name;
        if (*at != '$') {
            buf_put(out, at++, 1);
        } else if (end - at >= 2 && at[1] == '$') {
            buf_put_char(out, '$');
            at += 2;
        } else {
            size_t size = read_reference(at, end, &name);
            if (size == 0) {
                buf_put_char(out, '$');
                at++;
                continue;
            }
            int group = find_group(regex, name);
            if (group >= 0 && group < pairs && offsets[2 * group] != PCRE2_UNSET)
                buf_put(out, subject + offsets[2 * group],
                        offsets[2 * group + 1] - offsets[2 * group]);
            at += size;
        }
    }
}

bool regex_expand(const struct regex *regex, struct bytes text, struct bytes replacement,
                  struct buf *out, int *ret_error)
{
    pcre2_match_data *found = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (found == NULL) {
        note_error(ERR_NOMEM, ret_error);
        return false;
    }
    int pairs = run(regex, text, found, ret_error);
    if (pairs > 0)
        expand(regex, text, replacement, found, pairs, out);
    pcre2_match_data_free(found);
    return pairs > 0;
}
