/*
 * templates.c - see templates.h.
 */
#include "probe/log/templates.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define WILDCARD     0u
#define PREFIX       2 /* tokens that lead to a leaf: Drain's depth of 4 */
#define HASH_START   2166136261u
#define HASH_STEP    16777619u
#define LOOKED_BYTES ((size_t)2048)

_Static_assert(TEMPLATES_KNOWN_MAX * sizeof(uint64_t) < 4096, "all ids fit a note");

/* ---- tokens ----------------------------------------------------------------------------- */

enum kind { KIND_MARK, KIND_SPACE, KIND_LETTER, KIND_DIGIT, KIND_END };

static enum kind kind_of(uint8_t byte)
{
    if (byte == '\n')
        return KIND_END;
    if (byte == ' ' || byte == '\t' || byte == '\r')
        return KIND_SPACE;
    if (byte >= '0' && byte <= '9')
        return KIND_DIGIT;
    bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     byte == '_' || byte >= 0x80;
    return is_letter ? KIND_LETTER : KIND_MARK;
}

/* The word at `at`: letters and digits.  Its end; *ret_has_digit. */
static size_t word_end(struct bytes line, size_t at, bool *ret_has_digit)
{
    *ret_has_digit = false;
    for (; at < line.size; at++) {
        enum kind kind = kind_of(line.data[at]);
        if (kind != KIND_LETTER && kind != KIND_DIGIT)
            break;
        *ret_has_digit |= kind == KIND_DIGIT;
    }
    return at;
}

/* ORA-00600, CRS-1607, TNS-12541: the end of a message's code at `at`, or `at`. */
static size_t code_end(struct bytes line, size_t at)
{
    size_t letters = at;
    while (letters < line.size && isupper(line.data[letters]))
        letters++;
    if (letters - at < 2 || letters - at > 5 || letters >= line.size ||
        line.data[letters] != '-')
        return at;
    size_t digits = letters + 1;
    while (digits < line.size && isdigit(line.data[digits]))
        digits++;
    bool is_whole = digits >= line.size || (kind_of(line.data[digits]) != KIND_LETTER);
    return is_whole && digits - letters - 1 >= 2 && digits - letters - 1 <= 6 ? digits : at;
}

/* What stands at `at`, of at least one byte: its end, and whether it is variable. */
static size_t piece_end(struct bytes line, size_t at, bool *ret_is_variable)
{
    size_t end = code_end(line, at);
    *ret_is_variable = false;
    if (end > at)
        return end;
    end = word_end(line, at, ret_is_variable);
    return end > at ? end : at + 1;
}

static struct bytes looked_at(struct bytes line)
{
    return (struct bytes){line.data, line.size < LOOKED_BYTES ? line.size : LOOKED_BYTES};
}

void template_tokens_of(struct bytes line, struct template_tokens *ret_tokens)
{
    size_t at = 0;
    line = looked_at(line);
    ret_tokens->count = 0;
    while (ret_tokens->count < TEMPLATE_TOKENS_MAX) {
        uint32_t hash = HASH_START;
        while (at < line.size && kind_of(line.data[at]) == KIND_SPACE)
            at++;
        size_t start = at;
        while (at < line.size && kind_of(line.data[at]) != KIND_SPACE &&
               kind_of(line.data[at]) != KIND_END) {
            bool is_variable;
            size_t end = piece_end(line, at, &is_variable);
            for (; at < end && !is_variable; at++)
                hash = (hash ^ line.data[at]) * HASH_STEP;
            hash = is_variable ? (hash ^ 1u) * HASH_STEP : hash;
            at = end;
        }
        if (at == start)
            return;
        ret_tokens->hashes[ret_tokens->count++] = hash == WILDCARD ? HASH_START : hash;
    }
}

/* ---- the tree --------------------------------------------------------------------------- */

int templates_new(size_t most, struct templates **ret_templates)
{
    must(most >= 1 && most <= TEMPLATES_MAX);
    struct templates *templates = calloc(1, sizeof *templates);
    if (templates == NULL)
        return ERR_NOMEM;
    templates->most = most;
    templates->items = calloc(most, sizeof *templates->items);
    if (templates->items == NULL) {
        templates_free(templates);
        return ERR_NOMEM;
    }
    *ret_templates = templates;
    return 0;
}

void templates_free(struct templates *templates)
{
    if (templates == NULL)
        return;
    free(templates->items);
    free(templates);
}

static uint64_t leaf_of(const struct template_tokens *tokens)
{
    size_t prefix = tokens->count < PREFIX ? tokens->count : PREFIX;
    return XXH3_64bits_withSeed(tokens->hashes, prefix * sizeof *tokens->hashes, tokens->count);
}

/* How many tokens agree.  A wildcard agrees with none: a template that has become general would
 * otherwise take every line of its leaf. */
static size_t similarity(const struct template *one, const struct template_tokens *tokens)
{
    size_t score = 0;
    for (size_t i = 0; i < tokens->count; i++)
        score += one->hashes[i] == tokens->hashes[i];
    return score;
}

