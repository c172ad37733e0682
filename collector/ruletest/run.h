/*
 * run.h - runs a file of rule unit tests and says what differs.
 *
 * Nothing is imitated: each test gets a store of its own in a folder that goes away (in memory
 * where the host has /dev/shm), takes its samples step by step, and evaluates the rules with
 * the collector's own evaluation at every evaluation_interval; so a rule that passes here
 * behaves so in service.  Nobody is notified.
 *
 * One call at a time; any thread.
 */
#pragma once

#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

struct rule_test_counts {
    size_t tests, failed; /* tests of a file */
};

/* `report` gets a text for people, one paragraph a failure: file:line, what was expected, what
 * came.  0 even if tests failed; an error with `why` if the file or its rules cannot be read.
 */
int rule_test_run(const char *path, struct buf *report, struct rule_test_counts *ret_counts,
                  struct diagnosis *why);
