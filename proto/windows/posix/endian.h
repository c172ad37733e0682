/* endian.h - x86-64 is little-endian. */
#pragma once
#define htole32(x) (x)
#define htole64(x) (x)
#define le32toh(x) (x)
#define le64toh(x) (x)
