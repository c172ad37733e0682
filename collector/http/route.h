/*
 * route.h - which row of the route table a method and a path mean.
 *
 * Apart from the exchange, so that whoever has a request of another origin than a socket (a fuzz
 * target, a test) asks the same table in the same way.  Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "collector/http/server.h"

/* enum http_method of its name on the wire; HEAD is a GET where route_has_head() says so of the
 * path.  0: none that we know. */
enum http_method route_method(const char *name, const char *path);

/* Whether HEAD is answered: Prometheus has none where it answers with data, and clients that try it
 * go on with GET; on pages and health checks it does no harm. */
bool route_has_head(const char *path);

/* The first row that matches; *ret_rest is what stands where its star is and all that follows, ""
 * without one.  NULL, with *ret_is_known: another method of this path has a row.  The ret_
 * arguments are set in any case. */
const struct http_route *route_find(const struct http_route *routes, size_t count,
                                    enum http_method method, const char *path,
                                    const char **ret_rest, bool *ret_is_known);

/* "GET, OPTIONS, POST": the methods of all rows that match the path, in the order of Prometheus's
 * Allow.  Static text. */
const char *route_allowed(const struct http_route *routes, size_t count, const char *path);
