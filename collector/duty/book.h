/*
 * book.h - the duty book: duty.yml as it is in force, and the swaps people have made since.
 *
 *     row "duty/swap/<number, 16 hex digits>"   u8 version (1) | zigzag from, to, at (Unix ms)
 *         | sized roster, person, instead_of ("" for all), by, reason
 *     row "duty/number"                         varint: the highest number given so far
 *
 * A swap is answered after its commit, so whoever was told "done" stands in also after a crash.
 * Taking one back deletes its row.  Swaps over DUTY_SWAP_KEPT_MS ago are forgotten at the
 * start.
 *
 * Thread: any, where a comment does not say otherwise.  A view never changes and holds what it
 * shows; take one per question, so that file and swaps belong together.
 */
#pragma once

#include "collector/duty/duty.h"
#include "collector/store/store.h"

#define DUTY_SWAP_PREFIX   "duty/swap/"
#define DUTY_SWAPS_MAX     ((size_t)10000)
#define DUTY_SWAP_TEXT_MAX ((size_t)1024) /* bytes of a name or reason */
#define DUTY_SWAP_KEPT_MS  (INT64_C(400) * CIVIL_DAY_MS)
#define DUTY_SWAP_MOST_MS  (INT64_C(366) * CIVIL_DAY_MS) /* one lasts */

struct duty_book;
struct duty_swaps; /* the book's own */

struct duty_view {
    struct duty *duty; /* NULL: there is no duty.yml */
    struct duty_overrides overrides;
    struct duty_swaps *swaps;
};

/* Takes a reference of `duty` (NULL is allowed) and reads the swaps.  Before other threads. */
int duty_book_open(struct store *store, struct duty *duty, struct duty_book **ret_book,
                   struct diagnosis *why);
/* After everybody who asks has stopped, before the store closes.  NULL is allowed. */
void duty_book_close(struct duty_book *book);

/* Another duty.yml from now on; takes a reference. */
void duty_book_set(struct duty_book *book, struct duty *duty);
/* NULL book: an empty view.  duty_view_done() gives it back. */
void duty_book_view(struct duty_book *book, struct duty_view *ret_view);
void duty_view_done(struct duty_view *view);
/* A copy of the swaps in `arena`, for whoever cannot hold a view; `book` is a struct duty_book
 * (notify_overrides of notify.h).  ERR_NOMEM. */
int duty_book_overrides(void *book, struct arena *arena, struct duty_overrides *ret_overrides);
/* Counts up with everything that may change an answer. */
uint64_t duty_book_generation(struct duty_book *book);

/* Makes a swap; `wanted` without a number, its texts are copied.  Returns after the commit.
 * Not the loop's thread, nor the writer's.  ERR_NOTFOUND: no duty.yml or no such roster or
 * person; ERR_INVALID, ERR_LIMIT, ERR_FULL, ERR_AGAIN with the reason. */
int duty_book_swap(struct duty_book *book, const struct duty_override *wanted, int64_t now_ms,
                   uint64_t *ret_number, struct diagnosis *why);
/* Takes one back; as above.  ERR_NOTFOUND: no such number. */
int duty_book_cancel(struct duty_book *book, uint64_t number, struct diagnosis *why);
