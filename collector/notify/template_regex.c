/*
 * template_regex.c - match and reReplaceAll.
 *
 * Both search inside the text (not anchored).  Replacement text is Go's: $1, ${1}, ${name}, $$;
 * "$1x" names the group "1x".  PCRE2 with a match limit: a pattern can fail, never hang.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdlib.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

#define MATCH_LIMIT 1000000u

struct search {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

static void search_done(struct search *search)
{
    pcre2_match_context_free(search->context);
    pcre2_match_data_free(search->match);
    pcre2_code_free(search->code);
}

static int search_init(struct template_machine *machine, struct bytes pattern,
                       struct search *search)
{
    int code;
    PCRE2_SIZE offset;
    PCRE2_UCHAR reason[120];

    *search = (struct search){0};
    search->code = pcre2_compile(pattern.data != NULL ? pattern.data : (PCRE2_SPTR) "",
                                 pattern.size, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code,
                                 &offset, NULL);
    if (search->code == NULL) {
        (void)pcre2_get_error_message(code, reason, sizeof reason);
        return diagnose(machine->why, ERR_INVALID, "bad regular expression: %s",
                        (const char *)reason);
    }
    search->match = pcre2_match_data_create_from_pattern(search->code, NULL);
    search->context = pcre2_match_context_create(NULL);
    if (search->match == NULL || search->context == NULL) {
        search_done(search);
        return ERR_NOMEM;
    }
    (void)pcre2_set_match_limit(search->context, MATCH_LIMIT);
    return 0;
}

/* 1 found, 0 not found, negative: an error with `why`. */
static int search_from(struct template_machine *machine, struct search *search,
                       struct bytes text, size_t from, uint32_t options)
{
    int found = pcre2_match(search->code, text.data != NULL ? text.data : (PCRE2_SPTR) "",
                            text.size, from, options, search->match, search->context);
    if (found >= 0)
        return 1;
    if (found == PCRE2_ERROR_NOMATCH)
        return 0;
    return diagnose(machine->why, ERR_LIMIT, "the regular expression gave up (%d)", found);
}

int template_match(struct template_machine *machine, const struct value *arguments,
                   size_t count, struct value *ret_value)
{
    struct search search;
    struct bytes pattern = {0}, text = {0};
    int found, error = template_value_to_text(machine, &arguments[0], &pattern);
    (void)count;

    if (error == 0)
        error = template_value_to_text(machine, &arguments[1], &text);
    if (error == 0)
        error = search_init(machine, pattern, &search);
    if (error != 0)
        return error;
    found = search_from(machine, &search, text, 0, 0);
    search_done(&search);
    if (found < 0)
        return found;
    *ret_value = (struct value){.kind = VALUE_BOOL, .as.boolean = found == 1};
    return 0;
}

/* The group called `name` (a number or a name) as it matched; empty if there is none. */
static struct bytes group_text(const struct search *search, struct bytes text,
                               struct bytes name)
{
    char word[64];
    char *end;
    long number;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(search->match);

    if (name.size == 0 || name.size >= sizeof word)
        return (struct bytes){0};
    memcpy(word, name.data, name.size);
    word[name.size] = '\0';
    number = strtol(word, &end, 10);
    if (*end != '\0')
        number = pcre2_substring_number_from_name(search->code, (PCRE2_SPTR)word);
    if (number < 0 || (uint32_t)number >= pcre2_get_ovector_count(search->match) ||
        at[2 * number] == PCRE2_UNSET)
        return (struct bytes){0};
    return (struct bytes){text.data + at[2 * number],
                          (size_t)(at[2 * number + 1] - at[2 * number])};
}

static void expand(const struct search *search, struct bytes text, struct bytes replacement,
                   struct buf *out)
{
    for (size_t i = 0; i < replacement.size; i++) {
        size_t start = i + 1, end;
        bool braces;
        struct bytes found;
        if (replacement.data[i] != '$') {
            buf_put_u8(out, replacement.data[i]);
            continue;
        }
        if (start < replacement.size && replacement.data[start] == '$') {
            buf_put_char(out, '$');
            i++;
            continue;
        }
        braces = start < replacement.size && replacement.data[start] == '{';
        start += braces;
        for (end = start; end < replacement.size && (isalnum(replacement.data[end]) ||
                                                     replacement.data[end] == '_');
             end++)
            continue;
        if (end == start ||
            (braces && (end == replacement.size || replacement.data[end] != '}'))) {
            buf_put_char(out, '$');
            continue;
        }
        found = group_text(search, text,
                           (struct bytes){replacement.data + start, end - start});
        buf_put(out, found.data, found.size);
        i = end - !braces;
    }
}

static int replace_all(struct template_machine *machine, struct search *search,
                       struct bytes text, struct bytes replacement, struct buf *out)
{
    size_t copied = 0, from = 0;
    while (from <= text.size) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(search->match);
        int found = search_from(machine, search, text, from, 0);
        if (found < 0)
            return found;
        if (found == 0)
            break;
        if (at[0] < copied || at[1] < at[0]) /* \K may turn a match around */
            break;
        buf_put(out, text.data + copied, at[0] - copied);
        expand(search, text, replacement, out);
        copied = at[1];
        from = at[1];
        if (at[0] == at[1]) { /* an empty match: go on one character later */
            from++;
            while (from < text.size && (text.data[from] & 0xC0) == 0x80)
                from++;
        }
        if (!buf_ok(out))
            return ERR_NOMEM;
    }
    buf_put(out, text.data + copied, text.size - copied);
    return buf_ok(out) ? 0 : ERR_NOMEM;
}

int template_replace(struct template_machine *machine, const struct value *arguments,
                     size_t count, struct value *ret_value)
{
    struct search search;
    struct bytes words[3] = {{0}};
    struct buf out;
    uint8_t *copy = NULL;
    int error = 0;
    (void)count;

    for (size_t i = 0; i < 3 && error == 0; i++)
        error = template_value_to_text(machine, &arguments[i], &words[i]);
    if (error == 0)
        error = search_init(machine, words[0], &search);
    if (error != 0)
        return error;
    buf_init(&out, TEMPLATE_OUTPUT_MAX);
    error = replace_all(machine, &search, words[2], words[1], &out);
    search_done(&search);
    if (error == 0) {
        copy = arena_alloc(machine->arena, out.size + 1, 1);
        error = copy == NULL ? ERR_NOMEM : 0;
    }
    if (error == 0) {
        memcpy(copy, buf_text(&out), out.size);
        *ret_value = (struct value){.kind = VALUE_STRING, .as.text = {copy, out.size}};
    }
    buf_done(&out);
    return error;
}
