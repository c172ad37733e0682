/*
 * options_collector.c - the map `collector` of probe.yml.
 *
 *     collector: {endpoint: "tcp://192.0.2.7:9471", key: collector.pub, token: enrol.token}
 *
 * Key and token are texts, or files relative to probe.yml; their alphabets tell which: a key is
 * 40 characters of Z85, a token never holds a '.' or '/'.  A file that is not there yet is
 * noted instead of refused, so that --check can say what is still to be copied: without the key
 * a probe does not start, without the token it waits to be approved.
 */
#include "probe/options_collector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/link.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

struct file_collector {
    const char *endpoint, *key, *token;
};

#define AT(field) offsetof(struct file_collector, field)

static const struct config_option collector_rows[] = {
    {.key = "endpoint",
     .type = CONFIG_STRING,
     .offset = AT(endpoint),
     .help = "tcp://host:port, or several with commas between"},
    {.key = "key",
     .type = CONFIG_STRING,
     .offset = AT(key),
     .help = "public key, or the file it lies in"},
    {.key = "token",
     .type = CONFIG_STRING,
     .offset = AT(token),
     .help = "enrolment token, or the file it lies in"},
};

static bool is_path(const char *token)
{
    return strpbrk(token, "./") != NULL;
}

int options_collector_token(struct options *options, const char *text, struct diagnosis *why)
{
    char *token = NULL;
    int error = 0;

    free(options->token);
    options->token = NULL;
    if (is_path(text))
        error = file_read_secret(text, TOKEN_BYTES_MAX + 16, &token, why);
    else if ((token = strdup(text)) == NULL)
        error = diagnose(why, ERR_NOMEM, "out of memory");
    if (error == 0 && strlen(token) > TOKEN_BYTES_MAX) {
        free(token);
        return diagnose(why, ERR_INVALID, "the enrolment token is longer than %zu bytes",
                        TOKEN_BYTES_MAX);
    }
    if (error == 0)
        options->token = token;
    return error;
}

static int read_key(struct options *options, const char *text, struct diagnosis *why)
{
    char *path;
    int error;

    if (strlen(text) == CURVE_TEXT_BYTES - 1 &&
        curve_public_from(text, options->collector_key, NULL) == 0)
        return 0;
    path = file_relative_to(config_name(options->config), text);
    if (path == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        options->missing_key = path;
        return 0;
    }
    error = curve_public_from(path, options->collector_key, why);
    free(path);
    return error;
}

static int read_token(struct options *options, const char *text, struct diagnosis *why)
{
    char *path;
    int error;

    if (!is_path(text))
        return options_collector_token(options, text, why);
    path = file_relative_to(config_name(options->config), text);
    if (path == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        options->missing_token = path;
        return 0;
    }
    /* A bare name beside a bare "probe.yml" has no '/', but its '.' says that it is a file. */
    error = options_collector_token(options, path, why);
    free(path);
    return error;
}

int options_collector_read(struct options *options, const struct config_node *node,
                           struct diagnosis *why)
{
    struct file_collector file = {0};
    int error = config_read(options->config, node, "collector", collector_rows,
                            sizeof collector_rows / sizeof *collector_rows, &file, why);
    if (error == 0 && file.endpoint != NULL) {
        options->endpoint = file.endpoint;
        if (link_check_endpoint(file.endpoint, NULL) != 0)
            error = config_complain(options->config, config_child(node, "endpoint"), why,
                                    "collector.endpoint: \"%s\" does not look like "
                                    "tcp://host:port",
                                    file.endpoint);
    }
    if (error == 0 && file.key != NULL)
        error = read_key(options, file.key, why);
    if (error == 0 && file.token != NULL)
        error = read_token(options, file.token, why);
    return error;
}
