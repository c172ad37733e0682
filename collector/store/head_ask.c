/*
 * head_ask.c - questions to the head's postings, and slow patterns kept out of its lock.
 *
 *     under the lock      ask                  ERR_AGAIN: a slow pattern met a new value
 *     a few at a time     values of the label  copied under the lock, tried without it
 *     under the lock      ask again            what the watch knows of a value need not be tried
 *
 * New series wait for the lock, and a slow pattern may take half a second (SLOW_NS_MAX).
 */
#include "collector/store/head.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define VALUES_AT_ONCE 64
#define ROUNDS_MAX     16 /* a question has few slow patterns; what is new by then is tried at once */

static int try_values(struct select_watch *watch, const struct matcher *matcher,
                      struct bytes values)
{
    struct reader reader = reader_of(values);
    bool ignored;
    int error = 0;
    while (error == 0 && reader_left(&reader) > 0)
        error = select_watch_match(watch, matcher, reader_sized(&reader), &ignored);
    return error;
}

static int try_all(struct head *head, struct select_watch *watch, const struct matcher *matcher)
{
    struct buf values = {0};
    size_t next = 0;
    int error;
    do {
        buf_clear(&values);
        must(pthread_rwlock_rdlock(&head->table) == 0);
        postings_values(head->postings, matcher->name, VALUES_AT_ONCE, &next, &values);
        must(pthread_rwlock_unlock(&head->table) == 0);
        error = buf_ok(&values) ? try_values(watch, matcher, buf_bytes(&values)) : ERR_NOMEM;
    } while (error == 0 && next != 0);
    buf_done(&values);
    return error;
}

int head_ask(struct head *head, struct select_watch *watch,
             int (*ask)(void *context, const struct postings_source *source), void *context)
{
    for (unsigned round = 0;; round++) {
        watch->is_hurried = round < ROUNDS_MAX;
        must(pthread_rwlock_rdlock(&head->table) == 0);
        struct postings_source source = postings_source_of(head->postings);
        int error = ask(context, &source);
        must(pthread_rwlock_unlock(&head->table) == 0);
        watch->is_hurried = false;
        if (error == ERR_AGAIN)
            error = try_all(head, watch, watch->put_off);
        else
            return error;
        if (error != 0)
            return error;
    }
}

int head_ask_at_once(struct head *head, size_t most,
                     int (*ask)(void *context, const struct postings_source *source),
                     void *context)
{
    int error = ERR_AGAIN;
    if (pthread_rwlock_tryrdlock(&head->table) != 0)
        return error;
    if (postings_pairs(head->postings) <= most) {
        struct postings_source source = postings_source_of(head->postings);
        error = ask(context, &source);
    }
    must(pthread_rwlock_unlock(&head->table) == 0);
    return error;
}
