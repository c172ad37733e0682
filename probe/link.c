#include "probe/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

#include "probe/flights.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/wire/envelope.h"
#include "proto/wire/zmq_part.h"
#include "proto/wire/zmq_watch.h"

#define QUEUE_MESSAGES   64
/* Of answers: more than can come at once, one a flight and a few.  libzmq 4.3 ends the process
 * when a heartbeat is due on a connection that broke while its queue was full. */
#define ANSWERS_MAX      (2 * FLIGHTS_MAX)
#define RESOLVE_AGAIN_MS 5000
/* An address has so long before the next one is tried, more if somebody answers there. */
#define NEXT_ADDRESS_MS  4000
#define AGAIN_MS         400
#define HANDSHAKE_MS     10000
#define PATIENCE_MS      3000
#define PATIENCE_MOST_MS 24000
#define STEADY_MS        60000 /* a connection that held so long was a good one */
#define MUTE_MS          30000 /* a collector has something to say within this */
#define CONNECT_MS       1500
#define CONNECT_MOST_MS  6000
#define MONITOR_ENDPOINT "inproc://link-monitor"
#define HOST_BYTES       256

struct link {
    struct link_options options;
    uv_loop_t *loop;
    void *context;
    void *socket;
    void *monitor;
    struct zmq_watch socket_watch;
    struct zmq_watch monitor_watch;
    uv_timer_t timer; /* to resolve, or connect, again */
    uv_getaddrinfo_t resolving;
    size_t endpoint_at; /* which endpoint of the list is tried, or will be next */
    size_t address_at;  /* which of its addresses */
    char host[HOST_BYTES];
    char port[8];
    char connected[LINK_ADDRESS_BYTES]; /* what zmq_connect() was given; empty: nothing */
    int patience_ms;                    /* heartbeats may be late by so much */
    int connect_ms;                     /* a connection may take so long */
    uint64_t up_ms;                     /* by the loop's clock */
    bool is_up;
    bool is_resolving;
    bool is_closing;
    bool has_complained;
    bool has_others;   /* addresses to try */
    bool has_answered; /* the address that is tried: somebody was there */
    bool has_heard;    /* a message since it is up */
};

/* Splits tcp://host:port, and takes blanks around it. */
static bool split(const char *endpoint, size_t size, char host[HOST_BYTES], char port[8])
{
    char text[HOST_BYTES + 24];
    while (size > 0 && *endpoint == ' ') {
        endpoint++;
        size--;
    }
    while (size > 0 && endpoint[size - 1] == ' ')
        size--;
    if (size >= sizeof text || size < 6 || memcmp(endpoint, "tcp://", 6) != 0)
        return false;
    memcpy(text, endpoint + 6, size - 6);
    text[size - 6] = '\0';
    const char *start = text;
    const char *colon = strrchr(start, ':');
    if (colon == NULL || colon == start)
        return false;
    size_t host_size = (size_t)(colon - start);
    if (start[0] == '[' && colon[-1] == ']') {
        start++;
        host_size -= 2;
    }
    size_t port_size = strlen(colon + 1);
    if (host_size == 0 || host_size >= HOST_BYTES || port_size == 0 || port_size > 5 ||
        strspn(colon + 1, "0123456789") != port_size || atoi(colon + 1) < 1 ||
        atoi(colon + 1) > 65535)
        return false;
    memcpy(host, start, host_size);
    host[host_size] = '\0';
    memcpy(port, colon + 1, port_size + 1);
    return true;
}

/* One of the list, split.  False: it is none, or there are not so many. */
static bool nth_endpoint(const char *list, size_t at, char host[HOST_BYTES], char port[8])
{
    for (; at > 0; at--) {
        list = strchr(list, ',');
        if (list == NULL)
            return false;
        list++;
    }
    return split(list, strcspn(list, ","), host, port);
}

static size_t endpoint_count(const char *list)
{
    size_t count = 1;
    for (; *list != '\0'; list++)
        count += *list == ',';
    return count;
}

int link_check_endpoint(const char *endpoint, struct diagnosis *why)
{
    char host[HOST_BYTES];
    char port[8];
    size_t count = endpoint_count(endpoint), good = 0;
    while (good < count && nth_endpoint(endpoint, good, host, port))
        good++;
    if (good == count && count <= LINK_ENDPOINTS_MAX)
        return 0;
    return diagnose(why, ERR_INVALID,
                    "\"%s\" is no collector endpoint (it looks like tcp://192.0.2.7:9471; "
                    "several, separated by commas, are tried in turn)",
                    endpoint);
}

static bool set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

/* What the next zmq_connect() goes by.  The collector learns by the last one when to take this
 * end for gone. */
