#include "collector/ingest/zap.h"

#include <sodium.h>
#include <stddef.h>
#include <string.h>
#include <zmq.h>

#include "proto/wire/zmq_part.h"

/* version, request id, domain, address, identity, mechanism, credentials... */
#define FRAMES_MAX  8
#define FRAME_BYTES 256

struct frame {
    char data[FRAME_BYTES];
    size_t size;
};

/* Reads all frames of one request; returns their count, 0 if there is none. */
static size_t receive(void *socket, struct frame frames[FRAMES_MAX])
{
    size_t count = 0;
    int more = 1;
    while (more != 0) {
        zmq_msg_t message;
        (void)zmq_msg_init(&message);
        if (zmq_part_receive(socket, &message) < 0) {
            (void)zmq_msg_close(&message);
            return 0;
        }
        size_t size = zmq_msg_size(&message);
        if (count < FRAMES_MAX) {
            frames[count].size = size > FRAME_BYTES ? 0 : size;
            memcpy(frames[count].data, zmq_msg_data(&message), frames[count].size);
            count++;
        }
        more = zmq_msg_more(&message);
        (void)zmq_msg_close(&message);
    }
    return count;
}

static void reply(void *socket, const struct frame *id, const char *status, const char *text,
                  const char *user)
{
    (void)zmq_part_send(socket, "1.0", 3, ZMQ_SNDMORE);
    (void)zmq_part_send(socket, id->data, id->size, ZMQ_SNDMORE);
    (void)zmq_part_send(socket, status, strlen(status), ZMQ_SNDMORE);
    (void)zmq_part_send(socket, text, strlen(text), ZMQ_SNDMORE);
    (void)zmq_part_send(socket, user, strlen(user), ZMQ_SNDMORE);
    (void)zmq_part_send(socket, "", 0, 0);
}

void zap_answer(void *socket, zap_verdict *verdict, void *context)
{
    struct frame frames[FRAMES_MAX];
    char user[ZAP_USER_BYTES];

    size_t count = receive(socket, frames);
    if (count == 0)
        return;
    bool is_curve = count == 7 && frames[5].size == 5 &&
                    memcmp(frames[5].data, "CURVE", 5) == 0 &&
                    frames[6].size == CURVE_KEY_BYTES;
    if (count < 2) {
        const struct frame none = {.size = 0};
        reply(socket, &none, "500", "malformed request", "");
    } else if (!is_curve) {
        reply(socket, &frames[1], "400", "only CURVE is accepted", "");
    } else if (!verdict(context, (const uint8_t *)frames[6].data)) {
        reply(socket, &frames[1], "400", "this key is not accepted", "");
    } else {
        (void)sodium_bin2hex(user, sizeof user, (const unsigned char *)frames[6].data,
                             CURVE_KEY_BYTES);
        reply(socket, &frames[1], "200", "OK", user);
    }
}

bool zap_key_of(const char *user_id, uint8_t ret_key[CURVE_KEY_BYTES])
{
    size_t size = 0;
    if (user_id == NULL || strlen(user_id) != ZAP_USER_BYTES - 1)
        return false;
    return sodium_hex2bin(ret_key, CURVE_KEY_BYTES, user_id, ZAP_USER_BYTES - 1, NULL, &size,
                          NULL) == 0 &&
           size == CURVE_KEY_BYTES;
}
