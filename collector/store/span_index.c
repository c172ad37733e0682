/*
 * span_index.c - postings on disk.
 *
 * A posting of a few ids is a list of differences; a larger one is a roaring bitmap with runs,
 * which for a metric name (its series stand together) is one run.  Those of an instance lie at
 * regular distances, in which a bitmap sees nothing: their differences are packed.
 */
#include "collector/store/span_index.h"

#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/store/codec/codec_ints.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

enum posting_form {
    POSTING_LIST = 0,
    POSTING_BITMAP = 1,
    POSTING_PACKED = 4,
    POSTING_NAMED = 2, /* beside one of these */
};

#define LIST_IDS_MAX 16
/* Packed ids take some nanoseconds each to read, a bitmap nothing: they must be worth it. */
#define PACKED_SHARE 2
#define KEY_BYTES    (KEY_CUT_BYTES + 8)
_Static_assert(KEY_BYTES <= LIVE_KEY_BYTES_MAX, "LMDB can hold a cut key");

/* -- keys -------------------------------------------------------------------------------- */

/* The key of a pair; whether it had to be cut. */
static bool make_key(struct bytes name, struct bytes value, uint8_t key[KEY_BYTES],
                     size_t *ret_size)
{
    size_t whole = name.size + 1 + value.size;
    if (whole <= KEY_CUT_BYTES) {
        memcpy(key, name.data, name.size);
        key[name.size] = 0;
        if (value.size > 0)
            memcpy(key + name.size + 1, value.data, value.size);
        *ret_size = whole;
        return false;
    }
    size_t at = name.size < KEY_CUT_BYTES ? name.size : KEY_CUT_BYTES;
    memcpy(key, name.data, at);
    if (at < KEY_CUT_BYTES)
        key[at++] = 0;
    if (at < KEY_CUT_BYTES)
        memcpy(key + at, value.data, KEY_CUT_BYTES - at);
    uint64_t seed = XXH3_64bits(name.data, name.size);
    key_put_u64(key + KEY_CUT_BYTES, XXH3_64bits_withSeed(value.data, value.size, seed));
    *ret_size = KEY_BYTES;
    return true;
}

/* -- writing ----------------------------------------------------------------------------- */

struct index_row {
    struct bytes name, value;
    const void *token;
    uint8_t key[KEY_BYTES];
    size_t key_size;
};

struct index_rows {
    struct index_row **items;
    size_t count, capacity;
    struct arena arena;
};

static int list_pair(void *visitor, struct bytes name, struct bytes value, const void *token)
{
    struct index_rows *rows = visitor;
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity == 0 ? 1024 : rows->capacity * 2;
        struct index_row **items = realloc(rows->items, capacity * sizeof(struct index_row *));
        if (items == NULL)
            return ERR_NOMEM;
        rows->items = items;
        rows->capacity = capacity;
    }
    uint8_t key[KEY_BYTES];
    size_t size;
    (void)make_key(name, value, key, &size);
    struct index_row *row = arena_alloc(&rows->arena, 1, sizeof *row);
    if (row == NULL)
        return ERR_NOMEM;
    row->name = name;
    row->value = value;
    row->token = token;
    row->key_size = size;
    memcpy(row->key, key, size);
    rows->items[rows->count++] = row;
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct index_row *x = *(const struct index_row *const *)a;
    const struct index_row *y = *(const struct index_row *const *)b;
    return bytes_compare((struct bytes){x->key, x->key_size},
                         (struct bytes){y->key, y->key_size});
}

static void put_bitmap(const roaring_bitmap_t *ids, struct buf *out)
{
    size_t size = roaring_bitmap_portable_size_in_bytes(ids);
    uint8_t *to = buf_reserve(out, size);
    if (to != NULL)
        out->size += roaring_bitmap_portable_serialize(ids, (char *)to);
}

static void put_list(const roaring_bitmap_t *ids, struct buf *out)
{
    uint32_t last = 0;
    roaring_uint32_iterator_t at;
    roaring_init_iterator(ids, &at);
    for (; at.has_value; roaring_advance_uint32_iterator(&at)) {
        buf_put_varint(out, at.current_value - last);
        last = at.current_value;
    }
}

static void put_packed(const roaring_bitmap_t *ids, struct buf *out)
{
    uint64_t block[CHUNK_BLOCK];
    size_t count = 0;
    uint32_t last = 0;
    roaring_uint32_iterator_t at;
    buf_put_varint(out, roaring_bitmap_get_cardinality(ids));
    roaring_init_iterator(ids, &at);
    for (; at.has_value; roaring_advance_uint32_iterator(&at)) {
        block[count++] = at.current_value - last;
        last = at.current_value;
        if (count == CHUNK_BLOCK) {
            ints_put(out, block, count);
            count = 0;
        }
    }
    if (count > 0)
        ints_put(out, block, count);
}

