/* sysmacros.h - a device is a volume's serial number. */
#pragma once
#define makedev(major, minor) (((uint64_t)(major) << 32) | (minor))
