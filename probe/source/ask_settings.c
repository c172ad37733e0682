/*
 * ask_settings.c - one target of a service, as probe.yml has it, and what is sent to it
 * (ask.h).
 *
 *     sources:
 *       redis:
 *         interval: 15s
 *         targets:
 *           - {url: 'redis://127.0.0.1:6379', password_file: redis.password}
 *       nginx:
 *         targets:
 *           - url: unix:/run/nginx/status.sock:/stub_status
 *
 * A password stands in a file of its own that only the probe's user can read, never in the URL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/source/ask.h"
#include "probe/source/device_filter.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define SECRET_BYTES_MAX ((size_t)1024)
#define URL_BYTES_MAX    1024
/* The old way to ask squid, before 3.2: a scheme instead of a path. */
#define CACHE_OBJECT "cache_object://"
/* As redis_exporter, memcached and nginx write it. */
#define UNIX_SOCKET "unix:"

struct target_options {
    const char *url, *job, *instance, *keep, *drop, *user, *password_file;
    const struct config_node *labels;
    int64_t timeout_ms;
    uint64_t body_limit;
    struct source_common_options common;
};

#define AT(field) offsetof(struct target_options, field)

static const struct config_option target_table[] = {
    {"url", CONFIG_STRING, AT(url), .required = true, .help = "where it listens"},
    {"job", CONFIG_STRING, AT(job),
     .help = "the job its series are to have; the collector decides (default: the source)"},
    {"instance", CONFIG_STRING, AT(instance),
     .help = "HOSTNAME:SOMETHING, to tell two of a kind apart (default: the probe's instance)"},
    {"labels", CONFIG_NODE, AT(labels), .help = "labels for all its series"},
    {"timeout", CONFIG_DURATION, AT(timeout_ms), .fallback = "5s", .min = 10, .max = 600000,
     .help = "of the whole answer; never longer than the interval"},
    {"body_size_limit", CONFIG_SIZE, AT(body_limit), .fallback = "1MiB", .min = 1,
     .max = (int64_t)64 << 20, .help = "a larger answer counts as down"},
    {"keep", CONFIG_STRING, AT(keep),
     .help = "regular expression of metric names, matched whole: only these"},
    {"drop", CONFIG_STRING, AT(drop),
     .help = "regular expression of metric names, matched whole: these not"},
    {"user", CONFIG_STRING, AT(user), .help = "who logs in"},
    {"password_file", CONFIG_FILE, AT(password_file),
     .help = "its text is the password; mode 0600"},
    SOURCE_COMMON_OPTIONS(AT(common)),
};

static void put_base64(struct buf *out, struct bytes text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < text.size; i += 3) {
        size_t size = text.size - i < 3 ? text.size - i : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < size ? text.data[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            buf_put_char(out, k <= size ? letters[group >> (18 - 6 * k) & 63] : '=');
    }
}

static void put_login(struct buf *out, const struct ask_login *login)
{
    struct buf text = {0};
    if (login->password == NULL)
        return;
    buf_printf(&text, "%s:%s", login->user == NULL ? "" : login->user, login->password);
    buf_put_text(out, "Authorization: Basic ");
    put_base64(out, buf_bytes(&text));
    buf_put_text(out, "\r\n");
    if (text.data != NULL)
        explicit_bzero(text.data, text.size);
    buf_done(&text);
}

static void put_http(struct buf *out, const struct ask_state *ask, const char *path,
                     const char *page, bool is_cache_object)
{
    const char *host = ask->settings.host, *body = ask->dialect->body;
    bool is_v6 = strchr(host, ':') != NULL;
    const char *open = is_v6 ? "[" : "", *close = is_v6 ? "]" : "";
    bool is_local = host[0] == '/';

    if (is_cache_object)
        buf_printf(out, "GET " CACHE_OBJECT "%s%s%s/%s HTTP/1.0\r\n", open, host, close, page);
    else
        buf_printf(out, "%s %s%s HTTP/1.1\r\n", body == NULL ? "GET" : "POST", path, page);
    if (is_local)
        buf_put_text(out, "Host: localhost\r\n");
    else
        buf_printf(out, "Host: %s%s%s:%s\r\n", open, host, close, ask->settings.port);
    buf_put_text(out, "User-Agent: fengsui-probe/" FENGSUI_VERSION
                      "\r\nAccept: */*\r\nConnection: close\r\n");
    put_login(out, &ask->login);
    if (body != NULL)
        buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                   strlen(body));
    buf_printf(out, "\r\n%s", body == NULL ? "" : body);
}

