/*
 * duty_parts.h - between the files of `fengsuictl duty`; nobody else includes it.
 */
#pragma once

#include "collector/ctl/ctl.h"
#include "proto/base/civil.h"

#define DUTY_FILE "/etc/fengsui/duty.yml"

/* duty_table.c: a time of an object, in the zone that its offsetMs says. */
const char *duty_time(const json_t *object, const char *key, char text[CIVIL_TEXT_BYTES]);
/* Rosters day by day; the exit code. */
struct duty_show {
    const char *roster, *from, *to; /* NULL: all; now; a fortnight */
};
int duty_show(const struct ctl *ctl, const struct duty_show *show);
int duty_now(const struct ctl *ctl, const char *at);

/* duty_import.c: a holiday file, or a table as a layer or overrides. */
struct duty_import {
    const char *duty_file, *handover;
    bool write;
};
int duty_import(const struct ctl *ctl, const char *path, const struct duty_import *options);
/* Is it fit, and what does it leave open? */
int duty_check(const struct ctl *ctl, const char *path);
