/*
 * check.h - between command_check.c and the files of `check consequences`.  One thread.
 */
#pragma once

#include "collector/ctl/ctl.h"
#include "proto/base/buf.h"

/* Would the collector start with this collector.yml?  Its own --check; the exit code.  `quiet`:
 * only what is wrong is said. */
int check_config(const char *config, bool quiet);
/* check consequences FILE: EXIT_FINE; with `exit_code` EXIT_FAILED if there are any, and
 * EXIT_USAGE for whatever else went wrong; EXIT_USAGE if the files are unfit. */
int check_consequences(const struct ctl *ctl, char *config, bool exit_code);
/* The answer (consequences.h) as text. */
void check_put_consequences(const struct ctl *ctl, const json_t *consequences, struct buf *out);
