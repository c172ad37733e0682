/*
 * config_memory.h - between config.c and config_read.c only: memory of the document's lifetime.
 */
#pragma once

#include <stddef.h>

struct config;

/* Zeroed; lives until config_free().  NULL if out of memory. */
void *config_alloc(struct config *config, size_t count, size_t size);
