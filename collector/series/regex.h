/*
 * regex.h - compiling a pattern that was parsed already (matcher.h has the public calls).
 */
#pragma once

#include "collector/series/matcher.h"
#include "collector/series/regex_syntax.h"

/* ERR_INVALID for what PCRE2 refuses (an unknown \p{name}, a pattern that grows too large). */
int regex_compile_syntax(const struct regex_syntax *syntax, bool anchored,
                         struct regex **ret_regex, struct diagnosis *why);

/* What the first match would begin with: machine code.  Any thread. */
void regex_prepare(const struct regex *regex);

/* For text that is valid UTF-8 (regex_glob.c). */
bool regex_glob_matches(const struct regex_glob *glob, struct bytes text);
