/*
 * privileges.c - privileges.h where a service's account is the service manager's business.
 */
#include "probe/privileges.h"

#include "proto/base/error.h"

int privileges_parse(const char *names, uint32_t *ret_mask, struct diagnosis *why)
{
    if (names != NULL && names[0] != '\0')
        return diagnose(why, ERR_INVALID, "--capabilities: Windows has none");
    *ret_mask = 0;
    return 0;
}

int privileges_drop(const char *root, const char *user, uint32_t mask, struct diagnosis *why)
{
    (void)root;
    (void)mask;
    return diagnose(why, ERR_INVALID,
                    "--user %s: on Windows the account belongs to the service: sc config "
                    "fengsui-probe obj= ACCOUNT",
                    user);
}
