/*
 * access.c - see access.h.
 */
#include "proto/windows/access.h"

#include <aclapi.h>
#include <sddl.h>

/* Owner, SYSTEM, Administrators: all rights; protected from what the folder would add. */
#define PRIVATE_ACCESS L"D:P(A;;FA;;;OW)(A;;FA;;;SY)(A;;FA;;;BA)"

PSECURITY_DESCRIPTOR access_private(void)
{
    PSECURITY_DESCRIPTOR descriptor;
    return ConvertStringSecurityDescriptorToSecurityDescriptorW(PRIVATE_ACCESS, SDDL_REVISION_1,
                                                                &descriptor, NULL)
               ? descriptor
               : NULL;
}

bool access_make_private(HANDLE file)
{
    PSECURITY_DESCRIPTOR descriptor = access_private();
    ACL *list = NULL;
    BOOL is_there = FALSE, is_default = FALSE;
    if (descriptor == NULL)
        return false;
    DWORD error = ERROR_INVALID_ACL;
    if (GetSecurityDescriptorDacl(descriptor, &is_there, &list, &is_default) && is_there)
        error = SetSecurityInfo(file, SE_FILE_OBJECT,
                                DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
                                NULL, NULL, list, NULL);
    (void)LocalFree(descriptor);
    SetLastError(error);
    return error == ERROR_SUCCESS;
}

/* The user that this process runs as; in `room`, NULL if it cannot be told. */
static PSID own_user(void *room, DWORD size)
{
    HANDLE token;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return NULL;
    bool is_told = GetTokenInformation(token, TokenUser, room, size, &size);
    (void)CloseHandle(token);
    return is_told ? ((TOKEN_USER *)room)->User.Sid : NULL;
}

static bool is_trusted(PSID who, PSID owner, PSID self)
{
    return IsWellKnownSid(who, WinLocalSystemSid) ||
           IsWellKnownSid(who, WinBuiltinAdministratorsSid) ||
           IsWellKnownSid(who, WinCreatorOwnerRightsSid) || (owner != NULL && EqualSid(who, owner)) ||
           (self != NULL && EqualSid(who, self));
}

bool access_is_private(HANDLE file)
{
    PSECURITY_DESCRIPTOR descriptor = NULL;
    PSID owner = NULL;
    ACL *list = NULL;
    uint64_t room[32]; /* a TOKEN_USER with the longest SID, aligned */
    PSID self = own_user(room, sizeof room);
    bool is_private = true;

    if (GetSecurityInfo(file, SE_FILE_OBJECT,
                        OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &owner, NULL,
                        &list, NULL, &descriptor) != ERROR_SUCCESS)
        return false;
    if (list == NULL)
        is_private = false; /* no list: everybody may everything */
    for (DWORD i = 0; list != NULL && is_private && i < list->AceCount; i++) {
        void *entry;
        if (!GetAce(list, i, &entry))
            continue;
        const ACE_HEADER *header = entry;
        ACCESS_ALLOWED_ACE *allowed = entry;
        if (header->AceType == ACCESS_ALLOWED_ACE_TYPE &&
            (header->AceFlags & INHERIT_ONLY_ACE) == 0 &&
            (allowed->Mask & (FILE_READ_DATA | GENERIC_READ | GENERIC_ALL)) != 0)
            is_private = is_trusted(&allowed->SidStart, owner, self);
    }
    (void)LocalFree(descriptor);
    return is_private;
}
