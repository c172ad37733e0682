/*
 * delivery.c - see delivery.h.
 *
 * The one surprise: libcurl may call socket_changed() from inside curl_multi_socket_action() and
 * from curl_multi_remove_handle(); so a watch is closed there and then, and freed by its close
 * callback, never touched again.
 */
#include "collector/notify/delivery.h"

#include <stdlib.h>

#include "collector/notify/program.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define CONNECT_TIMEOUT_MS 5000L

struct delivery {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    struct transfer *transfers; /* under way */
    bool closing;
};

struct transfer {
    struct delivery *delivery;
    struct transfer *next, **link;
    const struct channel *channel;
    const void *settings;
    CURL *easy;              /* NULL for a program */
    struct program_run *run; /* NULL for a transfer */
    struct channel_request request;
    char id[MESSAGE_ID_BYTES];
    uint8_t *body;
    delivery_done *done;
    void *context;
};

/* One descriptor that libcurl wants watched. */
struct watch {
    uv_poll_t poll;
    struct delivery *delivery;
    curl_socket_t socket;
};

void channel_request_done(struct channel_request *request)
{
    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->recipients);
    free(request->secret);
    free(request->text);
    buf_done(&request->sent);
    buf_done(&request->answer);
    *request = (struct channel_request){0};
}

static void transfer_free(struct transfer *transfer)
{
    if (transfer->link != NULL) {
        *transfer->link = transfer->next;
        if (transfer->next != NULL)
            transfer->next->link = transfer->link;
    }
    if (transfer->easy != NULL) {
        (void)curl_multi_remove_handle(transfer->delivery->multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
    }
    program_abandon(transfer->run);
    channel_request_done(&transfer->request);
    free(transfer->body);
    free(transfer);
}

/* The transfer is over: out of the list, and told. */
static void transfer_end(struct transfer *transfer, const struct channel_verdict *verdict)
{
    delivery_done *done = transfer->done;
    void *context = transfer->context;
    transfer_free(transfer);
    done(context, verdict);
}

static void on_program_done(void *context, const struct channel_verdict *verdict)
{
    struct transfer *transfer = context;
    transfer->run = NULL;
    transfer_end(transfer, verdict);
}

/* Hands out the verdicts of what has ended. */
static void reap(struct delivery *delivery)
{
    CURLMsg *message;
    int left;

    while (!delivery->closing &&
           (message = curl_multi_info_read(delivery->multi, &left)) != NULL) {
        struct channel_verdict verdict;
        struct transfer *transfer = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        transfer->channel->judge(transfer->settings, transfer->easy, message->data.result,
                                 &transfer->request, &verdict);
        transfer_end(transfer, &verdict);
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

int delivery_open(uv_loop_t *loop, struct delivery **ret_delivery)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);

    if (delivery == NULL)
        return ERR_NOMEM;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (delivery->multi = curl_multi_init()) == NULL) {
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

static int begin_program(struct transfer *transfer, struct diagnosis *why)
{
    return program_start(transfer->delivery->loop, transfer->settings, transfer->id,
                         transfer->request.body, on_program_done, transfer, &transfer->run, why);
}

static int begin_transfer(struct transfer *transfer, struct diagnosis *why)
{
    int error;

    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL)
        return ERR_NOMEM;
    (void)curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    (void)curl_easy_setopt(transfer->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Else libcurl, giving up a transfer, waits on our loop for its thread in getaddrinfo(); so
     * the thread is left to end by itself. */
    (void)curl_easy_setopt(transfer->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    error = transfer->channel->prepare(transfer->settings, transfer->easy, &transfer->request,
                                       why);
    if (error == 0 && curl_multi_add_handle(transfer->delivery->multi, transfer->easy) != CURLM_OK)
        error = ERR_NOMEM;
    return error;
}

int delivery_start(struct delivery *delivery, const struct channel *channel,
                   const void *settings, const char *id, struct bytes body, delivery_done *done,
                   void *context, struct diagnosis *why)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    int error;

    if (transfer == NULL)
        return ERR_NOMEM;
    transfer->delivery = delivery;
    transfer->channel = channel;
    transfer->settings = settings;
    transfer->done = done;
    transfer->context = context;
    (void)snprintf(transfer->id, sizeof transfer->id, "%s", id);
    transfer->body = malloc(body.size + 1);
    if (transfer->body == NULL) {
        free(transfer);
        return ERR_NOMEM;
    }
    memcpy(transfer->body, body.data, body.size);
    transfer->request.id = transfer->id;
    transfer->request.body = (struct bytes){transfer->body, body.size};
    error = channel->is_program ? begin_program(transfer, why) : begin_transfer(transfer, why);
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
    (void)curl_multi_cleanup(delivery->multi); /* closes kept connections and their watches */
    uv_close((uv_handle_t *)&delivery->timer, free_delivery);
}
