/*
 * persons.h - people and the steps that tell them, as commands print them.
 */
#pragma once

#include <jansson.h>

#include "collector/ctl/ctl.h"

/* "值班员甲（一线，0017）" of {"id","name","post"}; the caller frees.  NULL: no such object, or no
 * memory. */
char *person_text(const json_t *person);
/* The names of an array of them, each once; the caller frees. */
char *persons_text(const json_t *persons);
/* A table of {"step","at","targets","persons"}. */
void steps_print(const struct ctl *ctl, const json_t *steps);
