#include "tests/bench/swarm/player.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/bench/kit/random.h"

#define QUEUE_MESSAGES 64
#define RETRY_MS       20                                /* after a full socket */
#define STALL_NS       (UINT64_C(10) * 1000 * NS_PER_MS) /* no Ack: asks what is stored */
/* CURVE's MESSAGE command (RFC 26): name 8, nonce 8, box 16, flags 1; ZMTP's frame head 2 or 9.
 */
#define CURVE_BYTES 33
#define HEAD_BYTES  2
#define LONG_HEAD   9

static uint64_t bytes_on_wire(size_t message_bytes)
{
    uint64_t size = message_bytes + CURVE_BYTES;
    return size + (size > 255 ? LONG_HEAD : HEAD_BYTES);
}

/* ERR_AGAIN: not now. */
static int send_bytes(struct player *player, struct bytes message)
{
    while (zmq_send(player->socket, message.data, message.size, ZMQ_DONTWAIT) < 0)
        if (errno != EINTR)
            return ERR_AGAIN;
    return 0;
}

static int send_envelope(struct player *player, const struct envelope *envelope)
{
    struct stage *stage = player->stage;
    buf_clear(&stage->out);
    int error = envelope_encode(envelope, &stage->desk.arena, &stage->out);
    arena_reset(&stage->desk.arena);
    return error == 0 ? send_bytes(player, buf_bytes(&stage->out)) : error;
}

static void say_hello(struct player *player)
{
    const struct script *script = &player->script;
    const struct stream_offer offer = {.epoch = script->epoch,
                                       .first_number = player->low_water + 1,
                                       .next_number = script->count + 1,
                                       .definition_count = script->definition_count};
    const struct envelope envelope = {
        .kind = ENVELOPE_HELLO,
        .hello = {.protocol = WIRE_PROTOCOL,
                  .software = bytes_of("fengsui-swarm " FENGSUI_VERSION),
                  .boot_id = {player->key.public_key, 16},
                  .job = bytes_of("node"),
                  .instance = bytes_of(load_instance(script->load, script->probe)),
                  .token = bytes_of(player->stage->options->token),
                  .sent_ms = clock_unix_ms(&clock_system),
                  .interval_ms = player->stage->options->interval_ms,
                  .streams = &offer,
                  .stream_count = 1}};
    player->state = PLAYER_GREETED;
    (void)send_envelope(player, &envelope);
}

void player_nudge(struct player *player)
{
    uint64_t now_ns = clock_mono(&clock_system);
    bool is_stalled = player->state == PLAYER_FLOWING && player->flight_count > 0 &&
                      now_ns - player->flights[0].sent_ns > STALL_NS;
    if (player->state != PLAYER_GREETED && !is_stalled)
        return;
    say_hello(player);
    player_pump(player);
}

/* -- what comes -----------------------------------------------------------------------------
 */

static void note_progress(struct stage *stage)
{
    stage->progress_ns = clock_mono(&clock_system);
}

static void note_latency(struct stage *stage, uint64_t sent_ns)
{
    uint64_t now_ns = clock_mono(&clock_system);
    if (stage->latency_count < stage->latency_capacity)
        stage->latencies_ms[stage->latency_count++] =
            (float)(now_ns - sent_ns) / (float)NS_PER_MS;
}

/* Everything up to low_water is stored. */
static void land(struct player *player, uint64_t low_water)
{
    struct stage *stage = player->stage;
    size_t kept = 0;

    for (size_t i = 0; i < player->flight_count; i++)
        if (player->flights[i].number > low_water)
            player->flights[kept++] = player->flights[i];
        else
            note_latency(stage, player->flights[i].sent_ns);
    player->flight_count = kept;
    if (low_water > player->script.count)
        low_water = player->script.count;
    while (player->low_water < low_water) {
        stage->result.samples += script_samples(&player->script, ++player->low_water);
        stage->result.batches++;
        note_progress(stage);
    }
    if (player->next_number <= player->low_water)
        player->next_number = player->low_water + 1;
    if (player->low_water == player->script.count && player->state == PLAYER_FLOWING) {
        player->state = PLAYER_DONE;
        stage->done_count++;
    }
}

static void note_defined(struct player *player, const struct stream_state *state)
{
    if (player->is_defined || state->definition_count < player->script.definition_count)
        return;
    player->is_defined = true;
    player->stage->defined_count++;
    note_progress(player->stage);
}

