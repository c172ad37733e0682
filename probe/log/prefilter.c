/*
 * prefilter.c - see prefilter.h.
 */
#include "probe/log/prefilter.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define PAIRS      65536
#define WORD_LEAST 3

struct word {
    uint64_t pattern; /* its bit */
    uint16_t pair;    /* its two bytes that are looked up, */
    uint8_t at;       /* where in it they stand */
    uint8_t size;
    uint8_t text[PREFILTER_WORD_BYTES];
};

struct prefilter {
    uint64_t always;
    size_t count;
    struct word *words; /* ascending by pair */
    uint8_t pairs[PAIRS / 8];
};

/* ---- words of an expression ------------------------------------------------------------- */

/* An alternative that is being read: the run of plain bytes under way, and the best before. */
struct reading {
    const char *at;
    char run[PREFILTER_WORD_BYTES + 1], best[PREFILTER_WORD_BYTES + 1];
    size_t run_size;
    bool is_strange; /* not understood: no words */
};

static void end_run(struct reading *reading)
{
    reading->run[reading->run_size] = '\0';
    if (reading->run_size > strlen(reading->best))
        memcpy(reading->best, reading->run, reading->run_size + 1);
    reading->run_size = 0;
}

/* Behind a class; it begins at `at`. */
static const char *class_end(const char *at)
{
    at += at[1] == '^' ? 2 : 1;
    if (*at == ']')
        at++;
    for (; *at != '\0' && *at != ']'; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        else if (at[0] == '[' && (at[1] == ':' || at[1] == '.' || at[1] == '='))
            return NULL;
    }
    return *at == ']' ? at + 1 : NULL;
}

/* Behind a group; it begins at `at`.  What is in it is not looked at. */
static const char *group_end(const char *at)
{
    size_t depth = 0;
    /* Comments, conditions and verbs have a syntax of their own; flags hold beyond the group.
     */
    while (at != NULL && *at != '\0') {
        if (*at == '(' && (at[1] == '*' || (at[1] == '?' && at[2] != ':' && at[2] != '<')))
            return NULL;
        if (*at == '\\' && at[1] != '\0' && at[1] != 'Q') {
            at += 2;
        } else if (*at == '\\') {
            return NULL;
        } else if (*at == '[') {
            at = class_end(at);
        } else {
            depth += *at == '(';
            depth -= *at == ')';
            at++;
            if (depth == 0)
                return at;
        }
    }
    return NULL;
}

/* How many of what stands before; *ret_may_miss: none is enough. */
static const char *quantifier_end(const char *at, bool *ret_may_miss, bool *ret_is_one)
{
    *ret_is_one = strchr("?*+{", *at) == NULL || *at == '\0';
    *ret_may_miss = *at == '?' || *at == '*' || *at == '{';
    if (*at == '{') {
        at += 1 + strspn(at + 1, ",0123456789");
        if (*at != '}')
            return NULL; /* they are text, with what follows */
    }
    if (!*ret_is_one)
        at++;
    while (!*ret_is_one && (*at == '?' || *at == '+'))
        at++;
    return at;
}

/* A plain byte, a class, a group: *ret_plain its byte, or -1. */
static const char *atom_end(const char *at, int *ret_plain)
{
    *ret_plain = -1;
    switch (*at) {
    case '(':
        return group_end(at);
    case '[':
        return class_end(at);
    case '.':
    case '^':
    case '$':
        return at + 1;
    case '\\':
        if (at[1] == '\0')
            return NULL;
        if (ispunct((unsigned char)at[1]))
            *ret_plain = (unsigned char)at[1];
        else if (strchr("bBdDsSwWAzZ", at[1]) == NULL)
            return NULL;
        return at + 2;
    case ')':
    case '?':
    case '*':
    case '+':
    case '{':
        return NULL;
    default:
        *ret_plain = (unsigned char)*at;
        return at + 1;
    }
}

static void read_atom(struct reading *reading)
{
    int plain;
    bool may_miss, is_one;
    const char *end = atom_end(reading->at, &plain);
    if (end == NULL) {
        reading->is_strange = true;
        return;
    }
    /* Assertions take no room: ^ $ \b between two bytes would still be where they are. */
    reading->at = quantifier_end(end, &may_miss, &is_one);
    if (reading->at == NULL) {
        reading->is_strange = true;
        return;
    }
    if (plain < 0 || may_miss || reading->run_size == PREFILTER_WORD_BYTES) {
        end_run(reading);
        if (plain < 0 || may_miss)
            return;
    }
    reading->run[reading->run_size++] = (char)plain;
    if (!is_one)
        end_run(reading);
}