/* Two in five must agree, which is the method's usual threshold. */
static struct template *find(struct templates *templates, uint64_t leaf,
                             const struct template_tokens *tokens)
{
    struct template *best = NULL;
    size_t best_score = 0;
    for (size_t i = 0; i < templates->count; i++) {
        struct template *one = &templates->items[i];
        if (one->leaf != leaf || one->count != tokens->count)
            continue;
        size_t score = similarity(one, tokens);
        if (score == tokens->count)
            return one;
        if (score * 5 >= tokens->count * 2 && score > best_score) {
            best = one;
            best_score = score;
        }
    }
    return best;
}

/* A place for a new one, or NULL. */
static struct template *find_place(struct templates *templates, int64_t now_ms)
{
    if (templates->count < templates->most)
        return &templates->items[templates->count++];
    struct template *oldest = &templates->items[0];
    for (size_t i = 1; i < templates->count; i++)
        if (templates->items[i].seen_ms < oldest->seen_ms)
            oldest = &templates->items[i];
    if (now_ms - oldest->seen_ms < TEMPLATES_STALE_MS ||
        now_ms - templates->evicted_ms < TEMPLATES_EVERY_MS)
        return NULL;
    templates->evicted_ms = now_ms;
    templates->other += oldest->lines;
    templates->pending_other += oldest->pending;
    return oldest;
}

static bool is_known(const struct templates *templates, uint64_t id)
{
    for (size_t i = 0; i < templates->known_count; i++)
        if (templates->known[i] == id)
            return true;
    return false;
}

static void know(struct templates *templates, uint64_t id)
{
    templates->known[templates->known_next] = id;
    templates->known_next = (templates->known_next + 1) % TEMPLATES_KNOWN_MAX;
    if (templates->known_count < TEMPLATES_KNOWN_MAX)
        templates->known_count++;
    templates->is_changed = true;
}

void templates_take(struct templates *templates, struct bytes line, int64_t now_ms,
                    const struct template **ret_new)
{
    struct template_tokens tokens;
    *ret_new = NULL;
    template_tokens_of(line, &tokens);
    if (tokens.count == 0)
        return;
    uint64_t leaf = leaf_of(&tokens);
    struct template *one = find(templates, leaf, &tokens);
    if (one != NULL) {
        for (size_t i = 0; i < tokens.count; i++)
            if (one->hashes[i] != tokens.hashes[i])
                one->hashes[i] = WILDCARD;
    } else {
        one = find_place(templates, now_ms);
        if (one == NULL) {
            templates->pending_other++;
            return;
        }
        uint64_t id = XXH3_64bits(tokens.hashes, tokens.count * sizeof *tokens.hashes);
        *one = (struct template){
            .id = id == 0 ? 1 : id, .leaf = leaf, .count = (uint16_t)tokens.count};
        memcpy(one->hashes, tokens.hashes, tokens.count * sizeof *tokens.hashes);
        if (!is_known(templates, one->id)) {
            templates->new_count++;
            know(templates, one->id);
            *ret_new = one;
        }
    }
    one->pending++;
    one->seen_ms = now_ms;
}

void templates_commit(struct templates *templates)
{
    for (size_t i = 0; i < templates->count; i++) {
        templates->items[i].lines += templates->items[i].pending;
        templates->items[i].pending = 0;
    }
    templates->other += templates->pending_other;
    templates->pending_other = 0;
}

void templates_rollback(struct templates *templates)
{
    for (size_t i = 0; i < templates->count; i++)
        templates->items[i].pending = 0;
    templates->pending_other = 0;
}

/* ---- what is told and noted ------------------------------------------------------------- */

void templates_tell(struct templates *templates, const struct template *new_one,
                    struct bytes masked)
{
    if (templates->told_count == TEMPLATES_TOLD_MAX)
        return;
    struct template_told *told = &templates->told[templates->told_count++];
    size_t size = 0;
    bool is_variable;
    struct bytes line = looked_at(masked);
    told->id = new_one->id;
    for (size_t at = 0, end; at < line.size && kind_of(line.data[at]) != KIND_END; at = end) {
        end = piece_end(line, at, &is_variable);
        const void *piece = is_variable ? (const void *)"<*>" : line.data + at;
        size_t piece_size = is_variable ? 3 : end - at;
        if (size + piece_size >= sizeof told->text)
            break;
        memcpy(told->text + size, piece, piece_size);
        size += piece_size;
    }
    told->text[size] = '\0';
}

void templates_note_write(const struct templates *templates, struct buf *out)
{
    for (size_t i = 0; i < templates->known_count; i++)
        buf_put_u64(out, templates->known[i]);
}

void templates_note_read(struct templates *templates, struct bytes value)
{
    struct reader reader = reader_of(value);
    while (reader_left(&reader) >= sizeof(uint64_t) &&
           templates->known_count < TEMPLATES_KNOWN_MAX)
        know(templates, reader_u64(&reader));
    templates->is_changed = false;
}
