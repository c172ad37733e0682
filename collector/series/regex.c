/*
 * regex.c - a pattern in RE2's language, run by PCRE2.
 *
 * PCRE2 backtracks, so every match has a limit.  Where it is met, the pattern is anchored and no
 * groups are asked for, PCRE2's other matcher, which walks all ways at once as RE2 does, has the
 * last word, and from then on the only one for this pattern; else it is ERR_LIMIT.  The JIT
 * is used where there is one, from the first match on, for what is kept of earlier questions answers
 * many without any; when its small stack does not suffice, the interpreter, whose frames are on the
 * heap and limited too.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/series/regex.h"
#include "collector/series/regex_parser.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define MATCH_LIMIT    1000000u
#define QUICK_LIMIT    100000u         /* where the other matcher can take over */
#define WALK_INTS      ((size_t)20000) /* its space: some 3,000 ways at once */
#define HEAP_LIMIT_KIB 20480u
#define SYNTAX_BYTES   ((size_t)64 << 20)

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits, *quick_limits;
    pcre2_code *walked; /* atomic; the same for the other matcher, once it was needed */
    uint8_t *text;      /* what was compiled */
    size_t text_size;
    bool anchored;
    bool is_ready; /* atomic; JIT has been tried */
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

static int compile_text(struct bytes text, bool anchored, uint32_t options,
                        pcre2_code **ret_code, struct diagnosis *why)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    int code = 0;
    PCRE2_SIZE offset = 0;

    if (context == NULL)
        return ERR_NOMEM;
    options |= PCRE2_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX |
               PCRE2_NEVER_BACKSLASH_C;
    if (anchored)
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    /* A repeated group is two levels to PCRE2, and a folded literal one more. */
    (void)pcre2_set_parens_nest_limit(context, 3 * REGEX_DEPTH_MAX);
    *ret_code = pcre2_compile(text.data, text.size, options, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (*ret_code == NULL) {
        PCRE2_UCHAR message[256];
        (void)pcre2_get_error_message(code, message, sizeof message);
        return diagnose(why, ERR_INVALID, "error parsing regexp: %s", (const char *)message);
    }
    return 0;
}

bool regex_knows_script(const char *name)
{
    char text[64];
    pcre2_code *code = NULL;
    int size = snprintf(text, sizeof text, "\\p{sc:%s}", name);
    bool known = size < (int)sizeof text &&
                 compile_text((struct bytes){(const uint8_t *)text, (size_t)size}, false, 0,
                              &code, NULL) == 0;
    pcre2_code_free(code);
    return known;
}

static pcre2_match_context *limits_new(uint32_t matches)
{
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    if (limits != NULL) {
        (void)pcre2_set_match_limit(limits, matches);
        (void)pcre2_set_heap_limit(limits, HEAP_LIMIT_KIB);
    }
    return limits;
}

static int compile(struct regex *regex, struct bytes text, bool anchored, struct diagnosis *why)
{
    int error = compile_text(text, anchored, PCRE2_MATCH_INVALID_UTF, &regex->code, why);
    if (error != 0)
        return error;
    regex->limits = limits_new(MATCH_LIMIT);
    regex->quick_limits = limits_new(QUICK_LIMIT);
    regex->text = malloc(text.size + 1);
    if (regex->limits == NULL || regex->quick_limits == NULL || regex->text == NULL)
        return ERR_NOMEM;
    memcpy(regex->text, text.data, text.size);
    regex->text_size = text.size;
    regex->anchored = anchored;
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
    if (error == 0 && anchored)
        error = regex_syntax_check_anchored(&syntax, pattern, why);
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
    pcre2_code_free(regex->walked);
    pcre2_match_context_free(regex->limits);
    pcre2_match_context_free(regex->quick_limits);
    free(regex->text);
    free(regex->names);
    free(regex->name_bytes);
    free(regex);
}

static void note_error(int error, int *ret_error)
{
    if (ret_error != NULL)
        *ret_error = error;
}

/* Once, whoever comes first: the JIT must not find anybody at work. */
static void get_ready(const struct regex *regex)
{
    static pthread_mutex_t compiling = PTHREAD_MUTEX_INITIALIZER;
    bool *is_ready = (bool *)&regex->is_ready;
    must(pthread_mutex_lock(&compiling) == 0);
    if (!*is_ready)
        (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* without it: the interpreter */
    __atomic_store_n(is_ready, true, __ATOMIC_RELEASE);
    must(pthread_mutex_unlock(&compiling) == 0);
}

void regex_prepare(const struct regex *regex)
{
    if (!__atomic_load_n(&regex->is_ready, __ATOMIC_ACQUIRE))
        get_ready(regex);
}

static int match(const struct regex *regex, struct bytes text, pcre2_match_data *found,
                 pcre2_match_context *limits)
{
    const uint8_t *data = text.size > 0 ? text.data : (const uint8_t *)"";
    regex_prepare(regex);
    int code = pcre2_match(regex->code, data, text.size, 0, 0, found, limits);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT)
        code = pcre2_match(regex->code, data, text.size, 0, PCRE2_NO_JIT, found, limits);
    return code;
}

/* The pattern for the other matcher, made by the first who needs it; NULL: no memory.  It knows
 * no PCRE2_MATCH_INVALID_UTF. */
