/*
 * http_tls.c - see http_tls.h.
 */
#include "collector/client/http_tls.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "collector/client/http_post.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

/* The text as a file that only this process sees, until the request is done with: libcurl over
 * GnuTLS takes certificates from files alone. */
static int set_text(CURL *easy, CURLoption option, const char *text,
                    struct client_request *request)
{
    char path[32];
    const int fd = memfd_create("tls", MFD_CLOEXEC);

    if (fd < 0)
        return ERR_IO;
    request->files[request->file_count++] = fd;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    (void)curl_easy_setopt(easy, option, path);
    return file_write_all(&file_io_system, fd, bytes_of(text), 0);
}

static long version_of(const char *name)
{
    static const struct {
        const char *name;
        long least, most;
    } versions[] = {{"TLS10", CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_0},
                    {"TLS11", CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_1},
                    {"TLS12", CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_2},
                    {"TLS13", CURL_SSLVERSION_TLSv1_3, CURL_SSLVERSION_MAX_TLSv1_3}};
    for (size_t i = 0; name != NULL && i < sizeof versions / sizeof versions[0]; i++)
        if (strcmp(versions[i].name, name) == 0)
            return versions[i].least | versions[i].most;
    return CURL_SSLVERSION_DEFAULT | CURL_SSLVERSION_MAX_DEFAULT;
}

int http_tls_set(const struct tls_settings *tls, CURL *easy, struct client_request *request)
{
    const struct {
        CURLoption option;
        const char *text, *file;
    } files[CLIENT_FILES_MAX] = {{CURLOPT_CAINFO, tls->ca, tls->ca_file},
                                  {CURLOPT_SSLCERT, tls->cert, tls->cert_file},
                                  {CURLOPT_SSLKEY, tls->key, tls->key_file}};
    const long least = version_of(tls->min_version) & 0xffff;
    const long most = version_of(tls->max_version) & ~0xffffL;
    int error = 0;

    for (size_t i = 0; error == 0 && i < CLIENT_FILES_MAX; i++)
        if (files[i].text != NULL)
            error = set_text(easy, files[i].option, files[i].text, request);
        else if (files[i].file != NULL)
            (void)curl_easy_setopt(easy, files[i].option, files[i].file);
    if (tls->min_version != NULL || tls->max_version != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, least | most);
    if (tls->insecure_skip_verify) {
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return error;
}

/* Where the name leads: "name:port:host:port". */
static int set_target(CURL *easy, const char *name, const char *host, const char *port,
                      bool is_http, struct client_request *request)
{
    struct buf line = {0};
    int error;

    buf_printf(&line, "%s:%s:%s:%s", name, port, host, port);
    request->connect_to = buf_ok(&line) ? curl_slist_append(NULL, buf_text(&line)) : NULL;
    error = request->connect_to == NULL ? ERR_NOMEM : 0;
    (void)curl_easy_setopt(easy, CURLOPT_CONNECT_TO, request->connect_to);
    buf_clear(&line);
    buf_printf(&line, "Host: %s:%s", host, port);
    if (error == 0 && is_http)
        error = buf_ok(&line) ? http_post_header(request, buf_text(&line)) : ERR_NOMEM;
    buf_done(&line);
    return error;
}

static int set_named_url(const struct tls_settings *tls, CURL *easy, CURLU *url,
                         struct client_request *request)
{
    char *host = NULL, *port = NULL, *named = NULL, *scheme = NULL;
    int error = ERR_INVALID;

    if (curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_HOST, tls->server_name, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &named, 0) == CURLUE_OK) {
        (void)curl_easy_setopt(easy, CURLOPT_URL, named);
        error = set_target(easy, tls->server_name, host, port, strncmp(scheme, "http", 4) == 0,
                           request);
    }
    curl_free(host);
    curl_free(port);
    curl_free(named);
    curl_free(scheme);
    return error;
}

int http_tls_set_url(const struct tls_settings *tls, CURL *easy, const char *url,
                     struct client_request *request)
{
    CURLU *parts;
    int error;

    if (tls->server_name == NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_URL, url);
        return 0;
    }
    parts = curl_url();
    if (parts == NULL)
        return ERR_NOMEM;
    error = curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK
                ? set_named_url(tls, easy, parts, request)
                : ERR_INVALID;
    curl_url_cleanup(parts);
    return error;
}