static int make_requests(struct ask_state *ask, const char *path, bool is_cache_object,
                         struct diagnosis *why)
{
    const struct ask_dialect *dialect = ask->dialect;
    size_t count = 0;
    if (dialect->is_raw) {
        dialect->request(&ask->requests[count++], &ask->login);
    } else if (dialect->pages == NULL) {
        put_http(&ask->requests[count++], ask, path, "", false);
    } else {
        for (; count < ASK_PAGES_MAX && dialect->pages[count] != NULL; count++)
            put_http(&ask->requests[count], ask, path, dialect->pages[count], is_cache_object);
    }
    ask->page_count = count;
    for (size_t i = 0; i < count; i++)
        if (!buf_ok(&ask->requests[i]))
            return diagnose(why, ERR_NOMEM, "out of memory");
    return 0;
}

/* PATH[:/URI] of a Unix socket; the URI's URL in `room`.  A line protocol's path may have
 * colons. */
static int split_socket(struct ask_state *ask, const char *rest, char room[URL_BYTES_MAX],
                        const char **ret_path, struct diagnosis *why)
{
    const struct ask_dialect *dialect = ask->dialect;
    const char *uri = dialect->is_raw ? NULL : strstr(rest, ":/");
    size_t size = uri == NULL ? strlen(rest) : (size_t)(uri - rest);
    if (rest[0] != '/')
        return diagnose(why, ERR_INVALID, "expected " UNIX_SOCKET "/PATH%s",
                        dialect->is_raw ? "" : "[:/URI]");
    if (size > HTTP_SOCKET_PATH_MAX)
        return diagnose(why, ERR_INVALID, "the path of a Unix socket has at most %d bytes",
                        HTTP_SOCKET_PATH_MAX);
    if ((size_t)snprintf(room, URL_BYTES_MAX, "http://localhost%s",
                         uri == NULL ? "" : uri + 1) >= URL_BYTES_MAX)
        return diagnose(why, ERR_INVALID, "longer than %d bytes", URL_BYTES_MAX);
    const char *path;
    int error = http_url_split(room, ask->settings.host, ask->settings.port, &path, why);
    if (error != 0)
        return error;
    memcpy(ask->settings.host, rest, size);
    ask->settings.host[size] = '\0';
    *ret_path = path[0] == '\0' || strcmp(path, "/") == 0 ? dialect->path : path;
    return 0;
}

/* Host, port and path of SCHEME://HOST[:PORT][/PATH]; the path in `room`. */
static int split_url(struct ask_state *ask, const char *url, char room[URL_BYTES_MAX],
                     const char **ret_path, bool *ret_cache_object, struct diagnosis *why)
{
    const struct ask_dialect *dialect = ask->dialect;
    const char *rest = NULL;
    if (strncmp(url, UNIX_SOCKET, strlen(UNIX_SOCKET)) == 0)
        return split_socket(ask, url + strlen(UNIX_SOCKET), room, ret_path, why);
    if (strncmp(url, dialect->scheme, strlen(dialect->scheme)) == 0)
        rest = url + strlen(dialect->scheme);
    *ret_cache_object = dialect->pages != NULL && rest == NULL &&
                        strncmp(url, CACHE_OBJECT, strlen(CACHE_OBJECT)) == 0;
    if (*ret_cache_object)
        rest = url + strlen(CACHE_OBJECT);
    if (rest == NULL)
        return diagnose(why, ERR_INVALID, "expected %sHOST:PORT, or " UNIX_SOCKET "/PATH",
                        dialect->scheme);
    if (memchr(rest, '@', strcspn(rest, "/?#")) != NULL)
        return diagnose(why, ERR_INVALID,
                        "a password in a URL is one for all to read; use user and "
                        "password_file");
    if ((size_t)snprintf(room, URL_BYTES_MAX, "http://%s", rest) >= URL_BYTES_MAX)
        return diagnose(why, ERR_INVALID, "longer than %d bytes", URL_BYTES_MAX);
    const char *path;
    int error = http_url_split(room, ask->settings.host, ask->settings.port, &path, why);
    if (error != 0)
        return error;
    size_t size = strcspn(rest, "/?#");
    const char *colon = memrchr(rest, ':', size);
    if (colon == NULL || memchr(colon, ']', (size_t)(rest + size - colon)) != NULL)
        memcpy(ask->settings.port, dialect->port, strlen(dialect->port) + 1);
    if (path[0] == '\0' || strcmp(path, "/") == 0)
        path = dialect->path;
    else if (dialect->is_raw)
        return diagnose(why, ERR_INVALID, "a path says nothing to %s", dialect->source);
    *ret_path = path;
    return 0;
}