static void set_times(struct link *link)
{
    must(set_int(link->socket, ZMQ_HEARTBEAT_TIMEOUT, link->patience_ms) &&
         set_int(link->socket, ZMQ_HEARTBEAT_TTL, link->patience_ms) &&
         set_int(link->socket, ZMQ_CONNECT_TIMEOUT, link->connect_ms));
}

static void disconnect(struct link *link)
{
    if (link->connected[0] != '\0')
        (void)zmq_disconnect(link->socket, link->connected);
    link->connected[0] = '\0';
}

static void connect_again(struct link *link, const char *address)
{
    disconnect(link);
    set_times(link);
    (void)snprintf(link->connected, sizeof link->connected, "%s", address);
    if (zmq_connect(link->socket, link->connected) != 0) {
        log_warn("link", "cannot connect to %s: %s", link->connected, zmq_strerror(errno));
        link->connected[0] = '\0';
    }
}

static void connect_to(struct link *link, const struct sockaddr *address)
{
    char numeric[64], text[LINK_ADDRESS_BYTES];
    bool is_v6 = address->sa_family == AF_INET6;
    int code = is_v6 ? uv_ip6_name((const struct sockaddr_in6 *)(const void *)address, numeric,
                                   sizeof numeric)
                     : uv_ip4_name((const struct sockaddr_in *)(const void *)address, numeric,
                                   sizeof numeric);
    if (code != 0)
        return;
    (void)snprintf(text, sizeof text, is_v6 ? "tcp://[%s]:%s" : "tcp://%s:%s", numeric,
                   link->port);
    if (strcmp(text, link->connected) != 0 || link->connect_ms < CONNECT_MOST_MS) {
        if (link->connected[0] != '\0' && link->connect_ms < CONNECT_MOST_MS)
            link->connect_ms *= 2; /* the line may be a slow one */
        connect_again(link, text);
    }
    link->has_answered = false;
}

static void on_timer(uv_timer_t *timer);

static void wait_and_connect(struct link *link, uint64_t wait_ms)
{
    must(uv_timer_start(&link->timer, on_timer, wait_ms, 0) == 0);
}

/* Of `count` addresses of the endpoint one has been connected to: when is which the next? */
static void plan_next(struct link *link, size_t count)
{
    size_t endpoints = endpoint_count(link->options.endpoint);
    link->has_others = endpoints > 1 || count > 1;
    if (++link->address_at >= count) {
        link->address_at = 0;
        link->endpoint_at = (link->endpoint_at + 1) % endpoints;
    }
    wait_and_connect(link, link->has_others ? NEXT_ADDRESS_MS : LINK_RESOLVE_MS);
}

static void link_free(uv_handle_t *handle)
{
    struct link *link = handle->data;
    if (link->is_resolving)
        return; /* resolved() comes, and frees */
    free(link);
}

static void take_addresses(struct link *link, const struct addrinfo *result)
{
    size_t count = 0;
    for (const struct addrinfo *each = result; each != NULL; each = each->ai_next)
        count++;
    if (link->address_at >= count)
        link->address_at = 0;
    const struct addrinfo *address = result;
    for (size_t i = 0; i < link->address_at; i++)
        address = address->ai_next;
    connect_to(link, address->ai_addr);
    plan_next(link, count);
}

static void resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *result)
{
    struct link *link = request->data;
    link->is_resolving = false;
    if (link->is_closing) {
        uv_freeaddrinfo(result);
        if (uv_is_closing((uv_handle_t *)&link->timer))
            free(link);
        return;
    }
    if (link->is_up) {
        /* The connection that was missed has come meanwhile. */
    } else if (status != 0 || result == NULL) {
        if (!link->has_complained)
            log_warn("link", "cannot resolve the collector's name %s: %s; batches are kept",
                     link->host, uv_strerror(status));
        link->has_complained = true;
        link->address_at = 0;
        link->endpoint_at = (link->endpoint_at + 1) % endpoint_count(link->options.endpoint);
        wait_and_connect(link, RESOLVE_AGAIN_MS);
    } else {
        take_addresses(link, result);
    }
    uv_freeaddrinfo(result);
}

/* A numeric address is connected to at once, a name is resolved first. */
static void start_connecting(struct link *link)
{
    struct sockaddr_storage address;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

    if (link->is_resolving)
        return;
    must(nth_endpoint(link->options.endpoint, link->endpoint_at, link->host, link->port));
    if (uv_ip4_addr(link->host, 0, (struct sockaddr_in *)(void *)&address) == 0 ||
        uv_ip6_addr(link->host, 0, (struct sockaddr_in6 *)(void *)&address) == 0) {
        connect_to(link, (struct sockaddr *)&address);
        plan_next(link, 1);
        return;
    }
    link->resolving.data = link;
    link->is_resolving =
        uv_getaddrinfo(link->loop, &link->resolving, resolved, link->host, NULL, &hints) == 0;
    if (!link->is_resolving)
        wait_and_connect(link, RESOLVE_AGAIN_MS);
}

