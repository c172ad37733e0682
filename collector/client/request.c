/*
 * request.c - see request.h.
 */
#include "collector/client/request.h"

#include <stdlib.h>
#include <unistd.h>

void client_request_done(struct client_request *request)
{
    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->recipients);
    curl_slist_free_all(request->connect_to);
    for (size_t i = 0; i < request->file_count; i++)
        (void)close(request->files[i]);
    free(request->secret);
    free(request->text);
    buf_done(&request->sent);
    buf_done(&request->answer);
    buf_done(&request->kept);
    buf_done(&request->note);
    free(request->token);
    *request = (struct client_request){0};
}
