/* import_series.c - see import_series.h. */
#include "collector/http/import_series.h"

#include "collector/series/labels.h"
#include "proto/base/error.h"

#define PAIRS_MAX (2 * SERIES_LABELS_MAX + 1)

void import_series_init(struct import_series *self, struct store *store,
                        struct remote_cache *cache)
{
    *self = (struct import_series){.store = store, .cache = cache};
}

void import_series_done(struct import_series *self)
{
    buf_done(&self->key);
    buf_done(&self->told);
}

void import_series_metadata(struct import_series *self)
{
    self->has_news = true;
    buf_clear(&self->told);
}

/* Puts a label in its place; one of that name that is there already is replaced. */
static void place(struct label *pairs, size_t *count, struct label label)
{
    size_t at = *count;
    int order = -1;
    while (at > 0 && (order = bytes_compare(pairs[at - 1].name, label.name)) > 0)
        at--;
    if (at > 0 && order == 0) {
        pairs[at - 1].value = label.value;
        return;
    }
    memmove(pairs + at + 1, pairs + at, (*count - at) * sizeof *pairs);
    pairs[at] = label;
    (*count)++;
}

int import_series_extra(struct import_series *self, const char *text, struct diagnosis *why)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return diagnose(why, ERR_INVALID, "\"%s\" is not of the form name=value", text);
    struct label label = {{(const uint8_t *)text, (size_t)(equals - text)},
                          bytes_of(equals + 1)};
    if (!utf8_is_valid(bytes_of(text)) || label.name.size > NAME_BYTES_MAX ||
        label.value.size > LABEL_VALUE_BYTES_MAX ||
        bytes_equal(label.name, bytes_of(LABEL_NAME)))
        return diagnose(why, ERR_INVALID, "\"%s\" is no label that series can be given", text);
    if (self->extra_count == SERIES_LABELS_MAX)
        return diagnose(why, ERR_INVALID, "more than %zu labels", SERIES_LABELS_MAX);
    place(self->extra, &self->extra_count, label);
    return 0;
}

/* All labels of the series, ascending, without empty ones. */
static size_t gather(const struct import_series *self, const struct exposition_sample *sample,
                     struct label *pairs)
{
    size_t count = 0;
    size_t kept = 0;
    for (size_t i = 0; i < sample->label_count; i++)
        pairs[count++] = sample->labels[i];
    place(pairs, &count, (struct label){bytes_of(LABEL_NAME), sample->name});
    for (size_t i = 0; i < self->extra_count; i++)
        place(pairs, &count, self->extra[i]);
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].value.size > 0)
            pairs[kept++] = pairs[i];
    }
    return kept;
}

/* The bytes labels_write() would make. */
static void write_key(struct buf *key, const struct label *pairs, size_t count)
{
    buf_clear(key);
    buf_put_varint(key, count);
    for (size_t i = 0; i < count; i++) {
        buf_put_sized(key, pairs[i].name);
        buf_put_sized(key, pairs[i].value);
    }
}

/* Has the store to be told of this sample's metadata?  Once for each name after news. */
static bool is_news(struct import_series *self, const struct exposition_sample *sample)
{
    if (!self->has_news || sample->family == NULL ||
        bytes_equal(buf_bytes(&self->told), sample->name))
        return false;
    buf_clear(&self->told);
    buf_put(&self->told, sample->name.data, sample->name.size);
    return true;
}

static int resolve(struct import_series *self, const struct label *pairs, size_t count,
                   const struct exposition_family *family, struct series **ret_series,
                   struct diagnosis *why)
{
    const struct labels *labels = NULL;
    struct metadata metadata = {0};
    if (family != NULL)
        metadata = (struct metadata){family->type, family->unit, family->help};
    int error = labels_build(pairs, count, NULL, &labels);
    if (error != 0)
        return error == ERR_NOMEM ? error
                                  : diagnose(why, ERR_INVALID, "labels: %s", error_text(error));
    error = store_series_resolve(self->store, labels, family != NULL ? &metadata : NULL,
                                 ret_series);
    labels_free(labels);
    if (error == ERR_LIMIT)
        return diagnose(why, error, "the store's series limit is reached");
    return error;
}

int import_series_find(struct import_series *self, const struct exposition_sample *sample,
                       struct series **ret_series, struct diagnosis *why)
{
    struct label pairs[PAIRS_MAX];
    struct series *found = NULL;
    size_t count = gather(self, sample, pairs);
    bool has_news = is_news(self, sample);
    write_key(&self->key, pairs, count);
    if (!buf_ok(&self->key) || !buf_ok(&self->told))
        return ERR_NOMEM;
    struct remote_key key = remote_cache_key(self->cache, buf_bytes(&self->key));
    if (self->last != NULL && key.low == self->last_key.low && key.high == self->last_key.high)
        found = self->last;
    else
        remote_cache_find(self->cache, &key, 1, &found);
    if (found == NULL || has_news) {
        int error = resolve(self, pairs, count, sample->family, &found, why);
        if (error == 0)
            error = remote_cache_add(self->cache, key, found);
        if (error != 0)
            return error;
    }
    self->last_key = key;
    self->last = found;
    *ret_series = found;
    return 0;
}
