/*
 * fuzz_http_response.c - answers of servers that are none, in two different cuts.
 *
 * However the bytes are cut into pieces, status, body and outcome are the same; the body is
 * never larger than what arrived.
 */
#include <stdlib.h>
#include <string.h>

#include "probe/http/http_get.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    int last, end, status;
    size_t body;
    uint64_t sum;
};

static struct outcome read_in(const uint8_t *data, size_t size, size_t step)
{
    struct http_response response;
    struct outcome outcome = {.last = HTTP_MORE};
    http_response_init(&response);
    for (size_t at = 0; at < size && outcome.last >= 0 && outcome.last != HTTP_DONE;
         at += step) {
        struct bytes body, piece = {data + at, size - at < step ? size - at : step};
        while ((outcome.last = http_response_next(&response, &piece, &body)) > HTTP_MORE) {
            if (outcome.last == HTTP_DONE)
                break;
            if (outcome.last != HTTP_BODY)
                continue;
            outcome.body += body.size;
            for (size_t i = 0; i < body.size; i++)
                outcome.sum = outcome.sum * 31 + body.data[i];
        }
    }
    outcome.end = http_response_end(&response);
    outcome.status = response.status;
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char url[512], host[HTTP_HOST_BYTES], port[HTTP_PORT_BYTES];
    const char *path;

    struct outcome whole = read_in(data, size, size + 1);
    must(whole.body <= size);
    for (size_t step = 1; step <= 7; step += 3) {
        struct outcome cut = read_in(data, size, step);
        must(cut.last == whole.last && cut.end == whole.end && cut.status == whole.status);
        must(cut.body == whole.body && cut.sum == whole.sum);
    }
    if (size < sizeof url) {
        memcpy(url, data, size);
        url[size] = '\0';
        if (http_url_split(url, host, port, &path, NULL) == 0)
            must(path >= url && path <= url + strlen(url) && strlen(host) > 0);
    }
    return 0;
}
