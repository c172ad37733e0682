/*
 * delivery_parts.h - between delivery.c and what else has libcurl handles on its loop.
 *
 * A job is whatever a libcurl handle belongs to; it stands first in its struct, and done() is
 * called when libcurl is through with the handle's work.  done() may free the job.
 *
 * Thread: the loop's.
 */
#pragma once

#include "collector/notify/delivery.h"

struct delivery_job {
    void (*done)(struct delivery_job *job, CURLcode result);
};

uv_loop_t *delivery_loop(const struct delivery *delivery);
/* A handle of the job's with the options that all have; NULL when out of memory. */
CURL *delivery_new_easy(struct delivery_job *job);
/* Begins its work.  ERR_NOMEM. */
int delivery_add_easy(struct delivery *delivery, CURL *easy);
/* Ends it, if it was begun, and frees the handle.  NULL is allowed. */
void delivery_drop_easy(struct delivery *delivery, CURL *easy);