static void take_state(struct player *player, const struct stream_state *state)
{
    if (state->epoch != player->script.epoch)
        return;
    if (state->renew)
        (void)snprintf(player->stage->result.trouble, sizeof player->stage->result.trouble,
                       "the collector gives up the epoch of %s",
                       load_instance(player->script.load, player->script.probe));
    note_defined(player, state);
    land(player, state->low_water);
}

static void on_resume(struct player *player, const struct resume *resume)
{
    if (resume->standing != STANDING_APPROVED || resume->stream_count != 1 ||
        player->state != PLAYER_GREETED)
        return; /* pending: another Resume comes when it is approved */
    if (player->is_known)
        player->stage->result.resumes++;
    player->is_known = true;
    player->state = PLAYER_FLOWING;
    player->window_bytes = resume->window_bytes;
    player->definitions_sent = resume->streams[0].definition_count;
    player->flight_count = 0;
    take_state(player, &resume->streams[0]);
    player->next_number = player->low_water + 1;
    player->alone_until = player->low_water + player->script.depth;
}

static void send_alone(struct player *player, uint64_t number)
{
    struct stage *stage = player->stage;
    struct bytes message;
    uint64_t last;
    if (number == 0 || number > player->script.count ||
        script_message(&player->script, &stage->desk, number, true, &stage->out, &message,
                       &last) != 0)
        return;
    if (send_bytes(player, message) == 0)
        stage->result.batch_bytes += bytes_on_wire(message.size);
}

static int send_definitions(struct player *player);

static void on_need_key(struct player *player, const struct need_key *need)
{
    player->stage->result.keys_needed++;
    if (player->state != PLAYER_FLOWING || need->epoch != player->script.epoch)
        return;
    player->definitions_sent = need->definition_count;
    if (send_definitions(player) == 0)
        send_alone(player, need->number);
}

static void on_refusal(struct player *player, const struct refusal *refusal)
{
    struct swarm_result *result = &player->stage->result;
    result->refusals++;
    (void)snprintf(result->trouble, sizeof result->trouble, "%s is refused: %.*s",
                   load_instance(player->script.load, player->script.probe),
                   (int)(refusal->text.size < 300 ? refusal->text.size : 300),
                   refusal->text.size == 0 ? "" : (const char *)refusal->text.data);
    switch (refusal->reason) {
    case REFUSAL_PROTOCOL:
    case REFUSAL_TOKEN:
    case REFUSAL_INSTANCE_TAKEN:
    case REFUSAL_REVOKED:
        uv_stop(&player->stage->loop); /* waiting changes nothing */
        break;
    case REFUSAL_UNSPECIFIED:
    case REFUSAL_DUPLICATE_CONNECTION:
    case REFUSAL_MALFORMED:
        break; /* Hello is said again */
    }
}

static void on_ping(struct player *player, const struct ping *ping)
{
    int64_t now_ms = clock_unix_ms(&clock_system);
    const struct envelope envelope = {.kind = ENVELOPE_PONG,
                                      .pong = {.nonce = ping->nonce,
                                               .ping_sent_ms = ping->sent_ms,
                                               .received_ms = now_ms,
                                               .sent_ms = now_ms}};
    (void)send_envelope(player, &envelope);
}

static void on_envelope(struct player *player, const struct envelope *envelope)
{
    switch (envelope->kind) {
    case ENVELOPE_RESUME:
        on_resume(player, &envelope->resume);
        break;
    case ENVELOPE_ACK:
        player->window_bytes = envelope->ack.window_bytes;
        take_state(player, &envelope->ack.stream);
        break;
    case ENVELOPE_NEED_KEY:
        on_need_key(player, &envelope->need_key);
        break;
    case ENVELOPE_REFUSAL:
        on_refusal(player, &envelope->refusal);
        break;
    case ENVELOPE_PING:
        on_ping(player, &envelope->ping);
        break;
    default:
        break; /* policies, pongs, the future */
    }
}

/* False when nothing is waiting. */
static bool receive_once(struct player *player)
{
    struct stage *stage = player->stage;
    struct envelope envelope;
    zmq_msg_t message;

    must(zmq_msg_init(&message) == 0);
    if (zmq_msg_recv(&message, player->socket, ZMQ_DONTWAIT) < 0) {
        (void)zmq_msg_close(&message);
        return errno == EINTR;
    }
    struct bytes bytes = {zmq_msg_data(&message), zmq_msg_size(&message)};
    if (envelope_decode(bytes, &stage->arena, &envelope) == 0)
        on_envelope(player, &envelope);
    arena_reset(&stage->arena);
    (void)zmq_msg_close(&message);
    return true;
}

