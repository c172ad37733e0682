/*
 * ingest.c - the thread, its sockets and its loop.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <zmq.h>

#include "collector/ingest/command.h"
#include "collector/ingest/state.h"
#include "collector/ingest/zap.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/wire/zmq_part.h"

#define ZAP_ENDPOINT    "inproc://zeromq.zap.01"
#define TIMER_MS        500
#define SILENCE_REST_MS 20   /* between two looks at all hosts, however many die */
#define LONG_REST_MS    1000 /* far below what a session may be silent */
#define LABELS_DEFAULT  64
#define PATH_BYTES      4096

/* -- receiving ------------------------------------------------------------------------------
 */

/* libzmq has no call that drops one ROUTER connection; shutting its descriptor down does.  The
 * descriptor may have been closed and reused meanwhile, so its peer must be the message's. */
static void drop_connection(int fd, const char *address)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    char text[INET6_ADDRSTRLEN] = "";

    if (fd < 0 || getpeername(fd, (struct sockaddr *)&peer, &size) != 0)
        return;
    if (peer.ss_family == AF_INET)
        (void)inet_ntop(AF_INET, &((struct sockaddr_in *)&peer)->sin_addr, text, sizeof text);
    else if (peer.ss_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&peer)->sin6_addr, text,
                        sizeof text);
    if (strcmp(text, address) == 0)
        (void)shutdown(fd, SHUT_RDWR);
}

static void take_payload(struct ingest *ingest, struct bytes routing_id, zmq_msg_t *message)
{
    uint8_t key[CURVE_KEY_BYTES];
    const char *address = zmq_msg_gets(message, "Peer-Address");
    bool drop = false;

    if (!zap_key_of(zmq_msg_gets(message, "User-Id"), key))
        return;
    if (address == NULL)
        address = "";
    uv_mutex_lock(&ingest->lock);
    session_message(ingest, routing_id, key, address,
                    (struct bytes){zmq_msg_data(message), zmq_msg_size(message)}, &drop);
    uv_mutex_unlock(&ingest->lock);
    if (drop)
        drop_connection(zmq_msg_get(message, ZMQ_SRCFD), address);
}

/* Reads on as soon as what is held goes into the store. */
static void rest_if_full(struct ingest *ingest)
{
    const bool is_full = intake_is_full(ingest);
    if (is_full == (ingest->rests_mono != 0))
        return;
    const mono_ns now = clock_mono(ingest->clock);
    if (!is_full && now - ingest->rests_mono >= (mono_ns)LONG_REST_MS * NS_PER_MS)
        ingest->rested_mono = now;
    ingest->rests_mono = is_full ? now : 0;
    zmq_watch_rest(&ingest->router_watch, is_full);
}

/* One message: routing id, then exactly one frame; more frames are malformed and skipped. */
static void router_readable(struct zmq_watch *watch)
{
    struct ingest *ingest = watch->data;
    uint8_t routing_id[ROUTING_ID_BYTES_MAX];

    int size = zmq_part_receive_into(ingest->router, routing_id, sizeof routing_id);
    if (size < 0)
        return;
    bool is_first = true;
    int more = 0;
    size_t more_size = sizeof more;
    (void)zmq_getsockopt(ingest->router, ZMQ_RCVMORE, &more, &more_size);
    while (more != 0) {
        zmq_msg_t message;
        (void)zmq_msg_init(&message);
        if (zmq_part_receive(ingest->router, &message) < 0) {
            (void)zmq_msg_close(&message);
            return;
        }
        more = zmq_msg_more(&message);
        if (is_first && more == 0)
            take_payload(ingest, (struct bytes){routing_id, (size_t)size}, &message);
        is_first = false;
        (void)zmq_msg_close(&message);
    }
    rest_if_full(ingest);
}