/* Appends the ids in the form that suits them. */
static enum posting_form put_ids(const roaring_bitmap_t *ids, struct buf *out)
{
    size_t before = out->size;
    if (roaring_bitmap_get_cardinality(ids) <= LIST_IDS_MAX) {
        put_list(ids, out);
        return POSTING_LIST;
    }
    put_packed(ids, out);
    if ((out->size - before) * PACKED_SHARE <= roaring_bitmap_portable_size_in_bytes(ids))
        return POSTING_PACKED;
    out->size = before;
    put_bitmap(ids, out);
    return POSTING_BITMAP;
}

static int write_row(const struct postings_source *source, const struct index_row *row,
                     struct buf *out,
                     int (*each)(void *context, struct bytes key, struct bytes payload),
                     void *context)
{
    roaring_bitmap_t *ids = roaring_bitmap_create();
    if (ids == NULL)
        return ERR_NOMEM;
    int error = source->merge(source->context, row->token, ids);
    (void)roaring_bitmap_run_optimize(ids);
    buf_clear(out);
    bool named = row->key_size == KEY_BYTES;
    buf_put_u8(out, 0);
    if (named) {
        buf_put_sized(out, row->name);
        buf_put_sized(out, row->value);
    }
    enum posting_form form = put_ids(ids, out);
    roaring_bitmap_free(ids);
    if (error == 0 && !buf_ok(out))
        error = ERR_NOMEM;
    if (error != 0)
        return error;
    out->data[0] = (uint8_t)(form | (named ? POSTING_NAMED : 0));
    return each(context, (struct bytes){row->key, row->key_size}, buf_bytes(out));
}

int span_index_write(struct postings *postings,
                     int (*each)(void *context, struct bytes key, struct bytes payload),
                     void *context)
{
    struct index_rows rows = {0};
    struct buf out = {0};
    struct postings_source source = postings_source_of(postings);
    arena_init(&rows.arena, SIZE_MAX);
    int error =
        source.each(source.context, (struct bytes){0}, (struct bytes){0}, list_pair, &rows);
    if (rows.count > 1)
        qsort(rows.items, rows.count, sizeof(struct index_row *), by_key);
    for (size_t i = 0; i < rows.count && error == 0; i++)
        error = write_row(&source, rows.items[i], &out, each, context);
    buf_done(&out);
    arena_reset(&rows.arena);
    free(rows.items);
    return error;
}

/* -- reading ----------------------------------------------------------------------------- */

/* Skips the form byte and texts; the ids' bytes are left in the reader. */
static uint8_t open_posting(struct reader *reader, struct bytes *name, struct bytes *value)
{
    uint8_t form = reader_u8(reader);
    if ((form & POSTING_NAMED) != 0) {
        *name = reader_sized(reader);
        *value = reader_sized(reader);
    }
    return form;
}

static int decode_list(struct reader *reader, const struct span_index *index,
                       roaring_bitmap_t *into)
{
    uint64_t id = 0;
    while (reader_left(reader) > 0) {
        id += reader_varint(reader);
        if (reader->failed || id >= index->series)
            return ERR_CORRUPT;
        if (id >= index->first && id <= index->last)
            roaring_bitmap_add(into, (uint32_t)id);
    }
    return 0;
}

/* Ids ascend: behind the last that is asked for nothing is read. */
static int decode_packed(struct reader *reader, const struct span_index *index,
                         roaring_bitmap_t *into)
{
    uint64_t block[CHUNK_BLOCK];
    uint32_t ids[CHUNK_BLOCK];
    uint64_t id = 0, left = reader_varint(reader);
    if (reader->failed || left > index->series)
        return ERR_CORRUPT;
    while (left > 0 && id <= index->last) {
        size_t kept = 0;
        size_t count = left < CHUNK_BLOCK ? (size_t)left : CHUNK_BLOCK;
        if (!ints_get(reader, block, count))
            return ERR_CORRUPT;
        for (size_t i = 0; i < count; i++) {
            if (block[i] >= index->series || (id += block[i]) >= index->series)
                return ERR_CORRUPT;
            ids[kept] = (uint32_t)id;
            kept += id >= index->first && id <= index->last;
        }
        roaring_bitmap_add_many(into, kept, ids);
        left -= count;
    }
    return left > 0 || reader_left(reader) == 0 ? 0 : ERR_CORRUPT;
}

static int decode_for(const struct span_index *index, struct bytes posting,
                      roaring_bitmap_t *into)
{
    struct reader reader = reader_of(posting);
    struct bytes name;
    struct bytes value;
    uint8_t form = open_posting(&reader, &name, &value);
    form &= (uint8_t)~POSTING_NAMED;
    if (reader.failed || (form != POSTING_LIST && form != POSTING_BITMAP && form != POSTING_PACKED))
        return ERR_CORRUPT;
    if (form == POSTING_LIST)
        return decode_list(&reader, index, into);
    if (form == POSTING_PACKED)
        return decode_packed(&reader, index, into);
    roaring_bitmap_t *ids =
        roaring_bitmap_portable_deserialize_safe((const char *)reader.at, reader_left(&reader));
    if (ids == NULL)
        return ERR_CORRUPT;
    bool good = roaring_bitmap_is_empty(ids) || roaring_bitmap_maximum(ids) < index->series;
    if (good)
        roaring_bitmap_or_inplace(into, ids);
    roaring_bitmap_free(ids);
    return good ? 0 : ERR_CORRUPT;
}

