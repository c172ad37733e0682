/*
 * querier.h - the store's side of queryable.h.
 */
#pragma once

#include "collector/series/queryable.h"
#include "collector/store/parts.h"

extern const struct queryable_calls querier_calls;

struct store *querier_store(struct querier *querier, int64_t *ret_from_ms,
                            int64_t *ret_until_ms);

/* In querier_labels.c. */
int querier_label_names(struct querier *querier, struct matcher *const *matchers,
                        size_t matcher_count, const struct query_budget *budget,
                        struct arena *arena, struct bytes **ret_names, size_t *ret_count,
                        struct diagnosis *why);
int querier_label_values(struct querier *querier, struct bytes name,
                         struct matcher *const *matchers, size_t matcher_count,
                         const struct query_budget *budget, struct arena *arena,
                         struct bytes **ret_values, size_t *ret_count, struct diagnosis *why);
