/*
 * address.h - where to listen, who may send, and what a sender is called.
 *
 *     udp://0.0.0.0:5514   tcp://[::]:5514        numbers, no names: DNS may be what is ill
 *     10.20.0.0/16   fe80::/10   192.0.2.7        networks and single addresses
 *
 * An IPv4 sender on an IPv6 socket is called by its IPv4 address.  Any thread.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proto/base/diagnosis.h"

#define SYSLOG_ADDRESS_TEXT_BYTES INET6_ADDRSTRLEN

struct syslog_endpoint {
    bool is_tcp;
    struct sockaddr_storage address;
    socklen_t size;
};

struct syslog_network {
    uint8_t bytes[16]; /* IPv6; IPv4 as ::ffff:a.b.c.d */
    unsigned bits;     /* 0..128 */
};

/* ERR_INVALID with the reason in `why`. */
int syslog_endpoint_read(const char *text, struct syslog_endpoint *ret_endpoint,
                         struct diagnosis *why);
int syslog_network_read(const char *text, struct syslog_network *ret_network,
                        struct diagnosis *why);

/* The 16 bytes of an address without its port; false: neither IPv4 nor IPv6. */
bool syslog_address_bytes(const struct sockaddr_storage *address, uint8_t ret_bytes[16]);
bool syslog_network_has(const struct syslog_network *network, const uint8_t address[16]);
void syslog_address_text(const uint8_t address[16], char text[SYSLOG_ADDRESS_TEXT_BYTES]);
