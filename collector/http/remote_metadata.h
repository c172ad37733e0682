/*
 * remote_metadata.h - type, unit and help that senders tell about metric families.
 *
 * Remote write sends metadata apart from samples, by family name and once a minute; the store
 * takes it when a series is resolved.  So the table keeps the last metadata by name, gives it to
 * series that are new, and hands a changed one to the store through any series of the name that
 * is there already.
 *
 * Limits: METADATA_NAMES_MAX names; more are left out.  Threads: any.
 */
#pragma once

#include <stddef.h>

#include "collector/http/remote_parse.h"
#include "collector/store/store.h"

#define METADATA_NAMES_MAX ((size_t)50000)

struct remote_metadata_table;

int remote_metadata_open(struct store *store, struct remote_metadata_table **ret_table);
void remote_metadata_close(struct remote_metadata_table *table); /* NULL is allowed */

/* Takes in what a message says.  Entries that are not UTF-8 or too long are left out. */
void remote_metadata_learn(struct remote_metadata_table *table,
                           const struct remote_metadata *items, size_t count);

/* store_series_resolve() with the metadata of the series' name or, for name_bucket, name_count
 * and name_sum, of the family. */
int remote_metadata_resolve(struct remote_metadata_table *table, const struct labels *labels,
                            struct series **ret_series);
