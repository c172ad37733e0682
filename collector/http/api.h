/*
 * api.h - every route of the collector's port, over the parts of struct app.
 *
 *     api_open(app, &api)
 *     http_server_open(loop, &options, api_routes(&count), count, api, &server, &why)
 *     ...
 *     http_server_close(server); api_close(api); store_close(...)
 *
 * /api/v1/...          Prometheus's paths, parameters, errors, number formats (reply.h, param.h)
 * /api/fengsui/v1/...  what Prometheus has no word for: probes, keys, logs, processes
 *
 * Threads: api_open/close main; handlers as server.h says.
 */
#pragma once

#include "collector/app.h"
#include "collector/http/server.h"

struct api;

int api_open(struct app *app, struct api **ret_api);
/* After the server has closed, before the store does.  NULL is allowed. */
void api_close(struct api *api);

/* Appends the own metrics of remote write and of `server` in Prometheus text format.  Loop thread,
 * or a handler. */
void api_print_metrics(const struct api *api, const struct http_server *server, struct buf *out);

/* The route table; its context is the struct api. */
const struct http_route *api_routes(size_t *ret_count);

/* The parameters of a route as its description has them (api_openapi.c), of all its methods: by
 * blanks, "name", "name!" if it must be there, "name*" or "name[]" if it may repeat; "" if there are
 * none.  Static text. */
const char *api_route_parameters(const struct http_route *route);
