/*
 * api_world.h - a whole collector in this process, whose handlers are called without a socket: all
 * parts of struct app over a folder of its own, opened in main.c's order, with something of
 * everything in it (samples of 2023 and of the last minutes, rules, a host with lines and a process
 * table, alerts, a silence, jobs, a roster, users).
 *
 * Nothing in it reaches out: its receiver is a port of this host where nobody listens.  A failure to
 * open it ends the process.
 *
 * Threads: one owner; the main loop is a thread of the world's, which quick handlers run on.
 */
#pragma once

#include "collector/http/server.h"
#include "collector/http/users.h"
#include "tests/fuzz/request_text.h"

struct api_world;

struct api_world *api_world_open(void);
/* Removes the folder, too.  NULL is allowed. */
void api_world_close(struct api_world *world);

/* Looks at who asks as the server would, but hashes no password: an answer of users.h's, and of the
 * route's own admits(). */
enum verdict api_world_login(struct api_world *world, struct request_text *text);
/* Calls the request's handler where the server would: on the loop, on this thread, or on this
 * thread until whoever answers later has.  `response` is zeroed but for its status before; the
 * caller frees what is in it (api_world_forget()).  A backup is made below the world's folder
 * whatever the request says. */
void api_world_ask(struct api_world *world, struct request_text *text,
                   struct http_response *response);
void api_world_forget(struct http_response *response);