static void go_down(struct link *link)
{
    if (!link->is_up)
        return;
    link->is_up = false;
    link->has_answered = false;
    link->options.down(link->options.context);
    wait_and_connect(link, link->has_others ? NEXT_ADDRESS_MS : LINK_RESOLVE_MS);
}

static void on_timer(uv_timer_t *timer)
{
    struct link *link = timer->data;
    if (link->is_up && link->has_heard)
        return;
    go_down(link);
    start_connecting(link);
}

static void on_message(struct zmq_watch *watch)
{
    struct link *link = watch->data;
    zmq_msg_t message;

    must(zmq_msg_init(&message) == 0);
    if (zmq_part_receive(watch->socket, &message) < 0)
        return;
    link->has_heard = true;
    bool has_more = zmq_msg_more(&message) != 0;
    /* An envelope is one part; more of them are drained and are no message of ours. */
    while (zmq_msg_more(&message))
        if (zmq_part_receive(watch->socket, &message) < 0)
            break;
    if (!has_more)
        link->options.message(link->options.context,
                              (struct bytes){zmq_msg_data(&message), zmq_msg_size(&message)});
    (void)zmq_msg_close(&message);
}

/* The event may be an old one, of a connection that was given up meanwhile: the first message is
 * what proves it. */
static void go_up(struct link *link)
{
    link->has_complained = false;
    link->has_heard = false;
    wait_and_connect(link, MUTE_MS);
    if (link->is_up)
        link->options.down(link->options.context);
    link->is_up = true;
    link->connect_ms = CONNECT_MS;
    link->up_ms = uv_now(link->loop);
    link->options.up(link->options.context);
}

/* libzmq connects again by itself.  A line on which connections do not last may be one that is
 * merely slow, where heartbeats wait behind a message: each gets more time than the last. */
static void be_patient(struct link *link)
{
    int before_ms = link->patience_ms;
    if (!link->is_up || link->connected[0] == '\0')
        return;
    if (uv_now(link->loop) - link->up_ms >= STEADY_MS)
        link->patience_ms = PATIENCE_MS;
    else if (link->patience_ms < PATIENCE_MOST_MS)
        link->patience_ms *= 2;
    if (link->patience_ms == before_ms)
        return;
    char address[LINK_ADDRESS_BYTES];
    memcpy(address, link->connected, sizeof address);
    connect_again(link, address);
}

/* Nobody is there.  Where there are other addresses to try, libzmq has one more go at this one.
 */
static void hurry_on(struct link *link)
{
    if (!link->is_up && link->has_others && !link->has_answered && !link->is_resolving &&
        uv_timer_get_due_in(&link->timer) > AGAIN_MS)
        wait_and_connect(link, AGAIN_MS);
}

static void complain(struct link *link, const char *what)
{
    if (!link->has_complained)
        log_warn("link", "%s; batches are kept and sent later", what);
    link->has_complained = true;
}

/* Linux doubles the time between a lost segment's resends, so after two seconds of a dead link
 * it tries again a second or two later, and the collector has missed a third beat for nothing.
 * For streams as thin as ours it can keep the time as it is, six times; but BBR never lets a
 * stream count as thin (its ssthresh is infinite).  Where neither helps, a cut of the link is
 * told a little too soon.  The socket is libzmq's: it may be gone by now, and the number
 * somebody else's, on whom this is lost. */
static void resend_steadily(int descriptor)
{
#ifdef TCP_THIN_LINEAR_TIMEOUTS
    static const char *const calmer[] = {"cubic", "reno"};
    char control[16] = "";
    socklen_t size = sizeof control - 1;
    int yes = 1;
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &yes, sizeof yes);
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, control, &size) != 0 ||
        strncmp(control, "bbr", 3) != 0)
        return;
    for (size_t i = 0; i < sizeof calmer / sizeof *calmer; i++)
        if (setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, calmer[i],
                       (socklen_t)strlen(calmer[i])) == 0)
            return;
#else
    (void)descriptor;
#endif
}

