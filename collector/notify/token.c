/*
 * token.c - see token.h.
 */
#include "collector/notify/token.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

struct token {
    struct token *next;
    mono_ns until;
    char *text; /* behind the key */
    size_t key_size;
    uint8_t key[];
};

static struct token **place_of(struct token **at, struct bytes key)
{
    while (*at != NULL && !bytes_equal((struct bytes){(*at)->key, (*at)->key_size}, key))
        at = &(*at)->next;
    return at;
}

const char *tokens_find(const struct tokens *tokens, struct bytes key, mono_ns now)
{
    struct token *first = tokens->first;
    const struct token *token = *place_of(&first, key);
    return token != NULL && token->until > now ? token->text : NULL;
}

static void drop(struct tokens *tokens, struct token **at)
{
    struct token *token = *at;
    *at = token->next;
    tokens->count--;
    free(token);
}

int tokens_keep(struct tokens *tokens, struct bytes key, const char *text, int64_t life_ms,
                mono_ns now)
{
    struct token **old = place_of(&tokens->first, key), *token;
    size_t size = strlen(text) + 1;

    if (*old != NULL)
        drop(tokens, old);
    if (tokens->count >= TOKENS_MAX) {
        struct token **last = &tokens->first;
        while ((*last)->next != NULL)
            last = &(*last)->next;
        drop(tokens, last);
    }
    token = malloc(sizeof *token + key.size + size);
    if (token == NULL)
        return ERR_NOMEM;
    token->key_size = key.size;
    if (key.size > 0)
        memcpy(token->key, key.data, key.size);
    token->text = (char *)token->key + key.size;
    memcpy(token->text, text, size);
    token->until = now + (life_ms > 0 ? (mono_ns)life_ms * NS_PER_MS : 0);
    token->next = tokens->first;
    tokens->first = token;
    tokens->count++;
    return 0;
}

void tokens_forget(struct tokens *tokens, struct bytes key, const char *text)
{
    struct token **at = place_of(&tokens->first, key);
    if (*at != NULL && strcmp((*at)->text, text) == 0)
        drop(tokens, at);
}

void tokens_done(struct tokens *tokens)
{
    while (tokens->first != NULL)
        drop(tokens, &tokens->first);
}