static bool may_connect(void *context, const uint8_t key[CURVE_KEY_BYTES])
{
    struct ingest *ingest = context;
    uv_mutex_lock(&ingest->lock);
    ingest->counters.handshakes++;
    const struct key_entry *entry = keys_find(&ingest->keys, key);
    bool revoked = entry != NULL && entry->standing == KEY_REVOKED;
    bool allowed = !revoked && (entry != NULL || ingest->keys.pending_count < PENDING_KEYS_MAX);
    if (revoked)
        ingest->counters.revoked_refused++;
    uv_mutex_unlock(&ingest->lock);
    return allowed;
}

static void zap_readable(struct zmq_watch *watch)
{
    zap_answer(watch->socket, may_connect, watch->data);
}

/* -- the loop -------------------------------------------------------------------------------
 */

static void on_silence(uv_timer_t *timer);

/* A host that will be silent before the next timer is found silent when it is. */
static void look_for_silence(struct ingest *ingest, mono_ns now)
{
    const mono_ns due = silence_timer(ingest, now);
    if (due >= now + (mono_ns)TIMER_MS * NS_PER_MS)
        return;
    uint64_t wait_ms = due > now ? (due - now) / NS_PER_MS + 1 : 0;
    if (wait_ms < SILENCE_REST_MS)
        wait_ms = SILENCE_REST_MS;
    (void)uv_timer_start(&ingest->silence, on_silence, wait_ms, 0);
}

static void on_silence(uv_timer_t *timer)
{
    struct ingest *ingest = timer->data;
    uv_mutex_lock(&ingest->lock);
    arena_reset(&ingest->scratch);
    look_for_silence(ingest, clock_mono(ingest->clock));
    uv_mutex_unlock(&ingest->lock);
}

static void on_timer(uv_timer_t *timer)
{
    struct ingest *ingest = timer->data;
    mono_ns now = clock_mono(ingest->clock);
    uv_mutex_lock(&ingest->lock);
    arena_reset(&ingest->scratch);
    session_timer(ingest, now);
    rest_if_full(ingest);
    look_for_silence(ingest, now);
    push_timer(ingest, now);
    uv_mutex_unlock(&ingest->lock);
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void on_wake(uv_async_t *wake)
{
    struct ingest *ingest = wake->data;
    uv_mutex_lock(&ingest->lock);
    arena_reset(&ingest->scratch);
    intake_land(ingest);
    command_take_all(ingest);
    rest_if_full(ingest);
    uv_mutex_unlock(&ingest->lock);
    uv_mutex_lock(&ingest->landing_lock);
    bool stop = ingest->stop;
    uv_mutex_unlock(&ingest->landing_lock);
    if (stop)
        uv_walk(&ingest->loop, close_handle, NULL);
}

static void run(void *argument)
{
    struct ingest *ingest = argument;
    pthread_setname_np(pthread_self(), "ingest");
    (void)uv_run(&ingest->loop, UV_RUN_DEFAULT);
}

/* -- opening --------------------------------------------------------------------------------
 */

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0 ? 0 : ERR_IO;
}

/* A probe says how long it may be silent (ZMQ_HEARTBEAT_TTL): 3 s at first, what was measured to
 * notice a dead link and recover in under a second of its return; more on a line that is too thin
 * for that.  Whoever says nothing, or died between two heartbeats, is TCP's to find out.
 *
 * No heartbeat goes out from here, and the queue of what is received is larger than anything a
 * probe has to say: libzmq 4.3 ends the process when a heartbeat, its own or an answer, is due on
 * a connection that broke while its queue was full (stream_engine_base.cpp, out_event()).  A
 * probe's window bounds its batches; definitions, which nobody acknowledges, are 4,096 messages
 * for a million series.  The mark is for whoever floods. */
