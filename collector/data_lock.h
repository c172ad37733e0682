/*
 * data_lock.h - one collector a data folder.
 */
#pragma once

#include "proto/base/diagnosis.h"

/*
 * Takes DATA/collector.lock by flock(2), making the folder where it is missing, and keeps it until
 * the process ends, however it ends.  Two collectors in one folder would each cut the other's
 * write-ahead log.  Before the store is opened; main thread.  ERR_EXISTS: another has it, named by
 * its process number in `why`; ERR_IO: the folder or file cannot be made or locked.
 */
int data_lock_take(const char *data, struct diagnosis *why);
