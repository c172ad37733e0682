/*
 * process_users.c - names of users (process_users.h); an id here is a process's.
 *
 * LookupAccountSid() asks the domain, and waits for it.  A probe does not: the well-known accounts
 * are known by their numbers, others by the folder of their profile, which the registry of this host
 * names ("C:\Users\ops" is ops); who never had one is shown by the SID.
 */
#include "probe/source/process_users.h"

#include <stdio.h>
#include <string.h>
#include <windows.h>

#include <sddl.h>

#define PROFILES L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\"

void user_names_refresh(struct user_names *users, const char *rootfs)
{
    (void)users;
    (void)rootfs;
}

static const char *well_known(PSID sid)
{
    return IsWellKnownSid(sid, WinLocalSystemSid)      ? "SYSTEM"
           : IsWellKnownSid(sid, WinLocalServiceSid)   ? "LOCAL SERVICE"
           : IsWellKnownSid(sid, WinNetworkServiceSid) ? "NETWORK SERVICE"
                                                       : NULL;
}

/* The last part of the profile's path; the SID itself where there is no profile. */
static void name_of(PSID sid, char name[USER_BYTES_MAX])
{
    wchar_t key[256], path[MAX_PATH] = L"", *text = NULL;
    DWORD size = sizeof path;
    const char *known = well_known(sid);
    if (known != NULL) {
        (void)snprintf(name, USER_BYTES_MAX, "%s", known);
        return;
    }
    if (!ConvertSidToStringSidW(sid, &text))
        return;
    (void)swprintf(key, sizeof key / sizeof key[0], L"%ls%ls", PROFILES, text);
    const wchar_t *shown = text;
    if (RegGetValueW(HKEY_LOCAL_MACHINE, key, L"ProfileImagePath", RRF_RT_REG_SZ, NULL, path,
                     &size) == ERROR_SUCCESS &&
        wcsrchr(path, L'\\') != NULL)
        shown = wcsrchr(path, L'\\') + 1;
    (void)windows_narrow(shown, wcslen(shown), name, USER_BYTES_MAX);
    (void)LocalFree(text);
}

struct bytes user_name(struct user_names *users, const char *rootfs, uint32_t id)
{
    union {
        TOKEN_USER user;
        uint64_t room[32]; /* with the longest SID */
    } who;
    DWORD size = sizeof who;
    HANDLE token = NULL, process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, id);
    char *name = users->cached[0].name; /* valid until the next call: one slot is enough */
    (void)rootfs;
    name[0] = '\0';
    if (process != NULL && OpenProcessToken(process, TOKEN_QUERY, &token) &&
        GetTokenInformation(token, TokenUser, &who, size, &size))
        name_of(who.user.User.Sid, name);
    if (token != NULL)
        (void)CloseHandle(token);
    if (process != NULL)
        (void)CloseHandle(process);
    return bytes_of(name);
}

void user_names_done(struct user_names *users)
{
    (void)users;
}
