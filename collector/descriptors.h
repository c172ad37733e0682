/*
 * descriptors.h - how many files the process may have open.
 */
#pragma once

/* Raises the limit to what is sensible, or as far as it may.  Before the first thread. */
void descriptors_raise_limit(void);
