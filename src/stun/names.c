// SPDX-License-Identifier: BSD-2-Clause
// The words that go with numbers: reason phrases and method names.
#include "stun/message.h"

const char *stun_reason(int code)
{
    switch (code) {
    case 300:
        return "Try Alternate";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 405:
        return "Mobility Forbidden"; // RFC 8016 3.4
    case 420:
        return "Unknown Attribute";
    case 437:
        return "Allocation Mismatch";
    case 438:
        return "Stale Nonce";
    case 440:
        return "Address Family not Supported";
    case 441:
        return "Wrong Credentials";
    case 442:
        return "Unsupported Transport Protocol";
    case 443:
        return "Peer Address Family Mismatch";
    case 446:
        return "Connection Already Exists"; // RFC 6062 6.3
    case 447:
        return "Connection Timeout or Failure";
    case 486:
        return "Allocation Quota Reached";
    case 487:
        return "Role Conflict"; // RFC 8445
    case 500:
        return "Server Error";
    case 508:
        return "Insufficient Capacity";
    default:
        return "Error";
    }
}

const char *stun_method_name(uint16_t method)
{
    switch (method) {
    case STUN_BINDING:
        return "Binding";
    case STUN_ALLOCATE:
        return "Allocate";
    case STUN_REFRESH:
        return "Refresh";
    case STUN_SEND:
        return "Send";
    case STUN_DATA:
        return "Data";
    case STUN_CREATE_PERMISSION:
        return "CreatePermission";
    case STUN_CHANNEL_BIND:
        return "ChannelBind";
    case STUN_CONNECT:
        return "Connect";
    case STUN_CONNECTION_BIND:
        return "ConnectionBind";
    case STUN_CONNECTION_ATTEMPT:
        return "ConnectionAttempt";
    default:
        return NULL;
    }
}