/* -- what goes ------------------------------------------------------------------------------
 */

static void on_due(uv_timer_t *timer)
{
    player_pump(timer->data);
}

static void pump_later(struct player *player, uint64_t wait_ms)
{
    must(uv_timer_start(&player->timer, on_due, wait_ms, 0) == 0);
}

static int send_definitions(struct player *player)
{
    struct stage *stage = player->stage;
    while (player->definitions_sent < player->script.definition_count) {
        uint64_t count;
        int error = script_define(&player->script, &stage->desk, player->definitions_sent,
                                  &stage->out, &count);
        if (error == 0)
            error = send_bytes(player, buf_bytes(&stage->out));
        if (error != 0)
            return error;
        player->definitions_sent += count;
        stage->result.definition_bytes += bytes_on_wire(stage->out.size);
    }
    return 0;
}

/* Is it time for the next number?  If not, comes back when it is. */
static bool is_due(struct player *player)
{
    const struct stage *stage = player->stage;
    if (stage->options->speed <= 0)
        return true;
    int64_t tick_ms = script_tick_ms(&player->script, player->next_number);
    double due_ms = (double)(tick_ms - stage->first_tick_ms) / stage->options->speed;
    double now_ms = (double)(clock_mono(&clock_system) - stage->opened_ns) / NS_PER_MS;
    if (due_ms <= now_ms)
        return true;
    pump_later(player, (uint64_t)(due_ms - now_ms) + 1);
    return false;
}

static uint64_t bytes_in_flight(const struct player *player)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < player->flight_count; i++)
        bytes += player->flights[i].bytes;
    return bytes;
}

/* Sends the next number if base, window and time allow.  ERR_AGAIN: not now. */
static int send_next(struct player *player)
{
    struct stage *stage = player->stage;
    const struct script *script = &player->script;
    uint64_t number = player->next_number;
    uint64_t last;
    struct bytes message;

    if (number > script->count || player->flight_count == script->depth ||
        (!script->is_backlog && number > script->depth &&
         number - script->depth > player->low_water) ||
        !is_due(player))
        return ERR_AGAIN;
    bool alone = number <= player->alone_until;
    int error =
        script_message(script, &stage->desk, number, alone, &stage->out, &message, &last);
    must(error == 0); /* it could be coded before, or memory is gone */
    if (player->flight_count > 0 &&
        bytes_in_flight(player) + message.size > player->window_bytes)
        return ERR_AGAIN;
    error = send_bytes(player, message);
    if (error != 0) {
        pump_later(player, RETRY_MS);
        return error;
    }
    player->flights[player->flight_count++] = (struct player_flight){
        .number = last, .bytes = message.size, .sent_ns = clock_mono(&clock_system)};
    player->next_number = last + 1;
    stage->result.batch_bytes += bytes_on_wire(message.size);
    return 0;
}

/* Every send may swallow the descriptor's edge, so reading comes after it, until both are dry.
 */
void player_pump(struct player *player)
{
    for (;;) {
        bool sent = false;
        while (receive_once(player))
            ;
        if (player->state == PLAYER_FLOWING && send_definitions(player) != 0)
            pump_later(player, RETRY_MS);
        else if (player->state == PLAYER_FLOWING && player->stage->is_open)
            while (send_next(player) == 0)
                sent = true;
        if (!sent && !receive_once(player))
            return;
    }
}

/* -- the connection -------------------------------------------------------------------------
 */

static void on_socket(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    player_pump(poll->data);
}

static void on_monitor(uv_poll_t *poll, int status, int events)
{
    struct player *player = poll->data;
    uint8_t event[16];
    char address[256];
    uint16_t number;

    (void)status;
    (void)events;
    for (;;) {
        int size = zmq_recv(player->monitor, event, sizeof event, ZMQ_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            break;
        (void)zmq_recv(player->monitor, address, sizeof address, ZMQ_DONTWAIT);
        memcpy(&number, event, sizeof number);
        if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED && player->state != PLAYER_DONE)
            say_hello(player);
        else if (number == ZMQ_EVENT_DISCONNECTED && player->state != PLAYER_DONE)
            player->state = PLAYER_DOWN;
    }
    player_pump(player);
}

