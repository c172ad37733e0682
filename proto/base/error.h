/*
 * error.h - every way an operation can fail, in one list.
 *
 * Functions that can fail return int: 0 for success, one of these negative codes otherwise.  On
 * failure the `ret_` arguments are left untouched.  What a person must read about a failure
 * (which file, which line, what to do) travels beside the code in a struct diagnosis
 * (diagnosis.h).
 */
#pragma once

#define ERROR_LIST(E)                                                                          \
    E(ERR_NOMEM, "out of memory")                                                              \
    E(ERR_IO, "the operating system refused")                                                  \
    E(ERR_NOTFOUND, "there is no such thing")                                                  \
    E(ERR_MALFORMED, "the bytes do not parse")                                                 \
    E(ERR_LIMIT, "a limit was reached")                                                        \
    E(ERR_CORRUPT, "the stored bytes fail their own checks")                                   \
    E(ERR_EXISTS, "there is one already")                                                      \
    E(ERR_INVALID, "the value is not allowed here")                                            \
    E(ERR_REFUSED, "permission is missing")                                                    \
    E(ERR_AGAIN, "not now, try again")                                                         \
    E(ERR_TIMEOUT, "the time allowed ran out")                                                 \
    E(ERR_CANCELLED, "the caller went away")                                                   \
    E(ERR_FULL, "the disk or its quota is full")                                               \
    E(ERR_CONFLICT, "it contradicts what is stored")

enum error_index {
#define E(name, text) name##_INDEX,
    ERROR_LIST(E)
#undef E
};

enum error {
#define E(name, text) name = -1 - name##_INDEX,
    ERROR_LIST(E)
#undef E
};

/* The text for an error code; "success" for 0.  Static storage, never NULL. */
const char *error_text(int error);
