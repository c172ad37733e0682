/*
 * test_syslog.c - messages as devices send them, in datagrams and streams, whole and in pieces.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "probe/syslog/address.h"
#include "probe/syslog/connection.h"
#include "probe/syslog/framing.h"
#include "probe/syslog/message.h"
#include "proto/base/error.h"

/* ---- one message ------------------------------------------------------------------------ */

static void priorities_and_texts(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        uint32_t severity;
        const char *text, *rest;
    } cases[] = {
        {"<34>Oct 11 22:14:15 mymachine su: 'su root' failed", 3,
         "Oct 11 22:14:15 mymachine su: 'su root' failed", ""},
        {"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time.\r\n",
         6, "2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time.", ""},
        {"<34>1 2003-10-11T22:14:15.003Z host su - ID47 - \xef\xbb\xbf'su root' failed", 3,
         "2003-10-11T22:14:15.003Z host su - ID47 - ", "'su root' failed"},
        {"<0>kernel panic", 1, "kernel panic", ""},
        {"<191>debug", 8, "debug", ""},
        {"<189>123: *Mar  1 18:46:11: %SYS-5-CONFIG_I: done", 6,
         "123: *Mar  1 18:46:11: %SYS-5-CONFIG_I: done", ""},
        /* no priority: all of it is text */
        {"<192>too large", 0, "<192>too large", ""},
        {"<>x", 0, "<>x", ""},
        {"<1", 0, "<1", ""},
        {"<1234>x", 0, "<1234>x", ""},
        {"use of \xef\xbb\xbf without", 0, "use of \xef\xbb\xbf without", ""},
        {"", 0, "", ""},
        {"\r\n", 0, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct syslog_message message = syslog_message_read(bytes_of(cases[i].raw));
        char text[256], rest[256];
        (void)snprintf(text, sizeof text, "%.*s", (int)message.text.size,
                       (const char *)message.text.data);
        (void)snprintf(rest, sizeof rest, "%.*s", (int)message.rest.size,
                       message.rest.size == 0 ? "" : (const char *)message.rest.data);
        assert_int_equal(message.severity, cases[i].severity);
        assert_string_equal(text, cases[i].text);
        assert_string_equal(rest, cases[i].rest);
    }
}

/* ---- a stream --------------------------------------------------------------------------- */

struct heard {
    char text[4096]; /* each message in brackets, a cut one with its size alone */
    size_t room;     /* messages that may still come */
};

static bool receive(void *context, const uint8_t address[16], struct bytes raw, bool is_cut)
{
    struct heard *heard = context;
    size_t at = strlen(heard->text);
    (void)address;
    if (heard->room == 0)
        return false;
    heard->room--;
    if (is_cut || raw.size > 100)
        (void)snprintf(heard->text + at, sizeof heard->text - at, "[%s%zu]",
                       is_cut ? "cut " : "", raw.size);
    else
        (void)snprintf(heard->text + at, sizeof heard->text - at, "[%.*s]", (int)raw.size,
                       (const char *)raw.data);
    return true;
}

struct stream {
    int writer;
    struct syslog_connection *connection;
    struct heard heard;
};

static void stream_open(struct stream *stream)
{
    static const uint8_t address[16];
    int ends[2];
    memset(stream, 0, sizeof *stream);
    stream->heard.room = 1000;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    stream->writer = ends[0];
    assert_int_equal(syslog_connection_new(ends[1], address, &stream->connection), 0);
}

static void stream_close(struct stream *stream)
{
    (void)close(stream->writer);
    while (syslog_connection_read(stream->connection, receive, &stream->heard) !=
           SYSLOG_READ_END)
        continue;
    syslog_connection_free(stream->connection);
}

static void stream_say(struct stream *stream, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t done = write(stream->writer, text, size < 1000 ? size : 1000);
        if (done > 0) {
            text += done;
            size -= (size_t)done;
        }
        (void)syslog_connection_read(stream->connection, receive, &stream->heard);
    }
}

static void frames_of_both_kinds_in_pieces_of_every_size(void **state)
{
    (void)state;
    static const char bytes[] = "6 <1>one<2>two\n8 <3>t\nree\n\n<4>four\r\n4 <5>5";
    for (size_t piece = 1; piece < sizeof bytes; piece++) {
        struct stream stream;
        stream_open(&stream);
        for (size_t at = 0; at < sizeof bytes - 1; at += piece) {
            size_t left = sizeof bytes - 1 - at;
            stream_say(&stream, bytes + at, left < piece ? left : piece);
        }
        stream_close(&stream);
        assert_string_equal(stream.heard.text, "[<1>one][<2>two][<3>t\nree][<4>four\r][<5>5]");
    }
}