static int set_options(void *socket)
{
    static const struct {
        int option, value;
    } settings[] = {
        {ZMQ_ROUTER_MANDATORY, 1},        {ZMQ_ROUTER_HANDOVER, 1},
        {ZMQ_CURVE_SERVER, 1},            {ZMQ_LINGER, 0},
        {ZMQ_SNDHWM, 64},                 {ZMQ_RCVHWM, 8192},
        {ZMQ_TCP_KEEPALIVE, 1},           {ZMQ_TCP_KEEPALIVE_IDLE, 10},
        {ZMQ_TCP_KEEPALIVE_INTVL, 5},     {ZMQ_TCP_KEEPALIVE_CNT, 4},
        {ZMQ_TCP_MAXRT, 30000},           {ZMQ_HANDSHAKE_IVL, 10000},
        {ZMQ_BACKLOG, 1024},              {ZMQ_IPV6, 1},
    };
    const int64_t message_bytes = ENVELOPE_BYTES_MAX;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (set_int(socket, settings[i].option, settings[i].value) != 0)
            return ERR_IO;
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_bytes, sizeof message_bytes) != 0 ||
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "fengsui", 7) != 0)
        return ERR_IO;
    return 0;
}

static int open_sockets(struct ingest *ingest, struct diagnosis *why)
{
    ingest->zmq = zmq_ctx_new();
    if (ingest->zmq == NULL)
        return ERR_NOMEM;
    ingest->zap = zmq_socket(ingest->zmq, ZMQ_REP);
    ingest->router = zmq_socket(ingest->zmq, ZMQ_ROUTER);
    if (ingest->zap == NULL || ingest->router == NULL ||
        zmq_bind(ingest->zap, ZAP_ENDPOINT) != 0 || set_options(ingest->router) != 0 ||
        zmq_setsockopt(ingest->router, ZMQ_CURVE_SECRETKEY, ingest->pair.secret_text,
                       CURVE_TEXT_BYTES) != 0)
        return diagnose(why, ERR_IO, "setting up ZeroMQ: %s", zmq_strerror(errno));
    if (zmq_bind(ingest->router, ingest->endpoint) != 0)
        return diagnose(why, ERR_IO, "ingest.listen: cannot bind %s: %s", ingest->endpoint,
                        zmq_strerror(errno));
    return 0;
}

static int load_keys(struct ingest *ingest, struct diagnosis *why)
{
    char secret[PATH_BYTES], public[PATH_BYTES], token[PATH_BYTES];
    const char *folder = ingest->key_directory;
    int error = file_make_directories(folder, why);
    (void)snprintf(secret, sizeof secret, "%s/collector.key", folder);
    (void)snprintf(public, sizeof public, "%s/collector.pub", folder);
    (void)snprintf(token, sizeof token, "%s/enrol.token", folder);
    if (error == 0)
        error = curve_load_or_make(secret, public, &ingest->pair, why);
    if (error == 0)
        error = token_ensure_first(ingest->store, token, clock_unix_ms(ingest->clock), why);
    if (error == 0)
        error = keys_load(&ingest->keys, ingest->store, why);
    if (error == 0)
        error = push_load(ingest, why);
    if (error == 0)
        silence_load(ingest);
    return error;
}

static int start_loop(struct ingest *ingest, struct diagnosis *why)
{
    ingest->router_watch.data = ingest;
    ingest->zap_watch.data = ingest;
    ingest->wake.data = ingest;
    ingest->timer.data = ingest;
    ingest->silence.data = ingest;
    if (uv_async_init(&ingest->loop, &ingest->wake, on_wake) != 0 ||
        uv_timer_init(&ingest->loop, &ingest->timer) != 0 ||
        uv_timer_init(&ingest->loop, &ingest->silence) != 0 ||
        uv_timer_start(&ingest->timer, on_timer, TIMER_MS, TIMER_MS) != 0 ||
        zmq_watch_start(&ingest->router_watch, &ingest->loop, ingest->router,
                        router_readable) != 0 ||
        zmq_watch_start(&ingest->zap_watch, &ingest->loop, ingest->zap, zap_readable) != 0)
        return diagnose(why, ERR_IO, "setting up the ingest loop failed");
    ingest->started_mono = clock_mono(ingest->clock);
    if (uv_thread_create(&ingest->thread, run, ingest) != 0)
        return diagnose(why, ERR_NOMEM, "starting the ingest thread failed");
    return 0;
}

