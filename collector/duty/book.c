/*
 * book.c - see book.h.
 */
#include "collector/duty/book.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define ROW_VERSION     1
#define NUMBER_KEY      "duty/number"
#define KEY_BYTES       40
#define SWAPS_ARENA_MAX ((size_t)128 << 20)

/* All swaps at one time; the next change makes another. */
struct duty_swaps {
    atomic_uint references;
    struct arena arena;          /* items and texts */
    struct duty_override *items; /* by number */
    size_t count;
};

struct duty_book {
    struct store *store;
    pthread_mutex_t change; /* one change at a time; taken before `lock` */
    uint64_t number;        /* the last given; under `change` */
    pthread_mutex_t lock;   /* the rest */
    struct duty *duty;
    struct duty_swaps *swaps;
    uint64_t generation;
};

/* ---- sets of swaps ----------------------------------------------------------------------- */

static int swaps_new(size_t room, struct duty_swaps **ret_swaps)
{
    struct duty_swaps *swaps = calloc(1, sizeof *swaps);
    if (swaps == NULL)
        return ERR_NOMEM;
    arena_init(&swaps->arena, SWAPS_ARENA_MAX);
    atomic_init(&swaps->references, 1);
    swaps->items = arena_alloc(&swaps->arena, room + 1, sizeof *swaps->items);
    if (swaps->items == NULL) {
        arena_reset(&swaps->arena);
        free(swaps);
        return ERR_NOMEM;
    }
    *ret_swaps = swaps;
    return 0;
}

static void swaps_unref(struct duty_swaps *swaps)
{
    if (swaps == NULL || atomic_fetch_sub(&swaps->references, 1) != 1)
        return;
    arena_reset(&swaps->arena);
    free(swaps);
}

static const char *copy_text(struct duty_swaps *swaps, struct bytes text)
{
    char *copy = arena_alloc(&swaps->arena, text.size + 1, 1);
    if (copy != NULL && text.size > 0)
        memcpy(copy, text.data, text.size);
    return copy;
}

static struct bytes bytes_or_none(const char *text)
{
    return text == NULL ? (struct bytes){0} : bytes_of(text);
}

/* Room for it is the caller's to know. */
static int swaps_add(struct duty_swaps *swaps, const struct duty_override *swap)
{
    struct duty_override copy = *swap;
    copy.roster = copy_text(swaps, bytes_of(swap->roster));
    copy.person_id = copy_text(swaps, bytes_of(swap->person_id));
    copy.instead_of =
        swap->instead_of == NULL ? NULL : copy_text(swaps, bytes_of(swap->instead_of));
    copy.by = copy_text(swaps, bytes_of(swap->by));
    copy.reason = copy_text(swaps, bytes_of(swap->reason));
    if (copy.roster == NULL || copy.person_id == NULL || copy.by == NULL ||
        copy.reason == NULL || (swap->instead_of != NULL && copy.instead_of == NULL))
        return ERR_NOMEM;
    swaps->items[swaps->count++] = copy;
    return 0;
}

/* ---- rows -------------------------------------------------------------------------------- */

static void write_key(uint64_t number, char key[KEY_BYTES])
{
    (void)snprintf(key, KEY_BYTES, DUTY_SWAP_PREFIX "%016" PRIx64, number);
}

static void write_row(const struct duty_override *swap, struct buf *out)
{
    buf_put_u8(out, ROW_VERSION);
    buf_put_zigzag(out, swap->from_ms);
    buf_put_zigzag(out, swap->to_ms);
    buf_put_zigzag(out, swap->at_ms);
    buf_put_sized(out, bytes_of(swap->roster));
    buf_put_sized(out, bytes_of(swap->person_id));
    buf_put_sized(out, bytes_or_none(swap->instead_of));
    buf_put_sized(out, bytes_of(swap->by));
    buf_put_sized(out, bytes_of(swap->reason));
}

#define FORGOTTEN_MAX ((size_t)256) /* at one start */

struct loading {
    struct duty_swaps *swaps;
    int64_t forgotten_ms; /* what ended before it */
    char keys[FORGOTTEN_MAX][KEY_BYTES];
    size_t forgotten;
};

static int read_row(struct duty_swaps *swaps, struct bytes key, struct bytes row,
                    struct duty_override *ret_swap)
{
    const size_t prefix = strlen(DUTY_SWAP_PREFIX);
    struct reader reader = reader_of(row);
    struct duty_override swap = {0};
    char number[17] = "", *end;
    struct bytes texts[5];

