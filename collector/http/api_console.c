/*
 * api_console.c - the duty console: the page at "/", its parts below "/console/".
 *
 * The page is asked for again each time (by ETag); its parts carry their version in the address
 * and may be kept for ever.  The content security policy lets nothing run that is not one of
 * these files, and nothing be asked of another host: what a log line or a label says cannot
 * become code, and the console works in a closed machine room.
 */
#include "collector/console/console.h"

#include <string.h>

#include "collector/http/api_parts.h"

#define STATUS_NOT_MODIFIED 304
#define STATUS_NOT_FOUND    404

static void send_asset(const struct http_request *request, struct http_response *response,
                       const struct console_asset *asset, const char *caching)
{
    http_add_header(response, "ETag", asset->etag);
    http_add_header(response, "Cache-Control", caching);
    if (strstr(request->if_none_match, asset->etag) != NULL) {
        response->status = STATUS_NOT_MODIFIED;
        return;
    }
    response->content_type = asset->content_type;
    buf_put(&response->body, asset->content.data, asset->content.size);
}

void api_console_page(struct http_request *request, struct http_response *response)
{
    http_add_header(response, "Content-Security-Policy",
                    "default-src 'none'; script-src 'self'; style-src 'self'; "
                    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
                    "form-action 'none'; frame-ancestors 'none'");
    http_add_header(response, "Referrer-Policy", "no-referrer");
    send_asset(request, response, console_page(), "no-cache");
}

void api_console_asset(struct http_request *request, struct http_response *response)
{
    const struct console_asset *asset = console_find(request->rest);
    if (asset != NULL) {
        send_asset(request, response, asset, "private, max-age=31536000, immutable");
        return;
    }
    response->status = STATUS_NOT_FOUND;
    response->content_type = "text/plain; charset=utf-8";
    buf_put_text(&response->body, "no such file in this version of the console\n");
}
