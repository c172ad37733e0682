/*
 * care_show.h - long work of the collector's store, watched until it ends; faults by name.
 *
 * One thread.
 */
#pragma once

#include "collector/ctl/ctl.h"

/* Begins by POSTing `body` to `path`, shows how far it is, and hands back how it ended: a new
 * reference.  EXIT_FAILED after a message. */
int care_watch(const struct ctl *ctl, const char *path, json_t *body, const char *name,
               json_t **ret_data);
/* "history/...: what is wrong with it", on stderr; as they come, or all of an answer. */
void care_tell_fault(const struct ctl *ctl, const char *file, const char *what);
void care_tell_found(const struct ctl *ctl, const json_t *data);
/* --json: an answer as the server would have given it. */
void care_print_json(json_t *data);