static const pcre2_code *walked_code(const struct regex *regex)
{
    pcre2_code **place = (pcre2_code **)&regex->walked;
    pcre2_code *code = __atomic_load_n(place, __ATOMIC_ACQUIRE);
    pcre2_code *made = NULL;
    if (code != NULL || compile_text((struct bytes){regex->text, regex->text_size},
                                     regex->anchored, 0, &made, NULL) != 0)
        return code;
    if (__atomic_compare_exchange_n(place, &code, made, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return made;
    pcre2_code_free(made);
    return code;
}

/* All ways at once: the time grows with the text, whatever the pattern. */
static int walk(const struct regex *regex, struct bytes text, pcre2_match_data *found)
{
    const pcre2_code *code = walked_code(regex);
    int *space = malloc(WALK_INTS * sizeof *space);
    int result = PCRE2_ERROR_NOMEMORY;
    if (code != NULL && space != NULL)
        result = pcre2_dfa_match(code, text.size > 0 ? text.data : (const uint8_t *)"",
                                 text.size, 0, 0, found, regex->limits, space, WALK_INTS);
    free(space);
    if (result == 0) /* matches of more lengths than `found` holds */
        result = 1;
    /* PCRE2 does not look here whether a match ends with the text; the longest comes first. */
    if (result > 0 && regex->anchored && pcre2_get_ovector_pointer(found)[1] != text.size)
        result = PCRE2_ERROR_NOMATCH;
    return result;
}

/* The number of set pairs in `found`, or 0 for no match. */
static int result_of(int code, int *ret_error)
{
    if (code > 0)
        return code;
    if (code == PCRE2_ERROR_NOMEMORY)
        note_error(ERR_NOMEM, ret_error);
    else if (code != PCRE2_ERROR_NOMATCH)
        note_error(ERR_LIMIT, ret_error);
    return 0;
}

bool regex_is_slow(const struct regex *regex)
{
    return __atomic_load_n(&regex->walked, __ATOMIC_RELAXED) != NULL;
}

bool regex_matches(const struct regex *regex, struct bytes text, int *ret_error)
{
    pcre2_match_data *found = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (found == NULL) {
        note_error(ERR_NOMEM, ret_error);
        return false;
    }
    /* Unanchored, all ways at once would begin anew at every place of the text. */
    const bool may_walk = regex->anchored;
    int code = PCRE2_ERROR_MATCHLIMIT;
    if (!may_walk || !regex_is_slow(regex))
        code = match(regex, text, found, may_walk ? regex->quick_limits : regex->limits);
    if (may_walk && (code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_HEAPLIMIT)) {
        code = walk(regex, text, found);
        if (code < PCRE2_ERROR_NOMATCH) /* no UTF-8, or too many ways */
            code = match(regex, text, found, regex->limits);
    }
    bool matched = result_of(code, ret_error) > 0;
    pcre2_match_data_free(found);
    return matched;
}

/* The group a reference means, or -1: a number, or a name (which may look like "1x").  Of
 * groups with one name it is the first that took part. */
static int find_group(const struct regex *regex, struct bytes name, const PCRE2_SIZE *offsets,
                      int pairs)
{
    int number = 0;
    bool numeric = name.size > 0 && name.size < 9;
    for (size_t i = 0; numeric && i < name.size; i++) {
        numeric = name.data[i] >= '0' && name.data[i] <= '9';
        number = number * 10 + (name.data[i] - '0');
    }
    bool any_name = !numeric || (name.data[0] == '0' && name.size > 1);
    int first = any_name ? 1 : number;
    int last = any_name ? regex->capture_count : number;
    for (int i = first; i <= last && i < pairs; i++)
        if (offsets[2 * i] != PCRE2_UNSET && (!any_name || bytes_equal(regex->names[i], name)))
            return i;
    return -1;
}

/* Made by the first who needs it, for as long as the program runs; NULL: no memory. */
static pcre2_code *word_code;
static void make_word_code(void)
{
    (void)compile_text(bytes_of("[_\\p{L}\\p{Nd}]*"), false,
                       PCRE2_ANCHORED | PCRE2_MATCH_INVALID_UTF, &word_code, NULL);
}

/* Letters, digits and '_' of any alphabet: how many bytes of them there are. */
static size_t measure_word(const uint8_t *at, const uint8_t *end)
{
    size_t size = 0;
    while (at + size != end &&
           (at[size] == '_' || (at[size] >= '0' && at[size] <= '9') ||
            (at[size] >= 'a' && at[size] <= 'z') || (at[size] >= 'A' && at[size] <= 'Z')))
        size++;
    if (at + size == end || at[size] < 0x80)
        return size;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    must(pthread_once(&once, make_word_code) == 0);
    pcre2_match_data *found =
        word_code != NULL ? pcre2_match_data_create_from_pattern(word_code, NULL) : NULL;
    if (found != NULL && pcre2_match(word_code, at, (size_t)(end - at), 0, 0, found, NULL) > 0)
        size = pcre2_get_ovector_pointer(found)[1];
    pcre2_match_data_free(found);
    return size;
}

/* Reads "$name", "${name}" after the '$' at `at`; returns the bytes taken, 0 if it is none. */
static size_t read_reference(const uint8_t *at, const uint8_t *end, struct bytes *ret_name)
{
    const uint8_t *name = at + 1;
    bool braced = name != end && *name == '{';
    if (braced)
        name++;
    const uint8_t *stop = name + measure_word(name, end);
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
            int group = find_group(regex, name, offsets, pairs);
            if (group >= 0)
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
    int pairs = result_of(match(regex, text, found, regex->limits), ret_error);
    if (pairs > 0)
        expand(regex, text, replacement, found, pairs, out);
    pcre2_match_data_free(found);
    return pairs > 0;
}