static void free_all(struct ingest *ingest)
{
    while (ingest->sessions != NULL)
        session_end(ingest, ingest->sessions);
    keys_done(&ingest->keys, ingest->store);
    policy_unref(ingest->policy);
    if (ingest->router != NULL)
        (void)zmq_close(ingest->router);
    if (ingest->zap != NULL)
        (void)zmq_close(ingest->zap);
    if (ingest->zmq != NULL)
        (void)zmq_ctx_term(ingest->zmq);
    (void)uv_loop_close(&ingest->loop);
    arena_reset(&ingest->scratch);
    buf_done(&ingest->out);
    uv_mutex_destroy(&ingest->lock);
    uv_mutex_destroy(&ingest->landing_lock);
    free(ingest->endpoint);
    free(ingest->key_directory);
    sodium_memzero(&ingest->pair, sizeof ingest->pair);
    free(ingest);
}

int ingest_open(const struct ingest_options *options, struct store *store,
                struct ingest **ret_ingest, struct diagnosis *why)
{
    struct ingest *ingest = calloc(1, sizeof *ingest);
    if (ingest == NULL)
        return ERR_NOMEM;
    ingest->options = *options;
    if (ingest->options.window_bytes == 0)
        ingest->options.window_bytes = WINDOW_BYTES_DEFAULT;
    if (ingest->options.series_limit_per_probe == 0)
        ingest->options.series_limit_per_probe = SERIES_LIMIT_DEFAULT;
    if (ingest->options.labels_limit == 0 || ingest->options.labels_limit > LABELS_DEFAULT)
        ingest->options.labels_limit = LABELS_DEFAULT;
    ingest->policy = policy_ref(options->policy);
    ingest->options.policy = NULL;
    ingest->policy_is_unsettled = true;
    ingest->store = store;
    ingest->clock = &clock_system;
    ingest->endpoint = strdup(options->endpoint);
    ingest->key_directory = strdup(options->key_directory);
    arena_init(&ingest->scratch, ARENA_BYTES);
    must(uv_mutex_init(&ingest->lock) == 0);
    must(uv_mutex_init(&ingest->landing_lock) == 0);
    must(uv_loop_init(&ingest->loop) == 0);
    int error = ingest->endpoint == NULL || ingest->key_directory == NULL ? ERR_NOMEM : 0;
    if (error == 0)
        error = load_keys(ingest, why);
    if (error == 0)
        error = open_sockets(ingest, why);
    if (error == 0)
        error = start_loop(ingest, why);
    if (error != 0) {
        free_all(ingest);
        return error;
    }
    *ret_ingest = ingest;
    return 0;
}

void ingest_set_rules(struct ingest *ingest, struct rules *rules)
{
    ingest->rules = rules;
}

void ingest_close(struct ingest *ingest)
{
    if (ingest == NULL)
        return;
    uv_mutex_lock(&ingest->landing_lock);
    ingest->stop = true;
    uv_mutex_unlock(&ingest->landing_lock);
    (void)uv_async_send(&ingest->wake);
    (void)uv_thread_join(&ingest->thread);
    /* Writes in flight, of streams and of `up`, end in our memory, on the writer's thread: an
     * empty one behind them tells when the last has left it.  The writer never blocks long. */
    struct store_write barrier = {0};
    do { /* what was gathered behind a write goes when that has landed */
        while (store_write_wait(ingest->store, &barrier) == ERR_AGAIN)
            ; /* the queue is full */
        intake_land(ingest);
    } while (ingest->flying_count > 0);
    free_all(ingest);
}
