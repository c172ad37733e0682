/*
 * random.h - unpredictable bytes, on every kernel the probe runs on.
 *
 * getrandom() came with Linux 3.17: on older ones the same bytes are read from /dev/urandom.
 * Any thread.
 */
#pragma once

#include <stddef.h>

/* Fills `to`, waiting for the kernel's generator at boot where getrandom() is there.  ERR_IO:
 * there is neither the call nor the device; `to` is then undefined. */
int random_fill(void *to, size_t size);