    if (key.size != prefix + 16 || reader_u8(&reader) != ROW_VERSION)
        return ERR_CORRUPT;
    memcpy(number, key.data + prefix, 16);
    swap.number = strtoull(number, &end, 16);
    swap.from_ms = reader_zigzag(&reader);
    swap.to_ms = reader_zigzag(&reader);
    swap.at_ms = reader_zigzag(&reader);
    for (size_t i = 0; i < 5; i++)
        texts[i] = reader_sized(&reader);
    if (reader.failed || reader_left(&reader) != 0 || *end != '\0')
        return ERR_CORRUPT;
    swap.roster = copy_text(swaps, texts[0]);
    swap.person_id = copy_text(swaps, texts[1]);
    swap.instead_of = texts[2].size == 0 ? NULL : copy_text(swaps, texts[2]);
    swap.by = copy_text(swaps, texts[3]);
    swap.reason = copy_text(swaps, texts[4]);
    if (swap.roster == NULL || swap.person_id == NULL || swap.by == NULL ||
        swap.reason == NULL || (texts[2].size > 0 && swap.instead_of == NULL))
        return ERR_NOMEM;
    *ret_swap = swap;
    return 0;
}

static int load_row(void *context, struct bytes key, struct bytes value)
{
    struct loading *loading = context;
    struct duty_override swap;
    int error = read_row(loading->swaps, key, value, &swap);
    if (error != 0)
        return error;
    if (swap.to_ms < loading->forgotten_ms) {
        if (loading->forgotten < FORGOTTEN_MAX)
            write_key(swap.number, loading->keys[loading->forgotten++]);
    } else if (loading->swaps->count < DUTY_SWAPS_MAX) {
        loading->swaps->items[loading->swaps->count++] = swap;
    }
    return 0;
}

static int load_number(struct duty_book *book)
{
    struct buf row = {0};
    int error = store_state_get(book->store, bytes_of(NUMBER_KEY), &row);
    if (error == 0) {
        struct reader reader = reader_of(buf_bytes(&row));
        book->number = reader_varint(&reader);
        error = reader.failed || reader_left(&reader) != 0 ? ERR_CORRUPT : 0;
    }
    buf_done(&row);
    return error == ERR_NOTFOUND ? 0 : error;
}

static int forget(struct duty_book *book, struct loading *loading)
{
    struct store_put puts[FORGOTTEN_MAX];
    struct store_write write = {.puts = puts, .put_count = loading->forgotten};
    for (size_t i = 0; i < loading->forgotten; i++)
        puts[i] = (struct store_put){.key = bytes_of(loading->keys[i])};
    return loading->forgotten == 0 ? 0 : store_write_wait(book->store, &write);
}

static int load(struct duty_book *book)
{
    struct loading loading = {.forgotten_ms = clock_unix_ms(&clock_system) - DUTY_SWAP_KEPT_MS};
    int error = swaps_new(DUTY_SWAPS_MAX, &loading.swaps);
    if (error != 0)
        return error;
    book->swaps = loading.swaps;
    error = store_state_scan(book->store, bytes_of(DUTY_SWAP_PREFIX), load_row, &loading);
    if (error == 0)
        error = load_number(book);
    return error != 0 ? error : forget(book, &loading);
}

/* ---- life -------------------------------------------------------------------------------- */

int duty_book_open(struct store *store, struct duty *duty, struct duty_book **ret_book,
                   struct diagnosis *why)
{
    struct duty_book *book = calloc(1, sizeof *book);
    if (book == NULL)
        return ERR_NOMEM;
    book->store = store;
    book->duty = duty_ref(duty);
    must(pthread_mutex_init(&book->change, NULL) == 0);
    must(pthread_mutex_init(&book->lock, NULL) == 0);
    int error = load(book);
    if (error != 0) {
        duty_book_close(book);
        return diagnose(why, error, "swaps of duty: %s", error_text(error));
    }
    *ret_book = book;
    return 0;
}

void duty_book_close(struct duty_book *book)
{
    if (book == NULL)
        return;
    duty_unref(book->duty);
    swaps_unref(book->swaps);
    (void)pthread_mutex_destroy(&book->change);
    (void)pthread_mutex_destroy(&book->lock);
    free(book);
}

void duty_book_set(struct duty_book *book, struct duty *duty)
{
    (void)pthread_mutex_lock(&book->lock);
    struct duty *before = book->duty;
    book->duty = duty_ref(duty);
    book->generation++;
    (void)pthread_mutex_unlock(&book->lock);
    duty_unref(before);
}

