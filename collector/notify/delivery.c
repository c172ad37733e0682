/*
 * delivery.c - see delivery.h.
 *
 * The one surprise: libcurl may call socket_changed() from inside curl_multi_socket_action()
 * and from curl_multi_remove_handle(); so a watch is closed there and then, and freed by its
 * close callback, never touched again.
 */
#include "collector/notify/delivery.h"

#include <stdlib.h>

#include "collector/notify/delivery_parts.h"
#include "collector/notify/program.h"
#include "collector/notify/smpp_pool.h"
#include "collector/notify/token.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define CONNECT_TIMEOUT_MS 5000L

struct delivery {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    struct transfer *transfers; /* under way */
    struct tokens tokens;
    struct smpp_pool *smpp;
    bool closing;
};

struct transfer {
    struct delivery_job job; /* first: delivery_parts.h */
    struct delivery *delivery;
    struct transfer *next, **link;
    const struct channel *channel;
    const void *settings;
    /* one of these three, by the channel's kind */
    CURL *easy;
    struct program_run *run;
    struct smpp_message *message;
    bool asks_token;  /* `easy` is the transfer before the transfer, */
    bool waits_token; /* or another one's is, and there is none yet */
    struct buf token_key;
    bool has_renewed;
    struct client_request request;
    char id[MESSAGE_ID_BYTES];
    uint8_t *body; /* and behind it the progress */
    delivery_done *done;
    void *context;
};

/* One descriptor that libcurl wants watched. */
struct watch {
    uv_poll_t poll;
    struct delivery *delivery;
    curl_socket_t socket;
};

static void transfer_free(struct transfer *transfer)
{
    if (transfer->link != NULL) {
        *transfer->link = transfer->next;
        if (transfer->next != NULL)
            transfer->next->link = transfer->link;
    }
    delivery_drop_easy(transfer->delivery, transfer->easy);
    program_abandon(transfer->run);
    smpp_abandon(transfer->message);
    buf_done(&transfer->token_key);
    client_request_done(&transfer->request);
    free(transfer->body);
    free(transfer);
}

/* The transfer is over: out of the list, and told. */
static void transfer_end(struct transfer *transfer, const struct client_verdict *verdict)
{
    delivery_done *done = transfer->done;
    void *context = transfer->context;
    struct client_verdict told = *verdict;
    struct buf kept = transfer->request.kept;

    transfer->request.kept = (struct buf){0};
    if (kept.size > 0 && buf_ok(&kept))
        told.progress = buf_bytes(&kept);
    transfer_free(transfer);
    done(context, &told);
    buf_done(&kept);
}

static void on_program_done(void *context, const struct client_verdict *verdict)
{
    struct transfer *transfer = context;
    transfer->run = NULL;
    transfer_end(transfer, verdict);
}

static void on_message_done(void *context, const struct client_verdict *verdict)
{
    struct transfer *transfer = context;
    transfer->message = NULL;
    transfer_end(transfer, verdict);
}

/* ---- libcurl on the loop ----------------------------------------------------------------- */

uv_loop_t *delivery_loop(const struct delivery *delivery)
{
    return delivery->loop;
}

struct smpp_pool *delivery_smpp(const struct delivery *delivery)
{
    return delivery->smpp;
}

CURL *delivery_new_easy(struct delivery_job *job)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return NULL;
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Else libcurl, giving up a transfer, waits on our loop for its thread in getaddrinfo(); so
     * the thread is left to end by itself. */
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    return easy;
}

int delivery_add_easy(struct delivery *delivery, CURL *easy)
{
    return curl_multi_add_handle(delivery->multi, easy) == CURLM_OK ? 0 : ERR_NOMEM;
}

void delivery_drop_easy(struct delivery *delivery, CURL *easy)
{
    if (easy == NULL)
        return;
    (void)curl_multi_remove_handle(delivery->multi, easy);
    curl_easy_cleanup(easy);
}