static void the_last_message_needs_no_end(void **state)
{
    (void)state;
    struct stream stream;
    stream_open(&stream);
    stream_say(&stream, "<1>a\n<2>b", 9);
    assert_string_equal(stream.heard.text, "[<1>a]");
    stream_close(&stream);
    assert_string_equal(stream.heard.text, "[<1>a][<2>b]");
}

static void overlong_messages_are_cut_and_the_next_is_whole(void **state)
{
    (void)state;
    static char text[60000];
    struct stream stream;
    memset(text, 'x', sizeof text);
    stream_open(&stream);
    stream_say(&stream, text, sizeof text);
    stream_say(&stream, "\n<1>next\n60000 ", 15);
    stream_say(&stream, text, sizeof text);
    stream_say(&stream, "8 <2>after", 10);
    stream_close(&stream);
    assert_string_equal(stream.heard.text, "[cut 16384][<1>next][cut 16384][<2>after]");
}

static void what_there_is_no_room_for_stays(void **state)
{
    (void)state;
    struct stream stream;
    stream_open(&stream);
    stream.heard.room = 1;
    stream_say(&stream, "<1>a\n<2>b\n<3>c\n", 15);
    assert_int_equal(syslog_connection_read(stream.connection, receive, &stream.heard),
                     SYSLOG_READ_MORE);
    assert_string_equal(stream.heard.text, "[<1>a]");
    stream.heard.room = 10;
    assert_int_equal(syslog_connection_read(stream.connection, receive, &stream.heard),
                     SYSLOG_READ_ALL);
    stream_close(&stream);
    assert_string_equal(stream.heard.text, "[<1>a][<2>b][<3>c]");
}

/* ---- addresses -------------------------------------------------------------------------- */

static bool network_has(const char *text, const char *address)
{
    struct syslog_network network, one;
    assert_int_equal(syslog_network_read(text, &network, NULL), 0);
    assert_int_equal(syslog_network_read(address, &one, NULL), 0);
    return syslog_network_has(&network, one.bytes);
}

static void addresses_and_networks(void **state)
{
    (void)state;
    static const char *const wrong[] = {"10.0.0.0/33", "10.0.0/8", "10.0.0.0/",  "host",
                                        "::/129",      "",         "10.0.0.0/-1"};
    static const char *const nowhere[] = {"udp://0.0.0.0",    "udp://0.0.0.0:0", "0.0.0.0:514",
                                          "udp://host:514",   "tls://0.0.0.0:1", "udp://:::514",
                                          "udp://[::]:70000", "tcp://[::1:514",  ""};
    struct syslog_network network;
    struct syslog_endpoint endpoint;
    struct diagnosis why = {0};
    uint8_t address[16];
    char text[SYSLOG_ADDRESS_TEXT_BYTES];
    assert_true(network_has("10.20.0.0/16", "10.20.255.1"));
    assert_false(network_has("10.20.0.0/16", "10.21.0.1"));
    assert_true(network_has("10.20.0.0/15", "10.21.0.1"));
    assert_true(network_has("0.0.0.0/0", "192.0.2.1"));
    assert_false(network_has("0.0.0.0/0", "2001:db8::1"));
    assert_true(network_has("::/0", "192.0.2.1"));
    assert_true(network_has("fe80::/10", "febf::1"));
    assert_false(network_has("192.0.2.7", "192.0.2.6"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(syslog_network_read(wrong[i], &network, &why), ERR_INVALID);
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++)
        assert_int_equal(syslog_endpoint_read(nowhere[i], &endpoint, &why), ERR_INVALID);
    assert_int_equal(syslog_endpoint_read("tcp://[::ffff:192.0.2.7]:601", &endpoint, &why), 0);
    assert_true(endpoint.is_tcp && syslog_address_bytes(&endpoint.address, address));
    syslog_address_text(address, text);
    assert_string_equal(text, "192.0.2.7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priorities_and_texts),
        cmocka_unit_test(frames_of_both_kinds_in_pieces_of_every_size),
        cmocka_unit_test(the_last_message_needs_no_end),
        cmocka_unit_test(overlong_messages_are_cut_and_the_next_is_whole),
        cmocka_unit_test(what_there_is_no_room_for_stays),
        cmocka_unit_test(addresses_and_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