/* A key that depends on the instance alone. */
static void make_key(struct curve_pair *key, const char *instance)
{
    uint8_t secret[CURVE_KEY_BYTES];
    uint64_t state = 0;
    for (const char *at = instance; *at != '\0'; at++)
        state = random_mix(state ^ (uint8_t)*at);
    for (size_t i = 0; i < sizeof secret; i += sizeof state) {
        uint64_t number = random_next(&state);
        memcpy(secret + i, &number, sizeof number);
    }
    must(zmq_z85_encode(key->secret_text, secret, sizeof secret) != NULL);
    must(zmq_curve_public(key->public_text, key->secret_text) == 0);
    must(zmq_z85_decode(key->public_key, key->public_text) != NULL);
}

static bool set_options(struct player *player)
{
    static const struct {
        int option, value;
    } settings[] = {
        {ZMQ_HEARTBEAT_IVL, 1000},
        {ZMQ_HEARTBEAT_TIMEOUT, 3000},
        {ZMQ_RECONNECT_IVL, 250},
        {ZMQ_RECONNECT_IVL_MAX, 1000},
        {ZMQ_SNDHWM, QUEUE_MESSAGES},
        {ZMQ_RCVHWM, QUEUE_MESSAGES},
        {ZMQ_LINGER, 0},
        {ZMQ_IMMEDIATE, 1},
    };
    void *socket = player->socket;
    bool ok = true;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        ok = ok && zmq_setsockopt(socket, settings[i].option, &settings[i].value,
                                  sizeof settings[i].value) == 0;
    return ok &&
           zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, player->stage->options->collector_key,
                          40) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, player->key.public_text, 40) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, player->key.secret_text, 40) == 0;
}

static int watch(struct player *player, void *socket, uv_poll_t *poll, uv_poll_cb callback)
{
    int descriptor;
    size_t size = sizeof descriptor;
    if (zmq_getsockopt(socket, ZMQ_FD, &descriptor, &size) != 0 ||
        uv_poll_init(&player->stage->loop, poll, descriptor) != 0)
        return ERR_IO;
    poll->data = player;
    return uv_poll_start(poll, UV_READABLE, callback) == 0 ? 0 : ERR_IO;
}

int player_open(struct player *player, struct stage *stage, size_t index, struct diagnosis *why)
{
    char endpoint[64];

    player->stage = stage;
    player->next_number = 1;
    make_key(&player->key, load_instance(stage->options->load, index));
    must(uv_timer_init(&stage->loop, &player->timer) == 0);
    player->timer.data = player;
    player->socket = zmq_socket(stage->context, ZMQ_DEALER);
    player->monitor = zmq_socket(stage->context, ZMQ_PAIR);
    if (player->socket == NULL || player->monitor == NULL || !set_options(player))
        return diagnose(why, ERR_IO, "socket of probe %zu: %s", index, zmq_strerror(errno));
    (void)snprintf(endpoint, sizeof endpoint, "inproc://player-%zu", index);
    if (zmq_socket_monitor(player->socket, endpoint,
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) != 0 ||
        zmq_connect(player->monitor, endpoint) != 0 ||
        watch(player, player->monitor, &player->monitor_poll, on_monitor) != 0 ||
        watch(player, player->socket, &player->socket_poll, on_socket) != 0)
        return diagnose(why, ERR_IO, "watching probe %zu: %s", index, zmq_strerror(errno));
    if (zmq_connect(player->socket, stage->options->collector) != 0)
        return diagnose(why, ERR_INVALID, "%s: %s", stage->options->collector,
                        zmq_strerror(errno));
    /* What came before the descriptors were watched gave no edge. */
    on_monitor(&player->monitor_poll, 0, 0);
    return 0;
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

void player_close(struct player *player)
{
    close_handle((uv_handle_t *)&player->timer);
    close_handle((uv_handle_t *)&player->monitor_poll);
    close_handle((uv_handle_t *)&player->socket_poll);
    if (player->socket != NULL) {
        (void)zmq_socket_monitor(player->socket, NULL, 0);
        (void)zmq_close(player->socket);
    }
    if (player->monitor != NULL)
        (void)zmq_close(player->monitor);
}