/* Tells the jobs of what has ended. */
static void reap(struct delivery *delivery)
{
    CURLMsg *message;
    int left;

    while (!delivery->closing &&
           (message = curl_multi_info_read(delivery->multi, &left)) != NULL) {
        struct delivery_job *job = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&job);
        job->done(job, message->data.result);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct delivery *delivery = timer->data;
    int running;
    (void)curl_multi_socket_action(delivery->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(delivery);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct delivery *delivery = watch->delivery;
    int flags = 0, running;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if ((events & UV_READABLE) != 0)
        flags |= CURL_CSELECT_IN;
    if ((events & UV_WRITABLE) != 0)
        flags |= CURL_CSELECT_OUT;
    (void)curl_multi_socket_action(delivery->multi, watch->socket, flags, &running);
    reap(delivery); /* the watch may be gone by now */
}

static int timer_changed(CURLM *multi, long timeout_ms, void *context)
{
    struct delivery *delivery = context;
    (void)multi;
    if (delivery->closing)
        return 0;
    if (timeout_ms < 0)
        (void)uv_timer_stop(&delivery->timer);
    else
        (void)uv_timer_start(&delivery->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void free_watch(uv_handle_t *handle)
{
    free(handle->data);
}

static struct watch *watch_new(struct delivery *delivery, curl_socket_t socket)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->delivery = delivery;
    watch->socket = socket;
    if (uv_poll_init_socket(delivery->loop, &watch->poll, socket) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    return watch;
}

static int socket_changed(CURL *easy, curl_socket_t socket, int what, void *context,
                          void *socket_context)
{
    struct delivery *delivery = context;
    struct watch *watch = socket_context;
    (void)easy;

    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            (void)uv_poll_stop(&watch->poll);
            (void)curl_multi_assign(delivery->multi, socket, NULL);
            uv_close((uv_handle_t *)&watch->poll, free_watch);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = watch_new(delivery, socket);
        if (watch == NULL)
            return -1;
        (void)curl_multi_assign(delivery->multi, socket, watch);
    }
    return uv_poll_start(&watch->poll,
                         ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                             ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0),
                         on_readable);
}

int delivery_open(uv_loop_t *loop, delivery_receipt *on_receipt, void *context,
                  struct delivery **ret_delivery)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);

    if (delivery == NULL)
        return ERR_NOMEM;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (delivery->multi = curl_multi_init()) == NULL ||
        smpp_pool_open(delivery, on_receipt, context, &delivery->smpp) != 0) {
        if (delivery->multi != NULL)
            (void)curl_multi_cleanup(delivery->multi);
        free(delivery);
        return ERR_NOMEM;
    }
    delivery->loop = loop;
    must(uv_timer_init(loop, &delivery->timer) == 0);
    delivery->timer.data = delivery;
    (void)curl_multi_setopt(delivery->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
    (void)curl_multi_setopt(delivery->multi, CURLMOPT_SOCKETDATA, delivery);
    (void)curl_multi_setopt(delivery->multi, CURLMOPT_TIMERFUNCTION, timer_changed);
    (void)curl_multi_setopt(delivery->multi, CURLMOPT_TIMERDATA, delivery);
    *ret_delivery = delivery;
    return 0;
}

/* ---- tries ------------------------------------------------------------------------------- */

/* Another one that asks for this token, or waits for it. */
static struct transfer *find_other(const struct transfer *transfer, bool asks)
{
    for (struct transfer *at = transfer->delivery->transfers; at != NULL; at = at->next)
        if (at != transfer && (asks ? at->asks_token : at->waits_token) &&
            bytes_equal(buf_bytes(&at->token_key), buf_bytes(&transfer->token_key)))
            return at;
    return NULL;
}

/* The token that is kept, into the request; without one, it is to be asked for, or waited for
 * if that is done already: services do not like to be asked by many at once. */
static int take_token(struct transfer *transfer, struct diagnosis *why)
{
    const char *token = NULL;
    int error;

    buf_clear(&transfer->token_key);
    error = transfer->channel->token->put_key(transfer->settings, &transfer->token_key, why);
    if (error != 0)
        return error;
    if (!buf_ok(&transfer->token_key))
        return ERR_NOMEM;
    token = tokens_find(&transfer->delivery->tokens, buf_bytes(&transfer->token_key),
                        clock_mono(&clock_system));
    transfer->waits_token = token == NULL && find_other(transfer, true) != NULL;
    transfer->asks_token = token == NULL && !transfer->waits_token;
    if (token == NULL)
        return 0;
    transfer->request.token = strdup(token);
    return transfer->request.token == NULL ? ERR_NOMEM : 0;
}

static int begin_transfer(struct transfer *transfer, struct diagnosis *why)
{
    const struct channel *channel = transfer->channel;
    int error = 0;

    if (channel->token != NULL && transfer->request.token == NULL &&
        (channel->token->is_needed == NULL || channel->token->is_needed(transfer->settings)))
        error = take_token(transfer, why);
    if (error != 0 || transfer->waits_token)
        return error;
    transfer->easy = delivery_new_easy(&transfer->job);
    if (transfer->easy == NULL)
        return ERR_NOMEM;
    error = (transfer->asks_token ? channel->token->prepare : channel->prepare)(
        transfer->settings, transfer->easy, &transfer->request, why);
    return error != 0 ? error : delivery_add_easy(transfer->delivery, transfer->easy);
}

/* The next transfer of the same try, with the token as it is now. */
static void begin_next(struct transfer *transfer, char *token)
{
    struct client_request next = {.id = transfer->request.id,
                                   .body = transfer->request.body,
                                   .progress = transfer->request.progress};
    struct client_verdict verdict = {.recoverable = true};
    int error;

    delivery_drop_easy(transfer->delivery, transfer->easy);
    transfer->easy = NULL;
    client_request_done(&transfer->request);
    transfer->request = next;
    transfer->request.token = token;
    transfer->asks_token = transfer->waits_token = false;
    error = begin_transfer(transfer, &verdict.why);
    if (error == 0)
        return;
    (void)diagnose(&verdict.why, error, "%s", error_text(error));
    transfer_end(transfer, &verdict);
}