int posting_decode(struct bytes posting, uint32_t series, roaring_bitmap_t *into)
{
    const struct span_index index = {.series = series, .last = UINT32_MAX};
    return decode_for(&index, posting, into);
}

/* A pair that a visit is at. */
struct token {
    struct bytes posting;
};

static int index_all(void *context, roaring_bitmap_t *into)
{
    const struct span_index *index = context;
    if (index->series > 0)
        roaring_bitmap_add_range(into, 0, index->series);
    return 0;
}

static int index_equal(void *context, struct bytes name, struct bytes value,
                       roaring_bitmap_t *into)
{
    const struct span_index *index = context;
    uint8_t bytes[KEY_BYTES];
    size_t size;
    if (name.size > NAME_BYTES_MAX || value.size > LABEL_VALUE_BYTES_MAX)
        return 0;
    bool cut = make_key(name, value, bytes, &size);
    MDB_val key = {size, bytes};
    MDB_val found;
    int code = mdb_cursor_get(index->cursor, &key, &found, MDB_SET);
    if (code == MDB_NOTFOUND)
        return 0;
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    struct bytes posting;
    int error = sealed_open((struct bytes){bytes, size}, bytes_of_val(found), &posting);
    if (error == 0 && cut) {
        struct reader reader = reader_of(posting);
        struct bytes own_name = {0};
        struct bytes own_value = {0};
        (void)open_posting(&reader, &own_name, &own_value);
        if (!bytes_equal(own_name, name) || !bytes_equal(own_value, value))
            return 0;
    }
    return error != 0 ? error : decode_for(index, posting, into);
}

/* Name and value of a row. */
static int row_texts(struct bytes key, struct bytes posting, struct bytes *name,
                     struct bytes *value)
{
    struct reader reader = reader_of(posting);
    *name = (struct bytes){0};
    uint8_t form = open_posting(&reader, name, value);
    if (reader.failed)
        return ERR_CORRUPT;
    if ((form & POSTING_NAMED) != 0)
        return 0;
    const uint8_t *nul = memchr(key.data, 0, key.size);
    if (nul == NULL)
        return ERR_CORRUPT;
    *name = (struct bytes){key.data, (size_t)(nul - key.data)};
    *value = (struct bytes){nul + 1, key.size - name->size - 1};
    return 0;
}

/* What the keys of these pairs begin with; a cut one is a hash behind KEY_CUT_BYTES. */
static size_t start_key(struct bytes name, struct bytes prefix, uint8_t key[KEY_BYTES])
{
    size_t size = 0;
    if (name.size == 0)
        return 0;
    (void)make_key(name, prefix, key, &size);
    return size > KEY_CUT_BYTES ? KEY_CUT_BYTES : size;
}

static int index_each(void *context, struct bytes name, struct bytes prefix,
                      int (*visit)(void *visitor, struct bytes name, struct bytes value,
                                   const void *token),
                      void *visitor)
{
    const struct span_index *index = context;
    uint8_t start[KEY_BYTES];
    const size_t size = start_key(name, prefix, start);
    MDB_val key = {size, start};
    MDB_val found;
    int code =
        mdb_cursor_get(index->cursor, &key, &found, size > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (code == MDB_SUCCESS) {
        struct bytes row_name;
        struct bytes row_value;
        struct token token;
        if (size > 0 && (key.mv_size < size || memcmp(key.mv_data, start, size) != 0))
            break;
        int error = sealed_open(bytes_of_val(key), bytes_of_val(found), &token.posting);
        if (error == 0)
            error = row_texts(bytes_of_val(key), token.posting, &row_name, &row_value);
        if (error == 0 && (name.size == 0 || bytes_equal(row_name, name)))
            error = visit(visitor, row_name, row_value, &token);
        if (error != 0)
            return error;
        code = mdb_cursor_get(index->cursor, &key, &found, MDB_NEXT);
    }
    return code == MDB_SUCCESS || code == MDB_NOTFOUND ? 0 : error_from_lmdb(code);
}

static int index_merge(void *context, const void *token, roaring_bitmap_t *into)
{
    const struct span_index *index = context;
    return decode_for(index, ((const struct token *)token)->posting, into);
}

static int index_intersects(void *context, const void *token, const roaring_bitmap_t *with,
                            bool *ret_yes)
{
    roaring_bitmap_t *ids = roaring_bitmap_create();
    if (ids == NULL)
        return ERR_NOMEM;
    int error = index_merge(context, token, ids);
    if (error == 0)
        *ret_yes = roaring_bitmap_intersect(ids, with);
    roaring_bitmap_free(ids);
    return error;
}

static void index_bound(void *context, uint32_t first, uint32_t last)
{
    struct span_index *index = context;
    index->first = first;
    index->last = last;
}

struct postings_source span_index_source(struct span_index *index)
{
    return (struct postings_source){
        .context = index,
        .all = index_all,
        .equal = index_equal,
        .each = index_each,
        .merge = index_merge,
        .intersects = index_intersects,
        .bound = index_bound,
    };
}
