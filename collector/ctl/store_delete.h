/*
 * store_delete.h - deleting samples from the terminal: shown first, then asked for.
 */
#pragma once

#include "collector/ctl/ctl.h"

struct delete_options {
    struct flag_list matches;
    const char *from, *to;
    bool yes;
};

/* fengsuictl store delete: what it would cover, the question, the delete.  The exit code. */
int store_delete_run(const struct ctl *ctl, const struct delete_options *options);
/* fengsuictl store deletes: those that are not carried out everywhere yet. */
int store_deletes_list(const struct ctl *ctl);
/* fengsuictl store clean: carries them out, and waits. */
int store_clean_run(const struct ctl *ctl);