/* The others that waited for the same token go on with it, or end as this one does. */
static void share_token(struct transfer *transfer, const char *token,
                        const struct client_verdict *verdict)
{
    struct transfer *other;
    while ((other = find_other(transfer, false)) != NULL) {
        char *copy = token == NULL ? NULL : strdup(token);
        if (copy != NULL)
            begin_next(other, copy);
        else
            transfer_end(other, verdict);
    }
}

static void on_token(struct transfer *transfer, CURLcode result)
{
    struct client_verdict verdict = {0};
    int64_t life_ms = 0;
    char *token = transfer->channel->token->read(transfer->settings, transfer->easy, result,
                                                 &transfer->request, &life_ms, &verdict);

    if (token != NULL) /* without memory to keep it the next message asks again */
        (void)tokens_keep(&transfer->delivery->tokens, buf_bytes(&transfer->token_key), token,
                          life_ms, clock_mono(&clock_system));
    share_token(transfer, token, &verdict);
    if (token != NULL)
        begin_next(transfer, token);
    else
        transfer_end(transfer, &verdict);
}

static void on_transfer_done(struct delivery_job *job, CURLcode result)
{
    struct transfer *transfer = (struct transfer *)job;
    struct client_verdict verdict = {0};

    if (transfer->asks_token) {
        on_token(transfer, result);
        return;
    }
    transfer->channel->judge(transfer->settings, transfer->easy, result, &transfer->request,
                             &verdict);
    if (verdict.renews)
        tokens_forget(&transfer->delivery->tokens, buf_bytes(&transfer->token_key),
                      transfer->request.token);
    if (!verdict.renews || transfer->has_renewed) { /* once: else it is not the token's age */
        transfer_end(transfer, &verdict);
        return;
    }
    transfer->has_renewed = true;
    begin_next(transfer, NULL);
}

static int begin(struct transfer *transfer, struct diagnosis *why)
{
    const struct client_request *request = &transfer->request;

    if (transfer->channel->is_program)
        return program_start(transfer->delivery->loop, transfer->settings, transfer->id,
                             request->body, on_program_done, transfer, &transfer->run, why);
    if (transfer->channel->is_session)
        return smpp_send(transfer->delivery->smpp, transfer->settings, request->body,
                         request->progress, on_message_done, transfer, &transfer->message);
    return begin_transfer(transfer, why);
}

static int transfer_new(struct delivery *delivery, const struct delivery_order *order,
                        struct transfer **ret_transfer)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    uint8_t *copy = malloc(order->body.size + order->progress.size + 1);

    if (transfer == NULL || copy == NULL) {
        free(transfer);
        free(copy);
        return ERR_NOMEM;
    }
    if (order->body.size > 0)
        memcpy(copy, order->body.data, order->body.size);
    if (order->progress.size > 0)
        memcpy(copy + order->body.size, order->progress.data, order->progress.size);
    transfer->job.done = on_transfer_done;
    transfer->delivery = delivery;
    transfer->channel = order->channel;
    transfer->settings = order->settings;
    transfer->body = copy;
    (void)snprintf(transfer->id, sizeof transfer->id, "%s", order->id);
    transfer->request.id = transfer->id;
    transfer->request.body = (struct bytes){copy, order->body.size};
    transfer->request.progress = (struct bytes){copy + order->body.size, order->progress.size};
    *ret_transfer = transfer;
    return 0;
}

int delivery_start(struct delivery *delivery, const struct delivery_order *order,
                   delivery_done *done, void *context, struct diagnosis *why)
{
    struct transfer *transfer;
    int error = transfer_new(delivery, order, &transfer);

    if (error != 0)
        return error;
    transfer->done = done;
    transfer->context = context;
    error = begin(transfer, why);
    if (error != 0) {
        transfer_free(transfer);
        return error;
    }
    transfer->next = delivery->transfers;
    transfer->link = &delivery->transfers;
    if (transfer->next != NULL)
        transfer->next->link = &transfer->next;
    delivery->transfers = transfer;
    return 0;
}

static void free_delivery(uv_handle_t *handle)
{
    free(handle->data);
}

void delivery_close(struct delivery *delivery)
{
    if (delivery == NULL)
        return;
    delivery->closing = true;
    while (delivery->transfers != NULL)
        transfer_free(delivery->transfers);
    smpp_pool_close(delivery->smpp);
    tokens_done(&delivery->tokens);
    (void)curl_multi_cleanup(delivery->multi); /* closes kept connections and their watches */
    uv_close((uv_handle_t *)&delivery->timer, free_delivery);
}
