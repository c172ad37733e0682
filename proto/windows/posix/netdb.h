/* netdb.h - Winsock has it. */
#pragma once
#include <winsock2.h>
#include <ws2tcpip.h>
