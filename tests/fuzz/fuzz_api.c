/*
 * fuzz_api.c - every route of the collector's port, asked anything (request_text.h), over a store
 * with something of everything in it (api_world.h).
 *
 * Properties: api_answer.h's, and that a handler does not fall over what others were asked before:
 * the world goes on between inputs, and is made anew after some thousand of them that may have
 * changed it.  test_api_seeds.c sees to it that every route and parameter has a seed.
 */
#include <signal.h>
#include <stdlib.h>

#include "collector/http/api.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "tests/fuzz/api_answer.h"
#include "tests/fuzz/api_world.h"

#define CHANGES_A_WORLD 2000

static struct api_world *the_world;
static unsigned changes;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void close_world(void)
{
    api_world_close(the_world);
    the_world = NULL;
}

/* Refusals are no news here. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    (void)signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_ERROR_LEVEL, LOG_LOGFMT);
    the_world = api_world_open();
    return atexit(close_world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request_text text;
    struct http_response response;
    size_t count;
    const struct http_route *routes = api_routes(&count);
    if (the_world == NULL) /* replayed: nobody calls LLVMFuzzerInitialize() */
        (void)LLVMFuzzerInitialize(NULL, NULL);
    if (!request_text_read((struct bytes){data, size}, routes, count, &text))
        return 0;
    if (text.route != NULL && text.status == 0) {
        if (text.request.method != HTTP_GET && ++changes % CHANGES_A_WORLD == 0) {
            close_world();
            the_world = api_world_open();
        }
        (void)api_world_login(the_world, &text);
        api_world_ask(the_world, &text, &response);
        api_answer_check(&text.request, &response);
        api_world_forget(&response);
    }
    request_text_done(&text);
    return 0;
}