/* An event is two parts: number and value, then the address. */
static void on_event(struct zmq_watch *watch)
{
    struct link *link = watch->data;
    uint8_t event[16];
    char address[LINK_ADDRESS_BYTES];
    uint16_t number;
    uint32_t descriptor;

    int size = zmq_part_receive_into(watch->socket, event, sizeof event);
    if (size < 0)
        return;
    (void)zmq_part_receive_into(watch->socket, address, sizeof address);
    if (size < 6)
        return;
    memcpy(&number, event, sizeof number);
    switch (number) {
    case ZMQ_EVENT_CONNECTED:
        memcpy(&descriptor, event + sizeof number, sizeof descriptor);
        resend_steadily((int)descriptor);
        if (!link->is_up && !link->has_answered)
            wait_and_connect(link, HANDSHAKE_MS);
        link->has_answered = true;
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        go_up(link);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        be_patient(link);
        go_down(link);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        complain(link, "the collector refuses this probe's key");
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        complain(link, "the collector does not complete the handshake (is --collector-key "
                       "its public key?)");
        break;
    case ZMQ_EVENT_CONNECT_RETRIED:
        complain(link, "the collector cannot be reached");
        hurry_on(link);
        break;
    default:
        break;
    }
}

static bool set_options(struct link *link)
{
    static const struct {
        int option, value;
    } settings[] = {
        {ZMQ_HEARTBEAT_IVL, 1000},
        {ZMQ_RECONNECT_IVL, 250},
        {ZMQ_RECONNECT_IVL_MAX, 4000},
        {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
        {ZMQ_SNDHWM, QUEUE_MESSAGES},
        {ZMQ_RCVHWM, ANSWERS_MAX},
        {ZMQ_LINGER, 0},
        {ZMQ_IMMEDIATE, 1},
        {ZMQ_IPV6, 1},
    };
    void *socket = link->socket;
    int64_t largest = (int64_t)ENVELOPE_BYTES_MAX;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (!set_int(socket, settings[i].option, settings[i].value))
            return false;
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, link->options.collector_key, 40) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, link->options.key->public_text, 40) ==
               0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, link->options.key->secret_text, 40) == 0;
}

static int open_sockets(struct link *link)
{
    int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_CONNECT_RETRIED;
    link->context = zmq_ctx_new();
    if (link->context == NULL || zmq_ctx_set(link->context, ZMQ_MAX_SOCKETS, 8) != 0)
        return ERR_NOMEM;
    link->socket = zmq_socket(link->context, ZMQ_DEALER);
    link->monitor = zmq_socket(link->context, ZMQ_PAIR);
    if (link->socket == NULL || link->monitor == NULL)
        return ERR_NOMEM;
    if (!set_options(link))
        return ERR_INVALID;
    if (zmq_socket_monitor(link->socket, MONITOR_ENDPOINT, events) != 0 ||
        zmq_connect(link->monitor, MONITOR_ENDPOINT) != 0)
        return ERR_IO;
    return 0;
}

static void close_sockets(struct link *link)
{
    if (link->socket != NULL) {
        (void)zmq_socket_monitor(link->socket, NULL, 0);
        (void)zmq_close(link->socket);
    }
    if (link->monitor != NULL)
        (void)zmq_close(link->monitor);
    if (link->context != NULL)
        (void)zmq_ctx_term(link->context);
}

int link_open(uv_loop_t *loop, const struct link_options *options, struct link **ret_link,
              struct diagnosis *why)
{
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    link->options = *options;
    link->loop = loop;
    link->patience_ms = PATIENCE_MS;
    link->connect_ms = CONNECT_MS;
    int error = link_check_endpoint(options->endpoint, why);
    if (error == 0)
        error = open_sockets(link);
    if (error == 0)
        error = zmq_watch_start(&link->socket_watch, loop, link->socket, on_message);
    if (error != 0) {
        (void)diagnose(why, error, "socket: %s", zmq_strerror(errno));
        close_sockets(link);
        free(link);
        return error;
    }
    /* The second watch fails only where the first would have: at adding a descriptor. */
    must(zmq_watch_start(&link->monitor_watch, loop, link->monitor, on_event) == 0);
    must(uv_timer_init(loop, &link->timer) == 0);
    link->socket_watch.data = link;
    link->monitor_watch.data = link;
    link->timer.data = link;
    start_connecting(link);
    *ret_link = link;
    return 0;
}

int link_send(struct link *link, struct bytes message)
{
    if (!link->is_up)
        return ERR_AGAIN;
    return zmq_part_send(link->socket, message.data, message.size, ZMQ_DONTWAIT) < 0 ? ERR_AGAIN
                                                                                      : 0;
}

void link_reset(struct link *link, uint64_t wait_ms)
{
    disconnect(link);
    go_down(link);
    wait_and_connect(link, wait_ms);
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;
    link->is_closing = true;
    if (link->is_resolving)
        (void)uv_cancel((uv_req_t *)&link->resolving);
    /* libuv finishes the handles closed in one turn newest first.  The timer is closed first,
     * so that its callback, which frees the memory of all of them, comes last. */
    uv_close((uv_handle_t *)&link->timer, link_free);
    zmq_watch_stop(&link->socket_watch);
    zmq_watch_stop(&link->monitor_watch);
    close_sockets(link);
}