size_t prefilter_words(const char *expression,
                       char words[PREFILTER_WORDS_MAX][PREFILTER_WORD_BYTES + 1])
{
    size_t count = 0;
    struct reading reading = {.at = expression};
    for (;;) {
        while (!reading.is_strange && *reading.at != '\0' && *reading.at != '|')
            read_atom(&reading);
        end_run(&reading);
        if (reading.is_strange || strlen(reading.best) < WORD_LEAST ||
            count == PREFILTER_WORDS_MAX)
            return 0;
        memcpy(words[count++], reading.best, sizeof reading.best);
        if (*reading.at == '\0')
            return count;
        reading = (struct reading){.at = reading.at + 1};
    }
}

/* ---- the filter ------------------------------------------------------------------------- */

int prefilter_new(struct prefilter **ret_filter)
{
    struct prefilter *filter = calloc(1, sizeof *filter);
    if (filter == NULL)
        return ERR_NOMEM;
    *ret_filter = filter;
    return 0;
}

void prefilter_free(struct prefilter *filter)
{
    if (filter == NULL)
        return;
    free(filter->words);
    free(filter);
}

/* How seldom a byte is in logs: capitals and marks tell more than small letters. */
static int rarity(uint8_t byte)
{
    return islower(byte) || byte == ' ' ? 0 : isdigit(byte) ? 1 : isupper(byte) ? 3 : 2;
}

static uint16_t pair_of(const uint8_t *text)
{
    return (uint16_t)(text[0] << 8 | text[1]);
}

static struct word word_of(size_t number, const char *text)
{
    struct word word = {.pattern = UINT64_C(1) << number, .size = (uint8_t)strlen(text)};
    memcpy(word.text, text, word.size);
    int best = -1;
    for (uint8_t i = 0; i + 1 < word.size; i++) {
        int here = rarity(word.text[i]) + rarity(word.text[i + 1]);
        if (here <= best)
            continue;
        best = here;
        word.at = i;
    }
    word.pair = pair_of(word.text + word.at);
    return word;
}

static int by_pair(const void *a, const void *b)
{
    const struct word *left = a, *right = b;
    return left->pair < right->pair ? -1 : left->pair > right->pair;
}

int prefilter_add(struct prefilter *filter, size_t number, const char *expression)
{
    char texts[PREFILTER_WORDS_MAX][PREFILTER_WORD_BYTES + 1];
    must(number < PREFILTER_PATTERNS_MAX);
    size_t count = prefilter_words(expression, texts);
    struct word *grown =
        realloc(filter->words, (filter->count + count + 1) * sizeof *filter->words);
    if (grown != NULL)
        filter->words = grown;
    if (count == 0 || grown == NULL)
        filter->always |= UINT64_C(1) << number;
    if (grown == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        struct word word = word_of(number, texts[i]);
        filter->words[filter->count++] = word;
        filter->pairs[word.pair / 8] |= (uint8_t)(1U << word.pair % 8);
    }
    qsort(filter->words, filter->count, sizeof *filter->words, by_pair);
    return 0;
}

/* The words that have the two bytes at `at`. */
static uint64_t compare(const struct prefilter *filter, struct bytes line, size_t at)
{
    uint16_t pair = pair_of(line.data + at);
    uint64_t found = 0;
    size_t low = 0, high = filter->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (filter->words[middle].pair < pair)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < filter->count && filter->words[low].pair == pair; low++) {
        const struct word *word = &filter->words[low];
        if (at >= word->at && line.size - (at - word->at) >= word->size &&
            memcmp(line.data + at - word->at, word->text, word->size) == 0)
            found |= word->pattern;
    }
    return found;
}

uint64_t prefilter_look(const struct prefilter *filter, struct bytes line)
{
    if (filter == NULL)
        return UINT64_MAX;
    uint64_t found = filter->always;
    for (size_t at = 0; at + 1 < line.size; at++) {
        uint16_t pair = pair_of(line.data + at);
        if ((filter->pairs[pair / 8] >> pair % 8 & 1) != 0)
            found |= compare(filter, line, at);
    }
    return found;
}
