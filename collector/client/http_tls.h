/*
 * http_tls.h - tls_config as libcurl takes it, for HTTP and SMTP alike.
 *
 * Thread: whoever runs the transfer.
 */
#pragma once

#include "collector/client/http_settings.h"
#include "collector/client/request.h"

/* Certificates, versions, and whether the other side is verified.  0, ERR_IO. */
int http_tls_set(const struct tls_settings *tls, CURL *easy, struct client_request *request);

/* The URL; with a server_name the connection goes to the URL's host all the same, while TLS
 * asks for, and verifies, that name.  An HTTP request still names the URL's host.  Strings
 * are kept in `request`.  0, ERR_NOMEM, ERR_INVALID: no URL. */
int http_tls_set_url(const struct tls_settings *tls, CURL *easy, const char *url,
                     struct client_request *request);
