/*
 * fuzz_matcher.c - patterns from strangers.
 *
 * The first line is the pattern, the rest the text.  Properties: a pattern either compiles or
 * is refused with a reason; where the language is known to be finite, exactly its strings
 * match, and the regular expression compiled from the same pattern agrees; every match begins
 * with the prefix.
 */
#include <stdint.h>
#include <string.h>

#include "collector/series/matcher.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/base/utf8.h"

static void check_text(const struct matcher *matcher, const struct regex *regex,
                       struct bytes text)
{
    int matcher_error = 0;
    int regex_error = 0;
    bool matched = matcher_matches(matcher, text, &matcher_error);
    bool same = regex_matches(regex, text, &regex_error);
    /* Label values are UTF-8, and gaps between literals may rely on that. */
    if (matcher_error == 0 && regex_error == 0 &&
        (matcher->glob == NULL || utf8_is_valid(text)))
        must(matched == same);
    if (matched)
        must(text.size >= matcher->prefix.size &&
             (matcher->prefix.size == 0 ||
              memcmp(text.data, matcher->prefix.data, matcher->prefix.size) == 0));
    struct buf out = {.limit = 1 << 20};
    (void)regex_expand(regex, text, bytes_of("$1-${2}$x$$"), &out, &regex_error);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    struct bytes pattern = {data, newline != NULL ? (size_t)(newline - data) : size};
    struct bytes text = {newline != NULL ? newline + 1 : data,
                         newline != NULL ? size - pattern.size - 1 : 0};
    struct matcher *matcher = NULL;
    struct regex *regex = NULL;
    struct diagnosis why = {""};

    int error = matcher_new(MATCH_REGEX, bytes_of("a"), pattern, &matcher, &why);
    if (error != 0) {
        must(error == ERR_NOMEM || (error == ERR_INVALID && why.text[0] != '\0'));
        return 0;
    }
    error = regex_new(pattern, true, &regex, &why);
    if (error == 0) {
        if (utf8_is_valid(text))
            check_text(matcher, regex, text);
        for (size_t i = 0; i < matcher->literal_count && i < 32; i++) {
            must(matcher_matches(matcher, matcher->literals[i], NULL));
            check_text(matcher, regex, matcher->literals[i]);
        }
    }
    regex_free(regex);
    matcher_free(matcher);
    return 0;
}
