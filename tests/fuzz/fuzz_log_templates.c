/*
 * fuzz_log_templates.c - any bytes as lines: each counts once, a line is of the template that
 * it made, and what is told has no digits but those of codes and is cut between characters'
 * words.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "probe/log/templates.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct templates *templates, *again;
    uint64_t lines = 0, sum = 0;
    struct buf note = {0};
    must(templates_new(16, &templates) == 0 && templates_new(16, &again) == 0);
    for (size_t at = 0; at < size;) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t end = newline == NULL ? size : (size_t)(newline - data);
        struct bytes line = {data + at, end - at};
        struct template_tokens tokens;
        const struct template *new_one;
        template_tokens_of(line, &tokens);
        must(tokens.count <= TEMPLATE_TOKENS_MAX);
        lines += tokens.count > 0;
        templates_take(templates, line, (int64_t)end, &new_one);
        if (new_one != NULL)
            templates_tell(templates, new_one, line);
        if (end % 5 == 0)
            templates_commit(templates);
        at = end + 1;
    }
    templates_commit(templates);
    for (size_t i = 0; i < templates->count; i++)
        sum += templates->items[i].lines;
    must(sum + templates->other == lines);
    for (size_t i = 0; i < templates->told_count; i++)
        must(memchr(templates->told[i].text, '\0', TEMPLATE_TEXT_BYTES) != NULL);
    templates_note_write(templates, &note);
    templates_note_read(again, buf_bytes(&note));
    must(again->known_count == templates->known_count);
    buf_done(&note);
    templates_free(templates);
    templates_free(again);
    return 0;
}