static int read_login(struct ask_state *ask, struct config *config,
                      const struct config_node *node, const struct target_options *options,
                      struct diagnosis *why)
{
    char *password = NULL;
    ask->login.user = options->user != NULL && options->user[0] != '\0' ? options->user : NULL;
    if (options->password_file == NULL)
        return ask->login.user == NULL
                   ? 0
                   : config_complain(config, node, why, "user: needs a password_file");
    int error = file_read_secret(options->password_file, SECRET_BYTES_MAX, &password, why);
    ask->login.password = password;
    if (error == 0 && strpbrk(password, "\r\n") != NULL)
        error =
            diagnose(why, ERR_INVALID, "%s: a password is one line", options->password_file);
    return error;
}

int ask_settings_read(struct ask_state *ask, struct config *config,
                      const struct config_node *node, struct diagnosis *why)
{
    struct scrape_settings *settings = &ask->settings;
    struct target_options options = {0};
    struct diagnosis reason = {0};
    const char *path = NULL;
    char where[64], room[URL_BYTES_MAX];
    bool is_cache_object = false;

    (void)snprintf(where, sizeof where, "sources.%s.targets", ask->dialect->source);
    int error = config_read(config, node, where, target_table,
                            sizeof target_table / sizeof *target_table, &options, why);
    if (error != 0)
        return error;
    if (split_url(ask, options.url, room, &path, &is_cache_object, &reason) != 0)
        return config_complain(config, node, why, "url \"%s\": %s", options.url, reason.text);
    settings->url = options.url;
    settings->timeout_ms = options.timeout_ms;
    settings->body_limit_bytes = options.body_limit;
    settings->rules.honor_labels = true;
    settings->rules.sample_limit = 20000;
    bool has_job = options.job != NULL && options.job[0] != '\0';
    error = scrape_settings_labels(
        settings, config, node,
        &(struct scrape_names){has_job ? options.job : ask->dialect->source, options.instance,
                               options.labels},
        why);
    if (error == 0)
        error = read_login(ask, config, node, &options, why);
    if (error == 0)
        error = device_filter_compile_whole(config, node, "keep", options.keep,
                                            &settings->rules.keep, why);
    if (error == 0)
        error = device_filter_compile_whole(config, node, "drop", options.drop,
                                            &settings->rules.drop, why);
    if (error == 0 &&
        asprintf(&settings->title, "%s %s", ask->dialect->source, options.url) < 0)
        error = diagnose(why, ERR_NOMEM, "out of memory");
    return error == 0 ? make_requests(ask, path, is_cache_object, why) : error;
}

void ask_settings_done(struct ask_state *ask)
{
    char *password = (char *)(uintptr_t)ask->login.password;
    for (size_t i = 0; i < ASK_PAGES_MAX; i++) { /* they may hold a password */
        if (ask->requests[i].data != NULL)
            explicit_bzero(ask->requests[i].data, ask->requests[i].size);
        buf_done(&ask->requests[i]);
    }
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    free(password);
    ask->login = (struct ask_login){0};
    scrape_settings_done(&ask->settings);
}