static void set_swaps(struct duty_book *book, struct duty_swaps *swaps)
{
    (void)pthread_mutex_lock(&book->lock);
    struct duty_swaps *before = book->swaps;
    book->swaps = swaps;
    book->generation++;
    (void)pthread_mutex_unlock(&book->lock);
    swaps_unref(before);
}

void duty_book_view(struct duty_book *book, struct duty_view *ret_view)
{
    *ret_view = (struct duty_view){0};
    if (book == NULL)
        return;
    (void)pthread_mutex_lock(&book->lock);
    ret_view->duty = duty_ref(book->duty);
    ret_view->swaps = book->swaps;
    (void)atomic_fetch_add(&ret_view->swaps->references, 1);
    (void)pthread_mutex_unlock(&book->lock);
    ret_view->overrides =
        (struct duty_overrides){ret_view->swaps->items, ret_view->swaps->count};
}

void duty_view_done(struct duty_view *view)
{
    duty_unref(view->duty);
    swaps_unref(view->swaps);
    *view = (struct duty_view){0};
}

static const char *copy_into(struct arena *arena, const char *text, bool *failed)
{
    if (text == NULL)
        return NULL;
    const size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size, 1);
    if (copy == NULL)
        *failed = true;
    else
        memcpy(copy, text, size);
    return copy;
}

int duty_book_overrides(void *book, struct arena *arena, struct duty_overrides *ret_overrides)
{
    struct duty_view view;
    bool failed = false;
    duty_book_view(book, &view);
    const size_t count = view.overrides.count;
    struct duty_override *items = arena_alloc(arena, count + 1, sizeof *items);
    for (size_t i = 0; items != NULL && i < count; i++) {
        items[i] = view.overrides.items[i];
        items[i].roster = copy_into(arena, items[i].roster, &failed);
        items[i].person_id = copy_into(arena, items[i].person_id, &failed);
        items[i].instead_of = copy_into(arena, items[i].instead_of, &failed);
        items[i].by = copy_into(arena, items[i].by, &failed);
        items[i].reason = copy_into(arena, items[i].reason, &failed);
    }
    duty_view_done(&view);
    if (items == NULL || failed)
        return ERR_NOMEM;
    *ret_overrides = (struct duty_overrides){items, count};
    return 0;
}

uint64_t duty_book_generation(struct duty_book *book)
{
    (void)pthread_mutex_lock(&book->lock);
    uint64_t generation = book->generation;
    (void)pthread_mutex_unlock(&book->lock);
    return generation;
}

/* ---- changing ---------------------------------------------------------------------------- */

static int check_person(const struct duty *duty, const char *id, struct diagnosis *why)
{
    char bearers[300] = "";
    size_t used = 0, count = 0;

    if (duty_person(duty, id) != NULL)
        return 0;
    for (size_t i = 0; duty_person_at(duty, i) != NULL; i++) {
        const struct duty_person *person = duty_person_at(duty, i);
        if (strcmp(person->name, id) != 0 || used >= sizeof bearers)
            continue;
        used += (size_t)snprintf(bearers + used, sizeof bearers - used, "%s%s (%s)",
                                 count++ == 0 ? "" : ", ", person->id, person->post);
    }
    if (count > 1)
        return diagnose(why, ERR_INVALID,
                        "\"%s\" is the name of several persons, say which: %s", id, bearers);
    if (count == 1)
        return diagnose(why, ERR_INVALID, "\"%s\" is a name; persons are meant by id: %s", id,
                        bearers);
    return diagnose(why, ERR_NOTFOUND, "there is no person with the id \"%s\"", id);
}

static int check_swap(const struct duty_view *view, const struct duty_override *wanted,
                      int64_t now_ms, struct diagnosis *why)
{
    const char *const texts[] = {wanted->by, wanted->reason};
    if (view->duty == NULL)
        return diagnose(why, ERR_NOTFOUND, "the collector has no duty.yml");
    if (!duty_has_roster(view->duty, wanted->roster))
        return diagnose(why, ERR_NOTFOUND, "there is no roster \"%s\"", wanted->roster);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strlen(texts[i]) > DUTY_SWAP_TEXT_MAX)
            return diagnose(why, ERR_LIMIT, "a text is longer than %zu bytes",
                            DUTY_SWAP_TEXT_MAX);
    if (wanted->from_ms < 0 || wanted->from_ms >= wanted->to_ms ||
        wanted->to_ms > DUTY_TIME_MAX_MS)
        return diagnose(why, ERR_INVALID, "from must be before to");
    if (wanted->to_ms - wanted->from_ms > DUTY_SWAP_MOST_MS)
        return diagnose(why, ERR_LIMIT, "one swap lasts at most 366 days");
    if (wanted->to_ms <= now_ms)
        return diagnose(why, ERR_INVALID, "the swap would end before now");
    int error = check_person(view->duty, wanted->person_id, why);
    if (error == 0 && wanted->instead_of != NULL)
        error = check_person(view->duty, wanted->instead_of, why);
    if (error == 0 && view->overrides.count >= DUTY_SWAPS_MAX)
        error = diagnose(why, ERR_LIMIT, "there are %zu swaps already", DUTY_SWAPS_MAX);
    return error;
}

