/*
 * api_answer.h - what every answer of the port must be, whatever was asked.
 *
 *   - a status that HTTP has, and by which Prometheus's error type goes with it
 *   - JSON where it says so: it parses, and is UTF-8; below /api/v1/ and /api/fengsui/ in the
 *     envelope of reply.h, success with 2xx only, else a type and a reason
 *   - "internal" never: whatever strangers write is theirs to be told of
 *   - a stream that ends, and breaks off only for a reason
 */
#pragma once

#include "collector/http/server.h"

/* Reads a stream to its end, into the body; ends the process where an answer is none of those. */
void api_answer_check(const struct http_request *request, struct http_response *response);
