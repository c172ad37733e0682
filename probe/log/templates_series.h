/*
 * templates_series.h - what is told about the templates of a log: logwatch_template_* series, a
 * new one's text as an event, and the ids that are remembered.
 */
#pragma once

#include "probe/emitter.h"
#include "probe/log/templates.h"

struct templates_series;

/* NULL if out of memory (nothing is told then).  `file` must outlive it. */
struct templates_series *templates_series_new(struct bytes file);
void templates_series_free(struct templates_series *series); /* NULL is allowed */

/* Emits what moved since it was last told (`all`: everything), tells new templates, and notes
 * the ids if there are others. */
void templates_series_emit(struct templates_series *series, struct templates *templates,
                           bool all, struct emitter *out);
void templates_series_end(const struct templates_series *series, struct emitter *out);

/* Takes what an earlier run noted about the file.  NULL is allowed: there are none. */
void templates_resume(struct templates *templates, struct bytes file,
                      const struct emitter *out);
