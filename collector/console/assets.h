/* assets.h - what embed.c writes at build time; only console.c includes it. */
#pragma once

#include "collector/console/console.h"

extern const char console_assets_version[];
extern const struct console_asset console_assets[];
extern const size_t console_asset_count;
