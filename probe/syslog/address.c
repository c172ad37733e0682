/*
 * address.c - see address.h.
 */
#include "probe/syslog/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* A decimal number of 1 to `most`, nothing else. */
static bool read_number(const char *text, unsigned long most, unsigned long *ret_number)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    *ret_number = strtoul(text, &end, 10);
    return *end == '\0' && *ret_number <= most;
}

int syslog_endpoint_read(const char *text, struct syslog_endpoint *ret_endpoint,
                         struct diagnosis *why)
{
    char host[SYSLOG_ADDRESS_TEXT_BYTES + 2];
    unsigned long port;
    const char *begin = text + strlen("udp://");
    bool is_tcp = strncmp(text, "tcp://", 6) == 0;
    const char *colon = strrchr(text, ':');
    *ret_endpoint = (struct syslog_endpoint){.is_tcp = is_tcp};
    if ((!is_tcp && strncmp(text, "udp://", 6) != 0) || colon < begin ||
        (size_t)(colon - begin) >= sizeof host || !read_number(colon + 1, 65535, &port) ||
        port == 0)
        return diagnose(why, ERR_INVALID,
                        "\"%s\" is no address to listen at, such as udp://0.0.0.0:5514", text);
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - begin), begin);
    size_t size = strlen(host);
    struct sockaddr_in *four = (struct sockaddr_in *)&ret_endpoint->address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&ret_endpoint->address;
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        ret_endpoint->size = sizeof *four;
        return 0;
    }
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons((uint16_t)port);
            ret_endpoint->size = sizeof *six;
            return 0;
        }
    }
    return diagnose(why, ERR_INVALID,
                    "\"%s\": the address must be a number, such as 0.0.0.0 or [::]", text);
}

int syslog_network_read(const char *text, struct syslog_network *ret_network,
                        struct diagnosis *why)
{
    char host[SYSLOG_ADDRESS_TEXT_BYTES];
    struct in_addr four;
    const char *slash = strchr(text, '/');
    size_t size = slash == NULL ? strlen(text) : (size_t)(slash - text);
    unsigned long bits = 0;
    *ret_network = (struct syslog_network){.bits = 128};
    (void)snprintf(host, sizeof host, "%.*s", (int)(size < sizeof host ? size : 0), text);
    bool is_four = inet_pton(AF_INET, host, &four) == 1;
    unsigned most = is_four ? 32 : 128;
    if (is_four) {
        memcpy(ret_network->bytes, mapped, sizeof mapped);
        memcpy(ret_network->bytes + sizeof mapped, &four, 4);
    }
    if ((!is_four && inet_pton(AF_INET6, host, ret_network->bytes) != 1) ||
        (slash != NULL && !read_number(slash + 1, most, &bits)))
        return diagnose(why, ERR_INVALID,
                        "\"%s\" is no address or network, such as 10.20.0.0/16", text);
    if (slash != NULL)
        ret_network->bits = 128 - most + (unsigned)bits;
    return 0;
}

bool syslog_address_bytes(const struct sockaddr_storage *address, uint8_t ret_bytes[16])
{
    if (address->ss_family == AF_INET) {
        memcpy(ret_bytes, mapped, sizeof mapped);
        memcpy(ret_bytes + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
        return true;
    }
    if (address->ss_family != AF_INET6)
        return false;
    memcpy(ret_bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
    return true;
}

bool syslog_network_has(const struct syslog_network *network, const uint8_t address[16])
{
    unsigned whole = network->bits / 8, left = network->bits % 8;
    if (memcmp(network->bytes, address, whole) != 0)
        return false;
    return left == 0 || ((network->bytes[whole] ^ address[whole]) >> (8 - left)) == 0;
}

void syslog_address_text(const uint8_t address[16], char text[SYSLOG_ADDRESS_TEXT_BYTES])
{
    bool is_four = memcmp(address, mapped, sizeof mapped) == 0;
    if (inet_ntop(is_four ? AF_INET : AF_INET6, address + (is_four ? 12 : 0), text,
                  SYSLOG_ADDRESS_TEXT_BYTES) == NULL)
        (void)snprintf(text, SYSLOG_ADDRESS_TEXT_BYTES, "?");
}