/* The set that will be in force, made before the write so that nothing can fail after it. */
static int copy_swaps(const struct duty_view *view, uint64_t without,
                      const struct duty_override *with, struct duty_swaps **ret_swaps)
{
    struct duty_swaps *swaps;
    int error = swaps_new(view->overrides.count + 1, &swaps);
    if (error != 0)
        return error;
    for (size_t i = 0; error == 0 && i < view->overrides.count; i++)
        if (view->overrides.items[i].number != without)
            error = swaps_add(swaps, &view->overrides.items[i]);
    if (error == 0 && with != NULL)
        error = swaps_add(swaps, with);
    if (error != 0)
        swaps_unref(swaps);
    else
        *ret_swaps = swaps;
    return error;
}

static int make_swap(struct duty_book *book, const struct duty_view *view,
                     const struct duty_override *wanted, struct diagnosis *why)
{
    struct duty_swaps *swaps;
    struct buf row = {0}, number = {0};
    char key[KEY_BYTES];
    int error = copy_swaps(view, 0, wanted, &swaps);

    if (error != 0)
        return diagnose(why, error, "%s", error_text(error));
    write_key(wanted->number, key);
    write_row(wanted, &row);
    buf_put_varint(&number, wanted->number);
    const struct store_put puts[] = {{bytes_of(key), buf_bytes(&row)},
                                     {bytes_of(NUMBER_KEY), buf_bytes(&number)}};
    struct store_write write = {.puts = puts, .put_count = 2, .is_essential = true};
    error = buf_ok(&row) && buf_ok(&number) ? store_write_wait(book->store, &write) : ERR_NOMEM;
    buf_done(&row);
    buf_done(&number);
    if (error != 0) {
        swaps_unref(swaps);
        return diagnose(why, error, "the swap could not be stored: %s", error_text(error));
    }
    book->number = wanted->number;
    set_swaps(book, swaps);
    return 0;
}

int duty_book_swap(struct duty_book *book, const struct duty_override *wanted, int64_t now_ms,
                   uint64_t *ret_number, struct diagnosis *why)
{
    struct duty_override swap = *wanted;
    struct duty_view view;

    (void)pthread_mutex_lock(&book->change);
    duty_book_view(book, &view);
    swap.number = book->number + 1;
    swap.at_ms = now_ms;
    int error = check_swap(&view, &swap, now_ms, why);
    if (error == 0)
        error = make_swap(book, &view, &swap, why);
    duty_view_done(&view);
    (void)pthread_mutex_unlock(&book->change);
    if (error == 0)
        *ret_number = swap.number;
    return error;
}

static bool has_number(const struct duty_view *view, uint64_t number)
{
    for (size_t i = 0; i < view->overrides.count; i++)
        if (view->overrides.items[i].number == number)
            return true;
    return false;
}

int duty_book_cancel(struct duty_book *book, uint64_t number, struct diagnosis *why)
{
    struct duty_swaps *swaps = NULL;
    struct duty_view view;
    char key[KEY_BYTES];
    int error;

    (void)pthread_mutex_lock(&book->change);
    duty_book_view(book, &view);
    error = has_number(&view, number) ? copy_swaps(&view, number, NULL, &swaps) : ERR_NOTFOUND;
    duty_view_done(&view);
    if (error == 0) {
        write_key(number, key);
        const struct store_put put = {.key = bytes_of(key)};
        struct store_write write = {.puts = &put, .put_count = 1, .is_essential = true};
        error = store_write_wait(book->store, &write);
    }
    if (error == 0)
        set_swaps(book, swaps);
    else
        swaps_unref(swaps);
    (void)pthread_mutex_unlock(&book->change);
    if (error == ERR_NOTFOUND)
        return diagnose(why, error, "there is no swap number %" PRIu64, number);
    return error == 0 ? 0
                      : diagnose(why, error, "the swap could not be taken back: %s",
                                 error_text(error));
}
